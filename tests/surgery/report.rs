//! The report: what two evenings came to, as figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::crowd::Crowd;
use crate::evening::{Evening, Event, STREAM_MBIT, UPLINK_MBIT};
use crate::resolver::Habit;
use crate::second::Second;
use crate::viewer::Miss;

/// The first seconds are nobody's fault: players and caches are cold.
pub(crate) const GRACE_SECONDS: u64 = 5;

/// For so long after a kill pictures may be missing.
pub(crate) const KILL_SECONDS: u64 = 15;

/// A second in which this program was later than this itself says nothing of anybody, in milliseconds: half of what starves.
const LATE_MS: u64 = 250;

/// Over so many of the last seconds the end state is taken.
const END_SECONDS: usize = 10;

/// Both evenings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// `release`, or a build for trying.
    pub(crate) build: String,
    pub(crate) uplink_mbit: u64,
    pub(crate) stream_mbit: f64,
    /// As it was.
    pub(crate) plain: Run,
    /// With the pool.
    pub(crate) pool: Run,
}

/// First tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joins {
    pub(crate) tried: u64,
    pub(crate) succeeded: u64,
}

/// One evening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) title: String,
    pub(crate) joins: BTreeMap<Habit, Joins>,
    /// First tries that failed, by why.
    pub(crate) misses: BTreeMap<Miss, u64>,
    /// How long successful first tries took until a second of media was there: half of them, and 99 of 100, at most.
    pub(crate) join_ms_p50: u64,
    pub(crate) join_ms_p99: u64,
    /// Viewers that starved in any second, and in how many the worst one did.
    pub(crate) viewers_starved: u64,
    pub(crate) worst_viewer_seconds: u64,
    pub(crate) redirects: u64,
    /// How often viewers came again after they had lost their picture.
    pub(crate) returns: u64,
    /// Questions to the pool's name servers.
    pub(crate) questions: u64,
    pub(crate) encoder_returns: u64,
    /// Edges that ended in good order when they were asked to.
    pub(crate) ended_well: u64,
    pub(crate) seconds: Vec<Second>,
}

impl Report {
    pub(crate) fn new(build: &str, plain: Run, pool: Run) -> Self {
        Self {
            build: build.to_owned(),
            uplink_mbit: UPLINK_MBIT,
            stream_mbit: STREAM_MBIT,
            plain,
            pool,
        }
    }
}

impl Run {
    pub(crate) fn of(evening: &Evening, crowd: &Crowd, seconds: Vec<Second>) -> Self {
        let times = crowd.join_times_ms();
        let (viewers_starved, worst_viewer_seconds) = crowd.who_starved();
        let (redirects, returns) = crowd.moves();
        Self {
            title: evening.title.to_owned(),
            joins: crowd.joins(),
            misses: crowd.misses(),
            join_ms_p50: at_most(&times, 50),
            join_ms_p99: at_most(&times, 99),
            viewers_starved,
            worst_viewer_seconds,
            redirects,
            returns,
            questions: crowd.questions(),
            encoder_returns: 0,
            ended_well: 0,
            seconds,
        }
    }

    /// Everybody's first tries.
    pub(crate) fn all_joins(&self) -> Joins {
        self.joins.values().fold(Joins::default(), |sum, joins| Joins {
            tried: sum.tried + joins.tried,
            succeeded: sum.succeeded + joins.succeeded,
        })
    }

    /// Starved viewer-seconds, and all of them, of the seconds that `wanted` takes.
    fn starved_where(&self, wanted: impl Fn(&Second) -> bool) -> (u64, u64) {
        let seconds = self.seconds.iter().filter(|second| wanted(second));
        seconds.fold((0, 0), |(starved, all), second| {
            (starved + second.count.starved, all + second.count.counted)
        })
    }

    /// Starved viewer-seconds, and all of them.
    pub(crate) fn starved(&self) -> (u64, u64) {
        self.starved_where(|_| true)
    }

    /// The same of the seconds in which nothing excuses it: not the first ones, and none right after a kill.
    pub(crate) fn starved_without_excuse(&self) -> (u64, u64) {
        let kills: Vec<u64> = self.kills().collect();
        let excused = |at: u64| {
            at < GRACE_SECONDS
                || kills
                    .iter()
                    .any(|kill| (*kill..kill + KILL_SECONDS).contains(&at))
        };
        self.starved_where(|second| !excused(second.at) && !is_blind(second))
    }

