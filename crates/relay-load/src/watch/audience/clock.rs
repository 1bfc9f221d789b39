//! The clock that an audience goes by.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::watch::tally::Moment;

/// Both clocks by one reading: the wall clock's distance is measured again at each tick.
pub(super) struct Clock {
    started: Instant,
    wall_at_start_us: u64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let mut clock = Self {
            started: Instant::now(),
            wall_at_start_us: 0,
        };
        clock.follow_wall();
        clock
    }

    pub(super) fn now(&self) -> Moment {
        let at_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Moment {
            at_us,
            wall_us: self.wall_at_start_us + at_us,
        }
    }

    pub(super) fn follow_wall(&mut self) {
        let elapsed = self.started.elapsed();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.wall_at_start_us = u64::try_from(wall.saturating_sub(elapsed).as_micros()).unwrap_or(0);
    }
}

/// A moment of the schedule on the wall clock.
pub(super) const fn wall(at: Moment, us: u64) -> u64 {
    (at.wall_us + us).saturating_sub(at.at_us)
}
