//! A walk through an FLV by its headers: bodies are passed over, and only their beginnings kept.

use relay_core::flv::tag::TAG_HEADER_BYTES;
use relay_core::flv::{FlvError, TagHeader};

use crate::mark::MARK_END;

/// Bytes of the file header that are understood.
const FILE_HEADER_BYTES: usize = 9;

/// The longest file header taken: every known writer says 9.
const MAX_FILE_HEADER_BYTES: u32 = 4096;

/// Walks through an FLV, however it is cut: call [`Walker::next`] until it has nothing more, then again with the next
/// bytes. It copies the first [`MARK_END`] bytes of each payload, or all of it if it is told to keep whole ones.
#[derive(Debug)]
pub(super) struct Walker {
    stage: Stage,
    /// Bytes in `hold`.
    held: u8,
    hold: [u8; MARK_END],
    whole: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    FileHeader,
    /// The rest of a longer file header, and PreviousTagSize0.
    Skip(u32),
    Header,
    Body {
        header: TagHeader,
        left: u32,
    },
    /// The field that repeats the size of the tag, which should be `expected`.
    Size {
        expected: u32,
        value: u32,
        count: u8,
    },
}

/// What a walk comes past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A tag whose payload has come whole.
    Tag(TagHeader),
    /// A PreviousTagSize that is not the size of the tag before it.
    WrongSize,
}

impl Walker {
    /// A walker at the beginning of an FLV.
    pub(super) fn new(keep_whole: bool) -> Self {
        Self {
            stage: Stage::FileHeader,
            held: 0,
            hold: [0; MARK_END],
            whole: keep_whole.then(Vec::new),
        }
    }

