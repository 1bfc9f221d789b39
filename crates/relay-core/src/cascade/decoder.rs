//! Reads a group's bytes as they come.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::{
    FrameError, GroupHeader, LEAD_BYTES, MAX_HEADER_BYTES, MAX_PREFACE_BYTES, MAX_TAG_BYTES,
    MAX_UNKNOWN_BYTES, SEAL, SEAL_BYTES, SKIPPABLE, STATED, TAG_HEAD_BYTES, VERSION, decode_header,
    extra_kind, preface_kind, u64_of,
};
use crate::flv::{Tag, TagKind};
use crate::stream::{GroupSeal, KeptExtra, MAX_EXTRAS, Stated};

/// Bytes of a preface's or an unknown record before its payload.
const SHORT_HEAD_BYTES: usize = 1 + 4;

/// Reads one group: push what comes, then poll until `None`. After an error it gives nothing more.
///
/// It holds no more than what was pushed of one record, and makes room by what has come, never by what was announced.
#[derive(Debug, Default)]
pub struct Decoder {
    inbox: Inbox,
    state: State,
    counted: u32,
    prefaced: u8,
    extras: usize,
}

/// What a group's bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Which group it is: always the first.
    Header(GroupHeader),
    /// A piece of the preface: metadata (script) or a sequence header.
    Preface(TagKind, Bytes),
    /// Another piece of it: what else a decoder needs.
    Extra(KeptExtra),
    /// What an operator above says of the stream's tracks, before the first tag as well.
    Stated(Stated),
    /// The next tag.
    Tag(Tag),
    /// The group is complete: always the last.
    Seal(GroupSeal),
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Lead,
    Header(usize),
    Record,
    Payload(Payload),
    Sealed,
    Failed(FrameError),
}

/// A record whose head has been read.
#[derive(Clone, Copy, Debug)]
struct Payload {
    of: Of,
    length: usize,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Tag(TagKind, u64),
    Preface(TagKind),
    Extra(TagKind),
    Stated,
    Unknown,
}

impl Decoder {
    /// Takes bytes as they came. They are shared, not copied, where a payload lies in one piece.
    pub fn push(&mut self, chunk: Bytes) {
        self.inbox.push(chunk);
    }

