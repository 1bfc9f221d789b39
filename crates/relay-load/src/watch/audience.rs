//! The audience: one thread that connects, reads and counts for all viewers.
//!
//! Nothing but a socket and some hundred bytes belongs to a viewer; what comes is read into one buffer, walked through,
//! and forgotten. So one core serves more than ten thousand.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::fate::{Fate, REDIRECTED, SERVED};
use super::media::Media;
use super::place::{Places, redirected};
use super::plan::Plan;
use super::progress::{Progress, Snapshot};
use super::seconds::{Seconds, Totals};
use super::sources::Sources;
use super::sys::{self, Poller, Readiness};
use super::tally::{Moment, Tally, Times, millis, times};
use super::viewer::Viewer;
use super::window::{Schedule, Window, due_us};
use super::{Role, SECOND_US, WatchError};
use crate::machine::{Observer, Taken};
use crate::report::Second;

/// What is read at a time: a burst of a second at 2 Mbit/s, and a fourth of a core's second-level cache.
const SCRATCH_BYTES: usize = 256 << 10;

/// Full reads of one viewer before the others have their turn.
const READS_PER_TURN: usize = 4;

/// Viewers that begin before those who are there have their turn.
const DIALS_PER_TURN: u32 = 64;

/// The tool's own timer: its lateness says whether the thread keeps up.
const TICK_US: u64 = 10_000;

/// How often slow viewers read.
const SLOW_TICK_US: u64 = 50_000;

/// How often memory is looked at.
const SAMPLE_US: u64 = 500_000;

/// How often the progress is drawn.
const DRAW_US: u64 = 250_000;

/// How long before the measurement all must have begun, or it waits for another second.
const FORESIGHT_US: u64 = 100_000;

/// How long a viewer may take from its beginning to its first tag.
const JOIN_PATIENCE_US: u64 = 10 * SECOND_US;

/// How often a viewer follows a redirect.
const MAX_HOPS: u8 = 2;

/// The receive buffer that a slow viewer asks for (the kernel doubles it): small, so that its slowness is felt at the other
/// end and not hidden here.
const SLOW_RECEIVE_BUFFER: usize = 16 << 10;

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

/// When what is to be done next.
struct Due {
    tick_us: u64,
    second_us: u64,
    slow_us: u64,
    sample_us: u64,
    draw_us: u64,
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
            due: Due {
                tick_us: TICK_US,
                second_us: SECOND_US,
                slow_us: SLOW_TICK_US,
                sample_us: SAMPLE_US,
                draw_us: DRAW_US,
            },
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

    fn dial_those_due(&mut self, at: Moment) {
        for _ in 0..DIALS_PER_TURN {
            let index = self.begun;
            if due_us(index, self.plan.ramp) > at.at_us || index as usize >= self.viewers.len() {
                return;
            }
            self.begun += 1;
            let at = self.clock.now();
            if let Some(viewer) = self.viewers.get_mut(index as usize) {
                viewer.media.begin(at.at_us);
            }
            self.joining.push_back((at.at_us + JOIN_PATIENCE_US, index));
            self.dial(index);
        }
    }

    fn dial(&mut self, index: u32) {
        if let Err(error) = self.try_dial(index) {
            self.ended(index, &Fate::from_connect(error));
        }
    }

