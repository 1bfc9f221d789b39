//! The pace of a shard: how long its period is, from how busy it finds itself.
//!
//! Work per viewer is per burst far more than per byte, so a longer period costs less, and a shorter one is nearer to
//! live. The period that weighs both is in proportion to the busy share of the loop: with a handful of viewers it is
//! the shortest, at [`TARGET_BUSY`] it is the longest, and in between both the work and the delay grow with the
//! square root of the audience rather than one of them with all of it.

use std::time::Duration;

/// The busy share at which the period is at its longest: beyond it there is nothing left to save, and what is left of
/// the core belongs to accepts, handshakes and the links.
pub(super) const TARGET_BUSY: f64 = 0.6;

/// How far one period's reading moves the pace: a held-up thread is no audience.
const WEIGHT: f64 = 0.2;

/// A shard's period.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: Duration,
    longest: Duration,
    period: Duration,
    /// Time worked since the period began.
    worked: Duration,
    /// The busy share, smoothed.
    busy: f64,
}

impl Pace {
    /// Begins at the shortest period.
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest: longest.max(shortest),
            period: shortest,
            worked: Duration::ZERO,
            busy: 0.0,
        }
    }

    /// The period as it is now.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// Adds time that the loop worked.
    pub(super) fn add_work(&mut self, time: Duration) {
        self.worked += time;
    }

    /// Ends a period that took `elapsed`, and sets the next one.
    pub(super) fn end_period(&mut self, elapsed: Duration) {
        let share = self.worked.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        self.worked = Duration::ZERO;
        self.busy += WEIGHT * (share.min(1.0) - self.busy);
        let wanted = self.longest.mul_f64(self.busy / TARGET_BUSY);
        self.period = wanted.clamp(self.shortest, self.longest);
    }

    /// Nobody is there: the next one finds the shortest period.
    pub(super) fn rest(&mut self) {
        *self = Self::new(self.shortest, self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(100);

    /// A minute of a loop with `bursts` viewers, each costing 6 µs a burst and `per_second` of work for its bytes.
    /// The busy share and the period at the end.
    fn settle(pace: &mut Pace, bursts: u32, per_second: f64) -> (f64, Duration) {
        let mut share = 0.0;
        for _ in 0..3000 {
            let period = pace.period();
            let work = Duration::from_micros(6) * bursts + period.mul_f64(per_second);
            pace.add_work(work);
            let elapsed = period.max(work);
            share = work.as_secs_f64() / elapsed.as_secs_f64();
            pace.end_period(elapsed);
        }
        (share, pace.period())
    }

    #[test]
    fn a_small_audience_gets_the_shortest_period() {
        let mut pace = Pace::new(SHORTEST, LONGEST);
        assert_eq!(settle(&mut pace, 100, 0.002).1, SHORTEST);
    }

    #[test]
    fn work_and_delay_grow_together() {
        let mut pace = Pace::new(SHORTEST, LONGEST);
        let (thousand, at_thousand) = settle(&mut pace, 1000, 0.015);
        let (four_thousand, at_four_thousand) = settle(&mut pace, 4000, 0.06);
        assert!(
            (28..40).contains(&at_thousand.as_millis()) && thousand < 0.25,
            "{thousand} {at_thousand:?}"
        );
        assert!(
            (60..80).contains(&at_four_thousand.as_millis()) && four_thousand < 0.5,
            "{four_thousand} {at_four_thousand:?}"
        );
        assert_eq!(settle(&mut pace, 10_000, 0.15).1, LONGEST);
    }

    #[test]
    fn too_much_work_ends_at_the_longest_and_comes_back_when_they_leave() {
        let mut pace = Pace::new(SHORTEST, LONGEST);
        assert_eq!(settle(&mut pace, 100_000, 0.9).1, LONGEST);
        assert_eq!(settle(&mut pace, 10, 0.0).1, SHORTEST);
    }

    #[test]
    fn one_held_up_turn_moves_it_little() {
        let mut pace = Pace::new(SHORTEST, LONGEST);
        let before = settle(&mut pace, 1000, 0.015).1;
        pace.add_work(Duration::from_millis(100));
        pace.end_period(Duration::from_millis(100));
        assert!(pace.period() < before + LONGEST / 2, "{:?}", pace.period());
    }

    #[test]
    fn equal_bounds_are_a_fixed_period() {
        let mut pace = Pace::new(SHORTEST, SHORTEST);
        assert_eq!(settle(&mut pace, 50_000, 0.5).1, SHORTEST);
    }
}
