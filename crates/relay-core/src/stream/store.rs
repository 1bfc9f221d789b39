//! A store: one flavour's records of a stream, in wire form, back to back in segments.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::segment::Segment;

/// One record's place: what a cursor needs to know about a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins in the store. It ends where the next one begins.
    pub(super) offset: u64,
    /// When it was appended on this node's monotonic clock, in milliseconds.
    pub(super) appended_ms: u64,
}

/// The records of one flavour. One writer; readers copy what they need under the stream's lock.
///
/// Record `n` of the stream has the same sequence number in each of its stores, so that a start point is found in all.
#[derive(Debug)]
pub(super) struct Store {
    segments: VecDeque<Arc<Segment>>,
    records: VecDeque<Record>,
    first: u64,
    end: u64,
    id: u64,
}

impl Store {
    /// An empty store whose first record will have the sequence number `first`; `id` tells it from the stream's others.
    pub(super) fn new(first: u64, id: u64) -> Self {
        Self {
            id,
            segments: VecDeque::new(),
            records: VecDeque::new(),
            first,
            end: 0,
        }
    }

    /// Begins behind so many bytes that are gone, before the first record.
    #[cfg(test)]
    pub(super) fn count_from(&mut self, bytes: u64) {
        assert!(self.records.is_empty());
        self.end = bytes;
    }

    /// Appends a record of wire bytes.
    ///
    /// # Errors
    /// What the kernel says when it has no memory for a segment; the store is then as before.
    pub(super) fn append(&mut self, bytes: &[u8], appended_ms: u64) -> io::Result<()> {
        let fits = self
            .segments
            .back()
            .is_some_and(|segment| segment.room() >= bytes.len());
        if !fits {
            let next = Arc::new(Segment::create(self.end, bytes.len())?);
            if let Some(full) = self.segments.back() {
                full.seal()?;
            }
            self.segments.push_back(next);
        }
        if let Some(segment) = self.segments.back() {
            segment.append(bytes)?;
        }
        self.records.push_back(Record {
            offset: self.end,
            appended_ms,
        });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// What tells it from the stream's other stores.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The sequence number of the oldest record held.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number that the next record will get.
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Where the newest record ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many of `noted` notes kept beside the records belong to records that have been freed.
    pub(super) fn records_held_less_than(&self, noted: usize) -> usize {
        noted.saturating_sub(self.records.len())
    }

    /// Record `sequence`, if it is held.
    pub(super) fn record(&self, sequence: u64) -> Option<Record> {
        self.records
            .get(usize::try_from(sequence.checked_sub(self.first)?).ok()?)
            .copied()
    }

    /// The records from `sequence` on.
    pub(super) fn records_from(&self, sequence: u64) -> impl Iterator<Item = Record> + '_ {
        let skip = usize::try_from(sequence.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.records.iter().skip(skip).copied()
    }

    /// The segments, oldest first.
    pub(super) fn segments(&self) -> &VecDeque<Arc<Segment>> {
        &self.segments
    }

    /// The segment that holds the byte at `offset`.
    pub(super) fn segment_at(&self, offset: u64) -> Option<&Arc<Segment>> {
        let after = self.segments.partition_point(|segment| segment.base() <= offset);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (offset < segment.end()).then_some(segment)
    }

    /// Bytes of memory that the store accounts for, its index among them: a stream of tiny tags has more of that than of
    /// anything else.
    pub(super) fn bytes(&self) -> usize {
        let written: usize = self.segments.iter().map(|segment| segment.written()).sum();
        written + self.records.len() * size_of::<Record>()
    }

    /// Frees whole segments from the front while every record in them lies before `keep` and was appended before
    /// `before_ms`. Returns whether anything was freed.
    pub(super) fn trim(&mut self, keep: u64, before_ms: u64) -> bool {
        let mut freed = false;
        while self.segments.len() > 1 {
            let Some(next_base) = self.segments.get(1).map(|segment| segment.base()) else {
                break;
            };
            // Records never span segments, so the first record of the next segment begins at its base.
            let leaving = self.records.partition_point(|record| record.offset < next_base);
            let newest = leaving.checked_sub(1).and_then(|last| self.records.get(last));
            let old = newest.is_none_or(|record| record.appended_ms < before_ms);
            if self.first + leaving as u64 > keep || !old {
                break;
            }
            self.records.drain(..leaving);
            self.first += leaving as u64;
            self.segments.pop_front();
            freed = true;
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::segment::SEGMENT_BYTES;

    #[test]
    fn records_lie_back_to_back_and_never_span_segments() {
        let mut store = Store::new(5, 0);
        for n in 0..5u8 {
            store
                .append(&vec![n; SEGMENT_BYTES / 2 + 1], 100 + u64::from(n))
                .unwrap();
        }
        assert_eq!((store.first(), store.next(), store.segments().len()), (5, 10, 5));
        let third = store.record(7).unwrap();
        assert_eq!(third.offset, 2 * (SEGMENT_BYTES as u64 / 2 + 1));
        let end = store.record(8).unwrap().offset;
        let bytes = store.segment_at(third.offset).unwrap().slice(third.offset, end);
        assert_eq!((bytes.len() as u64, bytes[0]), (end - third.offset, 2));
    }

    #[test]
    fn trims_whole_segments_that_are_old_and_before_the_start_point() {
        let mut store = Store::new(0, 0);
        for n in 0..6 {
            store.append(&vec![0; SEGMENT_BYTES / 2], 1000 * n).unwrap();
        }
        assert!(
            !store.trim(1, 99_000),
            "record 1 must stay, and it shares a segment with record 0"
        );
        assert!(!store.trim(5, 500), "nothing is old enough");
        assert!(store.trim(5, 99_000));
        assert_eq!(
            (store.first(), store.record(3), store.segments().len()),
            (4, None, 1)
        );
        assert_eq!(store.record(4).unwrap().appended_ms, 4000);
        assert!(!store.trim(99, 99_000), "the last segment is being written");
    }

    #[test]
    fn a_record_larger_than_a_segment_gets_one_of_its_own_size() {
        let mut store = Store::new(0, 0);
        store.append(b"small", 0).unwrap();
        store.append(&vec![7; 3 * SEGMENT_BYTES], 0).unwrap();
        store.append(b"after", 0).unwrap();
        assert_eq!(store.segments().len(), 3);
        assert_eq!(store.end(), 10 + 3 * SEGMENT_BYTES as u64);
    }
}
