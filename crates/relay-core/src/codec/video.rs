//! Video bodies.

use super::enhanced::{self, CODED_FRAMES, SEQUENCE_END, SEQUENCE_START};
use super::{Codec, TagInfo};

/// Frame types, in the upper bits of the first byte.
const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;

/// Packet types of enhanced bodies that only video has.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MPEG2TS_SEQUENCE_START: u8 = 5;
const MULTITRACK: u8 = 6;

pub(super) fn classify(payload: &[u8]) -> TagInfo {
    let Some((first, rest)) = payload.split_first() else {
        return TagInfo::default();
    };
    let frame_type = first >> 4 & 0x07;
    if first & 0x80 != 0 {
        return by_four_cc(frame_type, first & 0x0F, rest).unwrap_or_default();
    }
    legacy(frame_type, first & 0x0F, rest)
}

/// A number for the codec, and for AVC (and the HEVC that old tools send by number, R34) a packet type.
fn legacy(frame_type: u8, codec: u8, rest: &[u8]) -> TagInfo {
    let key = frame_type == KEYFRAME;
    let codec = match codec {
        7 => Codec::AVC,
        12 => Codec::HEVC,
        _ => {
            return TagInfo {
                keyframe: key,
                ..TagInfo::default()
            };
        }
    };
    let packet = rest.first().copied();
    TagInfo {
        keyframe: key && packet == Some(1),
        sequence_header: packet == Some(0) && frame_type != COMMAND,
        end_of_sequence: packet == Some(2),
        codec: Some(codec),
        ..TagInfo::default()
    }
}

/// By which number HEVC is sent where it should be by FourCC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegacyHevc {
    /// 12, which old tools agreed on.
    Its,
    /// 7, which is AVC's: a mistake.
    Avcs,
}

/// Whether a body is HEVC by number (R34). By AVC's, it is known by a configuration that is no AVC's.
pub(crate) fn hevc_by_number(payload: &[u8]) -> Option<LegacyHevc> {
    match payload {
        [first, ..] if first & 0x8F == 12 => Some(LegacyHevc::Its),
        [first, 0, _, _, _, record @ ..] if first & 0x8F == 7 && is_hevc(record) => Some(LegacyHevc::Avcs),
        _ => None,
    }
}

/// Where the two configurations have reserved bits, all of them one (ISO/IEC 14496-15, 5.3.3 and 8.3.3). Some write zeros
/// into AVC's, so that they are missing there proves nothing alone.
fn is_hevc(record: &[u8]) -> bool {
    let set = |at: usize, bits: u8| record.get(at).is_some_and(|byte| byte & bits == bits);
    let avc = set(4, 0xFC) && set(5, 0xE0);
    !avc && set(13, 0xF0) && set(15, 0xFC) && set(16, 0xFC) && set(17, 0xF8) && set(18, 0xF8)
}

