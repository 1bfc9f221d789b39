//! What all viewers together have seen: histograms, faults, bytes. One for the whole audience, so that a frame costs no
//! memory.

use hdrhistogram::{CreationError, Histogram};

use super::supply::Supply;
use super::window::Window;
use crate::report::{Faults, Percentiles};

/// The longest time that is told apart from longer ones, in microseconds: a minute.
const LONGEST_US: u64 = 60_000_000;

/// Digits that are kept of a time.
const DIGITS: u8 = 3;

/// A histogram of times in microseconds.
pub(super) type Times = Histogram<u64>;

pub(super) fn times() -> Result<Times, CreationError> {
    Times::new_with_bounds(1, LONGEST_US, DIGITS)
}

/// A histogram's percentiles, in milliseconds.
pub(super) fn percentiles(times: &Times) -> Percentiles {
    let at = |quantile| millis(times.value_at_quantile(quantile));
    if times.is_empty() {
        return Percentiles::default();
    }
    Percentiles {
        count: times.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: millis(times.max()),
    }
}

/// Microseconds in milliseconds, to the hundredth.
pub(super) fn millis(us: u64) -> f64 {
    (us as f64 / 10.0).round() / 100.0
}

/// A moment on the two clocks of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Microseconds since the watch began.
    pub(super) at_us: u64,
    /// The wall clock, in microseconds of Unix time.
    pub(super) wall_us: u64,
}

/// What all viewers together have seen.
pub(super) struct Tally {
    pub(super) window: Window,
    /// Whether the measurement is on, by the time of arrival.
    pub(super) measuring: bool,
    /// By how much a frame may be late and on time, in microseconds.
    pub(super) on_time_us: u64,
    /// One per stream.
    pub(super) supplies: Vec<Supply>,
    pub(super) first_byte: Times,
    pub(super) first_keyframe: Times,
    pub(super) live_edge: Times,
    pub(super) lateness: Times,
    pub(super) second_lateness: Times,
    pub(super) stalled_until_closed: Times,
    pub(super) faults: Faults,
    pub(super) slow_faults: Faults,
    /// Bytes that came during the measurement, and in the present second.
    pub(super) bytes: u64,
    pub(super) second_bytes: u64,
}

impl Tally {
    pub(super) fn new(streams: usize, on_time_us: u64) -> Result<Self, CreationError> {
        Ok(Self {
            window: Window::SHUT,
            measuring: false,
            on_time_us,
            supplies: std::iter::repeat_with(Supply::new).take(streams).collect(),
            first_byte: times()?,
            first_keyframe: times()?,
            live_edge: times()?,
            lateness: times()?,
            second_lateness: times()?,
            stalled_until_closed: times()?,
            faults: Faults::default(),
            slow_faults: Faults::default(),
            bytes: 0,
            second_bytes: 0,
        })
    }

    /// Counts bytes that came from the network.
    pub(super) const fn count(&mut self, bytes: u64) {
        self.second_bytes += bytes;
        if self.measuring {
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut times = times().unwrap();
        assert_eq!(percentiles(&times), Percentiles::default());
        for us in (1..=1000).map(|n| n * 100) {
            times.saturating_record(us);
        }
        let found = percentiles(&times);
        assert_eq!(found.count, 1000);
        assert!((found.p50 - 50.0).abs() < 0.1, "{found:?}");
        assert!((found.p99 - 99.0).abs() < 0.1, "{found:?}");
        assert!((found.max - 100.0).abs() < 0.1, "{found:?}");
        times.saturating_record(u64::MAX);
        assert!(
            percentiles(&times).max >= 60_000.0,
            "what is longer counts as the longest"
        );
    }

    #[test]
    fn bytes_count_as_measured_only_while_measuring() {
        let mut tally = Tally::new(1, 0).unwrap();
        tally.count(5);
        tally.measuring = true;
        tally.count(7);
        assert_eq!((tally.bytes, tally.second_bytes), (7, 12));
    }
}