    /// Seconds in which this program itself was late.
    pub(crate) fn blind_seconds(&self) -> u64 {
        self.seconds.iter().filter(|second| is_blind(second)).count() as u64
    }

    /// In which second a second edge was cloned in; if it never was, in the one after the last.
    pub(crate) fn cloned_at(&self) -> u64 {
        let clone = |second: &&Second| second.events.contains(&Event::Clone);
        let cloned = self.seconds.iter().find(clone);
        cloned.map_or(self.seconds.len() as u64, |second| second.at)
    }

    fn kills(&self) -> impl Iterator<Item = u64> {
        let kills = |second: &&Second| second.events.iter().any(|event| event.is_kill());
        self.seconds.iter().filter(kills).map(|second| second.at)
    }

    /// What the origin sent in the last seconds, in percent of its uplink.
    pub(crate) fn uplink_at_the_end(&self) -> f64 {
        let last = &self.seconds[self.seconds.len().saturating_sub(END_SECONDS)..];
        let sum: f64 = last.iter().map(|second| second.origin_mbit).sum();
        sum / last.len().max(1) as f64 * 100.0 / UPLINK_MBIT as f64
    }

    /// The most of a figure in any second.
    pub(crate) fn most(&self, figure: impl Fn(&Second) -> f64) -> f64 {
        self.seconds.iter().map(figure).fold(0.0, f64::max)
    }
}

const fn is_blind(second: &Second) -> bool {
    second.count.late_ms > LATE_MS
}

/// A part in percent of a whole.
pub(crate) fn percent((part, whole): (u64, u64)) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// So many percent of sorted figures are at most this.
fn at_most(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::second::tests::second;

    /// An evening of a minute: `starved` in the seconds that are named, and a kill in the twentieth.
    pub(crate) fn run(starved: &[(u64, u64)], succeeded: u64, origin_mbit: f64) -> Run {
        let of = |at| {
            let found = starved.iter().find(|(second, _)| *second == at);
            let events: &[Event] = match at {
                12 => &[Event::Order, Event::Clone],
                20 => &[Event::KillEdge],
                _ => &[],
            };
            second(at, found.map_or(0, |(_, viewers)| *viewers), origin_mbit, events)
        };
        Run {
            title: "an evening".to_owned(),
            joins: BTreeMap::from([(
                Habit::Shared,
                Joins {
                    tried: 1000,
                    succeeded,
                },
            )]),
            misses: BTreeMap::from([(Miss::TooLate, 1000 - succeeded)]),
            ended_well: 2,
            seconds: (0..60).map(of).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn the_beginning_and_a_kill_excuse_a_while() {
        let run = run(&[(4, 10), (19, 3), (20, 50), (34, 1), (35, 7)], 1000, 5.0);
        assert_eq!(run.starved(), (71, 6000));
        assert_eq!(run.starved_without_excuse(), (10, (60 - 5 - 15) * 100));
        let mut run = run;
        run.seconds[35].count.late_ms = LATE_MS + 1;
        assert_eq!((run.starved_without_excuse().0, run.blind_seconds()), (3, 1));
    }

    #[test]
    fn the_end_state_is_of_the_last_seconds() {
        let mut run = run(&[], 1000, 5.0);
        run.seconds[49].origin_mbit = 1000.0;
        assert!((run.uplink_at_the_end() - 5.0).abs() < 1e-9);
        run.seconds[50].origin_mbit = 15.0;
        assert!((run.uplink_at_the_end() - 6.0).abs() < 1e-9);
        assert!(Run::default().uplink_at_the_end().abs() < 1e-9);
        assert_eq!(run.cloned_at(), 12);
        run.seconds[12].events.clear();
        assert_eq!(run.cloned_at(), 60, "never");
    }

    #[test]
    fn parts_of_sorted_figures() {
        let times: Vec<u64> = (1..=200).collect();
        assert_eq!((at_most(&times, 50), at_most(&times, 99)), (100, 198));
        assert_eq!((at_most(&[7], 50), at_most(&[], 99)), (7, 0));
        assert!((percent((1, 8)) - 12.5).abs() < 1e-9);
        assert!(percent((0, 0)).abs() < 1e-9);
    }
}
