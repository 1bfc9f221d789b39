//! A shard: one thread, its viewers, its period.
//!
//! A turn of its loop: wait for the next slot or an event; serve the slot's viewers, if it is due; then, with the time that is
//! left until the next slot, see to those with something to say or with room again, and take joiners in. So a storm of
//! joiners, who fill their sockets again and again until they have caught up, never delays those who watch.

mod drain;
mod input;
mod turnover;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Gauge, IntCounter};
use slab::Slab;

use drain::Drain;

use super::feed::Feed;
use super::metrics::FanoutMetrics;
use super::pace::Pace;
use super::step::{Moment, Outcome, SocketSink, Tally};
use super::sys::{Poller, Readiness, WAKE_TOKEN};
use super::viewer::{BLOCKED, Cold, Goodbye, ViewerInfo};
use super::{Command, FanoutConfig, Mailbox, NewViewer, Population, short_ms};
use crate::clock::{Clock, Now};
use crate::flavour::Flavour;
use crate::stream::Lease;

/// Slots of a period. With 10 the work of a period is spread finely enough that no viewer waits for all.
const SLOTS: usize = 10;

/// Viewers in each slot before another one is opened. A thread wakes once a slot, and to wake for a few viewers costs more
/// than to serve them: 100 viewers in 2 slots took two thirds of the CPU that they took in 10. So many bursts at once are
/// 128 × 12 KB at 1 Mbit/s and 100 ms, a little more than a millisecond of a 10 Gbit/s card.
const VIEWERS_PER_SLOT: usize = 128;

/// In which order slots are opened: those that are open are spread over the period.
const OPENED: [usize; SLOTS] = [0, 5, 2, 7, 4, 9, 1, 6, 3, 8];

/// What events and joiners get of a turn even where the next slot is due already, in parts of a slot: a full shard still lets
/// viewers in, at the price of slots that are late by so much. With less, those who join a shard at its limit would
/// wait for ever.
const LEAST_SHARE: u32 = 5;

/// One thread of the fan-out.
pub(super) struct Shard {
    clock: Clock,
    mailbox: Arc<Mailbox>,
    poller: Poller,
    feeds: Slab<Feed>,
    colds: Slab<Cold>,
    closing: Vec<usize>,
    /// Handed over and not served yet. Bounded by the limit of viewers, in which they are counted.
    joiners: VecDeque<Joiner>,
    /// Viewers who had more to say than one turn hears.
    talkers: Vec<usize>,
    /// Viewers of the present slot who are at an end; kept for its memory.
    partings: Vec<(usize, Outcome)>,
    everywhere: Population,
    metrics: FanoutMetrics,
    own: OwnMetrics,
    tallies: [Tally; Flavour::ALL.len()],
    sink: SocketSink,
    max_late_ms: u32,
    no_progress_ms: u32,
    pace: Pace,
    /// Viewers by slot, all feeds together.
    population: [usize; SLOTS],
    /// How viewers are let go, once that has begun.
    drain: Option<Drain>,
    stopping: bool,
}

/// One who has been handed over and waits for the first burst.
struct Joiner {
    id: u64,
    viewer: Box<NewViewer>,
    lease: Lease,
}

/// The metrics that this shard alone writes, looked up once.
struct OwnMetrics {
    egress: [IntCounter; Flavour::ALL.len()],
    copied: IntCounter,
    lent: IntCounter,
    period: Gauge,
}

impl OwnMetrics {
    fn of(metrics: &FanoutMetrics, number: usize) -> Self {
        Self {
            egress: Flavour::ALL.map(|flavour| metrics.egress.with_label_values(&[flavour.name()])),
            copied: metrics.sent.with_label_values(&["send"]),
            lent: metrics.sent.with_label_values(&["sendfile"]),
            period: metrics.period.with_label_values(&[&number.to_string()]),
        }
    }
}

impl Shard {
    pub(super) fn new(
        config: &FanoutConfig,
        number: usize,
        clock: Clock,
        mailbox: Arc<Mailbox>,
        everywhere: Population,
        metrics: FanoutMetrics,
    ) -> io::Result<Self> {
        let poller = Poller::new(&mailbox.waker)?;
        let period = |ms: u64| Duration::from_millis(ms.max(1));
        Ok(Self {
            clock,
            mailbox,
            poller,
            feeds: Slab::new(),
            colds: Slab::new(),
            closing: Vec::new(),
            joiners: VecDeque::new(),
            talkers: Vec::new(),
            partings: Vec::new(),
            sink: SocketSink {
                sendfile_from: config.sendfile_from,
                allowance: everywhere.allowance.clone(),
            },
            everywhere,
            own: OwnMetrics::of(&metrics, number),
            metrics,
            tallies: Default::default(),
            max_late_ms: u32::try_from(config.max_late_ms).unwrap_or(u32::MAX),
            no_progress_ms: u32::try_from(config.no_progress_ms).unwrap_or(u32::MAX),
            pace: Pace::new(period(config.period_min_ms), period(config.period_max_ms)),
            population: [0; SLOTS],
            drain: None,
            stopping: false,
        })
    }

