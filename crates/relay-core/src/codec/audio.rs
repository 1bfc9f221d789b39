//! Audio bodies.

use super::enhanced::{self, SEQUENCE_END, SEQUENCE_START};
use super::{Codec, TagInfo};

/// Sound formats, in the upper bits of the first byte.
const MP3: u8 = 2;
const ENHANCED: u8 = 9;
const AAC: u8 = 10;

/// Packet types of enhanced bodies that only audio has: where the channels belong, and several tracks.
const MULTICHANNEL_CONFIG: u8 = 4;
const MULTITRACK: u8 = 5;

pub(super) fn classify(payload: &[u8]) -> TagInfo {
    let Some((first, rest)) = payload.split_first() else {
        return TagInfo::default();
    };
    match first >> 4 {
        ENHANCED => by_four_cc(first & 0x0F, rest).unwrap_or_default(),
        AAC => TagInfo {
            sequence_header: rest.first() == Some(&0),
            codec: Some(Codec::AAC),
            ..TagInfo::default()
        },
        MP3 => TagInfo {
            codec: Some(Codec::MP3),
            ..TagInfo::default()
        },
        _ => TagInfo::default(),
    }
}

fn by_four_cc(packet: u8, rest: &[u8]) -> Option<TagInfo> {
    let (packet, rest) = enhanced::skip_modifiers(packet, rest)?;
    let head = enhanced::parse(packet, MULTITRACK, rest)?;
    let main = head.main.is_some();
    let says = head.packet == MULTICHANNEL_CONFIG || head.packet == SEQUENCE_START && !main;
    Some(TagInfo {
        sequence_header: head.packet == SEQUENCE_START && main,
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

    #[test]
    fn legacy_bodies() {
        let aac = classify(b"\xaf\x00\x11\x90");
        assert!(aac.sequence_header && aac.codec == Some(Codec::AAC));
        assert!(!classify(b"\xaf\x01\x21").sequence_header);
        assert_eq!(classify(b"\x2f\xff").codec, Some(Codec::MP3));
        assert_eq!(classify(b"\x36\0"), TagInfo::default(), "PCM has neither");
        assert_eq!(classify(b""), TagInfo::default(), "R29");
    }

    #[test]
    fn enhanced_bodies_of_any_fourcc() {
        for codec in [b"Opus", b"ac-3", b"fLaC", b"mp4a", b"zzzz"] {
            let body = |first: u8| [&[first], &codec[..], b"data"].concat();
            assert!(classify(&body(0x90)).sequence_header);
            assert_eq!(
                classify(&body(0x91)),
                TagInfo {
                    codec: Some(Codec(*codec)),
                    ..TagInfo::default()
                }
            );
            assert!(classify(&body(0x92)).end_of_sequence);
            assert!(classify(&body(0x94)).beside, "where the channels belong");
        }
        assert!(
            classify(b"\x95\x10Opus\0\0\0\x04data").sequence_header,
            "many tracks"
        );
        assert!(
            !classify(b"\x95\x00Opus\x01data").sequence_header,
            "not the main track's"
        );
        assert_eq!(
            classify(b"\x97\x02\0\0\x05\x01Opus").codec,
            Some(Codec(*b"Opus")),
            "a modifier before it"
        );
        assert_eq!(classify(b"\x95"), TagInfo::default(), "cut short");
    }
}
