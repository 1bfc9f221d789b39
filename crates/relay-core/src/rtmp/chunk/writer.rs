//! From messages to bytes.

use super::{MAX_CHUNK_SIZE, header};
use crate::flv::TagKind;
use crate::rtmp::message::MessageType;

/// The chunk size of all that this server sends behind its `connect` reply: most video frames fit one chunk, and a
/// reader need not hold more than this at once.
pub const SHARED_CHUNK_SIZE: u32 = 65536;

/// The chunk stream that tags of a kind travel on, the same for every viewer.
pub const fn shared_csid(kind: TagKind) -> u32 {
    match kind {
        TagKind::Audio => 4,
        TagKind::Script => 5,
        TagKind::Video => 6,
    }
}

/// Writes messages as one header of type 0 and as many of type 3 as it takes.
///
/// It has no memory of earlier messages: the same message gives the same bytes wherever it stands, which is what
/// lets all viewers share them. The price is 4 to 11 bytes a message.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    chunk_size: u32,
}

impl Writer {
    /// A writer of chunks of this size, brought within 1 and [`MAX_CHUNK_SIZE`].
    pub fn new(chunk_size: u32) -> Self {
        Self {
            chunk_size: chunk_size.clamp(1, MAX_CHUNK_SIZE),
        }
    }

    /// Appends one message. The payload is shorter than 16 MiB, as everything is that came from a peer.
    pub fn write(
        self,
        kind: MessageType,
        csid: u32,
        stream_id: u32,
        time: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut chunks = payload.chunks(self.chunk_size as usize);
        header::put_full(out, csid, time, length, kind.to_wire(), stream_id);
        out.extend_from_slice(chunks.next().unwrap_or_default());
        for chunk in chunks {
            header::put_continuation(out, csid, time);
            out.extend_from_slice(chunk);
        }
    }

    /// Appends one tag as every viewer gets it: on message stream 1, in chunks of [`SHARED_CHUNK_SIZE`], its time
    /// wrapped to 32 bits (R15).
    pub fn write_shared(kind: TagKind, csid: u32, time: u64, payload: &[u8], out: &mut Vec<u8>) {
        // The wrap is the point.
        let time = time as u32;
        Self::new(SHARED_CHUNK_SIZE).write(kind.into(), csid, 1, time, payload, out);
    }
}
