//! What links bring, put into the hub: each tag once and in order, whichever link it came by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lag::Lag;
use crate::cascade::message::{Floor, HeldPosition, Newest};
use crate::cascade::{Gap, GroupHeader, Receiver, SealVerdict, TagVerdict, Verdict};
use crate::clock::Clock;
use crate::flv::Tag;
use crate::stream::{AppendError, GroupSeal, Headers, Hub, Position, Stream, StreamKey};

/// How long it is remembered that an epoch of a stream has ended: longer than its last groups can be on their way.
const REMEMBER_ENDED_MS: u64 = 60_000;

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
    /// How long the newest group took from the origin to here, in milliseconds, by the clocks of both.
    pub group_delay_ms: AtomicU64,
}

/// The streams that come in.
#[derive(Debug)]
pub(super) struct Intake {
    hub: Arc<Hub>,
    clock: Clock,
    streams: Mutex<HashMap<StreamKey, Arc<Mutex<Entry>>>>,
    lag: Mutex<Lag>,
    pub(super) counts: Arc<IntakeCounts>,
}

/// One stream: where it stands, and its log while it is live.
#[derive(Debug, Default)]
pub(super) struct Entry {
    receiver: Receiver,
    stream: Option<Arc<Stream>>,
    /// The epoch that has ended, and when, on the monotonic clock: what still comes of it is not taken.
    ended: Option<(u64, u64)>,
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
    /// There is no room for one more stream.
    #[error("no room for the stream")]
    NoRoom,
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
            lag: Mutex::default(),
            counts: Arc::default(),
        }
    }

    /// Where the stream of that name stands.
    pub(super) fn entry(&self, key: &StreamKey) -> Arc<Mutex<Entry>> {
        let mut streams = lock(&self.streams);
        if !streams.contains_key(key) {
            let now = self.clock.now().mono_ms;
            let crowded = streams.len() >= self.max_names();
            streams.retain(|_, entry| {
                // Whoever brings it may be about to begin it.
                let is_brought = Arc::strong_count(entry) > 1;
                is_brought || lock(entry).is_of_use(now, crowded)
            });
        }
        Arc::clone(streams.entry(key.clone()).or_default())
    }

    /// Whether a stream of that name is held, or could be.
    pub(super) fn has_room_for(&self, key: &StreamKey) -> bool {
        self.hub.has_room_for(key)
    }

    /// Streams that one link may bring at a time: as many as there is room for here.
    pub(super) fn max_lanes(&self) -> usize {
        self.hub.max_streams()
    }

    /// Names that are known at a time, those of streams that have just ended included: beyond it these are forgotten early.
    fn max_names(&self) -> usize {
        self.hub.max_streams().saturating_mul(2)
    }

    /// What a Hello says of positions and floors. Of streams that have ended nothing is held.
    pub(super) fn held(&self) -> (Vec<HeldPosition>, Vec<Floor>) {
        let (mut positions, mut floors) = (Vec::new(), Vec::new());
        for (key, entry) in &*lock(&self.streams) {
            let entry = lock(entry);
            if let (Some(position), Some(stream)) = (entry.receiver.held(), &entry.stream) {
                positions.push(HeldPosition {
                    stream: key.clone(),
                    position,
                });
                let time = stream.last_time().unwrap_or(0);
                floors.push(Floor {
                    stream: key.clone(),
                    epoch: position.epoch,
                    time,
                });
            }
        }
        (positions, floors)
    }

    /// Whether a stream has got as far as its end, or is not there.
    pub(super) fn has_reached(&self, key: &StreamKey, end: Option<Position>) -> bool {
        let Some(entry) = lock(&self.streams).get(key).cloned() else {
            return true;
        };
        let held = lock(&entry).receiver.held();
        end.is_none_or(|end| held.is_none_or(|held| held >= end))
    }

    /// Ends a stream for good, unless it has come back since in a newer epoch than that of `end`. False if there is none to end.
    pub(super) fn end(&self, key: &StreamKey, end: Option<Position>) -> bool {
        let Some(entry) = lock(&self.streams).get(key).cloned() else {
            return false;
        };
        let mut entry = lock(&entry);
        let Some(held) = entry.receiver.held() else {
            return false;
        };
        if end.is_some_and(|end| held.epoch > end.epoch) {
            return false;
        }
        let ended = Some((held.epoch, self.clock.now().mono_ms));
        *entry = Entry {
            ended,
            ..Entry::default()
        };
        drop(entry);
        self.hub.remove(key);
        true
    }

    /// Ends all that came in.
    pub(super) fn end_all(&self) {
        let keys: Vec<_> = lock(&self.streams).keys().cloned().collect();
        for key in keys {
            self.end(&key, None);
        }
        *lock(&self.lag) = Lag::default();
    }

    /// Compares what is held with how far the parent says that its streams have come.
    pub(super) fn compare(&self, newest: &Newest) {
        let mut behind_ms = None;
        for Floor { stream, time, .. } in &newest.streams {
            let entry = lock(&self.streams).get(stream).cloned();
            // A stream of which nothing has come yet is on its way.
            let held = entry.and_then(|entry| lock(&entry).stream.as_ref()?.last_time());
            behind_ms = behind_ms.max(held.map(|held| time.saturating_sub(held)));
        }
        let behind_ms = behind_ms.map(|ms: u64| ms.saturating_add(newest.behind_ms));
        lock(&self.lag).stated(behind_ms, self.clock.now().mono_ms);
    }

    /// How far this node is behind the origin now, in milliseconds of its streams' time, as far as it is known.
    pub(super) fn lag_ms(&self) -> Option<u64> {
        lock(&self.lag).now(self.clock.now().mono_ms)
    }

    /// The most that it was behind in the last second or so.
    pub(super) fn worst_lag_ms(&self) -> Option<u64> {
        lock(&self.lag).worst(self.clock.now().mono_ms)
    }

    /// Whether a group that a link is about to bring is wanted.
    pub(super) fn handle_group(&self, entry: &Mutex<Entry>, header: &GroupHeader) -> Result<(), Untaken> {
        let entry = lock(entry);
        if entry.ended.is_some_and(|(epoch, _)| header.head.epoch <= epoch) {
            return Err(Untaken::Stale);
        }
        match entry.receiver.handle_group(header) {
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
        if entry.ended.is_some_and(|(epoch, _)| header.head.epoch <= epoch) {
            return Err(Untaken::Stale);
        }
        let before = entry.receiver.held();
        match entry.receiver.handle_tag(header, index)? {
            TagVerdict::Held => {
                self.counts.duplicates.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            TagVerdict::Append { begin, skipped } => {
                self.counts.skips.fetch_add(u64::from(skipped), Ordering::Relaxed);
                let appended = self.append(&mut entry, header, headers, begin, tag);
                if appended.is_err() {
                    entry.receiver.undo(before);
                }
                appended
            }
        }
    }

    fn append(
        &self,
        entry: &mut Entry,
        header: &GroupHeader,
        headers: &Headers,
        begin: bool,
        tag: &Tag,
    ) -> Result<(), Untaken> {
        let now = self.clock.now();
        let stream = if begin {
            self.begin(entry, header)?
        } else {
            entry.stream.clone().ok_or(AppendError::NoGroup)?
        };
        if begin {
            stream.put_preface(headers, tag.time, now)?;
        }
        stream.append(tag, now)?;
        self.counts.tags.fetch_add(1, Ordering::Relaxed);
        self.counts
            .bytes
            .fetch_add(tag.payload.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Begins a group, and the stream itself where it is new here.
    fn begin(&self, entry: &mut Entry, header: &GroupHeader) -> Result<Arc<Stream>, Untaken> {
        let now = self.clock.now();
        let stream = match entry.stream.clone().filter(|stream| !stream.ended()) {
            Some(stream) => stream,
            None => {
                let opened = self.hub.open(&header.stream).map_err(|full| {
                    tracing::warn!(stream = %header.stream, %full, "a stream of the parent's is left out");
                    Untaken::NoRoom
                })?;
                Arc::clone(entry.stream.insert(opened))
            }
        };
        stream.begin_group(header.head, now)?;
        entry.ended = None;
        self.counts.groups.fetch_add(1, Ordering::Relaxed);
        let delay_ms = now.unix_us.saturating_sub(header.head.origin_us) / 1000;
        self.counts.group_delay_ms.store(delay_ms, Ordering::Relaxed);
        Ok(stream)
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
            SealVerdict::Begin => {
                self.begin(&mut entry, header)?;
            }
            SealVerdict::Compare => {}
        }
        let id = header.id();
        let ours = entry
            .stream
            .as_ref()
            .and_then(|stream| stream.seal_of(id.epoch, id.number));
        if ours != Some(*seal) {
            self.counts.hash_mismatches.fetch_add(1, Ordering::Relaxed);
            tracing::error!(stream = %header.stream, epoch = id.epoch, group = id.number,
                "a group is not what its parent has: its hash differs");
        }
        Ok(())
    }
}

impl Entry {
    /// Whether it is live; or ended so short a time ago that something of it may still be on its way, unless it is `crowded` here.
    fn is_of_use(&self, now_ms: u64, crowded: bool) -> bool {
        let lately = |(_, at)| now_ms.saturating_sub(at) <= REMEMBER_ENDED_MS;
        self.stream.is_some() || (!crowded && self.ended.is_some_and(lately))
    }

    /// Whether a stream of that name has ended, and no other has begun.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some() && self.stream.is_none()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic could leave is a tag counted and not appended, which the next one's position would show.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
