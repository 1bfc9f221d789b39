//! From bytes to messages.

use bytes::Bytes;

use super::header::{Begin, Header, MAX_HEADER_BYTES};
use super::inline::Inline;
use super::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, MAX_CHUNK_STREAMS, Message};
use crate::rtmp::error::ChunkError;
use crate::rtmp::message::MessageType;
use crate::wire;

/// The first piece of memory for a message that takes more than one chunk or read; doubled as its bytes arrive, so
/// that an announced length costs a peer what it wants to cost us (R19).
const FIRST_PIECE: usize = 4096;

/// How much a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, at most [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES).
    pub message: u32,
    /// Memory for unfinished messages, over all chunk streams.
    pub unfinished: usize,
}

/// Reads a chunk stream however it is cut, and hands out whole messages.
///
/// Call [`Reader::read`] until it returns `None`, then again with the next bytes. Set Chunk Size and Abort are
/// obeyed in here and not handed out. After an error the stream is lost: there is no way to find the next chunk.
///
/// A payload is copied once, from the input into memory of its own.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: u32,
    state: State,
    /// The bytes of the present header so far.
    head: Inline<MAX_HEADER_BYTES>,
    /// Bytes that were taken for an extended time and are payload: they go before the input.
    unread: Inline<4>,
    streams: Vec<ChunkStream>,
    /// The chunk stream of the last chunk: most often that of the next, and otherwise it is looked for.
    recent: usize,
    /// A chunk stream began with a header that refers to an earlier one.
    odd_first: bool,
    /// A type 3 left out the extended time.
    bare: bool,
    /// Capacity of all unfinished bodies.
    unfinished: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Within a header, or before one.
    Header,
    /// Behind a type 3 header of a chunk stream with extended times: is the field there?
    Extended { index: usize },
    /// `left` bytes of this chunk are to come.
    Body { index: usize, left: usize },
}

/// What a chunk stream remembers from one chunk to the next.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    /// Of the present or last message.
    time: u32,
    /// The time field as it was last sent: what a type 3 adds when it begins a message.
    field: u32,
    extended: bool,
    length: u32,
    kind: u8,
    stream_id: u32,
    /// The message so far; empty between messages.
    body: Vec<u8>,
}

