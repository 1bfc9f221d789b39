//! When what happens: the ramp, the settling, the measurement, and a moment in which its last frames may still come.

use std::time::Duration;

use super::SECOND_US;

/// The measurement, on the wall clock: frames made in it are what counts, however late they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from_us: u64,
    until_us: u64,
}

impl Window {
    /// A window that has not been opened: it holds nothing.
    pub(super) const SHUT: Self = Self {
        from_us: 0,
        until_us: 0,
    };

    /// From a moment, included, to another, not included.
    pub(super) const fn between(from_us: u64, until_us: u64) -> Self {
        Self { from_us, until_us }
    }

    /// Ends it: what is made from then on does not count.
    pub(super) const fn shut(&mut self, until_us: u64) {
        self.until_us = until_us;
    }

    /// Whether a frame made then counts.
    pub(super) const fn holds(&self, made_us: u64) -> bool {
        self.from_us <= made_us && made_us < self.until_us
    }
}

/// The plan of a run, in microseconds since its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// When the measurement begins: on a full second.
    pub(super) from_us: u64,
    /// When it ends.
    pub(super) until_us: u64,
    /// When all ends.
    pub(super) end_us: u64,
    drain_us: u64,
}

impl Schedule {
    /// The plan for so many viewers at so many a second, a settling, a measurement, and a `drain` after it.
    pub(super) fn new(viewers: u32, ramp: u32, settle: Duration, length: Duration, drain: Duration) -> Self {
        let ramp_us = due_us(viewers, ramp);
        let from_us = (ramp_us + micros(settle)).next_multiple_of(SECOND_US);
        let until_us = from_us + micros(length);
        let drain_us = micros(drain);
        Self {
            from_us,
            until_us,
            end_us: until_us + drain_us,
            drain_us,
        }
    }

    /// The ramp is not done yet: all that follows comes a second later.
    pub(super) const fn postpone(&mut self) {
        self.from_us += SECOND_US;
        self.until_us += SECOND_US;
        self.end_us += SECOND_US;
    }

    /// Ends it early: at once before the measurement, after a drain within it.
    pub(super) fn stop(&mut self, at_us: u64) {
        if at_us < self.from_us {
            (self.from_us, self.until_us, self.end_us) = (at_us, at_us, at_us);
        } else {
            self.until_us = self.until_us.min(at_us);
            self.end_us = self.until_us + self.drain_us;
        }
    }
}

/// When viewer number `index` is due, at `ramp` viewers a second.
pub(super) fn due_us(index: u32, ramp: u32) -> u64 {
    u64::from(index) * SECOND_US / u64::from(ramp.max(1))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        let (settle, length) = (Duration::from_millis(1500), Duration::from_secs(30));
        Schedule::new(1000, 500, settle, length, Duration::from_millis(500))
    }

    #[test]
    fn the_measurement_begins_on_a_full_second_after_ramp_and_settling() {
        let plan = schedule();
        assert_eq!(
            (plan.from_us, plan.until_us, plan.end_us),
            (4_000_000, 34_000_000, 34_500_000)
        );
        assert_eq!(due_us(0, 500), 0);
        assert_eq!(due_us(999, 500), 1_998_000);
    }

    #[test]
    fn stopping_early_measures_what_there_was() {
        let mut plan = schedule();
        plan.stop(10_000_000);
        assert_eq!(
            (plan.from_us, plan.until_us, plan.end_us),
            (4_000_000, 10_000_000, 10_500_000)
        );
        plan.stop(10_200_000);
        assert_eq!(plan.until_us, 10_000_000, "a second time changes nothing");
        let mut plan = schedule();
        plan.stop(1_000_000);
        assert_eq!((plan.until_us, plan.end_us), (1_000_000, 1_000_000));
    }

    #[test]
    fn a_window_holds_its_beginning_and_not_its_end() {
        let window = Window::between(10, 20);
        assert!(window.holds(10) && window.holds(19));
        assert!(!window.holds(9) && !window.holds(20));
        assert!(!Window::SHUT.holds(0));
    }
}
