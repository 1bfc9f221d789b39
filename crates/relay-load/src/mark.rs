//! The mark that each synthetic frame carries: which it is, when it was made, and a checksum over all of it.
//!
//! It lies in an SEI message (user data unregistered, H.264 annex D.1.7), which decoders pass over, at a fixed place of the
//! payload and as hexadecimal digits, so that no emulation prevention is needed and a person can read it in a dump.

use thiserror::Error;

/// Tells our marks from other SEI messages.
const UUID: [u8; 16] = *b"relay-load mark1";

/// Where the SEI's NAL unit begins: after 5 bytes of AVC tag header and 4 of NAL length.
const NAL_AT: usize = 9;

/// NAL header, SEI type and SEI size.
const SEI_HEAD: [u8; 3] = [0x06, 0x05, (UUID.len() + DIGITS) as u8];

/// 16 digits of sequence, 16 of time, 8 of checksum.
const DIGITS: usize = 16 + 16 + 8;

const SEQUENCE_AT: usize = NAL_AT + SEI_HEAD.len() + UUID.len();
const TIME_AT: usize = SEQUENCE_AT + 16;
const CHECKSUM_AT: usize = TIME_AT + 16;

/// The SEI's end: its trailing bits.
const END: usize = CHECKSUM_AT + 8 + 1;

/// How far a payload must be there for its mark to be read, in bytes from its beginning.
pub const MARK_END: usize = END;

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Frames since the publisher began, from 0; one more for each.
    pub sequence: u64,
    /// When it was made, in microseconds of the publisher's wall clock (Unix time).
    pub made_us: u64,
}

/// What is wrong with a payload that should carry a mark.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MarkError {
    /// It is no frame of ours, or too short to be one.
    #[error("the frame carries no mark: it was not made by relay-load")]
    None,
    /// The bytes are not those that were made.
    #[error("frame {sequence} is corrupt: its bytes sum up to {found:08x}, its mark says {stated:08x}")]
    Corrupt {
        /// Which frame it says it is.
        sequence: u64,
        /// What the mark says.
        stated: u32,
        /// What the bytes give.
        found: u32,
    },
}

impl Mark {
    /// Builds a frame: AVC tag header, mark, then `rest` (NAL units with their lengths), and sums it all up.
    pub fn frame(self, tag_header: [u8; 5], rest: &[&[u8]]) -> Vec<u8> {
        let size = END + rest.iter().map(|part| part.len()).sum::<usize>();
        let mut payload = Vec::with_capacity(size);
        payload.extend_from_slice(&tag_header);
        payload.extend_from_slice(&((END - NAL_AT) as u32).to_be_bytes());
        payload.extend_from_slice(&SEI_HEAD);
        payload.extend_from_slice(&UUID);
        payload.extend_from_slice(format!("{:016x}{:016x}00000000", self.sequence, self.made_us).as_bytes());
        payload.push(0x80);
        for part in rest {
            payload.extend_from_slice(part);
        }
        let sum = format!("{:08x}", checksum(&payload));
        payload[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(sum.as_bytes());
        payload
    }

    /// Reads the mark without a look at the rest; `payload` may be the frame's beginning only ([`MARK_END`] bytes).
    ///
    /// # Errors
    /// [`MarkError::None`].
    pub fn read(payload: &[u8]) -> Result<Self, MarkError> {
        let head = payload.get(NAL_AT..SEQUENCE_AT).ok_or(MarkError::None)?;
        if head[..3] != SEI_HEAD || head[3..] != UUID {
            return Err(MarkError::None);
        }
        Ok(Self {
            sequence: digits(payload, SEQUENCE_AT, 16)?,
            made_us: digits(payload, TIME_AT, 16)?,
        })
    }

    /// Reads the mark and sums up the whole frame.
    ///
    /// # Errors
    /// [`MarkError`].
    pub fn verify(payload: &[u8]) -> Result<Self, MarkError> {
        let mark = Self::read(payload)?;
        let stated = digits(payload, CHECKSUM_AT, 8)? as u32;
        let found = checksum(payload);
        if stated != found {
            return Err(MarkError::Corrupt {
                sequence: mark.sequence,
                stated,
                found,
            });
        }
        Ok(mark)
    }
}

/// CRC-32 over all but the checksum's own digits.
fn checksum(payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&payload[..CHECKSUM_AT]);
    hasher.update(payload.get(CHECKSUM_AT + 8..).unwrap_or_default());
    hasher.finalize()
}

fn digits(payload: &[u8], at: usize, count: usize) -> Result<u64, MarkError> {
    let text = payload.get(at..at + count).ok_or(MarkError::None)?;
    let text = std::str::from_utf8(text).map_err(|_| MarkError::None)?;
    u64::from_str_radix(text, 16).map_err(|_| MarkError::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        sequence: 77,
        made_us: 1_764_000_000_000_000,
    };

    #[test]
    fn a_frame_tells_what_it_is() {
        let frame = MARK.frame(*b"\x17\x01\0\0\0", &[b"slice", b"filler"]);
        assert_eq!(Mark::verify(&frame), Ok(MARK));
        assert_eq!(Mark::read(&frame[..MARK_END]), Ok(MARK));
        assert!(frame.ends_with(b"slicefiller"));
    }

    #[test]
    fn one_changed_bit_anywhere_shows() {
        let frame = MARK.frame(*b"\x17\x01\0\0\0", &[b"slice"]);
        for at in 0..frame.len() {
            let mut bent = frame.clone();
            bent[at] ^= 1;
            assert_ne!(Mark::verify(&bent), Ok(MARK), "byte {at}");
        }
    }

    #[test]
    fn a_stranger_has_no_mark() {
        assert_eq!(Mark::read(b"\x17\x01\0\0\0"), Err(MarkError::None));
        assert_eq!(Mark::verify(&[0; 200]), Err(MarkError::None));
    }
}
