//! RTMP records: full chunk headers, fixed chunk streams, message stream 1, so that one copy serves every player.

use crate::flv::{Tag, TagKind};
use crate::rtmp::chunk;

/// Chunk streams of the shared records. Players don't care which; other than those of a session's own replies.
const fn chunk_stream(kind: TagKind) -> u32 {
    match kind {
        TagKind::Audio => 4,
        TagKind::Video => 6,
        TagKind::Script => 5,
    }
}

pub(super) fn frame(tag: &Tag, out: &mut Vec<u8>) -> usize {
    chunk::write_shared(tag.kind, chunk_stream(tag.kind), tag.time, &tag.payload, out);
    0
}
