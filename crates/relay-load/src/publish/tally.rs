//! What was published, and how late.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;

/// From here on a publisher is late itself: a period of a server that has little to do.
const LATE_P99: Duration = Duration::from_millis(20);

/// The longest lateness that is told apart, in microseconds: a minute.
const MAX_LATE_US: u64 = 60_000_000;

/// What was published, and how late; all streams of a process share one.
#[derive(Debug)]
pub struct Tally(Mutex<Counts>);

#[derive(Clone, Debug)]
struct Counts {
    pictures: u64,
    bytes: u64,
    late_us: Histogram<u64>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        // The bounds are constants, and the lower one is at least 1 and less than half of the upper one: what it asks for.
        let late_us = Histogram::new_with_bounds(1, MAX_LATE_US, 2).unwrap();
        Self(Mutex::new(Counts {
            pictures: 0,
            bytes: 0,
            late_us,
        }))
    }

    /// Notes a tag that left `late` after it was due.
    pub fn note(&self, is_picture: bool, bytes: usize, late: Duration) {
        let mut counts = self.counts();
        counts.bytes += bytes as u64;
        if is_picture {
            counts.pictures += 1;
            let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            counts.late_us.saturating_record(late);
        }
    }

    /// Pictures that left.
    pub fn pictures(&self) -> u64 {
        self.counts().pictures
    }

    /// Bytes of tag payload that left.
    pub fn bytes(&self) -> u64 {
        self.counts().bytes
    }

    /// 99 of 100 pictures left no later than this after they were due.
    pub fn late_p99(&self) -> Duration {
        Duration::from_micros(self.counts().late_us.value_at_quantile(0.99))
    }

    /// Whether the publisher itself was late, so that it is no yardstick.
    pub fn is_late(&self) -> bool {
        self.late_p99() > LATE_P99
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // Counts are whole whatever happened to another who held them.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Tally {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.counts().clone()))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (pictures, bytes) = (self.pictures(), self.bytes());
        let plural = if pictures == 1 { "" } else { "s" };
        let worst = Duration::from_micros(self.counts().late_us.max());
        write!(
            f,
            "{pictures} picture{plural}, {:.1} MB, sent at most {:.1} ms late (p99; at worst {:.1} ms)",
            bytes as f64 / 1e6,
            millis(self.late_p99()),
            millis(worst),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_picture_of_a_hundred_is_no_lateness_and_two_are() {
        let tally = Tally::new();
        for _ in 0..99 {
            tally.note(true, 5000, Duration::from_micros(900));
        }
        tally.note(false, 170, Duration::from_secs(9));
        tally.note(true, 5000, Duration::from_millis(300));
        assert!(!tally.is_late(), "{tally}");
        assert_eq!((tally.pictures(), tally.bytes()), (100, 500_170));
        for _ in 0..2 {
            tally.note(true, 5000, Duration::from_secs(300));
        }
        assert!(tally.is_late(), "{tally}");
    }

    #[test]
    fn it_speaks_for_itself() {
        let tally = Tally::new();
        tally.note(true, 1_500_000, Duration::from_millis(1));
        assert_eq!(
            tally.to_string(),
            "1 picture, 1.5 MB, sent at most 1.0 ms late (p99; at worst 1.0 ms)"
        );
    }
}
