//! A live stream: its log, its groups and headers, one writer, any number of readers.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::group::{Group, GroupHead, GroupSeal, Position};
use super::headers::Headers;
use super::key::StreamKey;
use super::log::Log;
use super::view::View;
use crate::clock::Now;
use crate::flavour::Flavour;
use crate::flv::{Tag, TagKind};

mod facts;

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// How far back the log reaches for children that resume, in milliseconds.
    pub resume_window_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            resume_window_ms: 30_000,
        }
    }
}

/// Why a tag or a group was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream has ended; a returning publisher opens it anew.
    #[error("the stream has ended")]
    Ended,
    /// A tag came before any group was begun.
    #[error("no group has been begun")]
    NoGroup,
    /// An older epoch, or a group that does not come after the newest one: refused (fencing, B16).
    #[error("the group is not newer than what the log holds")]
    Stale,
    /// The kernel gave no memory for the log.
    #[error("no memory for the log: {0}")]
    Memory(#[from] io::Error),
}

/// One tag as read from the log.
#[derive(Clone, Debug)]
pub struct LoggedTag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Output time in milliseconds.
    pub time: u64,
    /// The payload, a slice of the log's own memory.
    pub payload: Bytes,
    /// When it was appended here, on the monotonic clock.
    pub appended_ms: u64,
}

/// What a reader finds at a position.
#[derive(Clone, Debug)]
pub enum Read {
    /// These tags come next.
    Tags(Vec<LoggedTag>),
    /// Nothing yet: wait for [`Stream::watch`].
    CaughtUp,
    /// The group is complete. `next` is the start of the one after it, once that has begun.
    End {
        /// Count and hash of the group.
        seal: GroupSeal,
        /// The position that follows, if there is one yet.
        next: Option<Position>,
    },
    /// Not held: trimmed, skipped here, or never seen.
    Gone,
}

/// What a log has to say of a tag that somebody got elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has that very tag, or that header is in force somewhere in it.
    Same,
    /// It has another body in that place, and only that.
    Other,
    /// It has nothing in that place, though it holds what came before and after.
    Never,
    /// It does not reach there: not any more, or not yet. That says nothing.
    Beyond,
}

/// What a list of streams shows of one.
#[derive(Clone, Debug)]
pub struct StreamState {
    /// Whether a start point is there for joiners.
    pub playable: bool,
    /// Whether it has ended for good.
    pub ended: bool,
    /// The newest epoch, if one has begun.
    pub epoch: Option<u64>,
    /// The newest output time in milliseconds.
    pub last_time: Option<u64>,
    /// When the newest tag was appended, on the monotonic clock.
    pub last_append_ms: Option<u64>,
    /// Tags appended in all.
    pub tags: u64,
    /// Payload bytes appended in all.
    pub bytes: u64,
    /// Groups begun in all.
    pub groups: u64,
    /// Bytes of log memory, all flavours.
    pub log_bytes: usize,
    /// The origin's wall clock at the first tag of the newest group, in microseconds.
    pub origin_us: Option<u64>,
    /// Start points given up because too much had come behind them (R43).
    pub outgrown: u64,
}

/// A live stream.
#[derive(Debug)]
pub struct Stream {
    key: StreamKey,
    config: LogConfig,
    log: Mutex<Log>,
    version: watch::Sender<u64>,
    log_bytes: AtomicUsize,
    rate: AtomicU64,
    peak: AtomicU64,
    viewers: [AtomicU64; Flavour::ALL.len()],
}

