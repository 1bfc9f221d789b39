//! NAL units of AVC and HEVC, read as far as the first slice: whether a decoder can begin at a frame that its sender did not
//! flag as a keyframe (R44).
//!
//! Encoders that refresh their picture gradually send no IDR after the first; with open groups of pictures some flag none of
//! the frames at which one may join. Both say so inside: by the unit's type, or by a *recovery point* among the
//! supplemental information before the slice (H.264 annex D.2.8, H.265 annex D.3.8).

use super::Codec;

/// Units looked at before a frame's first slice: delimiter, parameter sets, a handful of supplemental ones.
const MAX_UNITS: usize = 16;

/// Supplemental messages looked at in one unit, and bytes of it: captions and timing come to a few hundred.
const MAX_MESSAGES: usize = 16;
const MAX_MESSAGE_BYTES: usize = 4096;

/// The payload type of a recovery point, in both codecs.
const RECOVERY_POINT: u32 = 6;

/// What a frame's units say of beginning there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// It is coded without others: IDR, CRA, BLA.
    pub(super) intra: bool,
    /// The picture is whole some frames later.
    pub(super) recovery: bool,
}

/// What one unit is.
enum Unit {
    Intra,
    Slice,
    Supplement,
    Other,
}

/// Reads a frame's units, each behind its length in four bytes, which is what every known encoder's configuration says. Units that
/// make no sense say nothing.
pub(super) fn entry(codec: Codec, mut units: &[u8]) -> Entry {
    let mut entry = Entry::default();
    for _ in 0..MAX_UNITS {
        let Some((length, rest)) = units.split_first_chunk::<4>() else {
            break;
        };
        let Some((unit, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            break;
        };
        units = rest;
        let Some((what, body)) = read(codec, unit) else {
            break;
        };
        match what {
            Unit::Intra => {
                entry.intra = true;
                break;
            }
            Unit::Slice => break,
            Unit::Supplement => entry.recovery |= has_recovery_point(body),
            Unit::Other => {}
        }
    }
    entry
}

/// The kind of a unit, and what follows its header.
fn read(codec: Codec, unit: &[u8]) -> Option<(Unit, &[u8])> {
    let (&first, rest) = unit.split_first()?;
    if codec == Codec::AVC {
        let what = match first & 0x1F {
            5 => Unit::Intra,
            1..=4 => Unit::Slice,
            6 => Unit::Supplement,
            _ => Unit::Other,
        };
        return Some((what, rest));
    }
    let what = match first >> 1 & 0x3F {
        16..=23 => Unit::Intra,
        0..=15 => Unit::Slice,
        39 => Unit::Supplement,
        _ => Unit::Other,
    };
    Some((what, rest.get(1..)?))
}

/// Walks the messages of a supplemental unit.
fn has_recovery_point(body: &[u8]) -> bool {
    let mut bytes = unescaped(&body[..body.len().min(MAX_MESSAGE_BYTES)]);
    for _ in 0..MAX_MESSAGES {
        let Some(kind) = number(&mut bytes) else {
            return false;
        };
        let Some(size) = number(&mut bytes) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return true;
        }
        let skipped = bytes.by_ref().take(size as usize).count();
        if skipped < size as usize {
            return false;
        }
    }
    false
}

/// A number in bytes that are summed up to and with the first below 255.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut sum = 0;
    loop {
        // At most MAX_MESSAGE_BYTES times 255.
        let byte = bytes.next()?;
        sum += u32::from(byte);
        if byte < 255 {
            return Some(sum);
        }
    }
}

/// The bytes without those that only keep start codes from appearing: a 3 behind two zeros.
fn unescaped(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut zeros = 0;
    bytes.iter().copied().filter(move |byte| {
        let inserted = zeros >= 2 && *byte == 3;
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        !inserted
    })
}

