//! A stream's log: records in each flavour that somebody reads, groups, start points, headers, retention.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::group::{Group, Position};
use super::headers::Headers;
use super::live::{Lease, LoggedTag, Read};
use super::metadata;
use super::rate::Rate;
use super::store::Store;
use super::tracks::{Stated, Tracks};
use super::view::Start;
use super::warnings::{Seen, Watch};
use crate::clock::Now;
use crate::codec;
use crate::flavour::Flavour;
use crate::flv::{Tag, TagKind};

/// How long a flavour other than the log's own is kept after its last viewer has gone, in milliseconds.
const SIDE_LINGER_MS: u64 = 30_000;

/// How far back a side flavour reaches beyond its newest start point, in milliseconds. A viewer that makes no progress
/// is closed after 15 s and one that is 5 s late skips, so that nobody who lives longer needs more.
const SIDE_WINDOW_MS: u64 = 20_000;

/// How far the times of two tracks may be apart where they lie side by side in the log, in milliseconds. Within a track
/// times never step back; encoders interleave to within a second or two.
const MAX_SKEW_MS: u64 = 10_000;

/// What a joiner is given at once at most: a start point with more than this behind it is none any more, and joiners wait for
/// the next one (R43). A minute at 17 Mbit/s, ten seconds at 100; beyond it the burst itself would make a joiner late.
pub(super) const MAX_BURST_BYTES: u64 = 128 << 20;

/// The same in tags: a minute has some 7,000.
const MAX_BURST_TAGS: u64 = 65_536;

#[derive(Debug)]
pub(super) struct Log {
    pub(super) main: Store,
    pub(super) tags: VecDeque<TagNote>,
    pub(super) side: [Option<Side>; Flavour::ALL.len()],
    pub(super) groups: VecDeque<Group>,
    pub(super) starts: VecDeque<Start>,
    pub(super) headers: Arc<Headers>,
    pub(super) ended: bool,
    pub(super) totals: Totals,
    pub(super) rate: Rate,
    pub(super) tracks: Tracks,
    pub(super) watch: Watch,
    /// The epoch that these two are of.
    watched: Option<u64>,
    /// What this node's operator says of the tracks.
    stated: Stated,
    pub(super) scratch: Vec<u8>,
    /// Stores made so far: a flavour that was lost and made again is another store.
    pub(super) stores: u64,
}

/// What the log's own flavour knows of each record beyond its place: enough to give the tag back.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagNote {
    kind: TagKind,
    time: u64,
    payload_at: u16,
    payload_len: u32,
}