/// A packet type and a FourCC, with modifiers and several tracks as the sender likes.
fn by_four_cc(frame_type: u8, packet: u8, rest: &[u8]) -> Option<TagInfo> {
    let (packet, rest) = enhanced::skip_modifiers(packet, rest)?;
    if frame_type == COMMAND && packet != METADATA {
        // A command to the player's buffer: one byte, no codec.
        return None;
    }
    let head = enhanced::parse(packet, MULTITRACK, rest)?;
    let main = head.main.is_some();
    let coded =
        matches!(head.packet, CODED_FRAMES | CODED_FRAMES_X) && head.main.is_some_and(|b| !b.is_empty());
    let config = matches!(head.packet, SEQUENCE_START | MPEG2TS_SEQUENCE_START);
    Some(TagInfo {
        keyframe: frame_type == KEYFRAME && coded,
        sequence_header: config && main,
        end_of_sequence: head.packet == SEQUENCE_END && main,
        codec: Some(head.codec),
        ..TagInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(codec: &[u8; 4]) -> TagInfo {
        TagInfo {
            keyframe: true,
            codec: Some(Codec(*codec)),
            ..TagInfo::default()
        }
    }

    fn header(codec: &[u8; 4]) -> TagInfo {
        TagInfo {
            sequence_header: true,
            codec: Some(Codec(*codec)),
            ..TagInfo::default()
        }
    }

    fn frame(codec: &[u8; 4]) -> TagInfo {
        TagInfo {
            codec: Some(Codec(*codec)),
            ..TagInfo::default()
        }
    }

    #[test]
    fn legacy_bodies() {
        assert_eq!(classify(b"\x17\x00\0\0\0\x01d"), header(b"avc1"));
        assert_eq!(classify(b"\x17\x01\0\0\0\0"), key(b"avc1"));
        assert_eq!(classify(b"\x27\x01\0\0\0\0"), frame(b"avc1"));
        assert!(classify(b"\x17\x02\0\0\0").end_of_sequence);
        assert_eq!(
            classify(b"\x1c\x00\0\0\0"),
            header(b"hvc1"),
            "HEVC by number (R34)"
        );
        assert_eq!(
            classify(b"\x12\0"),
            TagInfo {
                keyframe: true,
                ..TagInfo::default()
            },
            "Sorenson"
        );
        assert_eq!(classify(b"\x17"), frame(b"avc1"), "cut short: no place to start");
        assert_eq!(classify(b""), TagInfo::default(), "R29");
    }

    #[test]
    fn r34_hevc_by_number_is_known() {
        let hevc = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03";
        let avc = b"\x01\x64\0\x1f\xff\xe1\0\x19\x67\x64\0\x1f\xac\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03";
        let sloppy = b"\x01\x64\0\x1f\x03\x01\0\x19\x67\x64\0\x1f\xac\xd9\x40\x50\x05\xbb\x01\x10\0\0\x03";
        let body = |first: &[u8], record: &[u8]| [first, b"\0\0\0\0", record].concat();
        assert_eq!(hevc_by_number(&body(b"\x1c", hevc)), Some(LegacyHevc::Its));
        assert_eq!(hevc_by_number(b"\x2c\x01"), Some(LegacyHevc::Its));
        assert_eq!(hevc_by_number(&body(b"\x17", hevc)), Some(LegacyHevc::Avcs));
        assert_eq!(hevc_by_number(&body(b"\x17", avc)), None);
        assert_eq!(hevc_by_number(&body(b"\x17", sloppy)), None);
        assert_eq!(
            hevc_by_number(&body(b"\x9c", hevc)),
            None,
            "no number but an enhanced body"
        );
        for end in 0..20 {
            assert_eq!(hevc_by_number(&body(b"\x17", hevc)[..end]), None, "cut short");
        }
    }

    #[test]
    fn enhanced_bodies_of_any_fourcc() {
        for codec in [b"hvc1", b"av01", b"vp09", b"avc1", b"zzzz"] {
            let body = |first: u8| [&[first], &codec[..], b"\0\0\0data"].concat();
            assert_eq!(classify(&body(0x90)), header(codec));
            assert_eq!(classify(&body(0x91)), key(codec));
            assert_eq!(classify(&body(0x93)), key(codec));
            assert_eq!(classify(&body(0xA1)), frame(codec));
            assert!(classify(&body(0x92)).end_of_sequence);
            assert_eq!(
                classify(&body(0x94)),
                frame(codec),
                "metadata is neither frame nor configuration"
            );
        }
    }

    #[test]
    fn several_tracks_and_modifiers() {
        assert_eq!(
            classify(b"\x96\x01hvc1\0data"),
            key(b"hvc1"),
            "one codec, coded frames"
        );
        assert_eq!(
            classify(b"\x96\x10hvc1\0\0\0\x04data"),
            header(b"hvc1"),
            "many tracks, sequence start"
        );
        assert_eq!(
            classify(b"\x96\x21av01\x01\0\0\x01ahvc1\0\0\0\x01b"),
            key(b"hvc1"),
            "many codecs: the main track's"
        );
        assert_eq!(
            classify(b"\x96\x00hvc1\x01conf"),
            frame(b"hvc1"),
            "the configuration of another track"
        );
        assert_eq!(
            classify(b"\x96\x01hvc1\x01data"),
            frame(b"hvc1"),
            "a key frame of another track"
        );
        assert_eq!(
            classify(b"\x91hvc1"),
            frame(b"hvc1"),
            "R29: nothing in it to start with"
        );
        assert_eq!(
            classify(b"\x97\x02\0\0\x05\x01av01x"),
            key(b"av01"),
            "a time of nanoseconds before it"
        );
        assert_eq!(classify(b"\xD1\x00"), TagInfo::default(), "a command");
        assert_eq!(classify(b"\x97\xff"), TagInfo::default(), "cut short");
    }
}
