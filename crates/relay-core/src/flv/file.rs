//! Reading an FLV as its bytes come: from a file, or from a socket.

use bytes::{Buf, Bytes, BytesMut};

use super::error::FlvError;
use super::tag::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader, TagKind};

/// The longest file header taken. The format allows 4 GiB; every known writer says 9.
pub const MAX_HEADER_BYTES: u32 = 4096;

/// Bytes of the header that this reader understands.
const HEADER_BYTES: usize = 9;

/// A tag as read: its time is what the file says, 32 bits, not unwrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// The time as written, in milliseconds.
    pub time: u32,
    /// The body.
    pub payload: Bytes,
}

/// An incremental reader of FLV: give it bytes with [`push`](Self::push), then take tags with
/// [`poll_tag`](Self::poll_tag) until it has none.
///
/// It holds what was pushed and not yet taken, and no more: its owner bounds it by polling between pushes, and one
/// unfinished tag is at most [`MAX_PAYLOAD_BYTES`](super::tag::MAX_PAYLOAD_BYTES) long. After an error it stays at
/// that error.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    stage: Stage,
    tracks: Option<(bool, bool)>,
    wrong_sizes: u64,
}

/// What comes next in the file.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    FileHeader,
    /// The rest of a header longer than nine bytes, and PreviousTagSize0.
    Skip(usize),
    Header,
    Body(TagHeader),
    /// The field that repeats the size of the tag just given out, which should be this.
    Size(u32),
    Failed(FlvError),
}

impl Reader {
    /// A reader at the start of an FLV.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Failed(_)) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next tag, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// What the writer did wrong; the same again on every later call.
    pub fn poll_tag(&mut self) -> Result<Option<RawTag>, FlvError> {
        self.advance().inspect_err(|error| {
            self.stage = Stage::Failed(*error);
            self.buffer = BytesMut::new();
        })
    }

    /// Says that no more bytes come, after `poll_tag` has given its last.
    ///
    /// # Errors
    /// [`FlvError::Truncated`] if the FLV ends in the middle of something; a missing last PreviousTagSize is not
    /// counted as such, since nobody needs it.
    pub fn finish(self) -> Result<(), FlvError> {
        match self.stage {
            Stage::Failed(error) => Err(error),
            Stage::Header if self.buffer.is_empty() => Ok(()),
            Stage::Skip(_) if self.buffer.is_empty() => Ok(()),
            Stage::Size(_) => Ok(()),
            Stage::Body(_) => Err(FlvError::Truncated(self.buffer.len() + TAG_HEADER_BYTES)),
            _ => Err(FlvError::Truncated(self.buffer.len())),
        }
    }

    /// Whether the file header promised (audio, video); `None` before it was read.
    pub const fn tracks(&self) -> Option<(bool, bool)> {
        self.tracks
    }

    /// How many PreviousTagSize fields did not say what they should. Harmless: nothing here reads backwards, and
    /// writers exist that put zero.
    pub const fn wrong_sizes(&self) -> u64 {
        self.wrong_sizes
    }

    fn advance(&mut self) -> Result<Option<RawTag>, FlvError> {
        loop {
            match self.stage {
                Stage::FileHeader => {
                    let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else {
                        return self.refuse_early();
                    };
                    let (tracks, skip) = parse_file_header(header)?;
                    self.tracks = Some(tracks);
                    self.buffer.advance(HEADER_BYTES);
                    self.stage = Stage::Skip(skip);
                }
                Stage::Skip(count) => {
                    if self.buffer.len() < count {
                        return Ok(None);
                    }
                    self.buffer.advance(count);
                    self.stage = Stage::Header;
                }
                Stage::Header => {
                    let Some(header) = self.buffer.first_chunk::<TAG_HEADER_BYTES>() else {
                        return Ok(None);
                    };
                    self.stage = match TagHeader::parse(header) {
                        // Some writers send them. They carry nothing, and are no reason to give up what follows (R29).
                        Err(FlvError::EmptyTag) => Stage::Size(TAG_HEADER_BYTES as u32),
                        header => Stage::Body(header?),
                    };
                    self.buffer.advance(TAG_HEADER_BYTES);
                }
                Stage::Body(header) => return Ok(self.take_body(header)),
                Stage::Size(expected) => {
                    if self.buffer.len() < PREVIOUS_TAG_SIZE_BYTES {
                        return Ok(None);
                    }
                    self.wrong_sizes += u64::from(self.buffer.get_u32() != expected);
                    self.stage = Stage::Header;
                }
                Stage::Failed(error) => return Err(error),
            }
        }
    }

    /// A peer that speaks something else is told so at its first wrong byte, not after nine of them.
    fn refuse_early(&self) -> Result<Option<RawTag>, FlvError> {
        let seen = &self.buffer[..self.buffer.len().min(3)];
        if b"FLV".starts_with(seen) {
            return Ok(None);
        }
        let mut first = [0; 3];
        first[..seen.len()].copy_from_slice(seen);
        Err(FlvError::NotFlv(first))
    }

    /// Gives a tag out with its last byte, without waiting for the size field after it.
    fn take_body(&mut self, header: TagHeader) -> Option<RawTag> {
        let length = header.length as usize;
        if self.buffer.len() < length {
            return None;
        }
        self.stage = Stage::Size(header.length + TAG_HEADER_BYTES as u32);
        Some(RawTag {
            kind: header.kind,
            time: header.time,
            payload: self.buffer.split_to(length).freeze(),
        })
    }
}

