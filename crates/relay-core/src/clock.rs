//! Time as an argument: the value that every sans-IO part is fed, and the one place that reads it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
            started: now
                .checked_sub(std::time::Duration::from_secs(3600))
                .unwrap_or(now),
        }
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
