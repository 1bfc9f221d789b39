//! A stream's publishing, as a state machine: publishers come, send, fall silent, return; one stream comes out.
//!
//! Contract: after each `handle_*`, call [`Publisher::poll_step`] until it gives `None` and do the steps in their order,
//! before the next `handle_*`. Call [`Publisher::handle_time`] at or soon after [`Publisher::deadline`].
//!
//! 1. [`offer`](Publisher::offer) a publisher: it goes on air, is held ready beside the one on air, or is refused. One that
//!    has fallen silent is replaced; what else becomes of two of them says the stream's [`policy`](super::policy) (R01, R02,
//!    R04, R12).
//! 2. [`handle_tag`](Publisher::handle_tag) each of its messages. The session begins a new epoch when it can be decoded
//!    from there; from then on its tags are placed on the stream's one timeline and cut into groups.
//! 3. [`handle_gone`](Publisher::handle_gone) when it leaves. The stream stays for the grace window, and a return in it
//!    is spliced as the next epoch (R05); after it, the stream ends. The line of epochs outlives even that.
//!
//! - `offer`: who gets the stream.
//! - `standby`: who is held ready, and when the air changes hands.

mod offer;
mod standby;

use std::collections::VecDeque;

use bytes::Bytes;

use super::cutter::{Arrival, Cut, Cutter};
use super::dropped::Dropped;
use super::epoch::{AbsurdClaim, Beginning, Held, Lineage, Mark};
use super::group::GroupHead;
use super::headers::Headers;
use super::policy::{Caller, Dismissal, Patience};
use super::session::{Admission, Session};
use super::timeline::{Placed, Repairs, Timeline};
use super::tracks::Tracks;
use crate::clock::Now;
use crate::codec::{self, TagInfo};
use crate::flv::{Tag, TagKind};
use offer::Loser;
use standby::{Group, Message};

pub use standby::{FAILOVER_MS, STANDBY_BYTES, STANDBY_MESSAGES, STANDBY_MS, STEADY_GAP_MS};

/// A publisher's stay on a stream. A later one never has an earlier one's, so that what a replaced publisher still
/// sends is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u64);

/// Which of a stream's two publishers one is (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that is on air while it is well.
    Primary,
    /// The one that steps in.
    Backup,
}

/// Why the air changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The publisher on air was lost.
    Lost,
    /// The first publisher has been well for long enough.
    Back,
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
    /// Let a publisher go.
    Stop(SessionId, Dismissal),
    /// A publisher that was held ready goes on air.
    Switch(Role, Switch),
    /// A message that was held ready did not become a tag after all.
    Dropped(Dropped),
    /// The grace window is over: end the stream, and keep this.
    End(Option<Mark>),
}

/// Whether a stream is really being sent (R46).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A publisher is sending.
    Sending,
    /// A publisher is there and has sent nothing for [`policy::Patience::replace_idle_ms`](super::policy::Patience).
    Silent,
    /// The publisher has left, and may return within the grace window.
    Awaited,
    /// Nobody publishes and nobody is waited for.
    Over,
}

/// A publisher that was let in.
#[derive(Debug)]
struct Stay {
    session: Session,
    caller: Caller,
    role: Role,
    /// What it goes on air with; only where another one is on air, or will be.
    held: Group,
    /// Since when it has been sending without a pause.
    steady_since_ms: u64,
}

impl Stay {
    const fn id(&self) -> SessionId {
        SessionId(self.session.id)
    }

    /// For how long it has given no sign of life.
    fn silent_ms(&self, now: Now) -> u64 {
        now.mono_ms.saturating_sub(self.session.last_seen_ms())
    }

    /// When it is let go if nothing more comes, and why (R10).
    fn patience_ends(&self, patience: &Patience) -> (u64, Dismissal) {
        let (wait, why) = match self.session.last_tag_ms() {
            Some(_) => (patience.idle_ms, Dismissal::Silent),
            None => (patience.first_tag_ms, Dismissal::NoMedia),
        };
        (self.session.last_seen_ms().saturating_add(wait), why)
    }
}

