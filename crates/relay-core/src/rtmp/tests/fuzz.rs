//! The fuzz bodies over mutated captures, for a moment; the suite's own story runs them for longer.

use proptest::prelude::*;

use super::captures;
use crate::fuzz;
use crate::rtmp::handshake::PACKET_BYTES;

/// The beginning of a capture behind its handshake, some of its bytes changed, some left out or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let capture = prop_oneof![
        Just(captures::FFMPEG),
        Just(captures::FFMPEG_PCM),
        Just(captures::FFMPEG_EXTENDED),
        Just(captures::FFMPEG_PLAY),
        Just(captures::RTMPDUMP_PLAY),
    ];
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0usize..4, 0usize..3);
    let changes = prop::collection::vec(change, 0..6);
    (capture, changes, 0usize..6000).prop_map(|(capture, changes, length)| {
        let stream = &capture[1 + 2 * PACKET_BYTES..];
        let mut stream = stream[..length.min(stream.len())].to_vec();
        for (index, byte, removed, inserted) in changes {
            let at = index.index(stream.len() + 1);
            let end = (at + removed).min(stream.len());
            stream.splice(at..end, std::iter::repeat_n(byte, inserted));
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sessions_survive(mut stream in mutated(), choices in 0u8..8) {
        stream.insert(0, choices & !1);
        fuzz::rtmp::body(&stream);
        stream[0] |= 1;
        fuzz::rtmp::body(&stream);
    }

    #[test]
    fn chunk_streams_survive(mut stream in mutated(), size: u8, chunk_size: u8) {
        stream.splice(0..0, [size, chunk_size]);
        fuzz::chunk::body(&stream);
    }

    #[test]
    fn values_survive(stream in mutated(), from in any::<prop::sample::Index>()) {
        let from = from.index(stream.len() + 1);
        fuzz::amf0::body(&stream[from..]);
    }

    #[test]
    fn noise_survives(stream in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::rtmp::body(&stream);
        fuzz::chunk::body(&stream);
        fuzz::amf0::body(&stream);
    }
}

#[test]
fn whole_captures_survive() {
    for capture in [
        captures::FFMPEG,
        captures::FFMPEG_EXTENDED,
        captures::RTMPDUMP_PLAY,
    ] {
        for choices in 0..8 {
            let start = if choices & 1 == 0 { 1 + 2 * PACKET_BYTES } else { 0 };
            fuzz::rtmp::body(&[&[choices][..], &capture[start..]].concat());
        }
        fuzz::chunk::body(&[&[7, 90][..], &capture[1 + 2 * PACKET_BYTES..]].concat());
    }
}
