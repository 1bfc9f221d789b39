//! Video bodies.

use super::enhanced::{self, CODED_FRAMES, SEQUENCE_END, SEQUENCE_START};
use super::nal::{self, Entry};
use super::{Codec, TagInfo};

/// Frame types, in the upper bits of the first byte.
const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;

/// Packet types of enhanced bodies that only video has.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MPEG2TS_SEQUENCE_START: u8 = 5;
const MULTITRACK: u8 = 6;

/// The composition time, 24 bits with a sign, that stands before the units of a frame (R42).
const COMPOSITION_BYTES: usize = 3;

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
                beside: frame_type == COMMAND,
                ..TagInfo::default()
            };
        }
    };
    let packet = rest.first().copied();
    let body = rest.get(1 + COMPOSITION_BYTES..).unwrap_or_default();
    let entry = match packet {
        Some(1) => entry(frame_type, codec, body),
        _ => Entry::default(),
    };
    let sequence_header = packet == Some(0) && frame_type != COMMAND;
    let mislabelled = sequence_header && codec == Codec::AVC && nal::is_hevc_configuration(body);
    TagInfo {
        keyframe: key && packet == Some(1) || entry.intra,
        recovery: entry.recovery,
        sequence_header,
        end_of_sequence: packet == Some(2),
        beside: frame_type == COMMAND && packet != Some(2),
        codec: Some(if mislabelled { Codec::HEVC } else { codec }),
        mislabelled,
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
        [first, 0, _, _, _, record @ ..] if first & 0x8F == 7 && nal::is_hevc_configuration(record) => {
            Some(LegacyHevc::Avcs)
        }
        _ => None,
    }
}

/// What the units of a frame say that is not flagged as a keyframe already; a flag is believed.
fn entry(frame_type: u8, codec: Codec, units: &[u8]) -> Entry {
    match frame_type {
        KEYFRAME | COMMAND => Entry::default(),
        _ => nal::entry(codec, units),
    }
}

/// A packet type and a FourCC, with modifiers and several tracks as the sender likes.
fn by_four_cc(frame_type: u8, packet: u8, rest: &[u8]) -> Option<TagInfo> {
    let (packet, rest) = enhanced::skip_modifiers(packet, rest)?;
    if frame_type == COMMAND && packet != METADATA {
        // A command to the player's buffer: one byte, no codec.
        return Some(TagInfo {
            beside: true,
            ..TagInfo::default()
        });
    }
    let head = enhanced::parse(packet, MULTITRACK, rest)?;
    let main = head.main.is_some();
    let coded =
        matches!(head.packet, CODED_FRAMES | CODED_FRAMES_X) && head.main.is_some_and(|b| !b.is_empty());
    let config = matches!(head.packet, SEQUENCE_START | MPEG2TS_SEQUENCE_START);
    let says = head.packet == METADATA || config && !main;
    let entry = match (head.packet, head.main) {
        (CODED_FRAMES, Some(body)) if head.codec.has_units() => {
            let units = body.get(COMPOSITION_BYTES..).unwrap_or_default();
            entry(frame_type, head.codec, units)
        }
        (CODED_FRAMES_X, Some(units)) if head.codec.has_units() => entry(frame_type, head.codec, units),
        _ => Entry::default(),
    };
    Some(TagInfo {
        keyframe: frame_type == KEYFRAME && coded || entry.intra,
        recovery: entry.recovery,
        sequence_header: config && main,
        end_of_sequence: head.packet == SEQUENCE_END && main,
        beside: says || head.packet == SEQUENCE_END && !main,
        extra: head.extra(says),
        codec: Some(head.codec),
        ..TagInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Extra;

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

    fn beside(codec: &[u8; 4], packet: u8, track: u8) -> TagInfo {
        TagInfo {
            beside: true,
            extra: Some(Extra { packet, track }),
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
                beside(codec, 4, 0),
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
            beside(b"hvc1", 0, 1),
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
        let command = TagInfo {
            beside: true,
            ..TagInfo::default()
        };
        assert_eq!(classify(b"\xD1\x00"), command);
        assert_eq!(classify(b"\x52\x00"), command);
        assert_eq!(classify(b"\x97\xff"), TagInfo::default(), "cut short");
    }

    /// A frame of one unit in each form that carries units, none flagged as a keyframe.
    fn unflagged(avc: &[u8], hevc: &[u8]) -> Vec<TagInfo> {
        let unit = |unit: &[u8]| [&(unit.len() as u32).to_be_bytes(), unit].concat();
        let legacy = |codec: u8, body: &[u8]| [&[0x20 | codec, 1, 0, 0, 80], &unit(body)[..]].concat();
        let enhanced = |first: u8, codec: &[u8], body: &[u8]| {
            let composition: &[u8] = if first == 0xA1 { &[0, 0, 80] } else { &[] };
            [&[first], codec, composition, &unit(body)[..]].concat()
        };
        let bodies = [
            legacy(7, avc),
            legacy(12, hevc),
            enhanced(0xA1, b"avc1", avc),
            enhanced(0xA3, b"avc1", avc),
            enhanced(0xA1, b"hvc1", hevc),
            enhanced(0xA3, b"hvc1", hevc),
        ];
        bodies.iter().map(|body| classify(body)).collect()
    }

    #[test]
    fn r44_an_unflagged_place_to_begin_is_found_in_each_form() {
        for info in unflagged(b"\x65idr", b"\x2a\x01cra") {
            assert!(info.keyframe && !info.recovery);
        }
        for info in unflagged(b"\x06\x06\x01\xc4\x80", b"\x4e\x01\x06\x01\xc4\x80") {
            assert!(!info.keyframe && info.recovery);
        }
        for info in unflagged(b"\x41slice", b"\x02\x01trail") {
            assert!(!info.keyframe && !info.recovery);
        }
    }

    /// The beginnings of two frames that x264 wrote, of an open group and of a gradual refresh, without the flag that its
    /// muxer gave them.
    #[test]
    fn r44_recovery_points_of_a_real_encoder_are_found() {
        let open = b"\x27\x01\0\0\x50\0\0\0\x05\x06\x06\x01\xc4\x80\0\0\x06\xe9\x41\x88\xfc";
        let refresh = b"\x27\x01\0\0\0\0\0\0\x06\x06\x06\x02\x13\x10\x80\0\0\x07\x7e\x41\x9a\x40";
        for frame in [&open[..], refresh] {
            let info = classify(frame);
            assert!(info.recovery && !info.keyframe);
        }
    }

    #[test]
    fn r34_hevc_under_the_number_of_avc_is_recognised() {
        let record = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03";
        let info = classify(&[&b"\x17\x00\0\0\0"[..], record].concat());
        assert!(info.sequence_header && info.mislabelled);
        assert_eq!(info.codec, Some(Codec::HEVC));
        assert!(!classify(&[&b"\x1c\x00\0\0\0"[..], record].concat()).mislabelled);
    }
}
