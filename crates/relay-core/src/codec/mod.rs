//! What a relay needs to know of a tag's body, from its first bytes: whether one may start there, whether it is a codec's
//! configuration. Everything else passes untouched (R33).
//!
//! Legacy bodies as in the FLV specification, annex E.4; enhanced ones as in Enhanced RTMP v2.

mod audio;
mod video;

use crate::flv::TagKind;

/// A codec by its FourCC; legacy numbers are given the FourCC that enhanced RTMP has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec(pub [u8; 4]);

impl Codec {
    /// H.264.
    pub const AVC: Self = Self(*b"avc1");
    /// H.265.
    pub const HEVC: Self = Self(*b"hvc1");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");
    /// MP3.
    pub const MP3: Self = Self(*b".mp3");
}

/// What a relay needs to know of a tag's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagInfo {
    /// A coded video frame at which a decoder can start.
    pub keyframe: bool,
    /// A codec's configuration, needed before the first frame.
    pub sequence_header: bool,
    /// `onMetaData`.
    pub metadata: bool,
    /// The end of a sequence: no frame, and no configuration.
    pub end_of_sequence: bool,
    /// The codec, where the body names it.
    pub codec: Option<Codec>,
}

/// Classifies a tag by its first bytes; any bytes at all give an answer.
pub fn classify(kind: TagKind, payload: &[u8]) -> TagInfo {
    match kind {
        TagKind::Video => video::classify(payload),
        TagKind::Audio => audio::classify(payload),
        TagKind::Script => TagInfo {
            metadata: is_metadata(payload),
            ..TagInfo::default()
        },
    }
}

/// An AMF0 string `onMetaData` first, whatever follows.
fn is_metadata(payload: &[u8]) -> bool {
    payload.starts_with(b"\x02\x00\x0aonMetaData")
}

/// Enhanced RTMP's packet type that carries modifiers before the real one.
const MOD_EX: u8 = 7;

/// Modifiers that one body may carry: the specification has one so far, and a loop must end.
const MAX_MODIFIERS: usize = 8;

/// Reads past the modifiers of an enhanced body: gives the real packet type and what follows it. A size byte of 255 is
/// followed by a size of 16 bits; sizes are written less one.
fn skip_modifiers(mut packet: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..MAX_MODIFIERS {
        if packet != MOD_EX {
            return Some((packet, rest));
        }
        let (size, after) = match rest {
            [255, high, low, after @ ..] => (usize::from(u16::from_be_bytes([*high, *low])) + 1, after),
            [size, after @ ..] => (usize::from(*size) + 1, after),
            [] => return None,
        };
        let (next, after) = after.get(size..)?.split_first()?;
        packet = next & 0x0F;
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_is_known_by_its_name() {
        let info = classify(TagKind::Script, b"\x02\x00\x0aonMetaData\x08\0\0\0\0");
        assert!(info.metadata);
        assert!(!classify(TagKind::Script, b"\x02\x00\x0bonTextDatas").metadata);
        assert_eq!(classify(TagKind::Script, b""), TagInfo::default());
    }

    #[test]
    fn modifiers_are_read_past() {
        assert_eq!(skip_modifiers(7, &[2, 9, 9, 9, 0x01, b'h']), Some((1, &b"h"[..])));
        assert_eq!(
            skip_modifiers(7, &[255, 0, 0, 9, 0x00, b'h']),
            Some((0, &b"h"[..]))
        );
        assert_eq!(skip_modifiers(7, &[200, 1]), None, "cut short");
        assert_eq!(skip_modifiers(7, &[0, 0, 7].repeat(20)), None, "without end");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(kind in 0..3usize, payload: Vec<u8>) {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][kind];
            let info = classify(kind, &payload);
            prop_assert!(!(info.keyframe && info.sequence_header), "a configuration is no frame");
            prop_assert!(!info.keyframe || kind == TagKind::Video);
        }
    }
}
