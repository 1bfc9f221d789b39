//! The wire form of a group: one unidirectional stream with a header, a preface, tags, and a closing record.
//!
//! A tag's record is what the group's hash is made over, byte for byte: type, 64-bit time, length, payload.

use bytes::{BufMut, Bytes, BytesMut};

use crate::flv::TagKind;
use crate::stream::{GroupHead, GroupSeal, Headers, LoggedTag, MAX_EXTRAS, Position, StreamKey};

/// The version of the media framing. A change that an older child cannot skip counts it up.
pub const VERSION: u8 = 1;

/// The largest tag. RTMP's 24-bit length cannot say more, so none can come in.
pub const MAX_TAG_BYTES: u32 = 16 << 20;

/// The largest piece of a preface: what a log keeps as a header ([`crate::stream::MAX_HEADER_BYTES`]).
pub const MAX_PREFACE_BYTES: u32 = 64 << 10;

/// The largest record of a kind that this version does not know and skips.
pub const MAX_UNKNOWN_BYTES: u32 = 64 << 10;

/// The longest header after its length field: the key, the fixed fields, and as much again for a later version.
pub const MAX_HEADER_BYTES: u16 = 1024;

/// Bytes of a tag's record before its payload.
pub(super) const TAG_HEAD_BYTES: usize = 1 + 8 + 4;

/// The version, and the length of what follows in the header.
pub(super) const LEAD_BYTES: usize = 1 + 2;

/// The closing record: its type, count and hash.
pub(super) const SEAL_BYTES: usize = 1 + 4 + 32;

/// The type of the closing record. A tag's record has the tag's own type (8, 9, 18).
pub(super) const SEAL: u8 = 0;

/// Set in the type of a preface's record, beside the tag's type.
pub(super) const PREFACE: u8 = 0x40;

/// Set in the type of a record that one who does not know it may skip: a length of 4 bytes follows.
pub(super) const SKIPPABLE: u8 = 0x80;

/// Set in the type of an extra of the preface: a child of an earlier version skips it.
pub(super) const EXTRA: u8 = SKIPPABLE | PREFACE;

/// The type of what the operator says of the tracks: one byte. A child of an earlier version skips it, too.
pub(super) const STATED: u8 = SKIPPABLE | 1;

const CONTINUATION: u8 = 1;
const RESUMED: u8 = 2;
const DISCONTINUITY: u8 = 4;
const PREVIOUS: u8 = 8;

/// A group among all of its stream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The epoch.
    pub epoch: u64,
    /// Its number in it.
    pub number: u64,
}

impl GroupId {
    /// The group of a position.
    pub const fn of(position: Position) -> Self {
        Self {
            epoch: position.epoch,
            number: position.group,
        }
    }

    /// The position of its tag number `tags`.
    pub const fn at(self, tags: u32) -> Position {
        Position {
            epoch: self.epoch,
            group: self.number,
            tags,
        }
    }
}

/// What a group's stream begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// The stream.
    pub stream: StreamKey,
    /// How the group begins, as the log has it.
    pub head: GroupHead,
    /// Goes on from the position that the child named in Hello.
    pub resumed: bool,
    /// Does not follow what the child had before: tags are missing between.
    pub discontinuity: bool,
    /// The group of this stream that was opened before this one on this link.
    pub previous: Option<GroupId>,
    /// The index of the first tag that is sent: how many the child has.
    pub first_tag: u32,
}

impl GroupHeader {
    /// Which group it is.
    pub const fn id(&self) -> GroupId {
        GroupId {
            epoch: self.head.epoch,
            number: self.head.number,
        }
    }

    /// The position of the first tag that is sent.
    pub const fn position(&self) -> Position {
        self.id().at(self.first_tag)
    }
}

/// What is wrong with a group's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header has a version that this end does not know.
    #[error("media framing of version {0} is not known here")]
    Version(u8),
    /// The header is longer than any is, or shorter than its fields.
    #[error("the group's header has a wrong length")]
    HeaderLength,
    /// The header's key is no stream name.
    #[error("the group's stream has no valid name")]
    Key,
    /// A record of a type that must be known.
    #[error("unknown record type {0:#04x}")]
    RecordType(u8),
    /// A tag over [`MAX_TAG_BYTES`].
    #[error("a tag of {0} bytes is over the limit")]
    TagLength(u32),
    /// A piece of the preface over [`MAX_PREFACE_BYTES`].
    #[error("a preface of {0} bytes is over the limit")]
    PrefaceLength(u32),
    /// An unknown record over [`MAX_UNKNOWN_BYTES`].
    #[error("an unknown record of {0} bytes is over the limit")]
    UnknownLength(u32),
    /// A preface after a tag, twice of one kind, or in a group that goes on in its middle.
    #[error("a preface where none may be")]
    Preface,
    /// More tags than a group can count.
    #[error("more tags than a group can count")]
    TooManyTags,
    /// The closing record counts other than what came.
    #[error("the closing record counts {announced} tags where {sent} came")]
    Count {
        /// What it says.
        announced: u32,
        /// Tags held before, and sent.
        sent: u32,
    },
    /// Bytes after the closing record.
    #[error("bytes after the closing record")]
    AfterSeal,
    /// The stream ended without its closing record.
    #[error("the group ended without its closing record")]
    Unsealed,
}

