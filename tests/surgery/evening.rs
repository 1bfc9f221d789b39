//! The evening's plan: who comes when, and what happens to whom.

use relay_tests::random::Random;
use serde::{Deserialize, Serialize};

/// The origin's uplink, in Mbit/s.
pub(crate) const UPLINK_MBIT: u64 = 100;

/// What the stream takes, as `relay-load` is told.
pub(crate) const STREAM_RATE: &str = "2.5Mbit";

/// The same as a figure, in Mbit/s.
pub(crate) const STREAM_MBIT: f64 = 2.5;

/// The stream.
pub(crate) const STREAM: &str = "live/operation";

/// The name by which viewers find it.
pub(crate) const ZONE: &str = "live.example.org";

/// Within so many seconds the wave comes: the operation begins.
const WAVE_SECONDS: f64 = 15.0;

/// One of so many viewers comes late …
const EVERY: usize = 4;

/// … between these seconds, whatever happens meanwhile.
const LATE: (f64, f64) = (18.0, 102.0);

/// Nobody comes in the last seconds: whether they got in could not be told.
const LAST_CALL: f64 = 5.0;

/// How long the evening is without a pool: once the uplink is full nothing changes any more.
const PLAIN_SECONDS: u64 = 40;

/// And with one.
const POOL_SECONDS: u64 = 108;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The origin finds that edges run short, and its start hook orders a machine.
    Order,
    /// The machine has booted: a second edge, cloned from the first one's image.
    Clone,
    /// The first edge's program dies.
    KillEdge,
    /// Its supervisor starts it again.
    RestartEdge,
    /// The origin's program dies.
    KillOrigin,
    /// Its supervisor starts it again.
    RestartOrigin,
    /// The second edge is asked to end, and lets its viewers go.
    DrainEdge,
}

impl Event {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Order => "the origin's hook orders edge 2",
            Self::Clone => "edge 2 is cloned in",
            Self::KillEdge => "edge 1 is killed",
            Self::RestartEdge => "edge 1 is started again",
            Self::KillOrigin => "the origin is killed",
            Self::RestartOrigin => "the origin is started again",
            Self::DrainEdge => "edge 2 drains",
        }
    }

    /// Whether pictures may be missing for a moment because of it.
    pub(crate) const fn is_kill(self) -> bool {
        matches!(self, Self::KillEdge | Self::KillOrigin)
    }
}

/// By this second the second edge should be there: the first one is killed then.
pub(crate) const CLONED_BEFORE: u64 = 45;

/// One evening.
#[derive(Clone, Debug)]
pub(crate) struct Evening {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) has_pool: bool,
    pub(crate) seconds: u64,
    /// Seconds after the beginning at which each viewer comes.
    pub(crate) arrivals: Vec<f64>,
    /// What happens, and in which second; but for what the pool does of itself.
    pub(crate) events: &'static [(u64, Event)],
}

/// Programs come back after 2 s, as the shipped units say (`RestartSec=2`). Edge 1 dies while stubborn resolvers that were asked
/// in the wave still know no other edge.
const POOL_EVENTS: &[(u64, Event)] = &[
    (CLONED_BEFORE, Event::KillEdge),
    (47, Event::RestartEdge),
    (68, Event::KillOrigin),
    (70, Event::RestartOrigin),
    (90, Event::DrainEdge),
];

impl Evening {
    /// As in 2012: the origin serves everybody, and does not know what it can carry.
    pub(crate) fn plain(viewers: usize) -> Self {
        Self {
            name: "plain",
            title: "As in 2012: one server, which refuses nobody",
            has_pool: false,
            seconds: PLAIN_SECONDS,
            arrivals: arrivals(viewers, PLAIN_SECONDS),
            events: &[],
        }
    }

    /// With the pool, and all that may go wrong.
    pub(crate) fn pool(viewers: usize) -> Self {
        Self {
            name: "pool",
            title: "With the pool: the origin knows its uplink, and edges take the viewers",
            has_pool: true,
            seconds: POOL_SECONDS,
            arrivals: arrivals(viewers, POOL_SECONDS),
            events: POOL_EVENTS,
        }
    }
}

/// The same crowd on any evening; on a short one the last do not come.
fn arrivals(viewers: usize, seconds: u64) -> Vec<f64> {
    let mut random = Random::seeded(2012);
    let mut one = || random.below(1 << 20) as f64 / f64::from(1 << 20);
    let mut arrivals: Vec<f64> = (0..viewers)
        .map(|viewer| match viewer % EVERY {
            0 => LATE.0 + (LATE.1 - LATE.0) * one(),
            // A hill: few, then many, then few.
            _ => WAVE_SECONDS * (one() + one() + one()) / 3.0,
        })
        .collect();
    arrivals.retain(|at| *at <= seconds as f64 - LAST_CALL);
    arrivals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wave_alone_needs_a_multiple_of_the_uplink() {
        let evening = Evening::pool(200);
        let wave = evening.arrivals.iter().filter(|at| **at <= WAVE_SECONDS).count();
        assert!((140..=160).contains(&wave), "{wave}");
        assert!(wave as f64 * STREAM_MBIT > 3.0 * UPLINK_MBIT as f64);
        assert_eq!(evening.arrivals.len(), 200);
    }

    #[test]
    fn it_is_the_same_crowd_on_both_evenings() {
        let (plain, pool) = (Evening::plain(200), Evening::pool(200));
        let early = |evening: &Evening| -> Vec<f64> {
            let all = evening.arrivals.iter().copied();
            all.filter(|at| *at <= PLAIN_SECONDS as f64 - LAST_CALL).collect()
        };
        assert_eq!(early(&plain), early(&pool));
        assert!(plain.arrivals.len() < pool.arrivals.len());
    }

    #[test]
    fn events_come_in_order_and_within_the_evening() {
        let evening = Evening::pool(100);
        assert!(evening.events.is_sorted_by_key(|(at, _)| *at));
        assert!(evening.events.iter().all(|(at, _)| *at < evening.seconds));
    }
}
