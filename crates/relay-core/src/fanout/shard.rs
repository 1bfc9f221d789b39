//! A shard: one thread, its viewers, its period.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::IntCounter;
use slab::Slab;

use super::feed::Feed;
use super::metrics::FanoutMetrics;
use super::side::Side;
use super::step::{Moment, Outcome, SocketSink, Step, Tally};
use super::sys::{self, Poller, Readiness, WAKE_TOKEN};
use super::viewer::{BLOCKED, Cold, ENDING, Goodbye, Hot, PAUSED, RESTART, Reply, SIDE, ViewerInfo};
use super::{Command, FanoutConfig, Mailbox, NewViewer, short_ms};
use crate::clock::{Clock, Now};
use crate::flavour::Flavour;
use crate::stream::Lease;

/// Slots of a period. With 10 of 5 ms the work of a period is spread finely enough that no viewer waits for all.
const SLOTS: usize = 10;

/// How long a viewer has to take the last bytes and close, in milliseconds: closing at once would reset the connection
/// and eat the tail.
const GOODBYE_MS: u64 = 1000;

/// Input that is read and thrown away from a viewer who has nothing to say, in bytes: a pipelined request or two.
const MAX_IGNORED_INPUT: usize = 16 << 10;

/// Input read at a time.
const INPUT_BUFFER: usize = 4096;

/// One thread of the fan-out.
pub(super) struct Shard {
    clock: Clock,
    mailbox: Arc<Mailbox>,
    poller: Poller,
    feeds: Slab<Feed>,
    colds: Slab<Cold>,
    closing: Vec<usize>,
    viewers_everywhere: Arc<AtomicUsize>,
    metrics: FanoutMetrics,
    egress: [IntCounter; Flavour::ALL.len()],
    tallies: [Tally; Flavour::ALL.len()],
    max_late_ms: u32,
    no_progress_ms: u32,
    slot_length: Duration,
    join_slot: usize,
    stopping: bool,
}

impl Shard {
    pub(super) fn new(
        config: &FanoutConfig,
        clock: Clock,
        mailbox: Arc<Mailbox>,
        viewers_everywhere: Arc<AtomicUsize>,
        metrics: FanoutMetrics,
    ) -> io::Result<Self> {
        let poller = Poller::new(&mailbox.waker)?;
        let egress = Flavour::ALL.map(|flavour| metrics.egress.with_label_values(&[flavour.name()]));
        Ok(Self {
            clock,
            mailbox,
            poller,
            feeds: Slab::new(),
            colds: Slab::new(),
            closing: Vec::new(),
            viewers_everywhere,
            metrics,
            egress,
            tallies: Default::default(),
            max_late_ms: u32::try_from(config.max_late_ms).unwrap_or(u32::MAX),
            no_progress_ms: u32::try_from(config.no_progress_ms).unwrap_or(u32::MAX),
            slot_length: Duration::from_millis(config.period_ms.max(1)) / SLOTS as u32,
            join_slot: 0,
            stopping: false,
        })
    }

    /// Runs until told to stop, or until epoll itself fails.
    pub(super) fn run(mut self) {
        let mut slot = 0;
        let mut due = Instant::now();
        let mut ready = Vec::new();
        while !self.stopping {
            let idle = self.feeds.is_empty() && self.closing.is_empty();
            let wait = (!idle).then(|| due.saturating_duration_since(Instant::now()));
            ready.clear();
            if let Err(error) = self.poller.wait(wait, &mut ready) {
                tracing::error!(%error, "a fan-out thread cannot wait for its viewers and ends");
                break;
            }
            let begun = Instant::now();
            for event in &ready {
                self.handle_readiness(*event);
            }
            if idle {
                due = begun;
            }
            if begun >= due {
                self.metrics.slot_lateness.observe((begun - due).as_secs_f64());
                self.run_slot(slot);
                slot = (slot + 1) % SLOTS;
                // A thread that was held up goes on from now: catching up would send tiny bursts.
                due = (due + self.slot_length).max(begun);
            }
            self.publish_counts();
            self.metrics.busy.inc_by(begun.elapsed().as_secs_f64());
        }
        self.leave_all(Goodbye::Shutdown);
    }

