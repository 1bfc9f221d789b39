//! FLV for HTTP: in baked chunks (1.1) and bare (1.0).

use std::io::Write;

use bytes::Bytes;

use crate::flv::{self, Tag};
use crate::stream::Headers;

/// A tag's header before its payload, and the size field after it.
const TAG_HEADER_BYTES: usize = 11;
const TAG_OVERHEAD_BYTES: usize = TAG_HEADER_BYTES + 4;

/// Chunk head + tag + its PreviousTagSize + chunk tail: any record boundary is a place to join or to skip.
pub(super) fn frame_chunked(tag: &Tag, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    put_chunk_head(out, TAG_OVERHEAD_BYTES + tag.payload.len());
    let head = out.len() - before;
    flv::encode_into(out, tag);
    out.extend_from_slice(b"\r\n");
    head + TAG_HEADER_BYTES
}

pub(super) fn frame_bare(tag: &Tag, out: &mut Vec<u8>) -> usize {
    flv::encode_into(out, tag);
    TAG_HEADER_BYTES
}

/// FLV file header and the headers at the start point.
pub(super) fn prelude_bare(headers: &Headers, time: u64) -> Bytes {
    let mut out = flv::file_header(headers.audio_present(), headers.video_present()).to_vec();
    for tag in headers.tags(time) {
        flv::encode_into(&mut out, &tag);
    }
    out.into()
}

/// The same as one chunk.
pub(super) fn prelude_chunked(headers: &Headers, time: u64) -> Bytes {
    let bare = prelude_bare(headers, time);
    let mut out = Vec::with_capacity(bare.len() + 12);
    put_chunk_head(&mut out, bare.len());
    out.extend_from_slice(&bare);
    out.extend_from_slice(b"\r\n");
    out.into()
}

fn put_chunk_head(out: &mut Vec<u8>, len: usize) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{len:x}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::TagKind;

    #[test]
    fn a_record_is_one_whole_chunk() {
        let tag = Tag {
            kind: TagKind::Video,
            time: 0x0123_4567,
            payload: Bytes::from_static(b"\x17\x01frame"),
        };
        let mut out = Vec::new();
        let payload_at = frame_chunked(&tag, &mut out);
        assert_eq!(&out[payload_at..payload_at + 7], b"\x17\x01frame");
        let mut bare = Vec::new();
        frame_bare(&tag, &mut bare);
        let expected = [format!("{:x}\r\n", bare.len()).as_bytes(), &bare, b"\r\n"].concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn the_file_header_tells_the_truth_about_tracks() {
        let headers = Headers {
            audio: Some(Bytes::from_static(b"\xaf\x00\x12\x10")),
            ..Headers::default()
        };
        let bytes = prelude_bare(&headers, 5000);
        assert_eq!(&bytes[..5], b"FLV\x01\x04", "audio only (R37)");
        assert_eq!(bytes[13], 8, "and the audio header follows");
    }
}
