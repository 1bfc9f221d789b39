//! What links bring, put into the hub: each tag once and in order, whichever link it came by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cascade::message::{Floor, HeldPosition};
use crate::cascade::{Gap, GroupHeader, Receiver, SealVerdict, TagVerdict, Verdict};
use crate::clock::Clock;
use crate::flv::Tag;
use crate::stream::{AppendError, GroupSeal, Headers, Hub, HubFull, Position, Stream, StreamKey};

/// What came in over all links, counted.
#[derive(Debug, Default)]
pub struct IntakeCounts {
    /// Groups that went on where this node had been cut off.
    pub resumes: AtomicU64,
    /// Groups begun.
    pub groups: AtomicU64,
    /// Tags appended.
    pub tags: AtomicU64,
    /// Payload bytes appended.
    pub bytes: AtomicU64,
    /// Tags that came twice, over two links at once, and were dropped.
    pub duplicates: AtomicU64,
    /// Times that tags were lost: the parent skipped to a newer start point.
    pub skips: AtomicU64,
    /// Groups that came with tags missing before them and no place to start.
    pub gaps: AtomicU64,
    /// Groups whose hash was not the parent's.
    pub hash_mismatches: AtomicU64,
    /// How far behind the origin's clock the newest group began here, in milliseconds.
    pub lag_ms: AtomicU64,
}

/// The streams that come in.
#[derive(Debug)]
pub(super) struct Intake {
    hub: Arc<Hub>,
    clock: Clock,
    streams: Mutex<HashMap<StreamKey, Arc<Mutex<Entry>>>>,
    pub(super) counts: Arc<IntakeCounts>,
}

/// One stream: where it stands, and its log.
#[derive(Debug)]
pub(super) struct Entry {
    receiver: Receiver,
    stream: Arc<Stream>,
}

