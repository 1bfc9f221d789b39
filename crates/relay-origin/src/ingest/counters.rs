//! What the ingest counts, as plain atomics; the metrics register a snapshot of them.

use std::sync::atomic::{AtomicU64, Ordering};

use relay_core::flv::TagKind;
use relay_core::serve::ingest::PublishRefusal;
use relay_core::stream::Dropped;
use relay_core::stream::policy::Dismissal;
use relay_core::stream::publisher::Switch;
use relay_core::stream::timeline::Repairs;

/// Why the air changed hands between a stream's two publishers, as a metric's labels, in the order of their counters.
pub const SWITCHES: [&str; 2] = ["lost", "back"];

/// Refusals by reason, as a metric's labels, in the order of their counters.
pub const REFUSALS: [&str; 5] = ["busy", "denied", "not_here", "full", "taken_over"];

/// Tags by kind, as a metric's labels, in the order of their counters.
pub const KINDS: [&str; 3] = ["audio", "video", "script"];

/// The counters, over all streams since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    tags: [AtomicU64; KINDS.len()],
    bytes: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    refusals: [AtomicU64; REFUSALS.len()],
    repairs_held: AtomicU64,
    repairs_leaps: AtomicU64,
    pub(super) sessions: AtomicU64,
    removals: [AtomicU64; Dismissal::ALL.len()],
    switches: [AtomicU64; SWITCHES.len()],
    standbys: AtomicU64,
    pub(super) epochs: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) claims_refused: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that publishers sent, by [`KINDS`].
    pub tags: [u64; KINDS.len()],
    /// Bytes in them.
    pub bytes: u64,
    /// Messages that did not become tags, by [`Dropped::index`].
    pub dropped: [u64; Dropped::ALL.len()],
    /// Publishers turned away, by [`REFUSALS`].
    pub refusals: [u64; REFUSALS.len()],
    /// Tags held at their track's last time.
    pub repairs_held: u64,
    /// Leaps of a publisher's clock within a session.
    pub repairs_leaps: u64,
    /// Publishers let in.
    pub sessions: u64,
    /// Publishers let go, by [`Dismissal::index`].
    pub removals: [u64; Dismissal::ALL.len()],
    /// Changes between a stream's two publishers, by [`SWITCHES`].
    pub switches: [u64; SWITCHES.len()],
    /// Publishers that are held ready beside others now.
    pub standbys: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Groups begun.
    pub groups: u64,
    /// Streams ended after their grace window.
    pub ended: u64,
    /// Children's claims that were absurd or for which there was no room.
    pub claims_refused: u64,
}

pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn tag(&self, kind: TagKind, bytes: usize) {
        let place = match kind {
            TagKind::Audio => 0,
            TagKind::Video => 1,
            TagKind::Script => 2,
        };
        add(&self.tags[place], 1);
        add(&self.bytes, bytes as u64);
    }

    pub(super) fn dropped(&self, why: Dropped) {
        add(&self.dropped[why.index()], 1);
    }

    pub(super) fn refused(&self, why: PublishRefusal) {
        let place = match why {
            PublishRefusal::Busy => 0,
            PublishRefusal::Denied => 1,
            PublishRefusal::NotHere => 2,
            PublishRefusal::Full => 3,
            PublishRefusal::TakenOver => 4,
        };
        add(&self.refusals[place], 1);
    }

    pub(super) fn removed(&self, why: Dismissal) {
        add(&self.removals[why.index()], 1);
    }

    pub(super) fn switched(&self, why: Switch) {
        let place = match why {
            Switch::Lost => 0,
            Switch::Back => 1,
        };
        add(&self.switches[place], 1);
    }

    /// One more publisher is held ready, or one less.
    pub(super) fn standby(&self, more: bool) {
        match more {
            true => self.standbys.fetch_add(1, Ordering::Relaxed),
            false => self.standbys.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Publishers that are held ready now.
    pub(super) fn standbys(&self) -> u64 {
        self.standbys.load(Ordering::Relaxed)
    }

    pub(super) fn repaired(&self, before: Repairs, after: Repairs) {
        add(&self.repairs_held, after.held - before.held);
        add(&self.repairs_leaps, after.leaps - before.leaps);
    }

    pub(super) fn snapshot(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            tags: self.tags.each_ref().map(read),
            bytes: read(&self.bytes),
            dropped: self.dropped.each_ref().map(read),
            refusals: self.refusals.each_ref().map(read),
            repairs_held: read(&self.repairs_held),
            repairs_leaps: read(&self.repairs_leaps),
            sessions: read(&self.sessions),
            removals: self.removals.each_ref().map(read),
            switches: self.switches.each_ref().map(read),
            standbys: read(&self.standbys),
            epochs: read(&self.epochs),
            groups: read(&self.groups),
            ended: read(&self.ended),
            claims_refused: read(&self.claims_refused),
        }
    }
}