/// Held by a reader of a flavour, so that it goes on being made.
#[derive(Clone, Debug)]
pub struct Lease(#[expect(dead_code, reason = "counted, not read")] Arc<()>);

impl Lease {
    pub(super) const fn of(count: Arc<()>) -> Self {
        Self(count)
    }
}

impl Stream {
    /// An empty stream.
    pub fn new(key: StreamKey, config: LogConfig) -> Self {
        Self {
            key,
            config,
            log: Mutex::new(Log::new()),
            version: watch::Sender::new(0),
            log_bytes: AtomicUsize::new(0),
            rate: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            viewers: Default::default(),
        }
    }

    /// Its name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // A writer that panicked left whole records: the log is still true.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the writer ----

    /// Begins a group; the one before it is closed.
    ///
    /// # Errors
    /// [`AppendError::Stale`] for an older epoch or a number not above the newest one's.
    pub fn begin_group(&self, head: GroupHead, now: Now) -> Result<(), AppendError> {
        let mut log = self.lock();
        if log.ended {
            return Err(AppendError::Ended);
        }
        if let Some(newest) = log.groups.back_mut() {
            if (head.epoch, head.number) <= (newest.head.epoch, newest.head.number) {
                return Err(AppendError::Stale);
            }
            newest.close();
        }
        let (first_record, headers) = (log.main.next(), Arc::clone(&log.headers));
        log.groups
            .push_back(Group::new(head, first_record, headers, now.mono_ms));
        log.totals.groups += 1;
        drop(log);
        self.announce();
        Ok(())
    }

    /// Puts metadata and sequence headers before the first tag of the group just begun: all that are in force there, so that
    /// those of a track that is gone are forgotten (R13). They are no tags of the stream, are not counted or hashed, and
    /// enter the log only where they differ from what it holds.
    ///
    /// # Errors
    /// [`AppendError::NoGroup`] outside a group or after its first tag, and what the kernel says.
    pub fn put_preface(&self, headers: &Headers, time: u64, now: Now) -> Result<(), AppendError> {
        let mut log = self.lock();
        if log.ended {
            return Err(AppendError::Ended);
        }
        if log.groups.back().is_none_or(|group| group.count > 0) {
            return Err(AppendError::NoGroup);
        }
        let held = Arc::clone(&log.headers);
        for tag in headers.differing(&held, time) {
            log.append_record(&tag, now)?;
        }
        log.take_preface(headers);
        self.log_bytes.store(log.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Appends a tag to the group just begun, in all flavours that somebody reads.
    ///
    /// # Errors
    /// [`AppendError::NoGroup`] before the first group, [`AppendError::Ended`], and what the kernel says.
    pub fn append(&self, tag: &Tag, now: Now) -> Result<Position, AppendError> {
        let mut log = self.lock();
        if log.ended {
            return Err(AppendError::Ended);
        }
        if log.groups.is_empty() {
            return Err(AppendError::NoGroup);
        }
        let record = log.append_record(tag, now)?;
        let changed = log.note_headers(tag);
        let position = log.count_tag(tag, record, changed);
        log.rate.note(tag.payload.len(), now.mono_ms);
        self.rate.store(log.rate.bytes_per_second(), Ordering::Relaxed);
        self.peak.store(log.rate.peak(), Ordering::Relaxed);
        log.trim(self.config.resume_window_ms, now);
        self.log_bytes.store(log.bytes(), Ordering::Relaxed);
        drop(log);
        self.announce();
        Ok(position)
    }

    /// Ends the stream for good: readers get what is there, then its end.
    pub fn end(&self) {
        let mut log = self.lock();
        log.ended = true;
        if let Some(group) = log.groups.back_mut() {
            group.close();
        }
        drop(log);
        self.announce();
    }

    /// Frees memory beyond the resume window, because the budget of all logs is used up: first all before the newest
    /// start point, then, with `even_start`, all but the segment being written; joiners then wait for the next
    /// keyframe. Returns the bytes freed.
    pub fn shed(&self, even_start: bool) -> usize {
        let mut log = self.lock();
        let before = log.bytes();
        let keep = match log.starts.back() {
            Some(start) if !even_start => start.sequence,
            _ => u64::MAX,
        };
        log.trim_to(keep, u64::MAX);
        log.trim_sides_to(keep);
        let after = log.bytes();
        self.log_bytes.store(after, Ordering::Relaxed);
        before - after
    }

    fn announce(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    // ---- what is held ----

    /// Told of each change: a tag, a group, the end.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Bytes of log memory, all flavours, without a lock.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Bytes per second over the last seconds, without a lock.
    pub fn bytes_per_second(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// The highest rate of the last half minute, in bytes per second, without a lock: what a viewer of it may take.
    pub fn peak_bytes_per_second(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// What one who joins now gets at once: all from the newest start point on.
    pub fn burst_bytes(&self) -> u64 {
        let log = self.lock();
        let start = log
            .starts
            .back()
            .and_then(|start| log.main.record(start.sequence));
        start.map_or(0, |start| log.main.end().saturating_sub(start.offset))
    }

    /// What one viewer of it weighs where work is shared out: its rate, or next to nothing while that is not known.
    pub(crate) fn weight(&self) -> u64 {
        self.bytes_per_second().max(1)
    }

    /// The headers in force at the newest tag.
    pub fn headers(&self) -> Arc<Headers> {
        Arc::clone(&self.lock().headers)
    }

    /// The next tag to come, once a group has begun.
    pub fn held(&self) -> Option<Position> {
        let log = self.lock();
        log.groups.back().map(|group| group.position(group.count))
    }

    /// The newest output time in milliseconds.
    pub fn last_time(&self) -> Option<u64> {
        self.lock().totals.last_time
    }

    /// Whether it has ended for good.
    pub fn ended(&self) -> bool {
        self.lock().ended
    }

    /// The newest group from which one may start, if its first tag is there.
    pub fn newest_start(&self) -> Option<Position> {
        self.lock().starts.back().map(|start| start.position)
    }

    /// What a list of streams shows.
    pub fn state(&self) -> StreamState {
        let log = self.lock();
        StreamState {
            playable: !log.starts.is_empty() && !log.ended,
            ended: log.ended,
            epoch: log.groups.back().map(|group| group.head.epoch),
            last_time: log.totals.last_time,
            last_append_ms: log.totals.last_append_ms,
            tags: log.totals.tags,
            bytes: log.totals.bytes,
            groups: log.totals.groups,
            log_bytes: log.bytes(),
            origin_us: log.groups.back().map(|group| group.head.origin_us),
            outgrown: log.totals.outgrown,
        }
    }

    /// A group's head, the headers in force at its first tag, and when it began here.
    pub fn group(&self, epoch: u64, number: u64) -> Option<(GroupHead, Arc<Headers>, u64)> {
        let log = self.lock();
        let group = &log.groups[log.find_group(epoch, number)?];
        Some((group.head, Arc::clone(&group.headers), group.appended_ms))
    }

    /// Count and hash of what a group holds by now, open or closed.
    pub fn seal_of(&self, epoch: u64, number: u64) -> Option<GroupSeal> {
        let log = self.lock();
        Some(log.groups[log.find_group(epoch, number)?].seal_now())
    }

    /// The tags at `at` and after it in its group, up to about `max_bytes` (at least one).
    pub fn read(&self, at: Position, max_bytes: usize) -> Read {
        let log = self.lock();
        let Some(index) = log.find_group(at.epoch, at.group) else {
            return Read::Gone;
        };
        let group = &log.groups[index];
        if at.tags > group.count {
            return Read::Gone;
        }
        if at.tags < group.count {
            let first = group.first_record + u64::from(at.tags);
            return log.tags_between(first, group.first_record + u64::from(group.count), max_bytes);
        }
        match group.closed() {
            Some(seal) => {
                let next = log.groups.get(index + 1).map(|next| next.position(0));
                Read::End { seal, next }
            }
            None => Read::CaughtUp,
        }
    }

    /// Holds a tag as a viewer got it against the log. `time` is as on the wire, modulo 2³².
    ///
    /// Metadata and sequence headers may stand anywhere: a viewer gets them stamped with the time of its own start.
    pub fn knows(&self, kind: TagKind, time: u32, payload: &[u8]) -> Known {
        let (there, is_header) = {
            let log = self.lock();
            (log.tags_at(kind, time), log.has_header(kind, payload))
        };
        // Compared without the lock: a publisher waits for nobody.
        match there {
            _ if is_header => Known::Same,
            None => Known::Beyond,
            Some(held) if held.is_empty() => Known::Never,
            Some(held) if held.iter().any(|other| **other == *payload) => Known::Same,
            Some(_) => Known::Other,
        }
    }

    // ---- viewers ----

    /// Makes sure that `flavour` is being made, back to the newest start point, for as long as the lease is held.
    ///
    /// # Errors
    /// What the kernel says when it has no memory for it.
    pub fn lease(&self, flavour: Flavour) -> io::Result<Lease> {
        let mut log = self.lock();
        let lease = log.lease(flavour)?;
        self.log_bytes.store(log.bytes(), Ordering::Relaxed);
        Ok(lease)
    }

    /// Brings a reader's view of `flavour` up to date. Cheap when nothing is new. The reader holds a lease.
    ///
    /// False if the flavour is no longer made, because memory for it ran out.
    pub fn sync(&self, flavour: Flavour, view: &mut View) -> bool {
        let log = self.lock();
        let store = match (&log.side[flavour.index()], flavour) {
            (_, Flavour::Flv) => &log.main,
            (Some(side), _) => &side.store,
            (None, _) => return false,
        };
        view.sync(store, &log.starts, log.ended)
    }

    /// The count of viewers of a flavour, kept by the fan-out.
    pub fn viewers(&self, flavour: Flavour) -> &AtomicU64 {
        &self.viewers[flavour.index()]
    }

    /// Viewers of all flavours.
    pub fn viewer_count(&self) -> u64 {
        self.viewers
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }
}

#[cfg(test)]
mod tests;
