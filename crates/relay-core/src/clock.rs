//! Time as an argument: the value that every sans-IO part is fed, and the one place that reads it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{Interval, MissedTickBehavior};

/// A moment, on the two clocks that matter here.
///
/// Everything that measures a wait or a lateness uses `mono_ms`; the wall clock serves epochs, anchors and lag
/// metrics only, so that a jump of it is no outage (B18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds on this process's monotonic clock, from an arbitrary start.
    pub mono_ms: u64,
    /// Microseconds since the Unix epoch, as the machine believes.
    pub unix_us: u64,
}

impl Now {
    /// The wall clock in milliseconds.
    pub const fn unix_ms(self) -> u64 {
        self.unix_us / 1000
    }

    /// A later moment, for tests and simulations: both clocks moved by `ms`.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self {
            mono_ms: self.mono_ms + ms,
            unix_us: self.unix_us + ms * 1000,
        }
    }
}

/// Reads the machine's clocks. One is made in `main` and copied to whoever feeds time to the floors below.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic side starts one hour before now, so that "a while ago" never underflows.
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now.checked_sub(Duration::from_secs(3600)).unwrap_or(now),
        }
    }

    /// Ticks at whole multiples of `period` since this clock's start; the first at once. All that looks after something now and
    /// then takes its ticks from here, so that one wake-up serves many: to wake costs an idle node more than the looking. A
    /// tick that comes late is not made up for.
    ///
    /// Other machines have other starts, so nodes of a pool do not report in lockstep.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if `period` is zero.
    pub fn every(&self, period: Duration) -> Interval {
        let now = tokio::time::Instant::now();
        let into = into_period(self.started.elapsed(), period);
        let mut ticks = tokio::time::interval_at(now.checked_sub(into).unwrap_or(now), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            unix_us: u64::try_from(unix.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// How much of a period is over, when whole ones have passed since the start.
fn into_period(since_start: Duration, period: Duration) -> Duration {
    let into = since_start.as_nanos() % period.as_nanos().max(1);
    // Less than a period, so it fits unless a period is centuries long.
    Duration::from_nanos(u64::try_from(into).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_began_apart_fall_together() {
        let period = Duration::from_millis(100);
        let next_tick = |asked: Duration| asked - into_period(asked, period) + period;
        let (one, other) = (Duration::from_micros(1_234_567), Duration::from_micros(1_299_999));
        assert_eq!(next_tick(one), next_tick(other));
        assert_eq!(next_tick(one), Duration::from_millis(1300));
        assert_eq!(
            next_tick(Duration::from_millis(1300)),
            Duration::from_millis(1400)
        );
    }

    #[tokio::test]
    async fn the_first_tick_comes_at_once() {
        let mut ticks = Clock::start().every(Duration::from_secs(600));
        let first = tokio::time::timeout(Duration::from_secs(60), ticks.tick()).await;
        first.expect("not only after ten minutes");
    }
}
