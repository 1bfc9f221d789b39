//! Whether a gap is an edge's own fault.

use std::collections::{HashSet, VecDeque};

use relay_core::cascade::Instance;
use relay_core::pool::Endpoint;

/// Gaps that come within so many milliseconds of each other have one cause.
const TOGETHER_MS: u64 = 1_000;

/// Gaps that are remembered at a time: more than all who watch notice in that time.
const MAX_GAPS: usize = 256;

/// Gaps wait here for a moment, to see who else has one.
///
/// What stops for most edges at once stopped before them: at this origin, on its line, or at the encoder's. Nobody would be served
/// better if all were out.
#[derive(Debug, Default)]
pub(super) struct Blame {
    seen: VecDeque<Gap>,
}

#[derive(Debug)]
struct Gap {
    at_ms: u64,
    edge: Instance,
    endpoint: Endpoint,
    is_judged: bool,
}

impl Blame {
    /// Takes a gap that was noticed now.
    pub(super) fn noticed(&mut self, edge: Instance, endpoint: Endpoint, now_ms: u64) {
        if self.seen.len() == MAX_GAPS {
            self.seen.pop_front();
        }
        self.seen.push_back(Gap {
            at_ms: now_ms,
            edge,
            endpoint,
            is_judged: false,
        });
    }

    /// The gaps that are the edges' own and have not been told yet, with `watched` edges being watched.
    pub(super) fn judge(&mut self, watched: usize, now_ms: u64) -> Vec<(Instance, Endpoint)> {
        let mut own = Vec::new();
        for index in 0..self.seen.len() {
            let Gap { at_ms, is_judged, .. } = self.seen[index];
            // Where only one is watched nobody else can tell.
            let is_due = watched < 2 || now_ms >= at_ms + TOGETHER_MS;
            if is_judged || !is_due {
                continue;
            }
            let together = self
                .seen
                .iter()
                .filter(|gap| gap.at_ms.abs_diff(at_ms) <= TOGETHER_MS);
            let edges: HashSet<&Instance> = together.map(|gap| &gap.edge).collect();
            let is_common = edges.len() > 1 && edges.len() * 2 > watched;
            let gap = &mut self.seen[index];
            gap.is_judged = true;
            match is_common {
                true => {
                    tracing::debug!(edge = %gap.edge, "several edges had a gap at once: it is none of theirs")
                }
                false => own.push((gap.edge.clone(), gap.endpoint.clone())),
            }
        }
        while self
            .seen
            .front()
            .is_some_and(|gap| gap.at_ms + 2 * TOGETHER_MS < now_ms)
        {
            self.seen.pop_front();
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(blame: &mut Blame, n: u8, now_ms: u64) {
        let edge = format!("edge-{n}").parse().unwrap();
        blame.noticed(edge, format!("http://192.0.2.{n}").parse().unwrap(), now_ms);
    }

    fn judged(blame: &mut Blame, watched: usize, now_ms: u64) -> Vec<String> {
        let own = blame.judge(watched, now_ms);
        own.iter().map(|(edge, _)| edge.to_string()).collect()
    }

    #[test]
    fn a_gap_of_one_is_its_own() {
        let mut blame = Blame::default();
        gap(&mut blame, 1, 5_000);
        assert_eq!(judged(&mut blame, 1, 5_000), ["edge-1"], "nobody else is watched");
        for watched in [2, 9] {
            let mut blame = Blame::default();
            gap(&mut blame, 1, 5_000);
            assert_eq!(judged(&mut blame, watched, 5_900), [""; 0], "not yet");
            assert_eq!(judged(&mut blame, watched, 6_000), ["edge-1"]);
            assert_eq!(judged(&mut blame, watched, 6_100), [""; 0], "once");
        }
    }

    #[test]
    fn what_stops_for_most_is_nobodys() {
        let mut blame = Blame::default();
        for (n, ms) in [(1, 5_000), (2, 5_300), (3, 5_900)] {
            gap(&mut blame, n, ms);
        }
        for ms in [6_000, 6_300, 7_000] {
            assert_eq!(judged(&mut blame, 4, ms), [""; 0], "{ms}");
        }
        for n in 1..=3 {
            gap(&mut blame, n, 20_000);
        }
        assert_eq!(
            judged(&mut blame, 9, 21_000).len(),
            3,
            "three of nine are in trouble"
        );
    }

    #[test]
    fn two_endpoints_are_one_edge() {
        let mut blame = Blame::default();
        gap(&mut blame, 1, 5_000);
        gap(&mut blame, 1, 5_000);
        assert_eq!(judged(&mut blame, 1, 6_000).len(), 2);
    }

    #[test]
    fn no_number_of_gaps_takes_memory() {
        let mut blame = Blame::default();
        (0..10_000).for_each(|ms| gap(&mut blame, 1, ms));
        assert_eq!(blame.seen.len(), MAX_GAPS);
        assert!(!blame.judge(1, 12_500).is_empty());
        assert!(blame.judge(1, 14_000).is_empty() && blame.seen.is_empty());
    }
}