/// One stream's publishing.
#[derive(Debug)]
pub struct Publisher {
    patience: Patience,
    lineage: Lineage,
    timeline: Timeline,
    cutter: Cutter,
    tracks: Tracks,
    on_air: Option<Stay>,
    /// Held ready beside the one on air, never without one.
    standby: Option<Stay>,
    losers: Vec<Loser>,
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
            on_air: None,
            standby: None,
            losers: Vec::new(),
            sessions: 0,
            vacant_since_ms: None,
            next_group: 0,
            overtaken: false,
            steps: VecDeque::new(),
        }
    }

    // ---- in ----

    /// A message of a publisher, with the 32-bit time that it bears.
    ///
    /// # Errors
    /// Why it did not become a tag of the stream. What waits for the session to begin, or is held ready, is no drop.
    pub fn handle_tag(
        &mut self,
        from: SessionId,
        kind: TagKind,
        time: u32,
        payload: Bytes,
        now: Now,
    ) -> Result<(), Dropped> {
        let message = Message { kind, time, payload };
        if self.is_on_air(from) {
            self.hold_beside(&message, now);
            return self.handle_on_air(message, now);
        }
        if self.is_standby(from) {
            return self.handle_standby(message, now);
        }
        Err(Dropped::Replaced)
    }

    /// The publisher's connection is gone, or it said that it is done: the one that is held ready goes on air, or the grace
    /// window starts.
    pub fn handle_gone(&mut self, gone: SessionId, now: Now) {
        if self.is_on_air(gone) {
            self.on_air = None;
            self.vacate(now.mono_ms, now);
        } else if self.is_standby(gone) {
            self.standby = None;
        }
    }

    /// An operator lets the publisher on air go; false if there is none (R08).
    pub fn handle_kick(&mut self, now: Now) -> bool {
        if !self.is_taken() {
            return false;
        }
        self.dismiss_on_air(Dismissal::Kicked);
        self.vacate(now.mono_ms, now);
        true
    }

    /// The stream's log takes no more: lets all publishers go, and forgets the steps that were still to be done.
    pub fn give_up(&mut self, now: Now) {
        self.steps.clear();
        self.dismiss_standby(Dismissal::Log);
        if self.is_taken() {
            self.dismiss_on_air(Dismissal::Log);
            self.vacate(now.mono_ms, now);
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

    /// Time has passed: silent publishers are let go, a stream whose grace window is over ends.
    pub fn handle_time(&mut self, now: Now) {
        if let Some(why) = self
            .standby
            .as_ref()
            .and_then(|standby| self.overdue(standby, now))
        {
            self.dismiss_standby(why);
        }
        if let Some(stay) = &self.on_air
            && let Some(why) = self.overdue(stay, now)
        {
            // Its last sign of life opens the grace window: what looked live to us was not since then.
            let since_ms = stay.session.last_seen_ms();
            self.dismiss_on_air(why);
            self.vacate(since_ms, now);
        }
        if let Some(deadline) = self.grace_ends()
            && now.mono_ms >= deadline
        {
            self.vacant_since_ms = None;
            self.steps.push_back(Step::End(self.lineage.mark(now)));
        }
    }

    /// Nobody is on air any more, since then.
    fn vacate(&mut self, since_ms: u64, now: Now) {
        self.vacant_since_ms = Some(since_ms);
        self.switch(Switch::Lost, now);
    }

    fn overdue(&self, stay: &Stay, now: Now) -> Option<Dismissal> {
        let (deadline, why) = stay.patience_ends(&self.patience);
        (now.mono_ms >= deadline).then_some(why)
    }

    fn grace_ends(&self) -> Option<u64> {
        Some(self.vacant_since_ms?.saturating_add(self.patience.grace_ms))
    }

    // ---- out ----

    /// The next thing to do with the stream.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When [`handle_time`](Self::handle_time) has something to do, on the monotonic clock.
    pub fn deadline(&self) -> Option<u64> {
        self.stays()
            .map(|stay| stay.patience_ends(&self.patience).0)
            .chain(self.grace_ends())
            .min()
    }

    /// Whether a publisher is on air, sending or silent.
    pub const fn is_taken(&self) -> bool {
        self.on_air.is_some()
    }

    /// Whether another one is held ready beside it.
    pub const fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    /// Whether it is that one.
    pub fn is_standby(&self, id: SessionId) -> bool {
        self.standby.as_ref().is_some_and(|stay| stay.id() == id)
    }

    /// Whether the stream is really being sent.
    pub fn status(&self, now: Now) -> Status {
        match (&self.on_air, self.vacant_since_ms) {
            (None, None) => Status::Over,
            (None, Some(_)) => Status::Awaited,
            (Some(stay), _) if stay.silent_ms(now) >= self.patience.replace_idle_ms => Status::Silent,
            (Some(_), _) => Status::Sending,
        }
    }

    /// Whether nobody publishes and nobody is waited for.
    pub const fn is_over(&self) -> bool {
        self.on_air.is_none() && self.vacant_since_ms.is_none()
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

    fn stays(&self) -> impl Iterator<Item = &Stay> {
        [&self.on_air, &self.standby].into_iter().flatten()
    }

    fn is_on_air(&self, id: SessionId) -> bool {
        self.on_air.as_ref().is_some_and(|stay| stay.id() == id)
    }

    // ---- the making of tags ----

    fn handle_on_air(&mut self, message: Message, now: Now) -> Result<(), Dropped> {
        let Some(stay) = &mut self.on_air else {
            return Err(Dropped::Replaced);
        };
        stay.note_sign_of_life(now);
        let session = &mut stay.session;
        let Message { kind, payload, .. } = &message;
        if payload.is_empty() {
            return Err(Dropped::Empty);
        }
        let info = codec::classify(*kind, payload);
        if info.sequence_header || info.metadata {
            session.keep_header(*kind, payload)?;
            // What comes before the beginning is in the preface.
            if !session.has_begun() {
                return Ok(());
            }
        } else if let Some(extra) = info.extra {
            session.keep_extra(*kind, extra, payload)?;
            if !session.has_begun() {
                return Ok(());
            }
        } else if info.is_frame(*kind) {
            let admission = session.admit(*kind, info, now)?;
            return self.handle_frame(admission, info, message, now);
        } else if !session.has_begun() {
            return Err(Dropped::NotBegun);
        }
        self.append_beside(message, now);
        Ok(())
    }

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
        let stay = self.on_air.as_ref().filter(|_| gone);
        if let Some(payload) = stay.and_then(|stay| stay.session.headers().of(kind).cloned()) {
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
        if let Some(stay) = self.on_air.as_ref().filter(|_| self.next_group == 0) {
            self.steps.push_back(Step::Preface {
                headers: stay.session.headers().clone(),
                time,
            });
        }
        self.next_group += 1;
    }
}

#[cfg(test)]
mod tests;
