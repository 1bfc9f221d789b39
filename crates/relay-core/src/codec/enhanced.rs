//! The part of Enhanced RTMP v2 that audio and video share: modifiers, several tracks, FourCC.

use super::{Codec, Extra};

/// Packet types that audio and video number alike.
pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const SEQUENCE_END: u8 = 2;
/// Modifiers come before the real packet type.
const MOD_EX: u8 = 7;

/// How many modifiers one message may carry. One kind exists (a nanosecond offset); eight leave room for more and
/// end a body that consists of nothing else.
const MAX_MODIFIERS: usize = 8;

/// The head of a body that names its codec by FourCC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) packet: u8,
    pub(super) codec: Codec,
    /// What follows, of the main track; `None` if the message is about other tracks only.
    pub(super) main: Option<&'a [u8]>,
    /// The id of the first track that it is about.
    pub(super) track: u8,
}

impl Head<'_> {
    /// What a body of this head replaces, if it is one that says something lasting.
    pub(super) const fn extra(&self, says: bool) -> Option<Extra> {
        if says {
            return Some(Extra {
                packet: self.packet,
                track: self.track,
            });
        }
        None
    }
}

/// Steps over the modifiers after the first byte: the packet type that they lead to, and the rest.
pub(super) fn skip_modifiers(mut packet: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..=MAX_MODIFIERS {
        if packet != MOD_EX {
            return Some((packet, rest));
        }
        let (&short, after) = rest.split_first()?;
        rest = after;
        let mut length = usize::from(short) + 1;
        if length == 256 {
            let (long, after) = rest.split_first_chunk::<2>()?;
            length = usize::from(u16::from_be_bytes(*long)) + 1;
            rest = after;
        }
        // The modifier's data, then its type and the next packet type in one byte.
        let (&next, after) = rest.get(length..)?.split_first()?;
        packet = next & 0x0F;
        rest = after;
    }
    None
}

/// Reads the FourCC, and of a message with several tracks the place of the main one: that with the id 0.
pub(super) fn parse(packet: u8, multitrack: u8, rest: &[u8]) -> Option<Head<'_>> {
    if packet != multitrack {
        let (codec, main) = four_cc(rest)?;
        return Some(Head {
            packet,
            codec,
            main: Some(main),
            track: 0,
        });
    }
    let (&first, rest) = rest.split_first()?;
    let packet = first & 0x0F;
    if packet == multitrack {
        return None; // tracks inside tracks are forbidden
    }
    match first >> 4 {
        0 => {
            let (codec, rest) = four_cc(rest)?;
            let (&id, body) = rest.split_first()?;
            Some(Head {
                packet,
                codec,
                main: (id == 0).then_some(body),
                track: id,
            })
        }
        1 => {
            let (codec, rest) = four_cc(rest)?;
            Some(Head {
                packet,
                codec,
                main: find_main(rest, false).map(|(_, body)| body),
                track: rest.first().copied().unwrap_or(0),
            })
        }
        2 => {
            let (first_codec, after) = four_cc(rest)?;
            let main = find_main(rest, true);
            let codec = main.and_then(|(codec, _)| codec).unwrap_or(first_codec);
            Some(Head {
                packet,
                codec,
                main: main.map(|(_, body)| body),
                track: after.first().copied().unwrap_or(0),
            })
        }
        _ => None,
    }
}

/// Walks tracks of the form \[FourCC\] id, 24-bit length, body, to the one with id 0.
fn find_main(mut rest: &[u8], with_codec: bool) -> Option<(Option<Codec>, &[u8])> {
    loop {
        let mut codec = None;
        if with_codec {
            let (named, after) = four_cc(rest)?;
            (codec, rest) = (Some(named), after);
        }
        let ([id, l2, l1, l0], after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes([0, *l2, *l1, *l0]) as usize;
        let (body, after) = after.split_at_checked(length)?;
        if *id == 0 {
            return Some((codec, body));
        }
        rest = after;
    }
}

fn four_cc(rest: &[u8]) -> Option<(Codec, &[u8])> {
    let (four_cc, rest) = rest.split_first_chunk::<4>()?;
    Some((Codec(*four_cc), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Whether the main track is there, and its body.
    fn main(rest: &[u8]) -> Option<Option<&[u8]>> {
        parse(6, 6, rest).map(|head| head.main)
    }

    #[test]
    fn the_main_track_is_found_among_others() {
        assert_eq!(
            main(b"\x01hvc1\0ab"),
            Some(Some(&b"ab"[..])),
            "a message of one track"
        );
        assert_eq!(main(b"\x01hvc1\x01ab"), Some(None), "of another track");
        let many = b"\x11hvc1\x02\0\0\x01x\0\0\0\x02ab";
        assert_eq!(main(many), Some(Some(&b"ab"[..])));
        let codecs = b"\x21av01\x01\0\0\x01xhvc1\0\0\0\x02ab";
        assert_eq!(main(codecs), Some(Some(&b"ab"[..])));
        assert_eq!(
            parse(6, 6, codecs).map(|head| head.codec),
            Some(Codec::HEVC),
            "the main track's"
        );
        assert_eq!(
            main(b"\x11hvc1\x02\xff\xff\xffab"),
            Some(None),
            "a track longer than its message"
        );
        assert_eq!(main(b"\x16hvc1\0ab"), None, "tracks within tracks");
        assert_eq!(
            main(b"\x31hvc1\0ab"),
            None,
            "an arrangement of a later specification"
        );
        assert_eq!(main(b""), None);
    }
}
