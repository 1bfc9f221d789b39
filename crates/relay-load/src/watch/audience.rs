//! The audience: one thread that connects, reads and counts for all viewers.
//!
//! Nothing but a socket and some hundred bytes belongs to a viewer; what comes is read into one buffer, walked through,
//! and forgotten. So one core serves more than ten thousand.

mod clock;
mod desk;
mod due;
mod ear;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::WatchError;
use super::fate::Fate;
use super::media::Media;
use super::place::Places;
use super::plan::Plan;
use super::progress::Progress;
use super::seconds::{Seconds, Totals};
use super::sys::{EVENTS_PER_WAIT, Poller};
use super::tally::{Tally, Times, times};
use super::viewer::Viewer;
use super::window::{Schedule, due_us};
use crate::machine::{Observer, Taken};
use crate::report::Second;
use clock::Clock;
use due::Due;
use ear::SCRATCH_BYTES;

/// How long the thread rests once it has seen to all that had come: what comes meanwhile is taken together. Where server and
/// audience share a machine, each `send` would otherwise wake this thread, and the server pays for that, while a network
/// card wakes nobody in the sender. Makes times coarser by so much.
const REST: Duration = Duration::from_millis(1);

/// All that an audience found.
pub(super) struct Finding {
    pub(super) viewers: Vec<Viewer>,
    pub(super) tally: Tally,
    pub(super) joins: BTreeMap<String, u64>,
    pub(super) closed: Closed,
    pub(super) seconds: Vec<Second>,
    pub(super) totals: Totals,
    pub(super) taken: Taken,
    pub(super) timer_late: Times,
    /// How long the measurement took, in microseconds; 0 if it did not begin.
    pub(super) measured_us: u64,
}

/// Viewers that were closed after they had joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) watching: u64,
    pub(super) slow: u64,
    pub(super) stalled: u64,
}

/// An audience at work.
pub(super) struct Audience {
    plan: Plan,
    places: Places,
    observer: Observer,
    progress: Progress,
    schedule: Schedule,
    clock: Clock,
    poller: Poller,
    viewers: Vec<Viewer>,
    tally: Tally,
    scratch: Vec<u8>,
    /// Who has more to read than one turn gives.
    again: Vec<u32>,
    /// Who has joined until when, oldest first.
    joining: VecDeque<(u64, u32)>,
    begun: u32,
    serving: u64,
    joins: BTreeMap<String, u64>,
    closed: Closed,
    seconds: Seconds,
    timer_late: Times,
    taken: Option<Taken>,
    due: Due,
}

impl Audience {
    /// An audience that is about to come.
    ///
    /// # Errors
    /// The system grants no epoll.
    pub(super) fn new(
        plan: Plan,
        places: Places,
        observer: Observer,
        progress: Progress,
    ) -> Result<Self, WatchError> {
        let viewers = plan.seats.iter().map(|seat| {
            let media = Media::new(seat.role, seat.stream);
            Viewer::new(seat.place, seat.verify, media)
        });
        Ok(Self {
            viewers: viewers.collect(),
            schedule: plan.schedule,
            clock: Clock::start(),
            poller: Poller::new().map_err(WatchError::System)?,
            tally: Tally::new(plan.streams, plan.on_time_us)?,
            scratch: vec![0; SCRATCH_BYTES],
            again: Vec::new(),
            joining: VecDeque::new(),
            begun: 0,
            serving: 0,
            joins: BTreeMap::new(),
            closed: Closed::default(),
            seconds: Seconds::default(),
            timer_late: times()?,
            taken: None,
            due: Due::first(),
            plan,
            places,
            observer,
            progress,
        })
    }

    /// Runs to the end of the plan, or until `stop` says so.
    ///
    /// # Errors
    /// Epoll itself fails.
    pub(super) fn run(mut self, stop: &dyn Fn() -> bool) -> Result<Finding, WatchError> {
        let mut ready = Vec::new();
        let mut stopped = false;
        loop {
            let at = self.clock.now();
            if !stopped && stop() {
                stopped = true;
                self.stop(at);
            }
            if !stopped {
                self.dial_those_due(at);
            }
            self.tend(at);
            if at.at_us >= self.schedule.end_us {
                return Ok(self.finish());
            }
            self.poller
                .wait(self.patience(stopped), &mut ready)
                .map_err(WatchError::System)?;
            for event in &ready {
                self.handle(*event);
            }
            for index in std::mem::take(&mut self.again) {
                self.read(index, true);
            }
            if ready.len() < EVENTS_PER_WAIT {
                std::thread::sleep(self.patience(stopped).min(REST));
            }
        }
    }

    /// How long there is nothing to do but wait.
    fn patience(&self, stopped: bool) -> Duration {
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        let more = !stopped && (self.begun as usize) < self.viewers.len();
        let dial = if more {
            due_us(self.begun, self.plan.ramp)
        } else {
            u64::MAX
        };
        let until = self.due.tick_us.min(dial).min(self.schedule.end_us);
        Duration::from_micros(until.saturating_sub(self.clock.now().at_us))
    }

    fn finish(mut self) -> Finding {
        self.progress.clear();
        for index in 0..self.begun {
            let waits = self
                .viewers
                .get(index as usize)
                .is_some_and(|viewer| !viewer.joined);
            if waits {
                self.ended(index, &Fate::Undecided);
            }
        }
        let measured_us = if self.taken.is_some() {
            self.schedule.until_us - self.schedule.from_us
        } else {
            0
        };
        let totals = self.seconds.totals();
        Finding {
            taken: self.taken.unwrap_or_else(|| self.observer.end()),
            viewers: self.viewers,
            tally: self.tally,
            joins: self.joins,
            closed: self.closed,
            seconds: self.seconds.into_timeline(),
            totals,
            timer_late: self.timer_late,
            measured_us,
        }
    }
}
