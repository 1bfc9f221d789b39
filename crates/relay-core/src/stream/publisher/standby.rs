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

/// The largest group that is held ready, in bytes: 5 s at 13 Mbit/s.
pub const STANDBY_BYTES: usize = 8 << 20;

/// Messages of the group that is held ready: ten times as many as 5 s of film with sound.
pub const STANDBY_MESSAGES: usize = 4096;

/// A message as the publisher sent it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: TagKind,
    pub(super) time: u32,
    pub(super) payload: Bytes,
}

/// A publisher held ready.
#[derive(Debug)]
pub(super) struct Standby {
    pub(super) stay: Stay,
    /// From its newest keyframe on, with the time at which each came; empty if that would be too much.
    group: Vec<(Message, Now)>,
    bytes: usize,
    /// Since when it has been sending without a pause.
    steady_since_ms: Option<u64>,
}

impl Standby {
    pub(super) const fn new(stay: Stay) -> Self {
        Self {
            stay,
            group: Vec::new(),
            bytes: 0,
            steady_since_ms: None,
        }
    }

    /// Holds a message. True if it could go on air with this very one.
    pub(super) fn hold(&mut self, message: Message, info: TagInfo, now: Now) -> Result<bool, Dropped> {
        self.note_sign_of_life(now);
        let session = &mut self.stay.session;
        if message.payload.is_empty() {
            return Err(Dropped::Empty);
        }
        if info.sequence_header || info.metadata {
            session.keep_header(message.kind, &message.payload)?;
            if info.sequence_header {
                // What came before was coded otherwise, and would be given out behind the new header.
                self.forget_group();
            }
            return Ok(false);
        }
        if let Some(extra) = info.extra {
            session.keep_extra(message.kind, extra, &message.payload)?;
            return Ok(false);
        }
        let starts = session.could_begin(message.kind, info, now);
        if starts {
            self.forget_group();
        } else if self.group.is_empty() {
            return Ok(false);
        }
        self.bytes += message.payload.len();
        self.group.push((message, now));
        self.keep_bounds(now);
        Ok(starts)
    }

    /// Whether a group is there to go on with.
    pub(super) const fn is_ready(&self) -> bool {
        !self.group.is_empty()
    }

    /// For how long it has been sending without a pause.
    pub(super) fn steady_ms(&self, now: Now) -> u64 {
        self.steady_since_ms
            .map_or(0, |since| now.mono_ms.saturating_sub(since))
    }

    fn note_sign_of_life(&mut self, now: Now) {
        let last = self.stay.session.last_tag_ms();
        let paused = last.is_none_or(|last| now.mono_ms.saturating_sub(last) > STEADY_GAP_MS);
        if paused || self.steady_since_ms.is_none() {
            self.steady_since_ms = Some(now.mono_ms);
        }
        self.stay.session.note_tag(now);
    }

    fn keep_bounds(&mut self, now: Now) {
        let since = self.group.first().map_or(now.mono_ms, |(_, at)| at.mono_ms);
        let old = now.mono_ms.saturating_sub(since) > STANDBY_MS;
        if old || self.bytes > STANDBY_BYTES || self.group.len() > STANDBY_MESSAGES {
            self.forget_group();
        }
    }

    fn forget_group(&mut self) {
        // With its memory: the next group may be a small one.
        self.group = Vec::new();
        self.bytes = 0;
    }
}

impl Publisher {
    /// A message of the publisher that is held ready.
    pub(super) fn handle_standby(&mut self, message: Message, now: Now) -> Result<(), Dropped> {
        let info = codec::classify(message.kind, &message.payload);
        let Some(standby) = &mut self.standby else {
            return Err(Dropped::Replaced);
        };
        let starts = standby.hold(message, info, now)?;
        if self.is_air_lost(now) {
            self.switch(Switch::Lost, now);
        } else if starts && self.may_switch_back(now) {
            self.switch(Switch::Back, now);
        }
        Ok(())
    }

    /// Puts the publisher that is held ready on air, from its newest keyframe on. The one that was on air is held ready in turn, if
    /// it is still there.
    pub(super) fn switch(&mut self, why: Switch, now: Now) {
        let Some(Standby { mut stay, group, .. }) = self.standby.take() else {
            return;
        };
        stay.session.begin_anew(now);
        self.vacant_since_ms = None;
        self.steps.push_back(Step::Switch(stay.role, why));
        self.standby = self.on_air.replace(stay).map(Standby::new);
        for (message, at) in group {
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
        standby.is_ready() && on_air.silent_ms(now).min(standby.steady_ms(now)) >= FAILOVER_MS
    }

    fn may_switch_back(&self, now: Now) -> bool {
        let (Some(on_air), Some(standby)) = (&self.on_air, &self.standby) else {
            return false;
        };
        let whole = standby.stay.session.sends_video() || !on_air.session.sends_video();
        standby.stay.role == Role::Primary && whole && standby.steady_ms(now) >= self.patience.switch_back_ms
    }
}
