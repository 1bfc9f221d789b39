//! Viewers who come and go.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::input::guarded;
use super::{Joiner, SLOTS, Shard};
use crate::clock::Now;
use crate::fanout::feed::Feed;
use crate::fanout::side::Side;
use crate::fanout::viewer::{Cold, ENDING, Goodbye, Hot, PAUSED, Place, Reply, SIDE};
use crate::fanout::{NewViewer, short_ms, sys};

/// How long a viewer has to take the last bytes and close, in milliseconds: closing at once would reset the connection
/// and eat the tail.
const GOODBYE_MS: u64 = 1000;

/// Input that is read and thrown away from a viewer who has nothing to say, in bytes: a pipelined request or two.
pub(super) const MAX_IGNORED_INPUT: usize = 16 << 10;

/// Input read at a time.
pub(super) const INPUT_BUFFER: usize = 4096;

impl Shard {
    // ---- coming ----

    /// Gives joiners their first burst, one after the other, until `until`.
    pub(super) fn take_joiners(&mut self, until: Instant) {
        while let Some(joiner) = self.joiners.pop_front() {
            self.metrics.joiners.dec();
            self.add(joiner);
            if Instant::now() >= until {
                break;
            }
        }
    }

    fn add(&mut self, joiner: Joiner) {
        let Joiner { id, viewer, lease } = joiner;
        let NewViewer {
            socket,
            peer,
            stream,
            flavour,
            head,
            dialogue,
        } = *viewer;
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
        let slot = self.slot_to_join();
        let entry = self.colds.vacant_entry();
        let cold = entry.key();
        let watched = self.poller.add(&socket, Self::token(cold, id)).is_ok();
        let feed = &mut self.feeds[key];
        let (cursor, prelude) = feed.join();
        let mut side = Side::default();
        side.push_shared(head);
        side.push_shared(prelude);
        entry.insert(Cold {
            id,
            place: Place {
                feed: key,
                slot,
                index: feed.slots[slot].len(),
            },
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
            cold: cold as u32,
            progress_ms: now_ms,
            fresh_ms: now_ms,
            flags: SIDE,
        });
        feed.viewers += 1;
        self.population[slot] += 1;
        feed.stream.viewers(flavour).fetch_add(1, Ordering::Relaxed);
        self.metrics.viewers.with_label_values(&[flavour.name()]).inc();
        if !synced || !watched {
            self.leave(cold, Goodbye::Memory);
            return;
        }
        self.step_one(cold, now);
        self.handle_input(cold);
    }

    // ---- going ----

    /// Takes a viewer out of the fan-out. What it has in its socket still arrives, unless it is stuck.
    pub(super) fn leave(&mut self, cold: usize, reason: Goodbye) {
        let Some(place) = self.place(cold) else {
            return;
        };
        let Some(feed) = self.feeds.get_mut(place.feed) else {
            return;
        };
        let slot = &mut feed.slots[place.slot];
        if place.index >= slot.len() {
            return;
        }
        let hot = slot.swap_remove(place.index);
        let moved = slot.get(place.index).map(|moved| moved.cold as usize);
        if let Some(moved) = moved.and_then(|moved| self.colds.get_mut(moved)) {
            moved.place.index = place.index;
        }
        feed.viewers -= 1;
        self.population[place.slot] -= 1;
        feed.stream.viewers(feed.flavour).fetch_sub(1, Ordering::Relaxed);
        let flavour = feed.flavour.name();
        self.metrics.viewers.with_label_values(&[flavour]).dec();
        self.metrics.goodbyes.with_label_values(&[reason.name()]).inc();
        self.everywhere.viewers.fetch_sub(1, Ordering::Relaxed);
        if let Some(cold) = self.colds.get(cold) {
            tracing::debug!(viewer = cold.id, stream = %feed.stream.key(), reason = reason.name(), skips = cold.skips, "viewer gone");
        }
        if feed.viewers == 0 {
            self.feeds.remove(place.feed);
        }
        self.part(cold, hot, reason);
    }

