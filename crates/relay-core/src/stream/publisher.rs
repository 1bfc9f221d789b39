//! A stream's publishing, as a state machine: publishers come, send, fall silent, return; one stream comes out.
//!
//! Contract: after each `handle_*`, call [`Publisher::poll_step`] until it gives `None` and do the steps in their order,
//! before the next `handle_*`. Call [`Publisher::handle_time`] at or soon after [`Publisher::deadline`].
//!
//! 1. [`offer`](Publisher::offer) a publisher: it becomes the session, or is busy-refused. One that has fallen silent is
//!    replaced (R01, R02, R04).
//! 2. [`handle_tag`](Publisher::handle_tag) each of its messages. The session begins a new epoch when it can be decoded
//!    from there; from then on its tags are placed on the stream's one timeline and cut into groups.
//! 3. [`handle_gone`](Publisher::handle_gone) when it leaves. The stream stays for the grace window, and a return in it
//!    is spliced as the next epoch (R05); after it, the stream ends. The line of epochs outlives even that.

use std::collections::VecDeque;

use bytes::Bytes;

use super::cutter::{Arrival, Cut, Cutter};
use super::dropped::Dropped;
use super::epoch::{AbsurdClaim, Beginning, Held, Lineage, Mark};
use super::group::GroupHead;
use super::headers::Headers;
use super::session::{Admission, Session};
use super::timeline::{Placed, Repairs, Timeline};
use super::tracks::Tracks;
use crate::clock::Now;
use crate::codec::{self, TagInfo};
use crate::flv::{Tag, TagKind};

/// A publisher that sends nothing at all after its publish command is let go after this long (R10).
pub const FIRST_TAG_MS: u64 = 20_000;

/// A publisher that has fallen silent is let go after this long (R10), unless another has replaced it before: longer
/// than a mobile network takes to change cells, and no longer than the default grace window, so that "live" stays true.
pub const IDLE_MS: u64 = 15_000;

/// How patient a stream is with its publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a stream waits for its publisher's return before it ends, in milliseconds.
    pub grace_ms: u64,
    /// A publisher silent for this long may be replaced by another, in milliseconds.
    pub replace_idle_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            grace_ms: 15_000,
            replace_idle_ms: 2_000,
        }
    }
}

/// A publisher's stay on a stream. A later one never has an earlier one's, so that what a replaced publisher still
/// sends is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u64);

/// Another publisher is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another publisher sent its last tag {silent_ms} ms ago")]
pub struct Busy {
    /// How long it has been silent.
    pub silent_ms: u64,
}

/// What to do with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new epoch begins: keep this durably.
    Epoch(Mark),
    /// Begin a group.
    Group(GroupHead),
    /// Put what of these the stream lacks or holds differently before the first tag of the group just begun.
    Preface {
        /// All that the session has announced, and nothing of the session before.
        headers: Headers,
        /// The time to stamp them with.
        time: u64,
    },
    /// Append a tag.
    Append(Tag),
    /// Let the publisher go: it has fallen silent.
    Stop(SessionId),
    /// The grace window is over: end the stream, and keep this.
    End(Option<Mark>),
}

/// Whether a stream is really being sent (R46).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A publisher is sending.
    Sending,
    /// A publisher is there and has sent nothing for [`Patience::replace_idle_ms`].
    Silent,
    /// The publisher has left, and may return within the grace window.
    Awaited,
    /// Nobody publishes and nobody is waited for.
    Over,
}

/// One stream's publishing.
#[derive(Debug)]
pub struct Publisher {
    patience: Patience,
    lineage: Lineage,
    timeline: Timeline,
    cutter: Cutter,
    tracks: Tracks,
    session: Option<Session>,
    sessions: u64,
    /// Since when nobody publishes, unless the stream has ended or never begun.
    vacant_since_ms: Option<u64>,
    /// The number of the next group of the running epoch.
    next_group: u64,
    /// A child holds more than the running epoch: the next start point begins a new one.
    overtaken: bool,
    steps: VecDeque<Step>,
}

impl Publisher {
    /// Nobody publishes yet; what is to come goes on beyond `mark`.
    pub fn new(patience: Patience, mark: Option<Mark>) -> Self {
        Self {
            patience,
            lineage: Lineage::restored(mark),
            timeline: Timeline::default(),
            cutter: Cutter::default(),
            tracks: Tracks::default(),
            session: None,
            sessions: 0,
            vacant_since_ms: None,
            next_group: 0,
            overtaken: false,
            steps: VecDeque::new(),
        }
    }

    // ---- in ----

