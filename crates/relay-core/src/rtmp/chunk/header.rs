//! The header of one chunk.

use crate::wire::{self, Reader, UnexpectedEnd};

/// The longest header: 3 bytes that name the chunk stream, 11 of a message header, 4 of extended time.
pub(super) const MAX_HEADER_BYTES: usize = 18;

/// A chunk's header as far as its own bytes tell; what is missing, the chunk stream remembers.
///
/// The extended time of type 3 is not part of this: whether it is there is known only to one who remembers the
/// chunk stream, and sometimes not even then (R14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The chunk stream, 2 to 65599.
    pub(super) csid: u32,
    /// What a type 0, 1 or 2 says about a new message.
    pub(super) begin: Option<Begin>,
}

/// The beginning of a message with a header of type 0, 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    /// The time or delta, from the extended field if there is one.
    pub(super) time: u32,
    /// Whether the extended field was there.
    pub(super) extended: bool,
    /// Whether `time` is no delta: type 0.
    pub(super) absolute: bool,
    /// Length and message type: types 0 and 1.
    pub(super) shape: Option<(u32, u8)>,
    /// The message stream: type 0.
    pub(super) stream_id: Option<u32>,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// There is more to come.
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, UnexpectedEnd> {
        let first = reader.u8()?;
        let csid = match first & 0x3F {
            0 => 64 + u32::from(reader.u8()?),
            1 => {
                let low = u32::from(reader.u8()?);
                64 + low + 256 * u32::from(reader.u8()?)
            }
            small => u32::from(small),
        };
        let begin = match first >> 6 {
            3 => None,
            kind => Some(Begin::parse(reader, kind)?),
        };
        Ok(Self { csid, begin })
    }
}

impl Begin {
    fn parse(reader: &mut Reader<'_>, kind: u8) -> Result<Self, UnexpectedEnd> {
        let short = reader.u24()?;
        let shape = match kind {
            0 | 1 => Some((reader.u24()?, reader.u8()?)),
            _ => None,
        };
        let stream_id = match kind {
            0 => Some(reader.u32_le()?),
            _ => None,
        };
        let extended = short == super::EXTENDED;
        let time = if extended { reader.u32()? } else { short };
        Ok(Self {
            time,
            extended,
            absolute: kind == 0,
            shape,
            stream_id,
        })
    }
}

/// Appends the bytes that name a chunk stream and the header's type. Numbers outside 2..=65599 do not exist.
pub(super) fn put_basic(out: &mut Vec<u8>, kind: u8, csid: u32) {
    debug_assert!((2..=65599).contains(&csid), "there is no chunk stream {csid}");
    let kind = kind << 6;
    match csid {
        0..=63 => out.push(kind | csid.to_be_bytes()[3]),
        64..=319 => out.extend_from_slice(&[kind, (csid - 64).to_be_bytes()[3]]),
        _ => {
            let [.., high, low] = csid.saturating_sub(64).to_be_bytes();
            out.extend_from_slice(&[kind | 1, low, high]);
        }
    }
}

/// Appends a header of type 0, with the extended time if it needs one.
pub(super) fn put_full(out: &mut Vec<u8>, csid: u32, time: u32, length: u32, kind: u8, stream_id: u32) {
    put_basic(out, 0, csid);
    wire::put_u24(out, time.min(super::EXTENDED));
    wire::put_u24(out, length);
    out.push(kind);
    wire::put_u32_le(out, stream_id);
    put_extended(out, time);
}

/// Appends a header of type 3 within a message of that time: the extended field is repeated (R14).
pub(super) fn put_continuation(out: &mut Vec<u8>, csid: u32, time: u32) {
    put_basic(out, 3, csid);
    put_extended(out, time);
}

fn put_extended(out: &mut Vec<u8>, time: u32) {
    if time >= super::EXTENDED {
        wire::put_u32(out, time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_chunk_stream_id() {
        for csid in [2, 3, 63, 64, 65, 319, 320, 321, 4660, 65599] {
            for time in [0, 1, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000, u32::MAX] {
                let mut out = Vec::new();
                put_full(&mut out, csid, time, 0x01_0203, 9, 1);
                assert!(out.len() <= MAX_HEADER_BYTES);
                let header = Header::parse(&mut Reader::new(&out)).unwrap();
                assert_eq!(header.csid, csid);
                let begin = header.begin.unwrap();
                assert_eq!((begin.time, begin.extended), (time, time >= 0xFF_FFFF));
                assert_eq!((begin.shape, begin.stream_id), (Some((0x01_0203, 9)), Some(1)));
                for end in 0..out.len() {
                    assert_eq!(Header::parse(&mut Reader::new(&out[..end])), Err(UnexpectedEnd));
                }
            }
        }
    }

    #[test]
    fn a_large_number_may_also_come_in_the_long_form() {
        // 64 in three bytes, as some encoders write it.
        let header = Header::parse(&mut Reader::new(&[0xC1, 0, 0])).unwrap();
        assert_eq!(
            header,
            Header {
                csid: 64,
                begin: None
            }
        );
    }
}