/// Why a group is not taken any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untaken {
    /// All of it is held.
    #[error("held already")]
    Held,
    /// It is of an older epoch.
    #[error("of an older epoch")]
    Stale,
    /// Tags before it are missing.
    #[error("{0}")]
    Gap(#[from] Gap),
    /// The log did not take it.
    #[error("{0}")]
    Log(#[from] AppendError),
}

impl Intake {
    pub(super) fn new(hub: Arc<Hub>, clock: Clock) -> Self {
        Self {
            hub,
            clock,
            streams: Mutex::default(),
            counts: Arc::default(),
        }
    }

    /// The stream of that name, opened if it is not there.
    pub(super) fn entry(&self, key: &StreamKey) -> Result<Arc<Mutex<Entry>>, HubFull> {
        let mut streams = lock(&self.streams);
        if let Some(entry) = streams.get(key) {
            let mut open = lock(entry);
            if open.stream.ended() {
                // It came back: a log of its own, behind the epoch that the receiver remembers.
                open.stream = self.hub.open(key)?;
            }
            drop(open);
            return Ok(Arc::clone(entry));
        }
        let stream = self.hub.open(key)?;
        let entry = Arc::new(Mutex::new(Entry {
            receiver: Receiver::new(stream.held()),
            stream,
        }));
        streams.insert(key.clone(), Arc::clone(&entry));
        Ok(entry)
    }

    /// What a Hello says of positions and floors.
    pub(super) fn held(&self) -> (Vec<HeldPosition>, Vec<Floor>) {
        let (mut positions, mut floors) = (Vec::new(), Vec::new());
        for (key, entry) in &*lock(&self.streams) {
            let entry = lock(entry);
            let Some(position) = entry.receiver.held() else {
                continue;
            };
            if !entry.stream.ended() {
                positions.push(HeldPosition {
                    stream: key.clone(),
                    position,
                });
            }
            let time = entry.stream.last_time().unwrap_or(0);
            floors.push(Floor {
                stream: key.clone(),
                epoch: position.epoch,
                time,
            });
        }
        (positions, floors)
    }

    /// Whether a stream has got as far as its end.
    pub(super) fn has_reached(&self, key: &StreamKey, end: Option<Position>) -> bool {
        let entry = lock(&self.streams).get(key).cloned();
        let held = entry.and_then(|entry| lock(&entry).receiver.held());
        end.is_none_or(|end| held.is_some_and(|held| held >= end))
    }

    /// Ends a stream for good; what it held is forgotten but for its epoch.
    pub(super) fn end(&self, key: &StreamKey) {
        self.hub.remove(key);
    }

    /// Ends all that came in.
    pub(super) fn end_all(&self) {
        let keys: Vec<_> = lock(&self.streams).keys().cloned().collect();
        for key in keys {
            self.end(&key);
        }
    }

    /// Whether a group that a link is about to bring is wanted.
    pub(super) fn handle_group(&self, entry: &Mutex<Entry>, header: &GroupHeader) -> Result<(), Untaken> {
        match lock(entry).receiver.handle_group(header) {
            Ok(Verdict::Take) => {
                self.counts
                    .resumes
                    .fetch_add(u64::from(header.resumed), Ordering::Relaxed);
                Ok(())
            }
            Ok(Verdict::Held) => Err(Untaken::Held),
            Ok(Verdict::Stale) => Err(Untaken::Stale),
            Err(gap) => {
                self.counts.gaps.fetch_add(1, Ordering::Relaxed);
                Err(gap.into())
            }
        }
    }

    /// Appends a tag, unless it is held. `headers` are those of the group's preface.
    pub(super) fn handle_tag(
        &self,
        entry: &Mutex<Entry>,
        header: &GroupHeader,
        headers: &Headers,
        index: u32,
        tag: &Tag,
    ) -> Result<(), Untaken> {
        let mut entry = lock(entry);
        let before = entry.receiver.held();
        match entry.receiver.handle_tag(header, index)? {
            TagVerdict::Held => {
                self.counts.duplicates.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            TagVerdict::Append { begin, skipped } => {
                self.counts.skips.fetch_add(u64::from(skipped), Ordering::Relaxed);
                let appended = self.append(&entry.stream, header, headers, begin, tag);
                if appended.is_err() {
                    entry.receiver.undo(before);
                }
                Ok(appended?)
            }
        }
    }

    fn append(
        &self,
        stream: &Stream,
        header: &GroupHeader,
        headers: &Headers,
        begin: bool,
        tag: &Tag,
    ) -> Result<(), AppendError> {
        let now = self.clock.now();
        if begin {
            self.begin(stream, header)?;
            stream.put_preface(headers, tag.time, now)?;
        }
        stream.append(tag, now)?;
        self.counts.tags.fetch_add(1, Ordering::Relaxed);
        self.counts
            .bytes
            .fetch_add(tag.payload.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn begin(&self, stream: &Stream, header: &GroupHeader) -> Result<(), AppendError> {
        let now = self.clock.now();
        stream.begin_group(header.head, now)?;
        self.counts.groups.fetch_add(1, Ordering::Relaxed);
        let lag_ms = now.unix_us.saturating_sub(header.head.origin_us) / 1000;
        self.counts.lag_ms.store(lag_ms, Ordering::Relaxed);
        Ok(())
    }

    /// Holds a group against what its parent says of it.
    pub(super) fn handle_seal(
        &self,
        entry: &Mutex<Entry>,
        header: &GroupHeader,
        seal: &GroupSeal,
    ) -> Result<(), Untaken> {
        let mut entry = lock(entry);
        match entry.receiver.handle_seal(header, seal) {
            SealVerdict::Beyond => return Ok(()),
            SealVerdict::Begin => self.begin(&entry.stream, header)?,
            SealVerdict::Compare => {}
        }
        let id = header.id();
        if entry.stream.seal_of(id.epoch, id.number) != Some(*seal) {
            self.counts.hash_mismatches.fetch_add(1, Ordering::Relaxed);
            tracing::error!(stream = %header.stream, epoch = id.epoch, group = id.number,
                "a group is not what its parent has: its hash differs");
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic could leave is a tag counted and not appended, which the next one's position would show.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