    /// Runs until told to stop, or until epoll itself fails.
    pub(super) fn run(mut self) {
        let mut slot = 0;
        let mut due = Instant::now();
        let mut period_begun = due;
        let mut ready = VecDeque::new();
        while !self.stopping {
            let idle = self.is_idle();
            if idle {
                self.rest();
            }
            let wait = (!idle).then(|| self.time_until(due));
            // What the last turn had no time for comes first.
            if ready.is_empty()
                && let Err(error) = self.poller.wait(wait, &mut ready)
            {
                tracing::error!(%error, "a fan-out thread cannot wait for its viewers and ends");
                break;
            }
            let begun = Instant::now();
            if idle {
                (due, period_begun) = (begun, begun);
            }
            if begun >= due {
                self.metrics.slot_lateness.observe((begun - due).as_secs_f64());
                self.run_slot(slot);
                let next = slot + self.slots_to_next(slot);
                // A thread that was held up goes on from now: catching up would send tiny bursts.
                due = (due + self.slot_length() * (next - slot) as u32).max(begun);
                slot = next % SLOTS;
                if next >= SLOTS {
                    self.end_period(begun - period_begun);
                    period_begun = begun;
                }
            }
            for cold in std::mem::take(&mut self.talkers) {
                self.handle_input(cold);
            }
            let until = due.max(Instant::now() + self.slot_length() / LEAST_SHARE);
            self.handle_events(&mut ready, until);
            self.take_joiners(until);
            self.publish_counts();
            let worked = begun.elapsed();
            self.pace.add_work(worked);
            self.metrics.busy.inc_by(worked.as_secs_f64());
            self.metrics.turns.inc();
        }
        self.leave_all(Goodbye::Shutdown);
    }

    /// Nobody is there: what the next one finds, and what others see meanwhile, is a shard without a load.
    fn rest(&mut self) {
        self.pace.rest();
        self.tell();
    }

    /// Tells of the pace as it is now, and of the load.
    fn tell(&self) {
        self.own.period.set(self.pace.period().as_secs_f64());
        self.weigh();
    }

    fn slot_length(&self) -> Duration {
        self.pace.period() / SLOTS as u32
    }

    fn is_idle(&self) -> bool {
        self.feeds.is_empty() && self.closing.is_empty() && self.joiners.is_empty()
    }

    fn time_until(&self, due: Instant) -> Duration {
        if self.talkers.is_empty() {
            due.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        }
    }

    /// How many slots further there is somebody to serve: with a handful of viewers a thread wakes for them only.
    fn slots_to_next(&self, slot: usize) -> usize {
        let occupied = |steps: &usize| self.population[(slot + steps) % SLOTS] > 0;
        (1..SLOTS).find(occupied).unwrap_or(SLOTS)
    }

    /// The slot of the next one to come: of those that are open, the one with the fewest.
    fn slot_to_join(&self) -> usize {
        let viewers: usize = self.population.iter().sum();
        let open = (1 + viewers / VIEWERS_PER_SLOT).min(SLOTS);
        let slots = OPENED.iter().take(open).copied();
        slots.min_by_key(|slot| self.population[*slot]).unwrap_or(0)
    }

    fn end_period(&mut self, elapsed: Duration) {
        let now = self.clock.now();
        self.drop_closed(now);
        self.let_go(now);
        self.pace.end_period(elapsed);
        self.tell();
    }

    /// Tells who hands viewers over how much this shard carries.
    fn weigh(&self) {
        let served: u64 = self.feeds.iter().map(|(_, feed)| feed.weight()).sum();
        let coming: u64 = self.joiners.iter().map(|joiner| joiner.viewer.weight()).sum();
        self.mailbox.set_load(served + coming);
    }

    // ---- the slots ----

    fn run_slot(&mut self, slot: usize) {
        let now = self.clock.now();
        for key in 0..self.feeds.capacity() {
            if self
                .feeds
                .get(key)
                .is_some_and(|feed| !feed.slots[slot].is_empty())
                && self.sync(key)
            {
                self.step(key, slot, None, now);
            }
        }
    }

    /// Brings a feed up to date; if its flavour is gone, so are its viewers, and false comes back.
    fn sync(&mut self, key: usize) -> bool {
        let Some(feed) = self.feeds.get_mut(key) else {
            return false;
        };
        if feed.sync() {
            return true;
        }
        self.empty(key, Goodbye::Memory);
        false
    }

