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
                    self.stage = Stage::Body(TagHeader::parse(header)?);
                    self.buffer.advance(TAG_HEADER_BYTES);
                }
                Stage::Body(header) => return Ok(self.take_body(header)),
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

    fn take_body(&mut self, header: TagHeader) -> Option<RawTag> {
        let length = header.length as usize;
        // The size after the body is taken with it when it is there; at the end of a live response it may never come.
        if self.buffer.len() < length {
            return None;
        }
        if self.buffer.len() < length + PREVIOUS_TAG_SIZE_BYTES {
            return None;
        }
        let payload = self.buffer.split_to(length).freeze();
        let said = self.buffer.get_u32();
        if said != header.length + TAG_HEADER_BYTES as u32 {
            self.wrong_sizes += 1;
        }
        self.stage = Stage::Header;
        Some(RawTag {
            kind: header.kind,
            time: header.time,
            payload,
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
