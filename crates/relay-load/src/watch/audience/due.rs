//! What is due: all that is done by the clock.

use super::Audience;
use super::clock::wall;
use crate::report::Second;
use crate::watch::SECOND_US;
use crate::watch::progress::Snapshot;
use crate::watch::tally::{Moment, millis};
use crate::watch::window::Window;

/// The tool's own timer: its lateness says whether the thread keeps up.
const TICK_US: u64 = 10_000;

/// How often slow viewers read.
pub(super) const SLOW_TICK_US: u64 = 50_000;

/// How often memory is looked at.
const SAMPLE_US: u64 = 500_000;

/// How often the progress is drawn.
const DRAW_US: u64 = 250_000;

/// How long before the measurement all must have begun, or it waits for another second.
const FORESIGHT_US: u64 = 100_000;

/// When what is to be done next.
pub(super) struct Due {
    pub(super) tick_us: u64,
    second_us: u64,
    slow_us: u64,
    sample_us: u64,
    draw_us: u64,
}

impl Due {
    /// Each thing for the first time.
    pub(super) const fn first() -> Self {
        Self {
            tick_us: TICK_US,
            second_us: SECOND_US,
            slow_us: SLOW_TICK_US,
            sample_us: SAMPLE_US,
            draw_us: DRAW_US,
        }
    }
}

impl Audience {
    /// All that is done by the clock.
    pub(super) fn tend(&mut self, at: Moment) {
        if at.at_us < self.due.tick_us {
            return;
        }
        let late = at.at_us - self.due.tick_us;
        // A tick that is late has made those after it late, too.
        if self.timer_late.record_correct(late.max(1), TICK_US).is_err() {
            self.timer_late.saturating_record(late);
        }
        self.due.tick_us = (self.due.tick_us + TICK_US).max(at.at_us + TICK_US - late % TICK_US);
        self.clock.follow_wall();
        self.move_on(at);
        self.give_up_joining(at);
        if at.at_us >= self.due.slow_us {
            self.due.slow_us = at.at_us + SLOW_TICK_US;
            self.read_slowly();
        }
        if at.at_us >= self.due.second_us {
            self.end_second();
        }
        if at.at_us >= self.due.sample_us {
            self.due.sample_us = at.at_us + SAMPLE_US;
            self.observer.sample();
        }
        if at.at_us >= self.due.draw_us {
            self.due.draw_us = at.at_us + DRAW_US;
            self.draw(at);
        }
    }

    /// Opens and shuts the measurement. The window of what is made in it is known before it opens: a tick is too late for
    /// frames that are some milliseconds old.
    fn move_on(&mut self, at: Moment) {
        let plan = self.schedule;
        if self.taken.is_none() && !self.tally.measuring && plan.from_us < plan.until_us {
            if at.at_us + FORESIGHT_US >= plan.from_us && (self.begun as usize) < self.viewers.len() {
                return self.schedule.postpone();
            }
            self.tally.window = Window::between(wall(at, plan.from_us), wall(at, plan.until_us));
            if at.at_us >= plan.from_us {
                self.tally.measuring = true;
                self.timer_late.reset();
                self.observer.begin();
            }
        }
        if self.tally.measuring && at.at_us >= plan.until_us {
            self.tally.measuring = false;
            self.taken = Some(self.observer.end());
        }
    }

    pub(super) fn stop(&mut self, at: Moment) {
        self.schedule.stop(at.at_us);
        self.tally.window.shut(wall(at, self.schedule.until_us));
    }

    fn end_second(&mut self) {
        let (from_us, until_us) = (self.due.second_us - SECOND_US, self.due.second_us);
        self.due.second_us += SECOND_US;
        let counts = self.schedule.from_us <= from_us && until_us <= self.schedule.until_us;
        let starved = self.seconds.end(&mut self.viewers, &mut self.tally, counts);
        let late = |quantile| millis(self.tally.second_lateness.value_at_quantile(quantile));
        self.seconds.push(Second {
            at: from_us / SECOND_US,
            viewers: self.serving,
            bytes: self.tally.second_bytes,
            late_p50_ms: late(0.5),
            late_p99_ms: late(0.99),
            starved,
        });
        self.tally.second_lateness.reset();
        self.tally.second_bytes = 0;
    }

    fn draw(&self, at: Moment) {
        self.progress.draw(&Snapshot {
            at_us: at.at_us,
            end_us: self.schedule.end_us,
            begun: self.begun,
            viewers: self.viewers.len(),
            serving: self.serving,
            last: self.seconds.last(),
            starved: self.seconds.totals().starved,
        });
    }
}
