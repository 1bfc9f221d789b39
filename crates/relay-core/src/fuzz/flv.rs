//! Any bytes as an FLV.

use std::mem::discriminant;

use super::choice;
use crate::flv::{Clip, FlvError, RawTag, Reader, Tag, encode_into, file_header};

/// Reads the data as an FLV, whole, in pieces, and as a clip: all read the same tags or find fault likewise, and what was
/// read is the same again after it was written.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let piece = usize::from(choice(&mut data)).max(1);
    let (tags, end) = read(data, data.len().max(1));
    let (same_tags, same_end) = read(data, piece);
    assert_eq!(same_tags, tags, "cut anywhere");
    // The first wrong bytes are named as far as they have come, so that errors differ in that.
    let fault = |end: Result<(), FlvError>| end.err().map(|error| discriminant(&error));
    assert_eq!(fault(same_end), fault(end));
    let bytes: usize = tags.iter().map(|tag| tag.payload.len()).sum();
    assert!(bytes <= data.len(), "no growth");
    write_again(&tags);
    match Clip::parse(data) {
        Ok(clip) => {
            assert_eq!((clip.tags(), end), (&tags[..], Ok(())));
            assert!(
                clip.loop_period_ms() < 1 << 34,
                "no longer than twice what 32 bits can tell, or so"
            );
        }
        Err(FlvError::NothingToPlay) => assert_eq!(end, Ok(())),
        Err(_) => assert!(end.is_err()),
    }
}

fn read(data: &[u8], piece: usize) -> (Vec<RawTag>, Result<(), FlvError>) {
    let mut reader = Reader::new();
    let mut tags = Vec::new();
    for piece in data.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.poll_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.poll_tag(), Err(error), "an error is for good");
                    return (tags, Err(error));
                }
            }
        }
    }
    (tags, reader.finish())
}

fn write_again(tags: &[RawTag]) {
    let mut written = file_header(true, true).to_vec();
    for tag in tags {
        assert!(!tag.payload.is_empty());
        let tag = Tag {
            kind: tag.kind,
            time: tag.time.into(),
            payload: tag.payload.clone(),
        };
        encode_into(&mut written, &tag);
    }
    let (again, end) = read(&written, written.len());
    assert_eq!((&again[..], end), (tags, Ok(())));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::flv::{Tag, TagKind, encode_into, file_header};

    fn seed() -> Vec<u8> {
        let mut seed = file_header(true, true).to_vec();
        for (kind, time, payload) in [
            (TagKind::Audio, 0, &b"\xaf\x00\x12\x10"[..]),
            (TagKind::Video, 0, b"\x17\x01\x00\x00\x00"),
            (TagKind::Audio, 1 << 24, b"\xaf\x01\x21"),
        ] {
            let payload = bytes::Bytes::from_static(payload);
            encode_into(&mut seed, &Tag { kind, time, payload });
        }
        seed
    }

    #[test]
    fn the_seed_is_a_clip() {
        assert_eq!(crate::flv::Clip::parse(&seed()).unwrap().tags().len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn changed_files_survive(
            piece: u8,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3, 0usize..3), 0..4),
        ) {
            let mut file = seed();
            for (index, byte, removed, inserted) in changes {
                let at = index.index(file.len() + 1);
                let end = (at + removed).min(file.len());
                file.splice(at..end, std::iter::repeat_n(byte, inserted));
            }
            super::body(&[&[piece], &file[..]].concat());
        }
    }
}
