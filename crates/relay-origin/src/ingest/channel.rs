//! One stream's publishing on this node: the state machine, the log that its steps go to, and who feeds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use relay_core::clock::Now;
use relay_core::flv::TagKind;
use relay_core::serve::ingest::PublishRefusal;
use relay_core::stream::epoch::{AbsurdClaim, Held, Mark};
use relay_core::stream::policy::{Caller, Dismissal, Patience, Taken};
use relay_core::stream::publisher::{Publisher, SessionId, Status, Step};
use relay_core::stream::{AppendError, Hub, HubFull, Stream, StreamKey};

use super::counters::{Counters, add};
use super::keeper::Keeper;
use super::stop::Stop;
use super::told::Told;

/// Publishers that are held ready on this node: 32, where each of the two may have a group of up to 4 MiB held, are half as much as
/// all logs may take by default. A backup is for the few streams that are worth a second encoder.
pub(super) const MAX_STANDBYS: u64 = 32;

/// How long beyond its grace window a stream waits at most for decisions on those who want to publish it, in milliseconds. A
/// decision takes some ten seconds at worst; without a bound, one stranger after the other could keep a stream that is over.
const MAX_HOLD_MS: u64 = 60_000;

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
    /// Those who publish: the one on air, and the one that is held ready.
    stops: Vec<(SessionId, Stop)>,
    had_standby: bool,
    /// What was said of this session's encoder.
    told: Told,
    /// Decisions under way on those who want to publish it.
    holds: usize,
}

impl State {
    /// Whether the end of the grace window has to wait.
    fn is_held(&self, now: Now) -> bool {
        let deadline = self.publisher.deadline();
        let in_time = deadline.is_some_and(|end| now.mono_ms < end.saturating_add(MAX_HOLD_MS));
        self.holds > 0 && !self.publisher.is_taken() && in_time
    }
}

impl Channel {
    pub(super) fn new(key: StreamKey, shared: Arc<Shared>, patience: Patience, mark: Option<Mark>) -> Self {
        Self {
            key,
            shared,
            state: Mutex::new(State {
                publisher: Publisher::new(patience, mark),
                stream: None,
                stops: Vec::new(),
                had_standby: false,
                told: Told::default(),
                holds: 0,
            }),
        }
    }

    pub(super) const fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Lets a publisher in; one that it replaces is told to go.
    pub(super) fn open(&self, caller: Caller, now: Now) -> Result<(SessionId, Stop), PublishRefusal> {
        let mut state = self.lock();
        self.open_stream(&mut state)
            .map_err(|_full| PublishRefusal::Full)?;
        let offered = state.publisher.offer(caller, now);
        let stop = Stop::default();
        if let Ok(session) = offered {
            state.stops.push((session, stop.clone()));
        }
        self.settle(&mut state, now);
        let session = offered.map_err(|taken| self.refused(taken))?;
        let counters = &self.shared.counters;
        if counters.standbys() > MAX_STANDBYS && state.publisher.is_standby(session) {
            state.stops.retain(|(id, _)| *id != session);
            state.publisher.handle_gone(session, now);
            self.settle(&mut state, now);
            tracing::warn!(stream = %self.key, "a backup is refused: as many as may be held ready are");
            return Err(PublishRefusal::Full);
        }
        if state.publisher.is_standby(session) {
            tracing::info!(stream = %self.key, "a second publisher is held ready beside the one on air");
        } else {
            state.told = Told::default();
        }
        add(&counters.sessions, 1);
        Ok((session, stop))
    }

    fn refused(&self, taken: Taken) -> PublishRefusal {
        tracing::info!(stream = %self.key, %taken, "a second publisher is refused");
        match taken {
            Taken::Busy { .. } => PublishRefusal::Busy,
            Taken::HeldOff { .. } => PublishRefusal::TakenOver,
        }
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
        self.settle(&mut state, now);
        counters.repaired(before, state.publisher.repairs());
    }

    /// The publisher is gone, or says that it is done.
    pub(super) fn handle_gone(&self, gone: SessionId, now: Now) {
        let mut state = self.lock();
        state.stops.retain(|(id, _)| *id != gone);
        state.publisher.handle_gone(gone, now);
        self.settle(&mut state, now);
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

    /// It is being decided on one who wants to publish it.
    pub(super) fn hold(&self) {
        self.lock().holds += 1;
    }

    /// That has been decided.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        state.holds = state.holds.saturating_sub(1);
    }

    /// Time has passed: silent publishers are let go, a stream beyond its grace window ends.
    pub(super) fn handle_time(&self, now: Now) {
        let mut state = self.lock();
        if state.is_held(now) {
            return;
        }
        state.publisher.handle_time(now);
        self.settle(&mut state, now);
        let State { stream, told, .. } = &mut *state;
        if let Some(stream) = stream {
            told.tell(stream);
        }
    }

    /// Lets the publisher on air go, on the operator's word; false if there is none (R08).
    pub(super) fn kick(&self, now: Now) -> bool {
        let mut state = self.lock();
        let kicked = state.publisher.handle_kick(now);
        self.settle(&mut state, now);
        kicked
    }

    /// Whether the stream is really being sent.
    pub(super) fn status(&self, now: Now) -> Status {
        self.lock().publisher.status(now)
    }

    /// Whether a second publisher is held ready.
    pub(super) fn has_standby(&self) -> bool {
        self.lock().publisher.has_standby()
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

    /// Does what the machine wants to be done. If the log cannot take it, a tag left out would be a gap that nobody is told of, so
    /// all publishers are let go: their return is a new epoch, at a keyframe, in a log that may have room again.
    fn settle(&self, state: &mut State, now: Now) {
        if let Err(error) = self.take_steps(state, now) {
            tracing::warn!(stream = %self.key, %error, "the publisher is let go: the stream's log refuses");
            state.publisher.give_up(now);
            while let Some(step) = state.publisher.poll_step() {
                if let Step::Stop(id, why) = step {
                    self.stop(state, id, why);
                }
            }
        }
        let has_standby = state.publisher.has_standby();
        if has_standby != std::mem::replace(&mut state.had_standby, has_standby) {
            self.shared.counters.standby(has_standby);
        }
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
            Step::Stop(id, why) => self.stop(state, id, why),
            Step::Switch(role, why) => {
                self.shared.counters.switched(why);
                state.told = Told::default();
                tracing::warn!(stream = %self.key, ?role, ?why, "the publisher that was held ready goes on air");
            }
            Step::Dropped(why) => self.shared.counters.dropped(why),
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

    fn stop(&self, state: &mut State, gone: SessionId, why: Dismissal) {
        self.shared.counters.removed(why);
        tracing::info!(stream = %self.key, reason = why.label(), "a publisher is let go: {why}");
        let told = state.stops.extract_if(.., |(id, _)| *id == gone);
        told.for_each(|(_, stop)| stop.tell(why));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The machine changes only by whole messages; what panicked beside it has left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