    fn run_slot(&mut self, slot: usize) {
        let now = self.clock.now();
        for key in 0..self.feeds.capacity() {
            if self
                .feeds
                .get(key)
                .is_some_and(|feed| !feed.slots[slot].is_empty())
            {
                self.run_feed_slot(key, slot, now);
            }
        }
        if slot == 0 {
            self.drop_closed(now);
        }
    }

    fn run_feed_slot(&mut self, key: usize, slot: usize, now: Now) {
        if !self.sync(key) {
            return;
        }
        let mut index = 0;
        while self
            .feeds
            .get(key)
            .is_some_and(|feed| index < feed.slots[slot].len())
        {
            // One that leaves has its place taken by the last of the slot, who is yet to be served.
            if self.step(key, slot, index, now) {
                index += 1;
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
        for slot in 0..SLOTS {
            while self
                .feeds
                .get(key)
                .is_some_and(|feed| !feed.slots[slot].is_empty())
            {
                self.leave(key, slot, 0, Goodbye::Memory);
            }
        }
        false
    }

    /// One viewer's step; false if it left its place.
    fn step(&mut self, key: usize, slot: usize, index: usize, now: Now) -> bool {
        let Some(feed) = self.feeds.get_mut(key) else {
            return false;
        };
        let mut tally = Tally::default();
        let moment = Moment {
            now_ms: short_ms(now),
            late_below: feed.late_below(now, self.max_late_ms),
            max_late_ms: self.max_late_ms,
            no_progress_ms: self.no_progress_ms,
        };
        let Some(hot) = feed.slots[slot].get_mut(index) else {
            return false;
        };
        let colds = &mut self.colds;
        let cold = hot.cold as usize;
        let mut sink = SocketSink;
        let mut step = Step {
            view: &feed.view,
            flavour: feed.flavour,
            moment,
            sink: &mut sink,
            tally: &mut tally,
        };
        let mut spare = Side::default();
        let outcome = step.run(hot, || {
            colds.get_mut(cold).map_or(&mut spare, |cold| &mut cold.side)
        });
        let flavour = feed.flavour.index();
        self.count(flavour, tally, cold);
        match outcome {
            Outcome::Stays => true,
            Outcome::AtEnd => {
                self.say_goodbye(key, slot, index);
                self.step(key, slot, index, now)
            }
            Outcome::Leaves(reason) => {
                self.leave(key, slot, index, reason);
                false
            }
        }
    }

    fn count(&mut self, flavour: usize, tally: Tally, cold: usize) {
        let sum = &mut self.tallies[flavour];
        sum.bytes += tally.bytes;
        sum.sends += tally.sends;
        sum.short += tally.short;
        if tally.skips > 0 {
            sum.skips += tally.skips;
            if let Some(cold) = self.colds.get_mut(cold) {
                cold.skips = cold.skips.saturating_add(tally.skips as u32);
            }
        }
    }

    /// Adds what was counted to the metrics, once per turn of the loop.
    fn publish_counts(&mut self) {
        for (tally, egress) in self.tallies.iter_mut().zip(&self.egress) {
            if *tally == Tally::default() {
                continue;
            }
            egress.inc_by(tally.bytes);
            self.metrics.sends.inc_by(tally.sends);
            self.metrics.short_sends.inc_by(tally.short);
            self.metrics.skips.inc_by(tally.skips);
            *tally = Tally::default();
        }
    }

    /// Queues what ends the stream on the wire.
    fn say_goodbye(&mut self, key: usize, slot: usize, index: usize) {
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        let Some(hot) = feed.slots[slot].get_mut(index) else {
            return;
        };
        hot.flags = (hot.flags & !PAUSED) | ENDING | SIDE;
        let Some(cold) = self.colds.get_mut(hot.cold as usize) else {
            return;
        };
        cold.side.push_shared(Bytes::from_static(feed.flavour.trailer()));
        if let Some(dialogue) = &mut cold.dialogue {
            dialogue.handle_end();
            while let Some(reply) = dialogue.poll_reply() {
                if let Reply::Bytes(bytes) = reply {
                    cold.side.push_shared(bytes);
                }
            }
        }
    }

    // ---- coming and going ----

    fn handle_readiness(&mut self, event: Readiness) {
        if event.token == WAKE_TOKEN {
            self.mailbox.waker.clear();
            for command in self.mailbox.take() {
                self.handle_command(command);
            }
            return;
        }
        let Ok(cold_index) = usize::try_from(event.token) else {
            return;
        };
        let Some(cold) = self.colds.get(cold_index) else {
            return;
        };
        let (key, slot, index) = (cold.feed, cold.slot, cold.index);
        if cold.closing.is_some() {
            self.drain_closing(cold_index, event.hung_up);
            return;
        }
        if event.hung_up {
            self.leave(key, slot, index, Goodbye::Left);
            return;
        }
        if event.output {
            let Some(hot) = self.hot(key, slot, index) else {
                return;
            };
            if hot.flags & BLOCKED != 0 {
                hot.flags &= !BLOCKED;
                if !self.sync(key) || !self.step(key, slot, index, self.clock.now()) {
                    return;
                }
            }
        }
        if event.input {
            self.handle_input(cold_index);
        }
    }

    fn hot(&mut self, key: usize, slot: usize, index: usize) -> Option<&mut Hot> {
        self.feeds.get_mut(key)?.slots[slot].get_mut(index)
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Add { id, viewer, lease } => self.add(id, *viewer, lease),
            Command::Kick { id } => {
                let found = self
                    .colds
                    .iter()
                    .find(|(_, cold)| cold.id == id && cold.closing.is_none());
                if let Some((_, cold)) = found {
                    self.leave(cold.feed, cold.slot, cold.index, Goodbye::Kicked);
                }
            }
            Command::List { reply } => {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(self.list());
            }
            Command::Stop => self.stopping = true,
        }
    }

    fn add(&mut self, id: u64, viewer: NewViewer, lease: Lease) {
        let NewViewer {
            socket,
            peer,
            stream,
            flavour,
            head,
            dialogue,
        } = viewer;
        let known = self
            .feeds
            .iter()
            .find(|(_, feed)| feed.is_of(&stream, flavour))
            .map(|(key, _)| key);
        // A feed whose flavour was lost and made again lets its viewers go, and the newcomer begins another.
        let (key, synced) = match known.filter(|key| self.sync(*key)) {
            Some(key) => (key, true),
            None => {
                let key = self.feeds.insert(Feed::new(stream, flavour, lease, SLOTS));
                (key, self.sync(key))
            }
        };
        self.metrics.joins.with_label_values(&[flavour.name()]).inc();
        let now = self.clock.now();
        let slot = self.join_slot;
        self.join_slot = (slot + 1) % SLOTS;
        let cold = self.colds.vacant_entry();
        let cold_index = cold.key();
        let watched = self.poller.add(&socket, cold_index as u64).is_ok();
        let feed = &mut self.feeds[key];
        let (cursor, prelude) = feed.join();
        let mut side = Side::default();
        side.push_shared(head);
        side.push_shared(prelude);
        let index = feed.slots[slot].len();
        cold.insert(Cold {
            id,
            feed: key,
            slot,
            index,
            side,
            peer,
            dialogue,
            joined_ms: now.mono_ms,
            skips: 0,
            ignored: 0,
            closing: None,
        });
        let now_ms = short_ms(now);
        feed.slots[slot].push(Hot {
            cursor,
            socket,
            // A slab of viewers never holds 2^32.
            cold: cold_index as u32,
            progress_ms: now_ms,
            fresh_ms: now_ms,
            flags: SIDE,
        });
        feed.viewers += 1;
        feed.stream.viewers(flavour).fetch_add(1, Ordering::Relaxed);
        self.metrics.viewers.with_label_values(&[flavour.name()]).inc();
        if !synced || !watched {
            self.leave(key, slot, index, Goodbye::Memory);
        } else if self.step(key, slot, index, now) {
            self.handle_input(cold_index);
        }
    }

    /// Takes a viewer out of the fan-out. What it has in its socket still arrives, unless it is stuck.
    fn leave(&mut self, key: usize, slot: usize, index: usize, reason: Goodbye) {
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        if index >= feed.slots[slot].len() {
            return;
        }
        let hot = feed.slots[slot].swap_remove(index);
        let moved = feed.slots[slot].get(index).map(|moved| moved.cold as usize);
        if let Some(cold) = moved.and_then(|cold| self.colds.get_mut(cold)) {
            cold.index = index;
        }
        feed.viewers -= 1;
        feed.stream.viewers(feed.flavour).fetch_sub(1, Ordering::Relaxed);
        self.metrics
            .viewers
            .with_label_values(&[feed.flavour.name()])
            .dec();
        self.metrics.goodbyes.with_label_values(&[reason.name()]).inc();
        self.viewers_everywhere.fetch_sub(1, Ordering::Relaxed);
        self.mailbox.load.fetch_sub(1, Ordering::Relaxed);
        let cold_index = hot.cold as usize;
        if let Some(cold) = self.colds.get(cold_index) {
            tracing::debug!(viewer = cold.id, stream = %feed.stream.key(), reason = reason.name(), skips = cold.skips, "viewer gone");
        }
        if feed.viewers == 0 {
            self.feeds.remove(key);
        }
        self.part(cold_index, hot, reason);
    }

    fn part(&mut self, cold_index: usize, hot: Hot, reason: Goodbye) {
        match reason {
            Goodbye::Left => {
                self.colds.remove(cold_index);
            }
            Goodbye::NoProgress | Goodbye::Overrun => {
                sys::abort_on_close(hot.socket.as_fd());
                self.colds.remove(cold_index);
            }
            _ => {
                sys::finish(hot.socket.as_fd());
                let until = self.clock.now().mono_ms + GOODBYE_MS;
                if let Some(cold) = self.colds.get_mut(cold_index) {
                    cold.dialogue = None;
                    cold.side = Side::default();
                    cold.closing = Some((hot.socket, until));
                    self.closing.push(cold_index);
                }
            }
        }
    }

    /// Reads what a leaving viewer still says; its end, or an error, lets it go.
    fn drain_closing(&mut self, cold_index: usize, hung_up: bool) {
        let Some(cold) = self.colds.get_mut(cold_index) else {
            return;
        };
        let Some((socket, _)) = &cold.closing else { return };
        let mut buffer = [0; INPUT_BUFFER];
        let mut gone = hung_up;
        while !gone {
            match sys::receive(socket.as_fd(), &mut buffer) {
                Ok(Some(0)) | Err(_) => gone = true,
                Ok(Some(count)) => {
                    cold.ignored += count;
                    gone = cold.ignored > MAX_IGNORED_INPUT;
                }
                Ok(None) => break,
            }
        }
        if gone {
            self.colds.remove(cold_index);
            self.closing.retain(|index| *index != cold_index);
        }
    }

    fn drop_closed(&mut self, now: Now) {
        let colds = &mut self.colds;
        self.closing.retain(|index| {
            let waiting = colds.get(*index).and_then(|cold| cold.closing.as_ref());
            let keep = waiting.is_some_and(|(_, until)| *until > now.mono_ms);
            if !keep {
                colds.try_remove(*index);
            }
            keep
        });
    }

    fn leave_all(&mut self, reason: Goodbye) {
        for key in 0..self.feeds.capacity() {
            for slot in 0..SLOTS {
                while self
                    .feeds
                    .get(key)
                    .is_some_and(|feed| !feed.slots[slot].is_empty())
                {
                    self.leave(key, slot, 0, reason);
                }
            }
        }
    }

    // ---- what viewers say ----

    fn handle_input(&mut self, cold_index: usize) {
        let mut buffer = [0; INPUT_BUFFER];
        loop {
            let Some(cold) = self.colds.get(cold_index).filter(|cold| cold.closing.is_none()) else {
                return;
            };
            let (key, slot, index) = (cold.feed, cold.slot, cold.index);
            let Some(hot) = self.hot(key, slot, index) else {
                return;
            };
            let read = match sys::receive(hot.socket.as_fd(), &mut buffer) {
                Ok(None) => return,
                Ok(Some(count)) => count,
                Err(_) => return self.leave(key, slot, index, Goodbye::Left),
            };
            if let Some(reason) = self.handle_bytes(cold_index, &buffer[..read]) {
                return self.leave(key, slot, index, reason);
            }
            if read == 0 {
                return;
            }
        }
    }

    /// What one read of input leads to; a reason if the viewer is to go.
    fn handle_bytes(&mut self, cold_index: usize, bytes: &[u8]) -> Option<Goodbye> {
        let now = self.clock.now();
        let cold = self.colds.get_mut(cold_index)?;
        let Some(dialogue) = &mut cold.dialogue else {
            // An HTTP viewer has nothing to say. One that shuts down its sending side may go on reading.
            cold.ignored += bytes.len();
            return (cold.ignored > MAX_IGNORED_INPUT).then_some(Goodbye::BadInput);
        };
        if bytes.is_empty() {
            return Some(Goodbye::Left);
        }
        if let Err(reason) = dialogue.handle_input(bytes, now) {
            tracing::debug!(viewer = cold.id, reason, "a viewer broke its protocol");
            return Some(Goodbye::BadInput);
        }
        let mut flags = 0;
        let mut pause = None;
        while let Some(reply) = dialogue.poll_reply() {
            match reply {
                Reply::Bytes(bytes) => {
                    if !cold.side.push_reply(bytes) {
                        return Some(Goodbye::BadInput);
                    }
                    flags |= SIDE;
                }
                Reply::Pause(on) => pause = Some(on),
                Reply::Stop => return Some(Goodbye::Left),
            }
        }
        let (key, slot, index) = (cold.feed, cold.slot, cold.index);
        let hot = self.hot(key, slot, index)?;
        hot.flags |= flags;
        match pause {
            Some(true) => hot.flags |= PAUSED,
            Some(false) if hot.flags & PAUSED != 0 => {
                hot.flags = (hot.flags & !PAUSED) | RESTART;
            }
            _ => {}
        }
        None
    }

    fn list(&self) -> Vec<ViewerInfo> {
        let now = self.clock.now().mono_ms;
        let place = |cold: &Cold| {
            let feed = self.feeds.get(cold.feed)?;
            Some((feed, feed.slots[cold.slot].get(cold.index)?))
        };
        let watching = self.colds.iter().filter(|(_, cold)| cold.closing.is_none());
        watching
            .filter_map(|(_, cold)| {
                let (feed, hot) = place(cold)?;
                Some(ViewerInfo {
                    id: cold.id,
                    stream: feed.stream.key().clone(),
                    flavour: feed.flavour,
                    peer: cold.peer,
                    age_ms: now.saturating_sub(cold.joined_ms),
                    behind_bytes: feed.view.end().saturating_sub(hot.cursor),
                    skips: cold.skips,
                })
            })
            .collect()
    }
}