    fn part(&mut self, cold: usize, hot: Hot, reason: Goodbye) {
        match reason {
            Goodbye::Left => {
                self.colds.remove(cold);
            }
            Goodbye::NoProgress | Goodbye::Overrun => {
                sys::abort_on_close(hot.socket.as_fd());
                self.colds.remove(cold);
            }
            _ => {
                sys::finish(hot.socket.as_fd());
                let until = self.clock.now().mono_ms + GOODBYE_MS;
                if let Some(parting) = self.colds.get_mut(cold) {
                    parting.dialogue = None;
                    parting.side = Side::default();
                    parting.closing = Some((hot.socket, until));
                    self.closing.push(cold);
                    self.everywhere.leaving.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Queues what ends the stream on the wire.
    pub(super) fn say_goodbye(&mut self, cold: usize) {
        let Some(place) = self.place(cold) else {
            return;
        };
        let Some(feed) = self.feeds.get_mut(place.feed) else {
            return;
        };
        let Some(hot) = feed.slots[place.slot].get_mut(place.index) else {
            return;
        };
        hot.flags = (hot.flags & !PAUSED) | ENDING | SIDE;
        let Some(cold) = self.colds.get_mut(cold) else {
            return;
        };
        cold.side.push_shared(Bytes::from_static(feed.flavour.trailer()));
        let Some(dialogue) = &mut cold.dialogue else {
            return;
        };
        let said = guarded(|| {
            dialogue.handle_end();
            while let Some(reply) = dialogue.poll_reply() {
                if let Reply::Bytes(bytes) = reply {
                    cold.side.push_shared(bytes);
                }
            }
        });
        if said.is_none() {
            tracing::error!(
                viewer = cold.id,
                "a viewer's session panicked at its end; please report it"
            );
            cold.dialogue = None;
        }
    }

    pub(super) fn kick(&mut self, id: u64) {
        let before = self.joiners.len();
        self.joiners.retain(|joiner| joiner.id != id);
        let waiting = before - self.joiners.len();
        self.metrics.joiners.sub(waiting as i64);
        self.everywhere.viewers.fetch_sub(waiting, Ordering::Relaxed);
        let found = self
            .colds
            .iter()
            .find(|(_, cold)| cold.id == id && cold.closing.is_none());
        if let Some((cold, _)) = found {
            self.leave(cold, Goodbye::Kicked);
        }
    }

    /// Lets all viewers of a feed go.
    pub(super) fn empty(&mut self, key: usize, reason: Goodbye) {
        // The feed is gone with the last of them.
        while let Some(cold) = self.feeds.get(key).and_then(Feed::anyone) {
            self.leave(cold, reason);
        }
    }

    pub(super) fn leave_all(&mut self, reason: Goodbye) {
        self.everywhere
            .viewers
            .fetch_sub(self.joiners.len(), Ordering::Relaxed);
        self.metrics.joiners.sub(self.joiners.len() as i64);
        self.joiners.clear();
        for key in 0..self.feeds.capacity() {
            self.empty(key, reason);
        }
        // Their sockets are closed with the shard.
        self.drop_closed(Now {
            mono_ms: u64::MAX,
            unix_us: 0,
        });
    }

    // ---- gone, but for the last bytes ----

    pub(super) fn is_closing(&self, cold: usize) -> bool {
        self.colds.get(cold).is_some_and(|cold| cold.closing.is_some())
    }

    /// Reads what a leaving viewer still says; its end, or an error, lets it go.
    pub(super) fn drain_closing(&mut self, cold_index: usize, hung_up: bool) {
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
            // The list of those who close is swept once per period: looking through it for each would be slow at the end of
            // a large stream.
            self.colds.remove(cold_index);
            self.everywhere.leaving.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn drop_closed(&mut self, now: Now) {
        let Self {
            colds,
            closing,
            everywhere,
            ..
        } = self;
        closing.retain(|index| {
            // It may be gone, and its place another's.
            let until = colds.get(*index).and_then(|cold| cold.closing.as_ref());
            let Some((_, until)) = until else { return false };
            let keep = *until > now.mono_ms;
            if !keep {
                colds.try_remove(*index);
                everywhere.leaving.fetch_sub(1, Ordering::Relaxed);
            }
            keep
        });
    }

    // ---- where they are ----

    /// Where a viewer that watches has its hot state.
    pub(super) fn place(&self, cold: usize) -> Option<Place> {
        let cold = self.colds.get(cold)?;
        cold.closing.is_none().then_some(cold.place)
    }

    pub(super) fn hot(&mut self, place: Place) -> Option<&mut Hot> {
        self.feeds.get_mut(place.feed)?.slots[place.slot].get_mut(place.index)
    }
}
