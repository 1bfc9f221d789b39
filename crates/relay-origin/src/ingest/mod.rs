//! Ingest: how publishers become streams, on the one node that does so.
//!
//! - `channel`: one stream's publishing.
//! - [`rtmp`]: encoders that connect by RTMP.
//! - [`mod@file`]: clips that the origin plays itself.
//! - `keeper`: the streams' epochs, kept durably.
//! - `told`: what is wrong with what encoders send, in the log.
//! - `counters`: what is counted.
//! - [`metrics`]: how it is told.
//!
//! All of them come in through [`Publishing::open`], and feed the same state machine
//! ([`relay_core::stream::publisher`]).

mod channel;
mod counters;
mod keeper;
mod told;

pub mod file;
pub mod metrics;
pub mod rtmp;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use relay_core::clock::{Clock, Now};
use relay_core::config;
use relay_core::flv::TagKind;
use relay_core::serve::ingest::PublishRefusal;
use relay_core::stream::epoch::Held;
use relay_core::stream::publisher::{Patience, SessionId, Status};
use relay_core::stream::{Hub, StreamKey};
use tokio_util::sync::CancellationToken;

pub use counters::{Counts, KINDS, REFUSALS};

use crate::state::StreamRecords;
use channel::{Channel, Shared};
use counters::{Counters, add};
use keeper::Keeper;

/// Names whose line of epochs is held in memory, live or not: 4096 at some hundred bytes each. Beyond it one whose
/// stream is over is let go; should it ever return, what the state folder has of it is enough.
const MAX_REMEMBERED: usize = 4096;

/// How often silence and grace windows are looked at: fine enough for windows of seconds, and nothing to a processor.
const SWEEP: Duration = Duration::from_millis(250);

/// How patient the configuration is with publishers.
pub fn patience(config: &config::Origin) -> Patience {
    Patience {
        grace_ms: config.grace.millis(),
        replace_idle_ms: config.replace_idle.millis(),
    }
}

/// All publishing on this node.
pub struct Publishing {
    shared: Arc<Shared>,
    patience: Patience,
    clock: Clock,
    started: Now,
    channels: Mutex<HashMap<StreamKey, Arc<Channel>>>,
}

impl Publishing {
    /// Publishing into `hub`, going on from what is kept of each stream.
    pub fn new(hub: Arc<Hub>, patience: Patience, clock: Clock, records: Arc<StreamRecords>) -> Arc<Self> {
        let shared = Shared {
            hub,
            keeper: Arc::new(Keeper::new(records)),
            counters: Counters::default(),
        };
        Arc::new(Self {
            shared: Arc::new(shared),
            patience,
            clock,
            started: clock.now(),
            channels: Mutex::default(),
        })
    }