/// A flavour made for those who want it.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) lease: Arc<()>,
    pub(super) unused_since_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) tags: u64,
    pub(super) bytes: u64,
    pub(super) groups: u64,
    pub(super) last_time: Option<u64>,
    pub(super) last_append_ms: Option<u64>,
    /// Start points given up because too much had come behind them.
    pub(super) outgrown: u64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            main: Store::new(0, 0),
            tags: VecDeque::new(),
            side: Default::default(),
            groups: VecDeque::new(),
            starts: VecDeque::new(),
            headers: Arc::default(),
            ended: false,
            totals: Totals::default(),
            rate: Rate::default(),
            tracks: Tracks::default(),
            watch: Watch::default(),
            watched: None,
            stated: Stated::default(),
            scratch: Vec::new(),
            stores: 0,
        }
    }

    /// Appends a record in the log's own flavour and in each one that somebody reads; its sequence number.
    pub(super) fn append_record(&mut self, tag: &Tag, now: Now) -> io::Result<u64> {
        let sequence = self.main.next();
        self.scratch.clear();
        let payload_at = Flavour::Flv.frame(tag, &mut self.scratch);
        self.main.append(&self.scratch, now.mono_ms)?;
        self.tags.push_back(TagNote {
            kind: tag.kind,
            time: tag.time,
            // A chunk head has at most 8 digits, a tag header 11 bytes.
            payload_at: u16::try_from(payload_at).unwrap_or(u16::MAX),
            payload_len: u32::try_from(tag.payload.len()).unwrap_or(u32::MAX),
        });
        for flavour in Flavour::ALL {
            if let Some(side) = &mut self.side[flavour.index()] {
                self.scratch.clear();
                flavour.frame(tag, &mut self.scratch);
                if side.store.append(&self.scratch, now.mono_ms).is_err() {
                    // Memory ran out for this flavour alone; its viewers are closed, the stream goes on.
                    self.side[flavour.index()] = None;
                }
            }
        }
        Ok(sequence)
    }

    pub(super) fn note_headers(&mut self, tag: &Tag) -> bool {
        let info = codec::classify(tag.kind, &tag.payload);
        let replaced = self.headers.may_change(tag.kind, &info) && {
            let mut headers = Headers::clone(&self.headers);
            let replaced = headers.note(tag, &info);
            if headers != *self.headers {
                self.headers = Arc::new(headers);
            }
            replaced
        };
        self.watch_epoch();
        if replaced {
            self.watch_headers();
        }
        let is_frame = info.is_frame(tag.kind);
        self.tracks.note(tag.kind, is_frame, tag.time);
        let seen = Seen {
            kind: tag.kind,
            is_frame,
            is_start: info.keyframe || info.recovery,
            time: tag.time,
            bytes: tag.payload.len(),
        };
        self.watch.note(seen, &self.tracks);
        replaced
    }

    /// Another epoch is another publisher: what was known of the one before is of no use.
    fn watch_epoch(&mut self) {
        let epoch = self.groups.back().map(|group| group.head.epoch);
        if self.watched != epoch {
            self.watched = epoch;
            self.tracks.restart();
            self.watch = Watch::default();
            self.watch_headers();
        }
    }

    /// Takes the operator's word on the tracks.
    pub(super) fn state_tracks(&mut self, stated: Stated) {
        self.stated = stated;
        let headers = Headers::clone(&self.headers);
        self.headers = Arc::new(Headers {
            stated: stated.or(headers.stated),
            ..headers
        });
        self.watch_headers();
    }

    /// Takes what the headers in force say of the tracks.
    fn watch_headers(&mut self) {
        let headers = &self.headers;
        self.tracks.state(headers.stated);
        self.tracks
            .configure(headers.audio.is_some(), headers.video.is_some());
        let said = headers.metadata.as_deref().map(metadata::announcement);
        if let Some(said) = said.filter(|said| !said.empty) {
            self.tracks.announce(said.audio, said.video);
        }
        let label = headers
            .video
            .as_deref()
            .map(|header| codec::classify(TagKind::Video, header));
        self.watch.note_label(label.is_some_and(|info| info.mislabelled));
    }

    /// Takes over the headers that stand before the group just begun. Within an epoch a track that was seen stays known.
    pub(super) fn take_preface(&mut self, preface: &Headers) {
        let mut headers = preface.bounded();
        headers.stated = self.stated.or(headers.stated);
        let epochs = self
            .groups
            .iter()
            .rev()
            .take(2)
            .map(|group| group.head.epoch)
            .collect::<Vec<_>>();
        if matches!(epochs[..], [newest, before] if newest == before) {
            headers.has_video |= self.headers.has_video;
            headers.has_audio |= self.headers.has_audio;
        }
        self.headers = Arc::new(headers);
        self.watch_epoch();
        self.watch_headers();
        let (first_record, headers) = (self.main.next(), Arc::clone(&self.headers));
        if let Some(group) = self.groups.back_mut() {
            group.first_record = first_record;
            group.headers = headers;
        }
    }

    /// Counts a tag of the stream; at the first tag of a group that is no continuation a start point comes to be.
    pub(super) fn count_tag(&mut self, tag: &Tag, record: u64, headers_changed: bool) -> Position {
        self.totals.tags += 1;
        self.totals.bytes += tag.payload.len() as u64;
        self.totals.last_time = self.totals.last_time.max(Some(tag.time));
        self.totals.last_append_ms = self.main.record(record).map(|record| record.appended_ms);
        let headers = Arc::clone(&self.headers);
        let Some(group) = self.groups.back_mut() else {
            return Position {
                epoch: 0,
                group: 0,
                tags: 0,
            };
        };
        group.count_tag(tag);
        if group.count == 1 {
            group.first_record = record;
            if !headers_changed {
                group.headers = Arc::clone(&headers);
            }
            if !group.head.continuation {
                let position = group.position(0);
                let headers = Arc::clone(&group.headers);
                self.starts.push_back(Start {
                    sequence: record,
                    time: tag.time,
                    position,
                    headers,
                });
            }
        }
        let group = &self.groups[self.groups.len() - 1];
        group.position(group.count)
    }

    pub(super) fn find_group(&self, epoch: u64, number: u64) -> Option<usize> {
        let index = self
            .groups
            .partition_point(|group| (group.head.epoch, group.head.number) < (epoch, number));
        let found = self.groups.get(index)?;
        ((found.head.epoch, found.head.number) == (epoch, number)).then_some(index)
    }

    pub(super) fn tags_between(&self, first: u64, end: u64, max_bytes: usize) -> Read {
        let mut tags = Vec::new();
        let mut taken = 0;
        for sequence in first..end {
            let Some(tag) = self.tag(sequence) else {
                return Read::Gone;
            };
            taken += tag.payload.len();
            tags.push(tag);
            if taken >= max_bytes {
                break;
            }
        }
        Read::Tags(tags)
    }

    pub(super) fn tag(&self, sequence: u64) -> Option<LoggedTag> {
        let record = self.main.record(sequence)?;
        let note = self
            .tags
            .get(usize::try_from(sequence - self.main.first()).ok()?)?;
        let from = record.offset + u64::from(note.payload_at);
        let segment = self.main.segment_at(record.offset)?;
        Some(LoggedTag {
            kind: note.kind,
            time: note.time,
            payload: segment.share(from, from + u64::from(note.payload_len)),
            appended_ms: record.appended_ms,
        })
    }

    /// The bodies of all tags of that kind with that time on the wire, of which there may be several; `None` if there is none and
    /// the log does not hold such tags from before and after, either.
    ///
    /// The newest are looked at first, and no further back than such a tag can lie.
    pub(super) fn tags_at(&self, kind: TagKind, time: u32) -> Option<Vec<Bytes>> {
        let newest = self.totals.last_time?;
        // What is ahead of the newest one wraps to nearly 2³² behind it, where no log reaches.
        let behind = (newest as u32).wrapping_sub(time);
        let time = newest.checked_sub(behind.into())?;
        let (mut found, mut before, mut after) = (Vec::new(), false, false);
        for (index, note) in self.tags.iter().enumerate().rev() {
            if note.time.saturating_add(MAX_SKEW_MS) < time {
                break;
            }
            if note.kind == kind {
                before |= note.time < time;
                after |= note.time > time;
                if note.time == time {
                    found.push(self.tag(self.main.first() + index as u64)?.payload);
                }
            }
        }
        (!found.is_empty() || (before && after)).then_some(found)
    }

    /// Whether that body is metadata or a sequence header in force at some place of the log.
    pub(super) fn has_header(&self, kind: TagKind, payload: &[u8]) -> bool {
        let of_groups = self.groups.iter().map(|group| &group.headers);
        of_groups
            .chain([&self.headers])
            .any(|headers| headers.contain(kind, payload))
    }

    pub(super) fn lease(&mut self, flavour: Flavour) -> io::Result<Lease> {
        if flavour == Flavour::Flv {
            return Ok(Lease::of(Arc::default()));
        }
        if self.side[flavour.index()].is_none() {
            let first = self
                .starts
                .back()
                .map_or_else(|| self.main.next(), |start| start.sequence);
            self.stores += 1;
            let mut store = Store::new(first, self.stores);
            for sequence in first..self.main.next() {
                let Some(tag) = self.tag(sequence) else { continue };
                self.scratch.clear();
                let whole = Tag {
                    kind: tag.kind,
                    time: tag.time,
                    payload: tag.payload,
                };
                flavour.frame(&whole, &mut self.scratch);
                store.append(&self.scratch, tag.appended_ms)?;
            }
            self.side[flavour.index()] = Some(Side {
                store,
                lease: Arc::default(),
                unused_since_ms: None,
            });
        }
        let side = self.side[flavour.index()].as_ref();
        Ok(Lease::of(
            side.map(|side| Arc::clone(&side.lease)).unwrap_or_default(),
        ))
    }

    pub(super) fn trim(&mut self, window_ms: u64, now: Now) {
        self.give_up_outgrown_start();
        // Without a start point the window alone decides.
        let keep = self.starts.back().map_or(u64::MAX, |start| start.sequence);
        self.trim_to(keep, now.mono_ms.saturating_sub(window_ms));
        for slot in &mut self.side {
            let Some(side) = slot else { continue };
            side.store.trim(keep, now.mono_ms.saturating_sub(SIDE_WINDOW_MS));
            if Arc::strong_count(&side.lease) > 1 {
                side.unused_since_ms = None;
                continue;
            }
            let since = *side.unused_since_ms.get_or_insert(now.mono_ms);
            if now.mono_ms.saturating_sub(since) >= SIDE_LINGER_MS {
                *slot = None;
            }
        }
    }

    /// Gives up the newest start point, and with it the older ones, once more has come behind it than a joiner should get at
    /// once. What is kept is whole all the same: joiners are given the headers and wait for the next start point, and who is
    /// there already goes on.
    fn give_up_outgrown_start(&mut self) {
        let Some(start) = self.starts.back() else { return };
        let begins = self.main.record(start.sequence).map_or(0, |record| record.offset);
        let bytes = self.main.end().saturating_sub(begins);
        let tags = self.main.next().saturating_sub(start.sequence);
        if bytes > MAX_BURST_BYTES || tags > MAX_BURST_TAGS {
            self.starts.clear();
            self.totals.outgrown += 1;
        }
    }

    /// The same for the flavours that were made for somebody.
    pub(super) fn trim_sides_to(&mut self, keep: u64) {
        for side in self.side.iter_mut().flatten() {
            side.store.trim(keep, u64::MAX);
        }
    }

    pub(super) fn trim_to(&mut self, keep: u64, before_ms: u64) {
        if !self.main.trim(keep, before_ms) {
            return;
        }
        let first = self.main.first();
        let gone = self.main.records_held_less_than(self.tags.len());
        self.tags.drain(..gone);
        while self.starts.front().is_some_and(|start| start.sequence < first) {
            self.starts.pop_front();
        }
        // A group with its first tags gone can still be resumed in its middle; one with none left cannot.
        while self.groups.len() > 1
            && self
                .groups
                .front()
                .is_some_and(|group| group.first_record + u64::from(group.count) <= first)
        {
            self.groups.pop_front();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let side: usize = self.side.iter().flatten().map(|side| side.store.bytes()).sum();
        self.main.bytes() + self.tags.len() * size_of::<TagNote>() + side
    }
}