/// The header's bytes.
pub fn encode_header(header: &GroupHeader) -> Bytes {
    let key = header.stream.as_str().as_bytes();
    let mut out = BytesMut::with_capacity(LEAD_BYTES + 64 + key.len());
    out.put_u8(VERSION);
    out.put_u16(0);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_u8(
        flag(header.head.continuation, CONTINUATION)
            | flag(header.resumed, RESUMED)
            | flag(header.discontinuity, DISCONTINUITY)
            | flag(header.previous.is_some(), PREVIOUS),
    );
    // A key is at most 255 bytes long: `StreamKey` sees to it.
    out.put_u8(u8::try_from(key.len()).unwrap_or(u8::MAX));
    out.put_slice(key);
    out.put_u64(header.head.epoch);
    out.put_u64(header.head.number);
    out.put_u32(header.first_tag);
    out.put_u64(header.head.first_time);
    out.put_u64(header.head.origin_us);
    if let Some(previous) = header.previous {
        out.put_u64(previous.epoch);
        out.put_u64(previous.number);
    }
    let length = u16::try_from(out.len() - LEAD_BYTES).unwrap_or(u16::MAX);
    out[1..LEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    out.freeze()
}

/// Reads what follows the lead of a header. More bytes than the fields need are a later version's, and ignored.
pub(super) fn decode_header(mut bytes: &[u8]) -> Result<GroupHeader, FrameError> {
    let bytes = &mut bytes;
    let flags = u64_of(bytes, 1)? as u8;
    let key_length = u64_of(bytes, 1)? as usize;
    let (key, rest) = bytes
        .split_at_checked(key_length)
        .ok_or(FrameError::HeaderLength)?;
    *bytes = rest;
    let stream = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
    let (epoch, number) = (u64_of(bytes, 8)?, u64_of(bytes, 8)?);
    let first_tag = u64_of(bytes, 4)? as u32;
    let (first_time, origin_us) = (u64_of(bytes, 8)?, u64_of(bytes, 8)?);
    let previous = match flags & PREVIOUS {
        0 => None,
        _ => Some(GroupId {
            epoch: u64_of(bytes, 8)?,
            number: u64_of(bytes, 8)?,
        }),
    };
    Ok(GroupHeader {
        stream: stream.ok_or(FrameError::Key)?,
        head: GroupHead {
            epoch,
            number,
            continuation: flags & CONTINUATION != 0,
            first_time,
            origin_us,
        },
        resumed: flags & RESUMED != 0,
        discontinuity: flags & DISCONTINUITY != 0,
        previous,
        first_tag,
    })
}

/// A big-endian number of `width` bytes (at most 8) from the front of `bytes`.
pub(super) fn u64_of(bytes: &mut &[u8], width: usize) -> Result<u64, FrameError> {
    let (number, rest) = bytes.split_at_checked(width).ok_or(FrameError::HeaderLength)?;
    *bytes = rest;
    Ok(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The records of a preface, ready to be written.
pub fn encode_preface(headers: &Headers, out: &mut Vec<Bytes>) {
    let main = Headers {
        extras: Vec::new(),
        ..headers.clone()
    };
    let mut put = |kind: u8, payload: &Bytes| {
        if payload.is_empty() || payload.len() > MAX_PREFACE_BYTES as usize {
            return;
        }
        let mut head = BytesMut::with_capacity(5);
        head.put_u8(kind);
        head.put_u32(length(payload));
        out.extend([head.freeze(), payload.clone()]);
    };
    for tag in main.tags(0) {
        put(tag.kind as u8 | PREFACE, &tag.payload);
    }
    for extra in headers.extras.iter().take(MAX_EXTRAS) {
        put(extra.kind as u8 | EXTRA, &extra.payload);
    }
    if !headers.stated.is_empty() {
        put(STATED, &Bytes::copy_from_slice(&[headers.stated.to_bits()]));
    }
}

/// The records of tags, ready to be written: payloads are the log's own memory, and only the heads are made.
pub fn encode_tags(tags: Vec<LoggedTag>, out: &mut Vec<Bytes>) {
    let mut heads = BytesMut::with_capacity(tags.len() * TAG_HEAD_BYTES);
    for tag in tags {
        heads.put_u8(tag.kind as u8);
        heads.put_u64(tag.time);
        heads.put_u32(length(&tag.payload));
        out.push(heads.split().freeze());
        if !tag.payload.is_empty() {
            out.push(tag.payload);
        }
    }
}

/// The closing record.
pub fn encode_seal(seal: &GroupSeal) -> Bytes {
    let mut out = BytesMut::with_capacity(SEAL_BYTES);
    out.put_u8(SEAL);
    out.put_u32(seal.count);
    out.put_slice(&seal.hash);
    out.freeze()
}

/// No tag is over 16 MiB: RTMP and FLV have 24 bits for its length.
fn length(payload: &Bytes) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}

/// The kind of tag that a preface's record holds, if `kind` is the type of one.
pub(super) const fn preface_kind(kind: u8) -> Option<TagKind> {
    if kind & EXTRA != PREFACE {
        return None;
    }
    TagKind::from_wire(kind & !PREFACE)
}

/// The kind of tag that an extra of the preface holds, likewise.
pub(super) const fn extra_kind(kind: u8) -> Option<TagKind> {
    if kind & EXTRA != EXTRA {
        return None;
    }
    TagKind::from_wire(kind & !EXTRA)
}
