//! The tag: one audio, video or script message of a stream.

use bytes::Bytes;

use super::error::FlvError;

/// Bytes of a tag's header in a file.
pub const TAG_HEADER_BYTES: usize = 11;

/// Bytes of the field after each tag that repeats its size.
pub const PREVIOUS_TAG_SIZE_BYTES: usize = 4;

/// The longest body: the header has 24 bits for its length, one byte short of 16 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 0xFF_FFFF;

/// The bit of the type byte that says that the body went through a filter, which is to say, is encrypted.
const FILTER_BIT: u8 = 0x20;

/// The part of the type byte that is the type; the two bits above the filter bit are reserved and ignored.
const TYPE_BITS: u8 = 0x1F;

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

/// A tag's header as a file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagHeader {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Bytes of the body that follows.
    pub length: u32,
    /// The time as written: 24 bits and the extension byte on top of them.
    pub time: u32,
}

impl TagHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// What its writer did wrong.
    pub const fn parse(bytes: &[u8; TAG_HEADER_BYTES]) -> Result<Self, FlvError> {
        let [kind, l2, l1, l0, t2, t1, t0, t3, s2, s1, s0] = *bytes;
        if kind & FILTER_BIT != 0 {
            return Err(FlvError::Encrypted);
        }
        let Some(kind) = TagKind::from_wire(kind & TYPE_BITS) else {
            return Err(FlvError::UnknownType(kind & TYPE_BITS));
        };
        let stream_id = u32::from_be_bytes([0, s2, s1, s0]);
        if stream_id != 0 {
            return Err(FlvError::StreamId(stream_id));
        }
        let length = u32::from_be_bytes([0, l2, l1, l0]);
        if length == 0 {
            return Err(FlvError::EmptyTag);
        }
        let time = u32::from_be_bytes([t3, t2, t1, t0]);
        Ok(Self { kind, length, time })
    }

    /// The header's wire form. A `length` beyond 24 bits cannot be written; its upper bits are lost.
    pub const fn to_bytes(self) -> [u8; TAG_HEADER_BYTES] {
        let [_, l2, l1, l0] = self.length.to_be_bytes();
        let [t3, t2, t1, t0] = self.time.to_be_bytes();
        [self.kind as u8, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0]
    }
}

/// Appends the tag's wire form: header, payload, and its own PreviousTagSize. The time is wrapped to 32 bits.
///
/// Of a payload longer than [`MAX_PAYLOAD_BYTES`] only so much is written: FLV has no way to say more, and the
/// framing of all that follows must stay whole. No ingest lets a message that long in.
pub fn encode_into(out: &mut Vec<u8>, tag: &Tag) {
    let body = &tag.payload[..tag.payload.len().min(MAX_PAYLOAD_BYTES)];
    let length = body.len() as u32; // fits: cut to 24 bits above
    let header = TagHeader {
        kind: tag.kind,
        length,
        time: tag.time as u32, // wraps, as every FLV and RTMP reader expects (R15)
    };
    out.reserve(encoded_len(body.len()));
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&(length + TAG_HEADER_BYTES as u32).to_be_bytes());
}

/// Bytes that [`encode_into`] appends for a payload of this length.
pub const fn encoded_len(payload: usize) -> usize {
    TAG_HEADER_BYTES + payload + PREVIOUS_TAG_SIZE_BYTES
}

/// The file header and PreviousTagSize0. The flags must tell the truth: a player waits for a track that it is promised (R37).
pub const fn file_header(audio: bool, video: bool) -> [u8; 13] {
    let flags = (audio as u8) << 2 | video as u8;
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(time: u64, payload: &'static [u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let payload = Bytes::from_static(payload);
        encode_into(
            &mut out,
            &Tag {
                kind: TagKind::Video,
                time,
                payload,
            },
        );
        out
    }

    #[test]
    fn writes_a_tag_and_its_size() {
        #[rustfmt::skip]
        assert_eq!(encoded(0x12_3456, b"ab"), [
            9, 0, 0, 2, 0x12, 0x34, 0x56, 0, 0, 0, 0, b'a', b'b', 0, 0, 0, 13,
        ]);
        assert_eq!(encoded(0, b"abc").len(), encoded_len(3));
    }

    #[test]
    fn r15_time_above_24_bits_goes_to_the_extension_and_wraps_above_32() {
        assert_eq!(encoded(0x7F_FF_FF_FF, b"x")[4..8], [0xFF, 0xFF, 0xFF, 0x7F]);
        assert_eq!(encoded(0x1_02_03_04_05, b"x")[4..8], [3, 4, 5, 2]);
    }

    #[test]
    fn a_payload_beyond_24_bits_leaves_the_framing_whole() {
        let mut out = Vec::new();
        let payload = Bytes::from(vec![7; MAX_PAYLOAD_BYTES + 5]);
        encode_into(
            &mut out,
            &Tag {
                kind: TagKind::Audio,
                time: 0,
                payload,
            },
        );
        assert_eq!(out.len(), encoded_len(MAX_PAYLOAD_BYTES));
        assert_eq!(out[1..4], [0xFF; 3]);
    }

    #[test]
    fn a_header_reads_back() {
        let header = TagHeader {
            kind: TagKind::Script,
            length: 0x01_0203,
            time: 0xA1B2_C3D4,
        };
        assert_eq!(TagHeader::parse(&header.to_bytes()), Ok(header));
    }

    #[test]
    fn a_header_is_refused_by_what_is_wrong_with_it() {
        let good = TagHeader {
            kind: TagKind::Audio,
            length: 1,
            time: 0,
        }
        .to_bytes();
        let with = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            TagHeader::parse(&bytes)
        };
        assert_eq!(with(0, 10), Err(FlvError::UnknownType(10)));
        assert_eq!(with(0, 0x28), Err(FlvError::Encrypted));
        assert_eq!(with(3, 0), Err(FlvError::EmptyTag));
        assert_eq!(with(9, 1), Err(FlvError::StreamId(256)));
        assert!(with(0, 0xC8).is_ok(), "the reserved bits are ignored");
    }

    #[test]
    fn the_file_header_says_which_tracks_there_are() {
        assert_eq!(file_header(true, true)[4], 5);
        assert_eq!(file_header(true, false)[4], 4);
        assert_eq!(file_header(false, true)[4], 1);
        assert_eq!(&file_header(false, false), b"FLV\x01\0\0\0\0\x09\0\0\0\0");
    }
}
