//! What a peer did wrong, on each level of RTMP.

use super::message::MessageType;
use crate::amf0::Amf0Error;

/// The handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first byte is not 3: no RTMP at all, or its encrypted kin (6).
    #[error("the peer speaks version {0} of RTMP, if it is RTMP, and not version 3")]
    Version(u8),
}

/// The chunk stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Set Chunk Size with 0 or with its high bit set (R18).
    #[error("a chunk size of {0} was set")]
    ChunkSize(u32),
    /// A message longer than is allowed at this point of the session.
    #[error("a message of {length} bytes was announced where {limit} are allowed")]
    MessageTooLong {
        /// As announced.
        length: u32,
        /// As allowed.
        limit: u32,
    },
    /// The unfinished messages together are larger than allowed.
    #[error("unfinished messages of more than {limit} bytes")]
    TooMuchUnfinished {
        /// As allowed.
        limit: usize,
    },
    /// More chunk streams than [`MAX_CHUNK_STREAMS`](super::chunk::MAX_CHUNK_STREAMS).
    #[error("too many chunk streams")]
    TooManyChunkStreams,
    /// A header of type 0, 1 or 2 where the chunk stream's unfinished message had to go on, without an Abort: one of
    /// the two sides has lost its place.
    #[error("a message begins within another on chunk stream {csid}")]
    Interrupted {
        /// The chunk stream.
        csid: u32,
    },
    /// A protocol control message without the four bytes it must have.
    #[error("a protocol control message is cut short")]
    ControlCutShort,
}

/// Why a session ended by the peer's fault. None of these is worth an answer: the connection is closed and counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtmpError {
    /// In the handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// In the chunk stream.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A command without a readable name.
    #[error("a command cannot be read: {0}")]
    BadCommand(#[from] Amf0Error),
    /// A message of a type whose body is fixed is shorter than that.
    #[error("a message of type {0:?} is cut short")]
    CutShort(MessageType),
    /// An aggregate of more messages than anyone gathers.
    #[error("an aggregate message has too many parts")]
    AggregateTooLarge,
    /// `createStream`, `publish` or `play` before `connect`.
    #[error("a command came before connect")]
    NotConnected,
    /// `publish` or `play` on a connection that already does either.
    #[error("a second publish or play on one connection")]
    AlreadyActive,
    /// More replies are waiting than a peer that reads them could have asked for.
    #[error("the peer asks faster than it reads the answers")]
    Flood,
    /// More input behind a `publish` or `play` than is held while that is decided.
    #[error("too much input before publish or play was decided")]
    Impatient,
}

impl RtmpError {
    /// A short, fixed name for counters: a closed set, never anything that the peer wrote.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Handshake(HandshakeError::Version(_)) => "not_rtmp",
            Self::Chunk(ChunkError::ChunkSize(_)) => "chunk_size",
            Self::Chunk(ChunkError::MessageTooLong { .. }) => "message_too_long",
            Self::Chunk(ChunkError::TooMuchUnfinished { .. }) => "too_much_unfinished",
            Self::Chunk(ChunkError::TooManyChunkStreams) => "too_many_chunk_streams",
            Self::Chunk(ChunkError::Interrupted { .. }) => "interrupted",
            Self::Chunk(ChunkError::ControlCutShort) | Self::CutShort(_) => "cut_short",
            Self::BadCommand(_) => "bad_command",
            Self::AggregateTooLarge => "aggregate_too_large",
            Self::NotConnected => "not_connected",
            Self::AlreadyActive => "already_active",
            Self::Flood => "flood",
            Self::Impatient => "impatient",
        }
    }
}
