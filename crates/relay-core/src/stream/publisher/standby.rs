//! A publisher held ready beside the one on air (R12): its newest group waits here, so that it can go on from its last
//! keyframe at once, whatever the interval of its keyframes.
//!
//! Both send all the time, so both are judged by what arrives. The one on air is lost when its connection ends, or when
//! it is silent while the other one sends. The first publisher is well again when it has sent without a pause for a
//! while, and goes on air again at one of its keyframes; what it sends before is held as the other's was.

use bytes::Bytes;

use super::{Publisher, Role, Stay, Step, Switch};
use crate::clock::Now;
use crate::codec::{self, TagInfo};
use crate::flv::TagKind;
use crate::stream::dropped::Dropped;

/// A publisher on air that has been silent for this long, while another one is held ready and sends, has lost the air.
/// With the next message of the other one it is on air, so that viewers miss less than a second.
pub const FAILOVER_MS: u64 = 800;

/// A publisher held ready that pauses for longer than this has not been sending all the time. Half of [`FAILOVER_MS`], so that
/// when both pause at once, since it is our own line that stalls, no switch is made of it.
pub const STEADY_GAP_MS: u64 = FAILOVER_MS / 2;

/// The longest group that is held ready, in milliseconds: to go on from a keyframe that is older would set viewers further
/// back than the next one lets them wait.
pub const STANDBY_MS: u64 = 5_000;

/// The largest group that is held ready, in bytes: 2 s at 16 Mbit/s, or 5 s at 6 Mbit/s.
pub const STANDBY_BYTES: usize = 4 << 20;

/// Messages of the group that is held ready: ten times as many as 5 s of film with sound.
pub const STANDBY_MESSAGES: usize = 4096;

/// A message as the publisher sent it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: TagKind,
    pub(super) time: u32,
    pub(super) payload: Bytes,
}

/// What a publisher has sent since its newest keyframe, with the time at which each message came; nothing if that would be
/// too much.
#[derive(Debug, Default)]
pub(super) struct Group {
    messages: Vec<(Message, Now)>,
    bytes: usize,
}

impl Group {
    fn push(&mut self, message: Message, now: Now) {
        self.bytes += message.payload.len();
        self.messages.push((message, now));
        let since = self.messages.first().map_or(now.mono_ms, |(_, at)| at.mono_ms);
        let old = now.mono_ms.saturating_sub(since) > STANDBY_MS;
        if old || self.bytes > STANDBY_BYTES || self.messages.len() > STANDBY_MESSAGES {
            *self = Self::default();
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.messages.len()
    }
}

impl Stay {
    /// Holds a message of a publisher that is not on air. True if it could go on air with this very one.
    fn hold(&mut self, message: Message, now: Now) -> Result<bool, Dropped> {
        if message.payload.is_empty() {
            return Err(Dropped::Empty);
        }
        let info = codec::classify(message.kind, &message.payload);
        if info.sequence_header || info.metadata {
            self.session.keep_header(message.kind, &message.payload)?;
        }
        if let Some(extra) = info.extra {
            self.session.keep_extra(message.kind, extra, &message.payload)?;
            return Ok(false);
        }
        Ok(self.hold_frame(message, info, now))
    }

    fn hold_frame(&mut self, message: Message, info: TagInfo, now: Now) -> bool {
        if info.metadata {
            return false;
        }
        if info.sequence_header {
            // What came before was coded otherwise, and would be given out behind the new header.
            self.held = Group::default();
            return false;
        }
        let starts = self.session.could_begin(message.kind, info, now);
        if starts {
            self.held = Group::default();
        }
        if starts || !self.held.is_empty() {
            self.held.push(message, now);
        }
        starts
    }

    /// Notes that something came, and since when it has been coming without a pause.
    pub(super) fn note_sign_of_life(&mut self, now: Now) {
        let last = self.session.last_tag_ms();
        if last.is_none_or(|last| now.mono_ms.saturating_sub(last) > STEADY_GAP_MS) {
            self.steady_since_ms = now.mono_ms;
        }
        self.session.note_tag(now);
    }

    /// For how long it has been sending without a pause.
    fn steady_ms(&self, now: Now) -> u64 {
        let since = self.session.last_tag_ms().map(|_| self.steady_since_ms);
        since.map_or(0, |since| now.mono_ms.saturating_sub(since))
    }
}

impl Publisher {
    /// A message of the publisher that is held ready.
    pub(super) fn handle_standby(&mut self, message: Message, now: Now) -> Result<(), Dropped> {
        let Some(standby) = &mut self.standby else {
            return Err(Dropped::Replaced);
        };
        standby.note_sign_of_life(now);
        let starts = standby.hold(message, now)?;
        if self.is_air_lost(now) {
            self.switch(Switch::Lost, now);
        } else if starts && self.may_switch_back(now) {
            self.switch(Switch::Back, now);
        }
        Ok(())
    }

    /// A backup on air, beside which the first publisher is held ready, will soon be held ready itself: what it sends is held, too,
    /// so that it can step in again at once.
    pub(super) fn hold_beside(&mut self, message: &Message, now: Now) {
        let Some(stay) = &mut self.on_air else { return };
        if self.standby.is_none() || stay.role != Role::Backup {
            // A part of it would have a hole, should somebody come later.
            stay.held = Group::default();
            return;
        }
        let info = codec::classify(message.kind, &message.payload);
        let known = stay.session.headers().of(message.kind) == Some(&message.payload);
        let again = info.sequence_header && known;
        if !message.payload.is_empty() && !again {
            stay.hold_frame(message.clone(), info, now);
        }
    }

    /// Puts the publisher that is held ready on air, from its newest keyframe on. The one that was on air is held ready in turn, if
    /// it is still there.
    pub(super) fn switch(&mut self, why: Switch, now: Now) {
        let Some(mut stay) = self.standby.take() else {
            return;
        };
        let held = std::mem::take(&mut stay.held);
        stay.session.begin_anew(now);
        self.vacant_since_ms = None;
        self.steps.push_back(Step::Switch(stay.role, why));
        self.standby = self.on_air.replace(stay);
        for (message, at) in held.messages {
            // At the times at which they came, so that the splice lies where the keyframe was, if that is possible.
            if let Err(why) = self.handle_on_air(message, at) {
                self.steps.push_back(Step::Dropped(why));
            }
        }
    }

    /// The publisher on air is silent, and was all the time that the other one has been sending.
    fn is_air_lost(&self, now: Now) -> bool {
        let (Some(on_air), Some(standby)) = (&self.on_air, &self.standby) else {
            return false;
        };
        !standby.held.is_empty() && on_air.silent_ms(now).min(standby.steady_ms(now)) >= FAILOVER_MS
    }

    fn may_switch_back(&self, now: Now) -> bool {
        let (Some(on_air), Some(standby)) = (&self.on_air, &self.standby) else {
            return false;
        };
        let whole = standby.session.sends_video() || !on_air.session.sends_video();
        standby.role == Role::Primary && whole && standby.steady_ms(now) >= self.patience.switch_back_ms
    }
}
