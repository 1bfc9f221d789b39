//! Chunks.

use crate::flv::TagKind;

/// The chunk size of shared records.
pub const SHARED_CHUNK_SIZE: usize = 65536;

/// Appends a message as fmt 0 and fmt 3 chunks.
pub fn write_shared(kind: TagKind, csid: u32, time: u64, payload: &[u8], out: &mut Vec<u8>) {
    let time = time as u32;
    let short = time.min(0xFF_FFFF);
    let mut chunks = payload.chunks(SHARED_CHUNK_SIZE);
    out.push(csid as u8);
    out.extend_from_slice(&short.to_be_bytes()[1..]);
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(kind as u8);
    out.extend_from_slice(&1u32.to_le_bytes());
    let mut first = true;
    loop {
        if short == 0xFF_FFFF {
            out.extend_from_slice(&time.to_be_bytes());
        }
        let Some(chunk) = chunks.next() else { break };
        if !first {}
        first = false;
        out.extend_from_slice(chunk);
        if chunks.len() == 0 {
            break;
        }
        out.push(0xC0 | csid as u8);
    }
}