    /// The next item, or `None` until more is pushed.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn poll(&mut self) -> Result<Option<Item>, FrameError> {
        loop {
            match self.step() {
                Ok(Some(Progress::Item(item))) => return Ok(Some(item)),
                Ok(Some(Progress::More)) => {}
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.state = State::Failed(error);
                    self.inbox = Inbox::default();
                    return Err(error);
                }
            }
        }
    }

    /// Tells that the stream has ended.
    ///
    /// # Errors
    /// [`FrameError::Unsealed`] if it ended too early.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.state {
            State::Sealed => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(FrameError::Unsealed),
        }
    }

    fn step(&mut self) -> Result<Option<Progress>, FrameError> {
        match self.state {
            State::Lead => self.lead(),
            State::Header(length) => self.header(length),
            State::Record => self.record(),
            State::Payload(payload) => self.payload(payload),
            State::Sealed if self.inbox.length > 0 => Err(FrameError::AfterSeal),
            State::Sealed => Ok(None),
            State::Failed(error) => Err(error),
        }
    }

    fn lead(&mut self) -> Result<Option<Progress>, FrameError> {
        let Some(lead) = self.inbox.take(LEAD_BYTES) else {
            return Ok(None);
        };
        if lead[0] != VERSION {
            return Err(FrameError::Version(lead[0]));
        }
        let length = u16::from_be_bytes([lead[1], lead[2]]);
        if length > MAX_HEADER_BYTES {
            return Err(FrameError::HeaderLength);
        }
        self.state = State::Header(length.into());
        Ok(Some(Progress::More))
    }

    fn header(&mut self, length: usize) -> Result<Option<Progress>, FrameError> {
        let Some(bytes) = self.inbox.take(length) else {
            return Ok(None);
        };
        let header = decode_header(&bytes)?;
        self.counted = header.first_tag;
        self.state = State::Record;
        Ok(Some(Progress::Item(Item::Header(header))))
    }

    fn record(&mut self) -> Result<Option<Progress>, FrameError> {
        let Some(kind) = self.inbox.peek() else {
            return Ok(None);
        };
        if kind == SEAL {
            return self.seal();
        }
        let tag = TagKind::from_wire(kind);
        let preface = preface_kind(kind);
        if tag.is_none() && preface.is_none() && kind & SKIPPABLE == 0 {
            return Err(FrameError::RecordType(kind));
        }
        let wanted = if tag.is_some() {
            TAG_HEAD_BYTES
        } else {
            SHORT_HEAD_BYTES
        };
        let Some(head) = self.inbox.take(wanted) else {
            return Ok(None);
        };
        let head = &mut &head[1..];
        let of = match (tag, preface, extra_kind(kind)) {
            (Some(kind), ..) => Of::Tag(kind, u64_of(head, 8)?),
            (None, Some(kind), _) => Of::Preface(kind),
            (None, None, Some(kind)) => Of::Extra(kind),
            (None, None, None) if kind == STATED => Of::Stated,
            (None, None, None) => Of::Unknown,
        };
        // Four bytes: it fits.
        let length = u64_of(head, 4)? as u32;
        self.admit(of, length)?;
        self.state = State::Payload(Payload {
            of,
            length: length as usize,
        });
        Ok(Some(Progress::More))
    }

    /// Whether a record may come here, and be so long.
    fn admit(&mut self, of: Of, length: u32) -> Result<(), FrameError> {
        match of {
            Of::Tag(..) => {
                if length > MAX_TAG_BYTES {
                    return Err(FrameError::TagLength(length));
                }
                self.counted = self.counted.checked_add(1).ok_or(FrameError::TooManyTags)?;
                // A preface comes before the first tag.
                self.prefaced = u8::MAX;
            }
            Of::Preface(kind) => {
                if length > MAX_PREFACE_BYTES {
                    return Err(FrameError::PrefaceLength(length));
                }
                let bit = match kind {
                    TagKind::Audio => 1,
                    TagKind::Video => 2,
                    TagKind::Script => 4,
                };
                if self.prefaced & bit != 0 || self.counted > 0 {
                    return Err(FrameError::Preface);
                }
                self.prefaced |= bit;
            }
            Of::Extra(_) => {
                if length > MAX_PREFACE_BYTES {
                    return Err(FrameError::PrefaceLength(length));
                }
                self.extras += 1;
                if self.extras > MAX_EXTRAS || self.counted > 0 {
                    return Err(FrameError::Preface);
                }
            }
            Of::Stated if length == 0 || self.counted > 0 => return Err(FrameError::Preface),
            Of::Unknown | Of::Stated if length > MAX_UNKNOWN_BYTES => {
                return Err(FrameError::UnknownLength(length));
            }
            Of::Unknown | Of::Stated => {}
        }
        Ok(())
    }

    fn payload(&mut self, Payload { of, length }: Payload) -> Result<Option<Progress>, FrameError> {
        let Some(payload) = self.inbox.take(length) else {
            return Ok(None);
        };
        self.state = State::Record;
        Ok(Some(match of {
            Of::Tag(kind, time) => Progress::Item(Item::Tag(Tag { kind, time, payload })),
            Of::Preface(kind) => Progress::Item(Item::Preface(kind, payload)),
            Of::Extra(kind) => Progress::Item(Item::Extra(KeptExtra { kind, payload })),
            Of::Stated => Progress::Item(Item::Stated(Stated::from_bits(
                payload.first().copied().unwrap_or(0),
            ))),
            Of::Unknown => Progress::More,
        }))
    }

    fn seal(&mut self) -> Result<Option<Progress>, FrameError> {
        let Some(bytes) = self.inbox.take(SEAL_BYTES) else {
            return Ok(None);
        };
        let rest = &mut &bytes[1..];
        let count = u64_of(rest, 4)? as u32;
        if count != self.counted {
            return Err(FrameError::Count {
                announced: count,
                sent: self.counted,
            });
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(rest);
        self.state = State::Sealed;
        Ok(Some(Progress::Item(Item::Seal(GroupSeal { count, hash }))))
    }
}

enum Progress {
    Item(Item),
    More,
}

/// Chunks as they came, given out in the pieces that are asked for.
#[derive(Debug, Default)]
struct Inbox {
    chunks: VecDeque<Bytes>,
    length: usize,
}

impl Inbox {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.chunks.front()?.first().copied()
    }

    /// The next `wanted` bytes once all of them are here: a slice of the chunk that holds them, or else one buffer.
    fn take(&mut self, wanted: usize) -> Option<Bytes> {
        if self.length < wanted {
            return None;
        }
        self.length -= wanted;
        if let Some(front) = self.chunks.front_mut().filter(|front| front.len() > wanted) {
            return Some(front.split_to(wanted));
        }
        if self.chunks.front().is_some_and(|front| front.len() == wanted) {
            return self.chunks.pop_front();
        }
        let mut whole = BytesMut::with_capacity(wanted);
        while whole.len() < wanted {
            let missing = wanted - whole.len();
            // `length` counts what the chunks hold: there is another one.
            let front = self.chunks.front_mut()?;
            if front.len() > missing {
                whole.extend_from_slice(&front.split_to(missing));
            } else {
                whole.extend_from_slice(front);
                self.chunks.pop_front();
            }
        }
        Some(whole.freeze())
    }
}
