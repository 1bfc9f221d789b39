//! A reader's view of a store: brought up to date once per slot, then read without any lock.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::group::Position;
use super::headers::Headers;
use super::segment::Segment;
use super::store::{Record, Store};

/// A place to join or to skip to.
#[derive(Clone, Debug)]
pub struct Start {
    /// The sequence number of its record.
    pub sequence: u64,
    /// Its time in milliseconds.
    pub time: u64,
    /// Its group.
    pub position: Position,
    /// The headers in force there.
    pub headers: Arc<Headers>,
}

/// One fan-out shard's view of one flavour of one stream: handles of the segments, the records' places, the start
/// points. A viewer's cursor is an absolute offset in it.
#[derive(Debug, Default)]
pub struct View {
    segments: VecDeque<Arc<Segment>>,
    records: VecDeque<Record>,
    first: u64,
    end: u64,
    starts: VecDeque<ViewStart>,
    ended: bool,
    /// The store that it is a view of.
    store: Option<u64>,
}

/// A piece of a log's memory, in the two forms in which the kernel takes it.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The file whose pages they are.
    pub file: BorrowedFd<'a>,
    /// Where they begin in it.
    pub offset: u64,
}

/// A start point with its place in this flavour.
#[derive(Clone, Debug)]
pub struct ViewStart {
    /// Where its record begins.
    pub offset: u64,
    /// The rest of it.
    pub start: Start,
}

impl View {
    /// Takes over what is new in `store`, and lets go of what it let go. False if this is a view of another store: one that was
    /// lost, whose cursors mean nothing here.
    pub(super) fn sync(&mut self, store: &Store, starts: &VecDeque<Start>, ended: bool) -> bool {
        if *self.store.get_or_insert_with(|| store.id()) != store.id() {
            return false;
        }
        self.ended = ended;
        if self.first == store.first() && self.end == store.end() && self.starts.len() == starts.len() {
            return true;
        }
        while self.first < store.first() && self.records.pop_front().is_some() {
            self.first += 1;
        }
        if self.records.is_empty() {
            self.first = store.first();
        }
        let next = self.first + self.records.len() as u64;
        self.records.extend(store.records_from(next));
        self.end = store.end();
        self.sync_segments(store);
        self.sync_starts(store, starts);
        true
    }

    fn sync_segments(&mut self, store: &Store) {
        let oldest = store
            .segments()
            .front()
            .map_or(u64::MAX, |segment| segment.base());
        while self
            .segments
            .front()
            .is_some_and(|segment| segment.base() < oldest)
        {
            self.segments.pop_front();
        }
        let newest = self.segments.back().map(|segment| segment.base());
        let fresh = store
            .segments()
            .iter()
            .rev()
            .take_while(|segment| Some(segment.base()) > newest)
            .count();
        let skip = store.segments().len() - fresh;
        self.segments.extend(store.segments().iter().skip(skip).cloned());
    }

    fn sync_starts(&mut self, store: &Store, starts: &VecDeque<Start>) {
        // A start point may have been given up although its record is held.
        let oldest = starts.front().map_or(u64::MAX, |start| start.sequence);
        let first = self.first.max(oldest);
        while self
            .starts
            .front()
            .is_some_and(|known| known.start.sequence < first)
        {
            self.starts.pop_front();
        }
        let newest = self.starts.back().map(|known| known.start.sequence);
        let fresh = starts
            .iter()
            .rev()
            .take_while(|start| Some(start.sequence) > newest)
            .count();
        for start in starts.iter().skip(starts.len() - fresh) {
            if let Some(record) = store.record(start.sequence) {
                self.starts.push_back(ViewStart {
                    offset: record.offset,
                    start: start.clone(),
                });
            }
        }
    }

    /// Where the newest whole record ends: as far as a viewer may be sent.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where the oldest record held begins.
    pub fn tail(&self) -> u64 {
        self.records.front().map_or(self.end, |record| record.offset)
    }

    /// Whether the stream has ended for good.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The newest start point.
    pub fn newest_start(&self) -> Option<&ViewStart> {
        self.starts.back()
    }

    /// The headers in force at `offset`: those of the last start point at or before it.
    pub fn headers_at(&self, offset: u64) -> Option<&Arc<Headers>> {
        let after = self.starts.partition_point(|start| start.offset <= offset);
        Some(&self.starts.get(after.checked_sub(1)?)?.start.headers)
    }

    /// What there is from `from` up to `to` or the end of the segment, whichever comes first; `None` if it is gone.
    pub fn piece(&self, from: u64, to: u64) -> Option<Piece<'_>> {
        let after = self.segments.partition_point(|segment| segment.base() <= from);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let bytes = segment.slice(from, to);
        (!bytes.is_empty()).then(|| Piece {
            bytes,
            file: segment.as_fd(),
            offset: from - segment.base(),
        })
    }

    /// The record that holds the byte at `offset`, as (begin, end, appended at).
    pub fn record_at(&self, offset: u64) -> Option<(u64, u64, u64)> {
        if offset >= self.end {
            return None;
        }
        let after = self.records.partition_point(|record| record.offset <= offset);
        let record = self.records.get(after.checked_sub(1)?)?;
        let end = self.records.get(after).map_or(self.end, |next| next.offset);
        Some((record.offset, end, record.appended_ms))
    }

    /// Where the first record begins that was appended at `ms` or later: cursors at or beyond it are not late.
    pub fn first_appended_since(&self, ms: u64) -> u64 {
        let index = self.records.partition_point(|record| record.appended_ms < ms);
        self.records.get(index).map_or(self.end, |record| record.offset)
    }
}