    /// A step of all viewers of a slot, or of the one at an index, whose feed is up to date.
    fn step(&mut self, key: usize, slot: usize, only: Option<usize>, now: Now) {
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        let moment = Moment {
            now_ms: short_ms(now),
            late_below: feed.late_below(now, self.max_late_ms),
            max_late_ms: self.max_late_ms,
            no_progress_ms: self.no_progress_ms,
        };
        let places = only.map_or(0..feed.slots[slot].len(), |index| index..index + 1);
        let mut partings = std::mem::take(&mut self.partings);
        let tally = feed.step(
            slot,
            places,
            moment,
            self.sink.clone(),
            &mut self.colds,
            &mut partings,
        );
        self.tallies[feed.flavour.index()] += tally;
        // Only now, since one who leaves has its place taken by the last of the slot.
        for (cold, outcome) in partings.drain(..) {
            match outcome {
                Outcome::Stays => {}
                Outcome::AtEnd => {
                    self.say_goodbye(cold);
                    self.step_one(cold, now);
                }
                Outcome::Leaves(reason) => self.leave(cold, reason),
            }
        }
        // What the goodbyes' own steps put there is empty by now.
        if self.partings.capacity() < partings.capacity() {
            self.partings = partings;
        }
    }

    /// A step of one viewer, whose feed is up to date.
    fn step_one(&mut self, cold: usize, now: Now) {
        if let Some(place) = self.place(cold) {
            self.step(place.feed, place.slot, Some(place.index), now);
        }
    }

    /// Adds what was counted to the metrics, once per turn of the loop.
    fn publish_counts(&mut self) {
        for (tally, egress) in self.tallies.iter_mut().zip(&self.own.egress) {
            if *tally == Tally::default() {
                continue;
            }
            egress.inc_by(tally.copied + tally.lent);
            self.own.copied.inc_by(tally.copied);
            self.own.lent.inc_by(tally.lent);
            self.metrics.sends.inc_by(tally.sends);
            self.metrics.short_sends.inc_by(tally.short);
            self.metrics.skips.inc_by(tally.skips);
            *tally = Tally::default();
        }
    }

    // ---- what comes from outside ----

    /// Handles what epoll told, one after the other, until `until`; the rest stays for the next turn.
    fn handle_events(&mut self, ready: &mut VecDeque<Readiness>, until: Instant) {
        while let Some(event) = ready.pop_front() {
            self.handle_readiness(event);
            if Instant::now() >= until {
                break;
            }
        }
    }

    fn handle_readiness(&mut self, event: Readiness) {
        if event.token == WAKE_TOKEN {
            self.mailbox.waker.clear();
            for command in self.mailbox.take() {
                self.handle_command(command);
            }
            return;
        }
        // An event of one who is gone may still come, and find another in the place.
        let Some(cold) = self.by_token(event.token) else {
            return;
        };
        if self.is_closing(cold) {
            self.drain_closing(cold, event.hung_up);
            return;
        }
        if event.hung_up {
            self.leave(cold, Goodbye::Left);
            return;
        }
        if event.output {
            self.unblock(cold);
        }
        if event.input {
            self.handle_input(cold);
        }
    }

    /// What epoll knows a viewer by: its index among the cold, and enough of its id to tell it from who was there before.
    fn token(cold: usize, id: u64) -> u64 {
        (id << 32) | (cold as u64 & u64::from(u32::MAX))
    }

    fn by_token(&self, token: u64) -> Option<usize> {
        let cold = usize::try_from(token & u64::from(u32::MAX)).ok()?;
        let known = self.colds.get(cold)?;
        (Self::token(cold, known.id) == token).then_some(cold)
    }

    /// A socket has room again: its viewer goes on at once rather than in its slot.
    fn unblock(&mut self, cold: usize) {
        let Some(place) = self.place(cold) else {
            return;
        };
        let Some(hot) = self.hot(place).filter(|hot| hot.flags & BLOCKED != 0) else {
            return;
        };
        hot.flags &= !BLOCKED;
        if self.sync(place.feed) {
            self.step_one(cold, self.clock.now());
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Add { id, viewer, lease } => {
                self.joiners.push_back(Joiner { id, viewer, lease });
                self.metrics.joiners.inc();
            }
            Command::Kick { id } => self.kick(id),
            Command::List { reply } => {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(self.list());
            }
            Command::Drain { window } => self.set_drain(window),
            Command::Stop => self.stopping = true,
        }
    }

    fn list(&self) -> Vec<ViewerInfo> {
        let now = self.clock.now().mono_ms;
        let show = |(_, cold): (usize, &Cold)| {
            let feed = self.feeds.get(cold.place.feed)?;
            let hot = feed.slots[cold.place.slot].get(cold.place.index)?;
            Some(ViewerInfo {
                id: cold.id,
                stream: feed.stream.key().clone(),
                flavour: feed.flavour,
                peer: cold.peer,
                age_ms: now.saturating_sub(cold.joined_ms),
                behind_bytes: feed.view.end().saturating_sub(hot.cursor),
                skips: cold.skips,
            })
        };
        let watching = self.colds.iter().filter(|(_, cold)| cold.closing.is_none());
        watching.filter_map(show).collect()
    }
}

#[cfg(test)]
mod tests;