/// Returns ((audio, video), bytes to skip before the first tag).
fn parse_file_header(header: &[u8; HEADER_BYTES]) -> Result<((bool, bool), usize), FlvError> {
    let [f, l, v, version, flags, offset @ ..] = *header;
    if [f, l, v] != *b"FLV" {
        return Err(FlvError::NotFlv([f, l, v]));
    }
    if version != 1 {
        return Err(FlvError::Version(version));
    }
    let offset = u32::from_be_bytes(offset);
    if !(HEADER_BYTES as u32..=MAX_HEADER_BYTES).contains(&offset) {
        return Err(FlvError::HeaderLength(offset));
    }
    let skip = offset as usize - HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES;
    Ok(((flags & 4 != 0, flags & 1 != 0), skip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{Tag, encode_into, file_header};
    use proptest::prelude::*;

    fn tags() -> Vec<Tag> {
        [
            (TagKind::Script, 0, 3),
            (TagKind::Video, 0, 900),
            (TagKind::Audio, 0x0100_0001, 1),
        ]
        .map(|(kind, time, length)| Tag {
            kind,
            time,
            payload: vec![kind as u8; length].into(),
        })
        .to_vec()
    }

    fn file() -> Vec<u8> {
        let mut out = file_header(true, true).to_vec();
        tags().iter().for_each(|tag| encode_into(&mut out, tag));
        out
    }

    fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<RawTag>, FlvError> {
        let mut tags = Vec::new();
        reader.push(bytes);
        while let Some(tag) = reader.poll_tag()? {
            tags.push(tag);
        }
        Ok(tags)
    }

    #[test]
    fn gives_the_same_tags_at_every_split_point() {
        let file = file();
        for cut in 0..=file.len() {
            let mut reader = Reader::new();
            let mut got = read(&mut reader, &file[..cut]).unwrap();
            got.extend(read(&mut reader, &file[cut..]).unwrap());
            let got: Vec<_> = got
                .into_iter()
                .map(|t| (t.kind, u64::from(t.time), t.payload))
                .collect();
            let want: Vec<_> = tags().into_iter().map(|t| (t.kind, t.time, t.payload)).collect();
            assert_eq!(got, want, "cut at {cut}");
            assert_eq!((reader.tracks(), reader.wrong_sizes()), (Some((true, true)), 0));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_tag_is_given_out_with_its_last_byte() {
        let file = file();
        let mut reader = Reader::new();
        assert_eq!(read(&mut reader, &file[..file.len() - 4]).unwrap().len(), 3);
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn wrong_sizes_are_counted_and_borne() {
        let mut file = file();
        let end = file.len();
        file[end - 4..].fill(0);
        let mut reader = Reader::new();
        assert_eq!(read(&mut reader, &file).unwrap().len(), 3);
        assert_eq!(reader.wrong_sizes(), 1);
    }

    #[test]
    fn names_what_is_wrong() {
        for (file, error) in [
            (&b"GET"[..], FlvError::NotFlv(*b"GET")),
            (b"\x03", FlvError::NotFlv([3, 0, 0])),
            (b"FLV\x02\x05\0\0\0\x09", FlvError::Version(2)),
            (b"FLV\x01\x05\0\0\0\x08", FlvError::HeaderLength(8)),
            (b"FLV\x01\x05\xff\0\0\0", FlvError::HeaderLength(0xFF00_0000)),
            (
                b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x07\0\0\x01\0\0\0\0\0\0\0",
                FlvError::UnknownType(7),
            ),
        ] {
            let mut reader = Reader::new();
            assert_eq!(read(&mut reader, file), Err(error));
            assert_eq!(read(&mut reader, &self::file()), Err(error), "an error is final");
            assert_eq!(reader.finish(), Err(error));
        }
    }

    #[test]
    fn r29_an_empty_tag_is_passed_over() {
        let mut file = file();
        let empty = [8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 11];
        file.splice(13..13, empty);
        file.extend_from_slice(&empty);
        for cut in 0..=file.len() {
            let mut reader = Reader::new();
            let mut got = read(&mut reader, &file[..cut]).unwrap().len();
            got += read(&mut reader, &file[cut..]).unwrap().len();
            assert_eq!((got, reader.wrong_sizes()), (3, 0), "cut at {cut}");
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_longer_file_header_is_skipped() {
        let mut file = file();
        file[8] = 12;
        file.splice(9..9, [1, 2, 3]);
        assert_eq!(read(&mut Reader::new(), &file).unwrap().len(), 3);
    }

    #[test]
    fn an_end_in_the_middle_is_told_from_a_clean_one() {
        let file = file();
        for (length, error) in [
            (5, FlvError::Truncated(5)),
            (13 + 14 + 4 + 30, FlvError::Truncated(30)),
        ] {
            let mut reader = Reader::new();
            read(&mut reader, &file[..length]).unwrap();
            assert_eq!(reader.finish(), Err(error));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), headed in any::<bool>()) {
            let mut reader = Reader::new();
            if headed {
                reader.push(&file_header(true, true));
            }
            let _ = read(&mut reader, &bytes);
            let _ = reader.finish();
        }
    }
}
