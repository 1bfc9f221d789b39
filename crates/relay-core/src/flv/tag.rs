//! The tag: one audio, video or script message of a stream.

use bytes::Bytes;

/// What a tag carries; the number is its type on the wire, in FLV and RTMP alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TagKind {
    /// Audio data.
    Audio = 8,
    /// Video data.
    Video = 9,
    /// Script data: `onMetaData` and the like, AMF0.
    Script = 18,
}

impl TagKind {
    /// The kind for a type number of the wire, if it is one of the three.
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }
}

/// One tag. The payload is the tag's body, without FLV or RTMP framing, and never changes on its way (R33, R56).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Decoding time in milliseconds on the stream's output timeline: 64 bits inside, wrapped on the wire only (R15).
    pub time: u64,
    /// The body.
    pub payload: Bytes,
}

/// Appends the tag's wire form: header, payload, and its own PreviousTagSize.
pub fn encode_into(out: &mut Vec<u8>, tag: &Tag) {
    let len = tag.payload.len() as u32;
    let time = tag.time as u32;
    out.push(tag.kind as u8);
    out.extend_from_slice(&len.to_be_bytes()[1..]);
    out.extend_from_slice(&time.to_be_bytes()[1..]);
    out.push((time >> 24) as u8);
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&tag.payload);
    out.extend_from_slice(&(len + 11).to_be_bytes());
}

/// The file header and PreviousTagSize0.
pub fn file_header(audio: bool, video: bool) -> [u8; 13] {
    let flags = u8::from(audio) << 2 | u8::from(video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}