    /// Looks after silent publishers and grace windows, and keeps marks, until `stop`; returns when all is kept.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let keeper_stop = CancellationToken::new();
        let keeping = tokio::spawn(Arc::clone(&self.shared.keeper).run(keeper_stop.clone()));
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = sweep.tick() => self.handle_time(self.clock.now()),
            }
        }
        let now = self.clock.now();
        self.each(|channel| channel.keep_mark(now));
        keeper_stop.cancel();
        if let Err(panic) = keeping.await {
            tracing::error!(%panic, "the keeper of the streams' epochs failed");
        }
    }

    /// Opens a stream for a publisher whose right to it has been checked.
    ///
    /// # Errors
    /// Another one is sending, or there is no room.
    pub fn open(&self, key: &StreamKey, now: Now) -> Result<Feed, PublishRefusal> {
        let opened = self.with_channel(key, |channel| {
            let (session, stop) = channel.open(now)?;
            Ok(Feed {
                channel: Arc::clone(channel),
                session,
                stop,
                clock: self.clock,
            })
        });
        let opened = opened.unwrap_or(Err(PublishRefusal::Full));
        opened.inspect_err(|refusal| self.shared.counters.refused(*refusal))
    }

    /// Counts a publisher that was turned away before it got here.
    pub(crate) fn count_refusal(&self, refusal: PublishRefusal) {
        self.shared.counters.refused(refusal);
    }

    /// Lets the publisher of a stream go, on the operator's word; false if there is none (R08).
    pub fn kick(&self, key: &StreamKey) -> bool {
        let channel = self.channels().get(key).cloned();
        channel.is_some_and(|channel| channel.stop())
    }

    /// Where children's claims go.
    pub fn floors(self: &Arc<Self>) -> Floors {
        Floors(Arc::clone(self))
    }

    /// Whether each stream that is live or waited for is really being sent, by name (R46).
    pub fn statuses(&self, now: Now) -> Vec<(StreamKey, Status)> {
        let channels = self.channels();
        let statuses = channels
            .values()
            .map(|channel| (channel.key().clone(), channel.status(now)));
        let mut statuses: Vec<_> = statuses.filter(|(_, status)| *status != Status::Over).collect();
        statuses.sort_by(|one, other| one.0.cmp(&other.0));
        statuses
    }

    /// What was counted by now.
    pub fn counts(&self) -> Counts {
        self.shared.counters.snapshot()
    }

    fn handle_time(&self, now: Now) {
        self.each(|channel| channel.handle_time(now));
    }

    /// Visits all channels, without holding up those who look for one.
    fn each(&self, visit: impl Fn(&Channel)) {
        let channels: Vec<_> = self.channels().values().cloned().collect();
        channels.iter().for_each(|channel| visit(channel));
    }

    /// Does something with the channel of that name, made if there is none; `None` if all that are remembered are live.
    /// The map stays locked meanwhile, so that a channel that is about to be used is not forgotten.
    fn with_channel<T>(&self, key: &StreamKey, act: impl FnOnce(&Arc<Channel>) -> T) -> Option<T> {
        let mut channels = self.channels();
        if let Some(channel) = channels.get(key) {
            return Some(act(channel));
        }
        if channels.len() >= MAX_REMEMBERED {
            let over = channels.values().find(|channel| channel.is_over())?;
            let over = over.key().clone();
            channels.remove(&over);
        }
        let mark = self.shared.keeper.load(key);
        let channel = Channel::new(key.clone(), Arc::clone(&self.shared), self.patience, mark);
        Some(act(channels
            .entry(key.clone())
            .or_insert_with(|| Arc::new(channel))))
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<StreamKey, Arc<Channel>>> {
        // Each change is one insert or removal, whatever panicked beside it.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One publisher's hold on a stream. Dropping it means that the publisher is gone; the grace window starts then.
pub struct Feed {
    channel: Arc<Channel>,
    session: SessionId,
    stop: CancellationToken,
    clock: Clock,
}

impl Feed {
    /// The stream's name.
    pub fn key(&self) -> &StreamKey {
        self.channel.key()
    }

    /// Takes a message with the 32-bit time that the publisher gave it.
    pub fn handle_tag(&self, kind: TagKind, time: u32, payload: Bytes, now: Now) {
        self.channel.handle_tag(self.session, kind, time, payload, now);
    }

    /// The publisher is done, and granted the grace window.
    pub fn handle_gone(&self, now: Now) {
        self.channel.handle_gone(self.session, now);
    }

    /// Cancelled when this publisher has to go.
    pub fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.channel.handle_gone(self.session, self.clock.now());
    }
}

/// What children hold of streams: a new epoch goes beyond it.
#[derive(Clone)]
pub struct Floors(Arc<Publishing>);

impl Floors {
    /// A child's Hello says that it holds `key` up to `time` in `epoch`. Whoever publishes it goes on beyond that: at
    /// once if nobody does yet, else at the publisher's next start point.
    ///
    /// Within the grace window after this process's start the claim is also the word that the stream was live: it is
    /// opened, empty, so that children keep their viewers until its publisher is back.
    pub fn raise(&self, key: &StreamKey, epoch: u64, time: u64) {
        self.raise_at(key, Held { epoch, time }, self.0.clock.now());
    }

    fn raise_at(&self, key: &StreamKey, held: Held, now: Now) {
        let publishing = &self.0;
        let since_start = now.mono_ms.saturating_sub(publishing.started.mono_ms);
        let just_started = since_start < publishing.patience.grace_ms;
        let heard = publishing.with_channel(key, |channel| {
            let heard = channel.handle_claim(held);
            let expected = match just_started && heard.is_ok() {
                true => channel.expect_return(now),
                false => Ok(()),
            };
            (heard, expected)
        });
        let refused = |why: &dyn std::fmt::Display| {
            add(&publishing.shared.counters.claims_refused, 1);
            tracing::warn!(stream = %key, %why, "a child's claim is ignored");
        };
        match heard {
            None => refused(&"too many streams are live"),
            Some((Err(absurd), _)) => refused(&absurd),
            Some((_, Err(full))) => refused(&full),
            Some((Ok(true), _)) => {
                tracing::info!(stream = %key, ?held, "a child holds more than was known here: a new epoch is due");
            }
            Some((Ok(false), _)) => {}
        }
    }
}
