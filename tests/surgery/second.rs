//! One second of an evening.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::evening::Event;
use crate::ground::{EDGE_1, EDGE_2, ORIGIN, Place};

/// A viewer starves in a second in which it got so much less media time than there was, in milliseconds.
const SHORT_MS: u64 = 500;

/// What the crowd had in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// Viewers who have come so far.
    pub(crate) tried: u64,
    /// Those who got pictures in this second.
    pub(crate) served: u64,
    /// Those whose first try had succeeded, or failed, by its end.
    pub(crate) joined: u64,
    pub(crate) failed: u64,
    /// Those who came long enough ago to have pictures, whether they ever got in or not.
    pub(crate) counted: u64,
    /// Those of them who starved.
    pub(crate) starved: u64,
    /// How late this program itself was at most, in milliseconds: the machine had other things to do.
    pub(crate) late_ms: u64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Its number, from 0.
    pub(crate) at: u64,
    #[serde(flatten)]
    pub(crate) count: Count,
    /// What the machines sent, in Mbit/s on the wire.
    pub(crate) origin_mbit: f64,
    pub(crate) edge_1_mbit: f64,
    pub(crate) edge_2_mbit: f64,
    /// What happened in it.
    pub(crate) events: Vec<Event>,
}

impl Second {
    pub(crate) fn new(at: u64, count: Count, mbit: impl Fn(Place) -> f64, events: Vec<Event>) -> Self {
        Self {
            at,
            count,
            origin_mbit: mbit(ORIGIN),
            edge_1_mbit: mbit(EDGE_1),
            edge_2_mbit: mbit(EDGE_2),
            events,
        }
    }

    /// The head of the table of seconds.
    pub(crate) const HEAD: &str = "   s   came  served  starved  not in    origin    edge 1    edge 2 Mbit/s";

    /// Its line in that table.
    pub(crate) fn line(&self) -> String {
        let Count {
            tried,
            served,
            failed,
            starved,
            ..
        } = self.count;
        let Self {
            at,
            origin_mbit,
            edge_1_mbit,
            edge_2_mbit,
            ..
        } = self;
        let events: Vec<&str> = self.events.iter().map(|event| event.words()).collect();
        let line = format!(
            "{at:4} {tried:6} {served:7} {starved:8} {failed:7} {origin_mbit:9.1} {edge_1_mbit:9.1} {edge_2_mbit:9.1}        {}",
            events.join(", ")
        );
        line.trim_end().to_owned()
    }
}

/// Whether somebody starves who got so much media time in a second that was so long.
pub(crate) fn is_starved(got_ms: u64, length: Duration) -> bool {
    let there_was = length.as_millis() as u64; // about a thousand
    there_was.saturating_sub(got_ms) > SHORT_MS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn second(at: u64, starved: u64, origin_mbit: f64, events: &[Event]) -> Second {
        let count = Count {
            tried: 100,
            served: 100 - starved,
            joined: 100,
            failed: 0,
            counted: 100,
            starved,
            late_ms: 0,
        };
        let mbit = |place: Place| if place == ORIGIN { origin_mbit } else { 125.0 };
        Second::new(at, count, mbit, events.to_vec())
    }

    #[test]
    fn who_got_half_a_second_less_starves() {
        let second = Duration::from_secs(1);
        assert!(is_starved(0, second) && is_starved(480, second));
        assert!(!is_starved(520, second) && !is_starved(3000, second));
        assert!(!is_starved(480, Duration::from_millis(960)), "a short second");
    }

    #[test]
    fn a_line_stands_under_its_head() {
        let line = second(70, 3, 5.3, &[Event::KillEdge]).line();
        assert!(line.ends_with("edge 1 is killed"), "{line}");
        let origin = Second::HEAD.find("origin").unwrap() + "origin".len();
        assert!(line[..origin].ends_with(" 5.3"), "{line}");
    }
}
