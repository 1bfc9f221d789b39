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
