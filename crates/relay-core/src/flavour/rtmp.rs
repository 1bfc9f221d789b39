//! RTMP records: full chunk headers, fixed chunk streams, message stream 1, so that one copy serves every player.

use crate::flv::Tag;
use crate::rtmp::chunk::{Writer, shared_csid};

pub(super) fn frame(tag: &Tag, out: &mut Vec<u8>) -> usize {
    Writer::write_shared(tag.kind, shared_csid(tag.kind), tag.time, &tag.payload, out);
    0
}