    /// The next item in `input`, which is moved behind it; `None` when the input is used up.
    ///
    /// # Errors
    /// What cannot be walked through: there is no way to find the next tag.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Item>, FlvError> {
        while !input.is_empty() {
            let item = match self.stage {
                Stage::FileHeader => self.file_header(input)?,
                Stage::Skip(left) => self.skip(left, input),
                Stage::Header => self.header(input)?,
                Stage::Body { header, left } => self.body(header, left, input),
                Stage::Size {
                    expected,
                    value,
                    count,
                } => self.size(expected, value, count, input),
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// The beginning of the payload that [`Item::Tag`] told of, until the next call of [`Walker::next`].
    pub(super) fn head(&self) -> &[u8] {
        &self.hold[..usize::from(self.held)]
    }

    /// All of that payload, if whole ones are kept.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.whole.as_deref()
    }

    fn file_header(&mut self, input: &mut &[u8]) -> Result<Option<Item>, FlvError> {
        if self.collect(FILE_HEADER_BYTES, input) {
            let [f, l, v, version, _, a, b, c, d, ..] = self.hold;
            if [f, l, v] != *b"FLV" {
                return Err(FlvError::NotFlv([f, l, v]));
            }
            if version != 1 {
                return Err(FlvError::Version(version));
            }
            let length = u32::from_be_bytes([a, b, c, d]);
            let rest = length.checked_sub(FILE_HEADER_BYTES as u32);
            let rest = rest.filter(|rest| *rest <= MAX_FILE_HEADER_BYTES);
            self.stage = Stage::Skip(rest.ok_or(FlvError::HeaderLength(length))? + 4);
            self.held = 0;
        }
        Ok(None)
    }

    fn skip(&mut self, left: u32, input: &mut &[u8]) -> Option<Item> {
        let left = left - cut(input, left).len() as u32; // fits: at most `left`
        self.stage = if left == 0 {
            Stage::Header
        } else {
            Stage::Skip(left)
        };
        None
    }

    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Item>, FlvError> {
        if self.collect(TAG_HEADER_BYTES, input) {
            let mut bytes = [0; TAG_HEADER_BYTES];
            bytes.copy_from_slice(&self.hold[..TAG_HEADER_BYTES]);
            self.held = 0;
            self.stage = match TagHeader::parse(&bytes) {
                Ok(header) => Stage::Body {
                    header,
                    left: header.length,
                },
                // Nothing to see, but no reason to lose the way.
                Err(FlvError::EmptyTag) => behind(0),
                Err(error) => return Err(error),
            };
            if let Some(whole) = &mut self.whole {
                whole.clear();
            }
        }
        Ok(None)
    }

    fn body(&mut self, header: TagHeader, left: u32, input: &mut &[u8]) -> Option<Item> {
        let piece = cut(input, left);
        let wanted = piece.len().min(MARK_END - usize::from(self.held));
        self.keep(&piece[..wanted]);
        if let Some(whole) = &mut self.whole {
            whole.extend_from_slice(piece);
        }
        let left = left - piece.len() as u32; // fits: at most `left`
        if left > 0 {
            self.stage = Stage::Body { header, left };
            return None;
        }
        self.stage = behind(header.length);
        Some(Item::Tag(header))
    }

    fn size(&mut self, expected: u32, value: u32, count: u8, input: &mut &[u8]) -> Option<Item> {
        let value = value << 8 | cut(input, 1).first().copied().map_or(0, u32::from);
        if count < 3 {
            self.stage = Stage::Size {
                expected,
                value,
                count: count + 1,
            };
            return None;
        }
        self.held = 0;
        self.stage = Stage::Header;
        (value != expected).then_some(Item::WrongSize)
    }

    /// Collects a header of `count` bytes, at most [`MARK_END`]; true once it is there.
    fn collect(&mut self, count: usize, input: &mut &[u8]) -> bool {
        let missing = count.saturating_sub(usize::from(self.held));
        let piece = cut(input, missing as u32); // fits: below MARK_END
        self.keep(piece);
        piece.len() == missing
    }

    /// Appends to `hold`; the caller has seen to it that there is room.
    fn keep(&mut self, piece: &[u8]) {
        let from = usize::from(self.held);
        self.hold[from..from + piece.len()].copy_from_slice(piece);
        self.held += piece.len() as u8; // fits: MARK_END does
    }
}

/// The stage behind a payload of `length` bytes.
const fn behind(length: u32) -> Stage {
    Stage::Size {
        expected: length + TAG_HEADER_BYTES as u32,
        value: 0,
        count: 0,
    }
}

/// Cuts at most `most` bytes off the front of `input`.
fn cut<'a>(input: &mut &'a [u8], most: u32) -> &'a [u8] {
    let (piece, rest) = input.split_at(input.len().min(most as usize));
    *input = rest;
    piece
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use relay_core::flv::{Tag, TagKind, encode_into, file_header};

    use super::*;

    fn flv(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = file_header(false, true).to_vec();
        for (time, payload) in payloads.iter().enumerate() {
            let tag = Tag {
                kind: TagKind::Video,
                time: time as u64 * 40,
                payload: Bytes::copy_from_slice(payload),
            };
            encode_into(&mut out, &tag);
        }
        out
    }

    /// Length, time, head, whole payload.
    type Passed = (u32, u32, Vec<u8>, Option<Vec<u8>>);

    /// What a walk comes past in pieces.
    fn walk(keep: bool, pieces: &[&[u8]]) -> Result<Vec<Passed>, FlvError> {
        let mut walker = Walker::new(keep);
        let mut seen = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(item) = walker.next(&mut input)? {
                let Item::Tag(header) = item else {
                    seen.push((0, 0, Vec::new(), None));
                    continue;
                };
                let whole = walker.whole().map(<[u8]>::to_vec);
                seen.push((header.length, header.time, walker.head().to_vec(), whole));
            }
        }
        Ok(seen)
    }

    #[test]
    fn tags_are_walked_past_at_every_split_point() {
        let long: Vec<u8> = (0..=150).collect();
        let wire = flv(&[b"short", &long, b"x"]);
        let expected = vec![
            (5, 0, b"short".to_vec(), Some(b"short".to_vec())),
            (151, 40, long[..MARK_END].to_vec(), Some(long.clone())),
            (1, 80, b"x".to_vec(), Some(b"x".to_vec())),
        ];
        for first in 0..=wire.len() {
            for second in (first..=wire.len()).step_by(7) {
                let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
                assert_eq!(walk(true, &pieces).as_ref(), Ok(&expected), "{first} {second}");
            }
        }
        let single: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(walk(true, &single), Ok(expected));
    }

    #[test]
    fn a_tag_is_there_with_its_last_byte_and_not_before() {
        let wire = flv(&[b"short"]);
        let last = wire.len() - 4;
        assert_eq!(walk(false, &[&wire[..last - 1]]), Ok(vec![]));
        assert_eq!(walk(false, &[&wire[..last]]).map(|seen| seen.len()), Ok(1));
    }

    #[test]
    fn a_wrong_size_behind_a_tag_shows_and_the_walk_goes_on() {
        let mut wire = flv(&[b"one", b"two"]);
        wire[13 + 11 + 3 + 3] ^= 1;
        let seen = walk(false, &[&wire]).unwrap();
        let lengths: Vec<u32> = seen.iter().map(|tag| tag.0).collect();
        assert_eq!(lengths, [3, 0, 3]);
    }

    #[test]
    fn an_empty_tag_is_passed_over() {
        let mut wire = flv(&[]);
        wire.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]);
        wire.extend_from_slice(&flv(&[b"after"])[13..]);
        assert_eq!(walk(false, &[&wire]).map(|seen| seen.len()), Ok(1));
    }

    #[test]
    fn what_is_no_flv_is_refused() {
        assert_eq!(
            walk(false, &[b"<html>...</html>"]),
            Err(FlvError::NotFlv(*b"<ht"))
        );
        let mut wire = flv(&[]);
        wire.extend_from_slice(&[7; 11]);
        assert!(walk(false, &[&wire]).is_err());
    }
}
