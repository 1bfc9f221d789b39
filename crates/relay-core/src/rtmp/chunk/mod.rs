//! The chunk stream: how messages are cut into chunks and interleaved. (RTMP specification 1.0, section 5.3.)
//!
//! [`Reader`] takes everything that encoders in the field send; [`Writer`] writes the one plain form that needs no
//! memory of what was written before, so that the same bytes serve every viewer.

mod header;
mod inline;
mod reader;
mod writer;

use bytes::Bytes;

pub use reader::{Limits, Reader};
pub use writer::{SHARED_CHUNK_SIZE, Writer, shared_csid};

use super::message::MessageType;

/// The chunk size of both directions until one side sets another.
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The largest chunk size that may be set: the high bit of the field must be zero (R18).
pub const MAX_CHUNK_SIZE: u32 = 0x7FFF_FFFF;

/// The largest message there is room for at all: a keyframe of a 100 Mbit/s stream is a tenth of it.
pub const MAX_MESSAGE_BYTES: u32 = 16 << 20;

/// How many chunk streams one peer may use. Encoders use three to eight and number them up to 65599; 64 at once
/// must work (R20), and 128 of them take 10 KB here.
pub const MAX_CHUNK_STREAMS: usize = 128;

/// From this time on a header has the extended field (R14).
const EXTENDED: u32 = crate::wire::MAX_U24;

/// One whole message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// The message stream it belongs to: 0 for the connection, 1 for the media here.
    pub stream_id: u32,
    /// The sender's time in milliseconds, modulo 2³².
    pub time: u32,
    /// The body.
    pub payload: Bytes,
}
