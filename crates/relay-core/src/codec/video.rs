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
