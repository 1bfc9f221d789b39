//! One stream's publishing on this node: the state machine, the log that its steps go to, and who feeds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use relay_core::clock::Now;
use relay_core::flv::TagKind;
use relay_core::serve::ingest::PublishRefusal;
use relay_core::stream::epoch::{AbsurdClaim, Held, Mark};
use relay_core::stream::publisher::{Patience, Publisher, SessionId, Status, Step};
use relay_core::stream::{AppendError, Hub, HubFull, Stream, StreamKey};
use tokio_util::sync::CancellationToken;

use super::counters::{Counters, add};
use super::keeper::Keeper;
use super::told::Told;

/// What all channels share.
pub(super) struct Shared {
    pub(super) hub: Arc<Hub>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) counters: Counters,
}

/// One stream's publishing. Outlives its stream: the line of epochs goes on when the stream begins again.
pub(super) struct Channel {
    key: StreamKey,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    publisher: Publisher,
    /// The log, from the first publisher to the end of the grace window.
    stream: Option<Arc<Stream>>,
    /// Cancelled when the present publisher has to go.
    stop: CancellationToken,
    /// What was said of this session's encoder.
    told: Told,
}

impl Channel {
    pub(super) fn new(key: StreamKey, shared: Arc<Shared>, patience: Patience, mark: Option<Mark>) -> Self {
        Self {
            key,
            shared,
            state: Mutex::new(State {
                publisher: Publisher::new(patience, mark),
                stream: None,
                stop: CancellationToken::new(),
                told: Told::default(),
            }),
        }
    }

    pub(super) const fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Lets a publisher in; the silent one that it replaces is told to go.
    pub(super) fn open(&self, now: Now) -> Result<(SessionId, CancellationToken), PublishRefusal> {
        let mut state = self.lock();
        self.open_stream(&mut state)
            .map_err(|_full| PublishRefusal::Full)?;
        let replaces = state.publisher.is_taken();
        let session = state.publisher.offer(now).map_err(|busy| {
            tracing::info!(stream = %self.key, silent_ms = busy.silent_ms, "a second publisher is refused");
            PublishRefusal::Busy
        })?;
        if replaces {
            add(&self.shared.counters.replaced, 1);
            tracing::info!(stream = %self.key, "a silent publisher is replaced");
        }
        let stop = CancellationToken::new();
        std::mem::replace(&mut state.stop, stop.clone()).cancel();
        state.told = Told::default();
        add(&self.shared.counters.sessions, 1);
        Ok((session, stop))
    }

    /// Takes a message of the publisher.
    pub(super) fn handle_tag(&self, from: SessionId, kind: TagKind, time: u32, payload: Bytes, now: Now) {
        let counters = &self.shared.counters;
        counters.tag(kind, payload.len());
        let mut state = self.lock();
        let before = state.publisher.repairs();
        if let Err(why) = state.publisher.handle_tag(from, kind, time, payload, now) {
            counters.dropped(why);
            tracing::trace!(stream = %self.key, ?kind, time, %why, "message dropped");
        }
        counters.repaired(before, state.publisher.repairs());
        if let Err(error) = self.take_steps(&mut state, now) {
            self.give_up(&mut state, from, &error, now);
        }
    }

    /// The publisher is gone, or says that it is done.
    pub(super) fn handle_gone(&self, gone: SessionId, now: Now) {
        self.lock().publisher.handle_gone(gone, now);
    }

    /// A child tells what it holds.
    pub(super) fn handle_claim(&self, held: Held) -> Result<bool, AbsurdClaim> {
        self.lock().publisher.handle_claim(held)
    }

    /// The stream was live before this process: it is there again, empty, and its publisher has the grace window to
    /// come back.
    pub(super) fn expect_return(&self, now: Now) -> Result<(), HubFull> {
        let mut state = self.lock();
        self.open_stream(&mut state)?;
        state.publisher.expect_return(now);
        Ok(())
    }

    /// Time has passed: silent publishers are let go, a stream beyond its grace window ends.
    pub(super) fn handle_time(&self, now: Now) {
        let mut state = self.lock();
        state.publisher.handle_time(now);
        if let Err(error) = self.take_steps(&mut state, now) {
            // These steps append nothing; a new one that does must not be lost silently.
            tracing::warn!(stream = %self.key, %error, "the stream's log refuses");
        }
        let State { stream, told, .. } = &mut *state;
        if let Some(stream) = stream {
            told.tell(stream);
        }
    }

    /// Lets the present publisher go, on the operator's word; false if there is none (R08).
    pub(super) fn stop(&self) -> bool {
        let state = self.lock();
        let taken = state.publisher.is_taken();
        state.stop.cancel();
        taken
    }

    /// Whether the stream is really being sent.
    pub(super) fn status(&self, now: Now) -> Status {
        self.lock().publisher.status(now)
    }

    /// Whether nobody publishes and nobody is waited for.
    pub(super) fn is_over(&self) -> bool {
        self.lock().publisher.is_over()
    }

    /// Hands over what a restart should go on from.
    pub(super) fn keep_mark(&self, now: Now) {
        if let Some(mark) = self.lock().publisher.mark(now) {
            self.shared.keeper.hand_over(&self.key, mark);
        }
    }

    fn open_stream(&self, state: &mut State) -> Result<(), HubFull> {
        if state.stream.as_ref().is_none_or(|stream| stream.ended()) {
            state.stream = Some(self.shared.hub.open(&self.key)?);
        }
        Ok(())
    }

    fn take_steps(&self, state: &mut State, now: Now) -> Result<(), AppendError> {
        while let Some(step) = state.publisher.poll_step() {
            self.take_step(state, step, now)?;
        }
        Ok(())
    }

    fn take_step(&self, state: &mut State, step: Step, now: Now) -> Result<(), AppendError> {
        let stream = state.stream.as_ref().ok_or(AppendError::Ended);
        match step {
            Step::Epoch(mark) => {
                add(&self.shared.counters.epochs, 1);
                tracing::info!(stream = %self.key, epoch = mark.epoch, "a new epoch begins");
                self.shared.keeper.hand_over(&self.key, mark);
            }
            Step::Group(head) => {
                add(&self.shared.counters.groups, 1);
                stream?.begin_group(head, now)?;
            }
            Step::Preface { headers, time } => stream?.put_preface(&headers, time, now)?,
            Step::Append(tag) => {
                stream?.append(&tag, now)?;
            }
            Step::Stop(_) => {
                add(&self.shared.counters.silent, 1);
                tracing::info!(stream = %self.key, "the publisher has fallen silent and is let go");
                state.stop.cancel();
            }
            Step::End(mark) => self.end(state, mark),
        }
        Ok(())
    }

    fn end(&self, state: &mut State, mark: Option<Mark>) {
        add(&self.shared.counters.ended, 1);
        tracing::info!(stream = %self.key, "the stream ends: its publisher did not come back");
        if let Some(mark) = mark {
            self.shared.keeper.hand_over(&self.key, mark);
        }
        state.stream = None;
        self.shared.hub.remove(&self.key);
    }

    /// The log cannot take what the publisher sends. A tag left out would be a gap that nobody is told of, so the
    /// publisher is let go: its return is a new epoch, at a keyframe, in a log that may have room again.
    fn give_up(&self, state: &mut State, session: SessionId, error: &AppendError, now: Now) {
        add(&self.shared.counters.append_failures, 1);
        tracing::warn!(stream = %self.key, %error, "the publisher is let go: the stream's log refuses");
        while state.publisher.poll_step().is_some() {}
        state.publisher.handle_gone(session, now);
        state.stop.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The machine changes only by whole messages; what panicked beside it has left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