/// Whether a configuration that is labelled AVC is HEVC's (R34): old tools had no number for it and used AVC's.
///
/// Each record has reserved bits that are set, in other places (ISO/IEC 14496-15, 5.3.3 and 8.3.3). Some writers leave AVC's
/// at zero, so their lack alone proves nothing.
pub(super) fn is_hevc_configuration(record: &[u8]) -> bool {
    let set = |places: &[(usize, u8)]| {
        places
            .iter()
            .all(|(at, bits)| record.get(*at).is_some_and(|byte| byte & bits == *bits))
    };
    !set(&[(4, 0xFC), (5, 0xE0)]) && set(&[(13, 0xF0), (15, 0xFC), (16, 0xFC), (17, 0xF8), (18, 0xF8)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units behind their lengths.
    fn units(units: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for unit in units {
            out.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
            out.extend_from_slice(unit);
        }
        out
    }

    const NOTHING: Entry = Entry {
        intra: false,
        recovery: false,
    };
    const INTRA: Entry = Entry {
        intra: true,
        ..NOTHING
    };
    const RECOVERY: Entry = Entry {
        recovery: true,
        ..NOTHING
    };

    #[test]
    fn r44_avc_says_inside_where_one_may_begin() {
        let of = |list: &[&[u8]]| entry(Codec::AVC, &units(list));
        let delimiter = b"\x09\xf0".as_slice();
        assert_eq!(of(&[delimiter, b"\x65idr"]), INTRA);
        assert_eq!(of(&[delimiter, b"\x41slice"]), NOTHING);
        assert_eq!(of(&[delimiter, b"\x06\x06\x01\xc4\x80", b"\x41slice"]), RECOVERY);
        assert_eq!(
            of(&[b"\x06\x05\x03abc\x06\x01\xc4\x80", b"\x41slice"]),
            RECOVERY,
            "behind user data"
        );
        assert_eq!(
            of(&[b"\x06\x05\x03abc\x01\x01x\x80", b"\x41slice"]),
            NOTHING,
            "user data and timing"
        );
        assert_eq!(
            of(&[b"\x41slice", b"\x06\x06\x01\xc4\x80"]),
            NOTHING,
            "not behind the slice"
        );
        assert_eq!(
            of(&[b"\x06\x05\x04\0\0\x03\0a\x06\x01\xc4\x80"]),
            RECOVERY,
            "a byte against start codes"
        );
    }

    #[test]
    fn r44_hevc_says_it_likewise() {
        let of = |list: &[&[u8]]| entry(Codec::HEVC, &units(list));
        assert_eq!(of(&[b"\x2a\x01cra"]), INTRA);
        assert_eq!(of(&[b"\x26\x01idr"]), INTRA);
        assert_eq!(of(&[b"\x02\x01trail"]), NOTHING);
        assert_eq!(of(&[b"\x4e\x01\x06\x01\xc4\x80", b"\x02\x01trail"]), RECOVERY);
        assert_eq!(of(&[b"\x4e"]), NOTHING, "cut short");
    }

    #[test]
    fn nonsense_says_nothing() {
        for body in [
            &b""[..],
            b"\0\0",
            b"\0\0\0\x09\x65",
            b"\xff\xff\xff\xff\x65",
            b"\0\0\0\0",
        ] {
            assert_eq!(entry(Codec::AVC, body), NOTHING);
        }
        assert_eq!(
            entry(Codec::AVC, &units(&[b"\x06\xff\xff\xff".as_slice()])),
            NOTHING,
            "a number without end"
        );
        let many = units(&vec![b"\x09\xf0".as_slice(); MAX_UNITS + 1]);
        assert_eq!(entry(Codec::AVC, &[many, units(&[b"\x65idr"])].concat()), NOTHING);
    }

    #[test]
    fn r34_a_configuration_of_hevc_is_told_from_avcs() {
        let avc =
            b"\x01\x64\x00\x1f\xff\xe1\x00\x14\x67\x64\x00\x1f\xac\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03";
        assert!(!is_hevc_configuration(avc), "whatever its parameter sets hold");
        let zeros =
            b"\x01\x64\x00\x1f\x03\x01\x00\x14\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\x01\x10\x00\x00\x03";
        assert!(!is_hevc_configuration(zeros));
        let hevc =
            b"\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03";
        assert!(is_hevc_configuration(hevc));
        for end in 0..19 {
            assert!(!is_hevc_configuration(&hevc[..end]), "cut short");
        }
    }
}
