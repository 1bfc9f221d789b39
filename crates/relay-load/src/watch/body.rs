//! The body of an HTTP answer, out of its framing: in chunks, of a known length, or up to the connection's end.

use thiserror::Error;

/// The most hexadecimal digits in a chunk's size: 2³² is far above any chunk of a live stream.
const MAX_SIZE_DIGITS: u8 = 8;

/// The most bytes of chunk extensions, or of trailers, that are passed over.
const MAX_ASIDE: u16 = 4096;

/// The chunk framing cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the answer's chunks are malformed")]
pub(super) struct BodyError;

/// Where in a body the reader is. It holds no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// The connection's end is the body's.
    UntilClose,
    /// So many bytes are to come.
    Left(u64),
    /// In chunks.
    Chunked(Chunk),
}

/// Where in the chunk framing the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the size line, so many digits in.
    Size {
        value: u32,
        digits: u8,
    },
    /// Behind the size's digits, before the line's end.
    Extension {
        value: u32,
        passed: u16,
    },
    /// In the data.
    Data(u32),
    /// Behind the data: the CR, then the LF.
    Cr,
    Lf,
    /// Behind the last chunk: lines up to an empty one.
    Trailer {
        empty: bool,
        passed: u16,
    },
    /// Behind all of it.
    Over,
}

impl Body {
    /// A body in chunks, at its beginning.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunk::Size { value: 0, digits: 0 });

    /// The next piece of the body in `input`, which is moved behind it; `None` when the input is used up or the body is
    /// over.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BodyError> {
        while !input.is_empty() {
            match self {
                Self::UntilClose => return Ok(Some(std::mem::take(input))),
                Self::Left(0) | Self::Chunked(Chunk::Over) => return Ok(None),
                Self::Left(left) => {
                    let piece = take(input, *left);
                    *left -= piece.len() as u64;
                    return Ok(Some(piece));
                }
                Self::Chunked(Chunk::Data(left)) => {
                    let piece = take(input, u64::from(*left));
                    *left -= piece.len() as u32; // fits: at most `left`
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::Cr);
                    }
                    return Ok(Some(piece));
                }
                Self::Chunked(chunk) => {
                    let (byte, rest) = (input[0], &input[1..]); // not empty: the loop's condition
                    *input = rest;
                    *chunk = chunk.framing(byte)?;
                }
            }
        }
        Ok(None)
    }

    /// Whether the body has said that it is over.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Left(0) | Self::Chunked(Chunk::Over))
    }
}

impl Chunk {
    /// The state behind one more byte of framing.
    fn framing(self, byte: u8) -> Result<Self, BodyError> {
        match (self, byte) {
            (Self::Size { value, digits: 1.. } | Self::Extension { value, .. }, b'\n') => Ok(if value == 0 {
                Self::Trailer {
                    empty: true,
                    passed: 0,
                }
            } else {
                Self::Data(value)
            }),
            (Self::Size { value, digits }, byte) => match char::from(byte).to_digit(16) {
                Some(digit) if digits < MAX_SIZE_DIGITS => Ok(Self::Size {
                    value: value << 4 | digit,
                    digits: digits + 1,
                }),
                None if digits > 0 && matches!(byte, b';' | b' ' | b'\t' | b'\r') => {
                    Ok(Self::Extension { value, passed: 0 })
                }
                _ => Err(BodyError),
            },
            (Self::Extension { value, passed }, _) if passed < MAX_ASIDE => Ok(Self::Extension {
                value,
                passed: passed + 1,
            }),
            (Self::Cr, b'\r') => Ok(Self::Lf),
            (Self::Lf, b'\n') => Ok(Self::Size { value: 0, digits: 0 }),
            (Self::Trailer { empty: true, .. }, b'\n') => Ok(Self::Over),
            (Self::Trailer { empty, passed }, byte) if passed < MAX_ASIDE => Ok(Self::Trailer {
                empty: byte == b'\n' || (empty && byte == b'\r'),
                passed: passed + 1,
            }),
            _ => Err(BodyError),
        }
    }
}

/// Cuts at most `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: u64) -> &'a [u8] {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    let (piece, rest) = input.split_at(count);
    *input = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body's bytes when the wire is cut into two pieces, or more, and what is left unread of the last.
    fn read(mut body: Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), BodyError> {
        let (mut out, mut unread) = (Vec::new(), 0);
        for piece in pieces {
            let mut input = *piece;
            while let Some(part) = body.next(&mut input)? {
                out.extend_from_slice(part);
            }
            unread = input.len();
        }
        Ok((out, body.is_over(), unread))
    }

    #[test]
    fn chunks_are_read_at_every_split_point() {
        let wire = b"5\r\nhello\r\n00a;x=\"y\"\r\n, world 12\r\n0\r\nA: b\r\n\r\nrest";
        for first in 0..=wire.len() - 4 {
            for second in first..=wire.len() {
                let (a, b) = wire.split_at(first);
                let (b, c) = b.split_at(second - first);
                let (out, over, _) = read(Body::CHUNKED, &[a, b, c]).unwrap();
                assert_eq!(out, b"hello, world 12", "{first} {second}");
                assert!(over);
            }
        }
        let (_, over, unread) = read(Body::CHUNKED, &[wire]).unwrap();
        assert!(over);
        assert_eq!(unread, 4, "what follows the body is none of it");
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        assert_eq!(
            read(Body::Left(3), &[b"ab", b"cd"]),
            Ok((b"abc".to_vec(), true, 1))
        );
        assert_eq!(
            read(Body::UntilClose, &[b"ab", b"cd"]),
            Ok((b"abcd".to_vec(), false, 0))
        );
        assert!(Body::Left(0).is_over());
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for wire in [
            &b"\r\n"[..],
            b"x\r\n",
            b"123456789\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b";x\r\n",
        ] {
            assert_eq!(read(Body::CHUNKED, &[wire]), Err(BodyError), "{wire:?}");
        }
        let long = [b"1;".to_vec(), vec![b'x'; 5000]].concat();
        assert_eq!(read(Body::CHUNKED, &[&long]), Err(BodyError));
        let long = [b"0\r\nA:".to_vec(), vec![b'x'; 5000]].concat();
        assert_eq!(read(Body::CHUNKED, &[&long]), Err(BodyError));
    }
}
