//! What the ingest counts, as plain atomics; the metrics register a snapshot of them.

use std::sync::atomic::{AtomicU64, Ordering};

use relay_core::flv::TagKind;
use relay_core::serve::ingest::PublishRefusal;
use relay_core::stream::Dropped;
use relay_core::stream::timeline::Repairs;

/// Refusals by reason, as a metric's labels, in the order of their counters.
pub const REFUSALS: [&str; 4] = ["busy", "denied", "not_here", "full"];

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
    pub(super) replaced: AtomicU64,
    pub(super) silent: AtomicU64,
    pub(super) epochs: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) append_failures: AtomicU64,
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
    /// Silent publishers that another one replaced.
    pub replaced: u64,
    /// Publishers let go because they fell silent.
    pub silent: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Groups begun.
    pub groups: u64,
    /// Streams ended after their grace window.
    pub ended: u64,
    /// Publishers let go because the log could not take a tag.
    pub append_failures: u64,
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
        };
        add(&self.refusals[place], 1);
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
            replaced: read(&self.replaced),
            silent: read(&self.silent),
            epochs: read(&self.epochs),
            groups: read(&self.groups),
            ended: read(&self.ended),
            append_failures: read(&self.append_failures),
            claims_refused: read(&self.claims_refused),
        }
    }
}