impl Reader {
    /// A reader at the start of a chunk stream, behind the handshake.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            state: State::Header,
            head: Inline::new(),
            unread: Inline::new(),
            streams: Vec::new(),
            recent: 0,
            odd_first: false,
            bare: false,
            unfinished: 0,
        }
    }

    /// From now on the peer may send this much.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Memory held for unfinished messages.
    pub const fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Whether a chunk stream began with a header that refers to an earlier one (R21).
    pub const fn had_odd_first(&self) -> bool {
        self.odd_first
    }

    /// Whether a chunk of type 3 left out the extended time (R14).
    pub const fn had_bare_continuation(&self) -> bool {
        self.bare
    }

    /// Reads up to the end of the next message, and moves `input` behind what was read.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        while !(input.is_empty() && self.unread.is_empty()) {
            let finished = match self.state {
                State::Header => self.read_header(input)?,
                State::Extended { index } => self.read_extended(index, input)?,
                State::Body { index, left } => self.read_body(index, left, input)?,
            };
            if let Some(message) = finished
                && let Some(message) = self.obey(message)?
            {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn next_byte(&mut self, input: &mut &[u8]) -> Option<u8> {
        self.unread.pop_front().or_else(|| {
            let (first, rest) = input.split_first()?;
            *input = rest;
            Some(*first)
        })
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        while let Some(byte) = self.next_byte(input) {
            self.head.push(byte);
            let Ok(header) = Header::parse(&mut wire::Reader::new(self.head.as_slice())) else {
                continue;
            };
            self.head.clear();
            let index = self.stream(&header)?;
            return match header.begin {
                Some(begin) => self.begin(index, begin),
                None if self.streams[index].extended => {
                    self.state = State::Extended { index };
                    Ok(None)
                }
                None => self.go_on(index),
            };
        }
        Ok(None)
    }

    /// The index of a chunk stream, made with zero defaults if it is new: some encoders begin one with type 1, 2
    /// or 3 (R21).
    fn stream(&mut self, header: &Header) -> Result<usize, ChunkError> {
        let csid = header.csid;
        if self
            .streams
            .get(self.recent)
            .is_some_and(|stream| stream.csid == csid)
        {
            return Ok(self.recent);
        }
        if let Some(index) = self.streams.iter().position(|stream| stream.csid == csid) {
            self.recent = index;
            return Ok(index);
        }
        if self.streams.len() == MAX_CHUNK_STREAMS {
            return Err(ChunkError::TooManyChunkStreams);
        }
        self.odd_first |= header.begin.is_none_or(|begin| !begin.absolute);
        self.recent = self.streams.len();
        self.streams.push(ChunkStream::new(csid));
        Ok(self.recent)
    }

    /// A header of type 0, 1 or 2: a message begins.
    fn begin(&mut self, index: usize, begin: Begin) -> Result<Option<Message>, ChunkError> {
        let stream = &mut self.streams[index];
        if !stream.body.is_empty() {
            return Err(ChunkError::Interrupted { csid: stream.csid });
        }
        stream.field = begin.time;
        stream.extended = begin.extended;
        stream.time = if begin.absolute {
            begin.time
        } else {
            stream.time.wrapping_add(begin.time)
        };
        if let Some((length, kind)) = begin.shape {
            (stream.length, stream.kind) = (length, kind);
        }
        if let Some(stream_id) = begin.stream_id {
            stream.stream_id = stream_id;
        }
        self.enter_body(index)
    }

    /// A header of type 3: the message goes on, or one just like the last begins, as much later as that was.
    fn go_on(&mut self, index: usize) -> Result<Option<Message>, ChunkError> {
        let stream = &mut self.streams[index];
        if stream.body.is_empty() {
            stream.time = stream.time.wrapping_add(stream.field);
        }
        self.enter_body(index)
    }

    fn enter_body(&mut self, index: usize) -> Result<Option<Message>, ChunkError> {
        let stream = &self.streams[index];
        if stream.length > self.limits.message {
            return Err(ChunkError::MessageTooLong {
                length: stream.length,
                limit: self.limits.message,
            });
        }
        let left = (stream.length as usize - stream.body.len()).min(self.chunk_size as usize);
        if left == 0 {
            self.state = State::Header;
            return Ok(Some(self.finish(index)));
        }
        self.state = State::Body { index, left };
        Ok(None)
    }

    /// Takes four bytes as the extended time of a type 3 if they are that, and as payload if not: some encoders
    /// repeat the field as the specification says, some leave it out (R14).
    fn read_extended(&mut self, index: usize, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        let stream = &self.streams[index];
        // Within a message of types 1 and 2, the field that is repeated is the delta or, by some, the time.
        let expected = [stream.field.to_be_bytes(), stream.time.to_be_bytes()];
        while let Some(byte) = self.next_byte(input) {
            self.head.push(byte);
            let seen = self.head.as_slice();
            if !expected.iter().any(|field| field.starts_with(seen)) {
                self.bare = true;
                let head = self.head;
                self.head.clear();
                self.unread.push_all_front(&head);
                return self.go_on(index);
            }
            if seen.len() == expected[0].len() {
                self.head.clear();
                return self.go_on(index);
            }
        }
        Ok(None)
    }

    fn read_body(
        &mut self,
        index: usize,
        left: usize,
        input: &mut &[u8],
    ) -> Result<Option<Message>, ChunkError> {
        let taken = if let Some(byte) = self.unread.pop_front() {
            self.append(index, &[byte])?;
            1
        } else {
            let (piece, rest) = input.split_at(left.min(input.len()));
            *input = rest;
            self.append(index, piece)?;
            piece.len()
        };
        let stream = &self.streams[index];
        if stream.body.len() == stream.length as usize {
            self.state = State::Header;
            return Ok(Some(self.finish(index)));
        }
        self.state = match left - taken {
            0 => State::Header,
            left => State::Body { index, left },
        };
        Ok(None)
    }

    fn append(&mut self, index: usize, piece: &[u8]) -> Result<(), ChunkError> {
        let body = &mut self.streams[index].body;
        let needed = body.len() + piece.len();
        if needed > body.capacity() {
            let before = body.capacity();
            let ahead = FIRST_PIECE.max(2 * before).max(needed);
            let target = ahead.min(self.streams[index].length as usize);
            // Refuse before taking the memory, by the amount that is about to be taken.
            if self.unfinished - before + target > self.limits.unfinished {
                return Err(ChunkError::TooMuchUnfinished {
                    limit: self.limits.unfinished,
                });
            }
            let body = &mut self.streams[index].body;
            body.reserve_exact(target - body.len());
            self.unfinished = self.unfinished - before + body.capacity();
        }
        self.streams[index].body.extend_from_slice(piece);
        Ok(())
    }

    fn finish(&mut self, index: usize) -> Message {
        let stream = &mut self.streams[index];
        self.unfinished -= stream.body.capacity();
        Message {
            kind: MessageType::from_wire(stream.kind),
            stream_id: stream.stream_id,
            time: stream.time,
            payload: Bytes::from(std::mem::take(&mut stream.body)),
        }
    }

    fn give_up(&mut self, index: usize) {
        let body = std::mem::take(&mut self.streams[index].body);
        self.unfinished -= body.capacity();
    }

    /// Obeys what concerns the chunk stream itself, and passes on the rest.
    fn obey(&mut self, message: Message) -> Result<Option<Message>, ChunkError> {
        let value = || wire::Reader::new(&message.payload).u32();
        match message.kind {
            MessageType::SetChunkSize => {
                let size = value().map_err(|_| ChunkError::ControlCutShort)?;
                if size == 0 || size > MAX_CHUNK_SIZE {
                    return Err(ChunkError::ChunkSize(size));
                }
                self.chunk_size = size;
                Ok(None)
            }
            MessageType::Abort => {
                let csid = value().map_err(|_| ChunkError::ControlCutShort)?;
                if let Some(index) = self.streams.iter().position(|stream| stream.csid == csid) {
                    self.give_up(index);
                }
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }
}

impl ChunkStream {
    const fn new(csid: u32) -> Self {
        Self {
            csid,
            time: 0,
            field: 0,
            extended: false,
            length: 0,
            kind: 0,
            stream_id: 0,
            body: Vec::new(),
        }
    }
}