    /// A publisher wants the stream.
    ///
    /// # Errors
    /// Another one has it and sent something within [`Patience::replace_idle_ms`]; it is not disturbed.
    pub fn offer(&mut self, now: Now) -> Result<SessionId, Busy> {
        if let Some(session) = self
            .session
            .as_ref()
            .filter(|session| !self.is_silent(session, now))
        {
            let silent_ms = now.mono_ms.saturating_sub(session.last_seen_ms());
            return Err(Busy { silent_ms });
        }
        self.sessions += 1;
        self.session = Some(Session::new(self.sessions, now));
        self.vacant_since_ms = None;
        Ok(SessionId(self.sessions))
    }

    /// A message of the publisher, with the 32-bit time that it bears.
    ///
    /// # Errors
    /// Why it did not become a tag of the stream. Headers that wait for the session to begin are no drop.
    pub fn handle_tag(
        &mut self,
        from: SessionId,
        kind: TagKind,
        time: u32,
        payload: Bytes,
        now: Now,
    ) -> Result<(), Dropped> {
        let session = self.session.as_mut().filter(|session| session.id == from.0);
        let session = session.ok_or(Dropped::Replaced)?;
        session.note_tag(now);
        if payload.is_empty() {
            return Err(Dropped::Empty);
        }
        let info = codec::classify(kind, &payload);
        if info.sequence_header || info.metadata {
            session.keep_header(kind, &payload)?;
            // What comes before the beginning is in the preface.
            if !session.has_begun() {
                return Ok(());
            }
        } else if let Some(extra) = info.extra {
            session.keep_extra(kind, extra, &payload)?;
            if !session.has_begun() {
                return Ok(());
            }
        } else if info.is_frame(kind) {
            let admission = session.admit(kind, info, now)?;
            return self.handle_frame(admission, info, Message { kind, time, payload }, now);
        } else if !session.has_begun() {
            return Err(Dropped::NotBegun);
        }
        self.append_beside(Message { kind, time, payload }, now);
        Ok(())
    }

    /// The publisher's connection is gone, or it said that it is done: the grace window starts.
    pub fn handle_gone(&mut self, gone: SessionId, now: Now) {
        if self.session.as_ref().is_some_and(|session| session.id == gone.0) {
            self.session = None;
            self.vacant_since_ms = Some(now.mono_ms);
        }
    }

    /// A child tells what it holds of the stream. True if a new epoch is due because of it: it begins at the running
    /// publisher's next start point.
    ///
    /// # Errors
    /// The claim is absurd, and ignored.
    pub fn handle_claim(&mut self, held: Held) -> Result<bool, AbsurdClaim> {
        let overtaken = self.lineage.raise(held)?;
        self.overtaken |= overtaken;
        Ok(overtaken)
    }

    /// Somebody still watches the stream, which this process has not seen published: grants the grace window, as if its
    /// publisher had just left. Nothing changes if it is published, or waited for already.
    pub fn expect_return(&mut self, now: Now) {
        if self.is_over() {
            self.vacant_since_ms = Some(now.mono_ms);
        }
    }

    /// Time has passed: a silent publisher is let go, a stream whose grace window is over ends.
    pub fn handle_time(&mut self, now: Now) {
        if self.deadline().is_none_or(|deadline| now.mono_ms < deadline) {
            return;
        }
        if let Some(session) = self.session.take() {
            self.steps.push_back(Step::Stop(SessionId(session.id)));
            // Its last sign of life opens the grace window: what looked live to us was not since then.
            self.vacant_since_ms = Some(session.last_seen_ms());
            return self.handle_time(now);
        }
        self.vacant_since_ms = None;
        self.steps.push_back(Step::End(self.lineage.mark(now)));
    }

    // ---- out ----

    /// The next thing to do with the stream.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When [`handle_time`](Self::handle_time) has something to do, on the monotonic clock.
    pub fn deadline(&self) -> Option<u64> {
        let Some(session) = &self.session else {
            return Some(self.vacant_since_ms?.saturating_add(self.patience.grace_ms));
        };
        let patience = match session.last_tag_ms() {
            Some(_) => IDLE_MS,
            None => FIRST_TAG_MS,
        };
        Some(session.last_seen_ms().saturating_add(patience))
    }