    fn try_dial(&mut self, index: u32) -> Result<(), Errno> {
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return Ok(());
        };
        let addresses = self
            .places
            .get(viewer.place)
            .map_or(&[][..], |place| &place.addresses);
        // Viewers of each stream take turns among the addresses.
        let turn = index as usize / self.plan.streams;
        let Some(target) = addresses.get(turn % addresses.len().max(1)) else {
            return Err(Errno::ADDRNOTAVAIL);
        };
        let source = Sources::choose(self.plan.sources, *target, index);
        let buffer = (viewer.media.role() == Role::Slow).then_some(SLOW_RECEIVE_BUFFER);
        let socket = sys::connect(*target, source, buffer)?;
        self.poller.add(&socket, index)?;
        viewer.dials(socket);
        Ok(())
    }

    fn handle(&mut self, event: Readiness) {
        let index = event.token;
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return;
        };
        if event.output
            && viewer.has_to_say()
            && let Some(place) = self.places.get(viewer.place)
            && let Err(fate) = viewer.write(index, place, self.clock.now())
        {
            return self.ended(index, &fate);
        }
        if viewer.is_deaf() {
            self.joined(index);
            if event.closed {
                self.ended(index, &Fate::Closed);
            }
        } else if viewer.media.role() != Role::Slow || !viewer.joined {
            self.read(index, event.closed);
        }
    }

    /// Reads all that there is for one viewer, or as much as its turn allows. The end of one that is `closed` has no event
    /// to come, and is looked for; else less than there was room for is all there is, at the price of one call.
    fn read(&mut self, index: u32, closed: bool) {
        for _ in 0..READS_PER_TURN {
            match self.read_once(index, SCRATCH_BYTES) {
                Some(count) if count == SCRATCH_BYTES || closed => {}
                _ => return,
            }
        }
        self.again.push(index);
    }

    /// Reads at most `most` bytes; says how many came.
    fn read_once(&mut self, index: u32, most: usize) -> Option<usize> {
        let viewer = self.viewers.get_mut(index as usize)?;
        let socket = viewer.socket.as_ref()?;
        let room = self.scratch.get_mut(..most)?;
        let result = match sys::receive(socket, room) {
            Ok(None) => return None,
            Ok(Some(0)) => Err(Fate::Closed),
            Err(error) => Err(Fate::from_send(error)),
            Ok(Some(count)) => {
                let at = self.clock.now();
                self.tally.count(count as u64);
                let input = room.get(..count).unwrap_or_default();
                viewer.take(input, at, &mut self.tally).map(|()| count)
            }
        };
        if viewer.media.has_tag() && !viewer.joined {
            self.joined(index);
        }
        match result {
            Ok(count) => Some(count),
            Err(Fate::Redirected(location)) => {
                self.redirect(index, &location);
                None
            }
            Err(fate) => {
                self.ended(index, &fate);
                None
            }
        }
    }

    fn redirect(&mut self, index: u32, location: &str) {
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return;
        };
        if viewer.hops == 0 {
            count(&mut self.joins, viewer.media.role(), REDIRECTED);
        }
        viewer.hops += 1;
        if viewer.hops > MAX_HOPS {
            return self.ended(index, &Fate::TooManyRedirects);
        }
        let from = self.places.get(viewer.place).map_or("", |place| &place.url);
        let url = redirected(from, location);
        match self.places.find(&url) {
            Ok(place) => {
                viewer.place = place;
                self.dial(index);
            }
            Err(_) => self.ended(index, &Fate::BadRedirect),
        }
    }

    fn joined(&mut self, index: u32) {
        let Some(viewer) = self
            .viewers
            .get_mut(index as usize)
            .filter(|viewer| !viewer.joined)
        else {
            return;
        };
        viewer.joined = true;
        count(&mut self.joins, viewer.media.role(), SERVED);
        if viewer.media.role() == Role::Watching {
            self.serving += 1;
        }
    }

    fn ended(&mut self, index: u32, fate: &Fate) {
        let at = self.clock.now();
        let Some(viewer) = self
            .viewers
            .get_mut(index as usize)
            .filter(|viewer| !viewer.is_over())
        else {
            return;
        };
        viewer.ends();
        let role = viewer.media.role();
        if !viewer.joined {
            return count(&mut self.joins, role, &fate.name());
        }
        match role {
            Role::Watching => {
                self.closed.watching += 1;
                self.serving = self.serving.saturating_sub(1);
            }
            Role::Slow => self.closed.slow += 1,
            Role::Stalled => {
                self.closed.stalled += 1;
                let after = at.at_us - viewer.media.began_us();
                self.tally.stalled_until_closed.saturating_record(after);
            }
        }
    }

    /// All that is done by the clock.
    fn tend(&mut self, at: Moment) {
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

    fn stop(&mut self, at: Moment) {
        self.schedule.stop(at.at_us);
        self.tally.window.shut(wall(at, self.schedule.until_us));
    }

    fn give_up_joining(&mut self, at: Moment) {
        while let Some((_, index)) = self.joining.pop_front_if(|(due_us, _)| *due_us <= at.at_us) {
            let waits = self
                .viewers
                .get(index as usize)
                .is_some_and(|viewer| !viewer.joined);
            if waits {
                self.ended(index, &Fate::TimedOut);
            }
        }
    }

    /// Gives each slow viewer what it may read in a slow tick, and lets it read.
    fn read_slowly(&mut self) {
        let more = u32::try_from(self.plan.slow_rate.bytes() * SLOW_TICK_US / SECOND_US).unwrap_or(u32::MAX);
        for position in 0..self.plan.slow.len() {
            let index = self.plan.slow[position];
            let Some(viewer) = self
                .viewers
                .get_mut(index as usize)
                .filter(|viewer| viewer.joined)
            else {
                continue;
            };
            // What was not used of the last tick may be made up for, but no more.
            viewer.credit = viewer.credit.min(more).saturating_add(more);
            let most = (viewer.credit as usize).min(SCRATCH_BYTES);
            let count = self.read_once(index, most).unwrap_or(0);
            if let Some(viewer) = self.viewers.get_mut(index as usize) {
                viewer.credit -= count as u32; // fits: at most the credit
            }
        }
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

/// A moment of the schedule on the wall clock.
const fn wall(at: Moment, us: u64) -> u64 {
    (at.wall_us + us).saturating_sub(at.at_us)
}

/// Counts an outcome under its name, and under that of the kind of viewer.
fn count(joins: &mut BTreeMap<String, u64>, role: Role, outcome: &str) {
    let name = match role {
        Role::Watching => outcome.to_owned(),
        Role::Slow => format!("slow_{outcome}"),
        Role::Stalled => format!("stalled_{outcome}"),
    };
    *joins.entry(name).or_default() += 1;
}

/// Both clocks by one reading: the wall clock's distance is measured again at each tick.
struct Clock {
    started: Instant,
    wall_at_start_us: u64,
}

impl Clock {
    fn start() -> Self {
        let mut clock = Self {
            started: Instant::now(),
            wall_at_start_us: 0,
        };
        clock.follow_wall();
        clock
    }

    fn now(&self) -> Moment {
        let at_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Moment {
            at_us,
            wall_us: self.wall_at_start_us + at_us,
        }
    }

    fn follow_wall(&mut self) {
        let elapsed = self.started.elapsed();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.wall_at_start_us = u64::try_from(wall.saturating_sub(elapsed).as_micros()).unwrap_or(0);
    }
}
