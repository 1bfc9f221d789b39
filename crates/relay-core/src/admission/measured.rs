//! How fast a counter grows, measured over the last second.

use std::collections::VecDeque;

/// What the rate is a mean over, in milliseconds.
const WINDOW_MS: u64 = 1000;

/// Readings kept at most: ten a second, and some that came late.
const MAX_READINGS: usize = 16;

/// A counter, and how fast it grows.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// When, and how much by then; oldest first.
    readings: VecDeque<(u64, u64)>,
}

impl Measured {
    /// Takes a reading. A counter that falls has begun anew, and so does the rate.
    pub(super) fn note(&mut self, count: u64, now_ms: u64) {
        if self.readings.back().is_some_and(|(_, before)| *before > count) {
            self.readings.clear();
        }
        // One reading stays that is a window old or older.
        while self.readings.len() >= MAX_READINGS
            || self
                .readings
                .get(1)
                .is_some_and(|(at, _)| at + WINDOW_MS <= now_ms)
        {
            self.readings.pop_front();
        }
        self.readings.push_back((now_ms, count));
    }

    /// The growth per second between the oldest reading and the newest.
    pub(super) fn per_second(&self) -> u64 {
        let (Some((from, before)), Some((to, now))) = (self.readings.front(), self.readings.back()) else {
            return 0;
        };
        match to.saturating_sub(*from) {
            0 => 0,
            ms => (now - before).saturating_mul(1000) / ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_growth_over_a_second() {
        let mut measured = Measured::default();
        assert_eq!(measured.per_second(), 0);
        for tenth in 0..50_u64 {
            let rate = if tenth < 30 { 1000 } else { 3000 };
            measured.note(
                tenth.min(30) * 1000 + tenth.saturating_sub(30) * rate,
                tenth * 100,
            );
            if tenth == 29 {
                assert_eq!(measured.per_second(), 10_000);
            }
        }
        assert_eq!(measured.per_second(), 30_000, "a second after the change");
        measured.note(5, 5000);
        assert_eq!(measured.per_second(), 0, "the counter began anew");
    }

    #[test]
    fn many_readings_take_no_more_memory() {
        let mut measured = Measured::default();
        for ms in 0..10_000 {
            measured.note(ms, ms);
        }
        assert!(measured.readings.len() <= MAX_READINGS);
        assert_eq!(measured.per_second(), 1000);
    }
}