    /// Whether a publisher is there, sending or silent.
    pub const fn is_taken(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the stream is really being sent.
    pub fn status(&self, now: Now) -> Status {
        match (&self.session, self.vacant_since_ms) {
            (None, None) => Status::Over,
            (None, Some(_)) => Status::Awaited,
            (Some(session), _) if self.is_silent(session, now) => Status::Silent,
            (Some(_), _) => Status::Sending,
        }
    }

    /// Whether nobody publishes and nobody is waited for.
    pub const fn is_over(&self) -> bool {
        self.session.is_none() && self.vacant_since_ms.is_none()
    }

    /// The running or last epoch.
    pub const fn epoch(&self) -> Option<Beginning> {
        self.lineage.newest()
    }

    /// What a restart should go on from, if an epoch has ever begun.
    pub fn mark(&self, now: Now) -> Option<Mark> {
        self.lineage.mark(now)
    }

    /// What was changed of the publishers' times.
    pub const fn repairs(&self) -> Repairs {
        self.timeline.repairs()
    }

    fn is_silent(&self, session: &Session, now: Now) -> bool {
        now.mono_ms.saturating_sub(session.last_seen_ms()) >= self.patience.replace_idle_ms
    }

    // ---- the making of tags ----

    fn handle_frame(
        &mut self,
        admission: Admission,
        info: TagInfo,
        message: Message,
        now: Now,
    ) -> Result<(), Dropped> {
        if admission == Admission::Begins {
            self.begin_epoch(now);
        }
        let (mut time, mut cut) = self.place(&message, info, now)?;
        if self.overtaken && cut == Some(Cut::Start) {
            self.begin_epoch(now);
            (time, cut) = self.place(&message, info, now)?;
        }
        self.introduce(message.kind, time, now);
        if let Some(cut) = cut {
            self.begin_group(cut, time, now);
        }
        self.append(message, time, now);
        Ok(())
    }

    /// A track that was gone is back: those who joined meanwhile get its sequence header, which they were spared (R37).
    fn introduce(&mut self, kind: TagKind, time: u64, now: Now) {
        let gone = self.next_group > 0 && self.tracks.is_gone(kind);
        self.tracks.note(kind, true, time);
        let header = self.session.as_ref().filter(|_| gone);
        if let Some(payload) = header.and_then(|session| session.headers().of(kind).cloned()) {
            self.append(
                Message {
                    kind,
                    time: 0,
                    payload,
                },
                time,
                now,
            );
        }
    }

    fn place(&mut self, frame: &Message, info: TagInfo, now: Now) -> Result<(u64, Option<Cut>), Dropped> {
        let Placed::At(time) = self.timeline.place(frame.kind, frame.time, now) else {
            return Err(Dropped::BeforeStart);
        };
        let arrival = Arrival {
            kind: frame.kind,
            frame: true,
            keyframe: info.keyframe,
            recovery: info.recovery,
            time,
            bytes: frame.payload.len(),
        };
        Ok((time, self.cutter.cut(arrival, now)))
    }

    fn append_beside(&mut self, message: Message, now: Now) {
        let time = self.timeline.place_beside(message.kind, message.time);
        self.tracks.note(message.kind, false, time);
        let arrival = Arrival {
            kind: message.kind,
            frame: false,
            keyframe: false,
            recovery: false,
            time,
            bytes: message.payload.len(),
        };
        if let Some(cut) = self.cutter.cut(arrival, now) {
            self.begin_group(cut, time, now);
        }
        self.append(message, time, now);
    }

    fn append(&mut self, message: Message, time: u64, now: Now) {
        self.lineage.note_sent(self.timeline.head(), now);
        self.steps.push_back(Step::Append(Tag {
            kind: message.kind,
            time,
            payload: message.payload,
        }));
    }

    fn begin_epoch(&mut self, now: Now) {
        let beginning = self.lineage.begin(now);
        self.timeline.begin(beginning.first_time, now);
        self.cutter = Cutter::default();
        self.tracks.restart();
        self.next_group = 0;
        self.overtaken = false;
        self.steps.extend(self.lineage.mark(now).map(Step::Epoch));
    }

    fn begin_group(&mut self, cut: Cut, time: u64, now: Now) {
        let Some(beginning) = self.lineage.newest() else {
            return; // Tags are placed in an epoch only.
        };
        self.steps.push_back(Step::Group(GroupHead {
            epoch: beginning.epoch,
            number: self.next_group,
            continuation: cut == Cut::Continuation,
            first_time: time,
            origin_us: now.unix_us,
        }));
        if let Some(session) = self.session.as_ref().filter(|_| self.next_group == 0) {
            self.steps.push_back(Step::Preface {
                headers: session.headers().clone(),
                time,
            });
        }
        self.next_group += 1;
    }
}

/// A message as the publisher sent it.
struct Message {
    kind: TagKind,
    time: u32,
    payload: Bytes,
}

#[cfg(test)]
mod tests;
