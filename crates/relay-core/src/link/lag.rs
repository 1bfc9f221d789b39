//! How far a node is behind the origin, in its streams' own time: no two machines' clocks are compared.

use std::collections::VecDeque;

/// For how long a statement counts among the newest, in milliseconds: a report each second then leaves none out.
const WINDOW_MS: u64 = 1_200;

/// So long after a statement the next one is overdue, in milliseconds; a parent makes one each half second.
const OVERDUE_MS: u64 = 1_500;

/// Statements that are kept: those of the window, and as many again from a second link.
const MAX_STATEMENTS: usize = 8;

/// Fed with what came of each statement of a parent's ([`Newest`](crate::cascade::message::Newest)).
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// How far behind by then, and when, on the monotonic clock; the oldest first.
    stated: VecDeque<(u64, u64)>,
}

impl Lag {
    /// Takes how far behind the parent's word this node was; `None` where there was nothing to be behind with.
    pub(super) fn stated(&mut self, behind_ms: Option<u64>, now_ms: u64) {
        let Some(behind_ms) = behind_ms else {
            return self.stated.clear();
        };
        if self.stated.len() == MAX_STATEMENTS {
            self.stated.pop_front();
        }
        self.stated.push_back((behind_ms, now_ms));
    }

    /// How far behind it is now. A parent that says nothing is taken to have gone on.
    pub(super) fn now(&self, now_ms: u64) -> Option<u64> {
        let (behind_ms, at) = self.stated.back()?;
        let silent = now_ms.saturating_sub(*at);
        Some(match silent > OVERDUE_MS {
            true => behind_ms.saturating_add(silent),
            false => *behind_ms,
        })
    }

    /// The most that it was behind in the last second or so.
    pub(super) fn worst(&self, now_ms: u64) -> Option<u64> {
        let lately = self.stated.iter().rev();
        let lately = lately.take_while(|(_, at)| now_ms.saturating_sub(*at) <= WINDOW_MS);
        lately
            .map(|(behind_ms, _)| *behind_ms)
            .chain(self.now(now_ms))
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_the_worst_of_its_second() {
        let mut lag = Lag::default();
        assert_eq!((lag.now(0), lag.worst(0)), (None, None));
        for (behind_ms, at) in [(900, 0), (40, 500), (700, 1_000), (0, 1_500)] {
            lag.stated(Some(behind_ms), at);
        }
        assert_eq!((lag.now(1_600), lag.worst(1_600)), (Some(0), Some(700)));
        lag.stated(Some(0), 2_000);
        lag.stated(Some(0), 2_500);
        assert_eq!(lag.worst(2_600), Some(0));
    }

    #[test]
    fn silence_counts_as_lag() {
        let mut lag = Lag::default();
        lag.stated(Some(100), 1_000);
        assert_eq!(lag.now(2_400), Some(100), "the next one is not overdue yet");
        assert_eq!((lag.now(6_000), lag.worst(6_000)), (Some(5_100), Some(5_100)));
        lag.stated(None, 7_000);
        assert_eq!(lag.worst(20_000), None, "no stream is there any more");
    }

    #[test]
    fn no_flood_of_statements_takes_memory() {
        let mut lag = Lag::default();
        (0..10_000).for_each(|ms| lag.stated(Some(u64::MAX), ms));
        assert_eq!(lag.stated.len(), MAX_STATEMENTS);
        assert_eq!(lag.now(u64::MAX), Some(u64::MAX));
    }
}
