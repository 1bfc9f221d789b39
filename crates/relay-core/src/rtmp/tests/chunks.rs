//! The chunk stream: the odd things that encoders do, and the same messages however the bytes are cut.

use bytes::Bytes;
use proptest::prelude::*;

use super::captures;
use super::encoder::{Encoder, Sent, any_message};
use crate::flv::TagKind;
use crate::rtmp::ChunkError;
use crate::rtmp::chunk::{self, Limits, MAX_CHUNK_STREAMS, Message, Reader, SHARED_CHUNK_SIZE, Writer};
use crate::rtmp::message::MessageType;

const LIMITS: Limits = Limits {
    message: 1 << 20,
    unfinished: 4 << 20,
};

fn read_in_pieces(stream: &[u8], sizes: impl IntoIterator<Item = usize>) -> Result<Vec<Message>, ChunkError> {
    let mut reader = Reader::new(LIMITS);
    let mut messages = Vec::new();
    let mut rest = stream;
    for size in sizes {
        let (mut piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        while let Some(message) = reader.read(&mut piece)? {
            messages.push(message);
        }
        assert!(piece.is_empty(), "all of the input is taken");
        if rest.is_empty() {
            break;
        }
    }
    assert!(reader.unfinished() <= LIMITS.unfinished);
    Ok(messages)
}

fn read(stream: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let whole = read_in_pieces(stream, [stream.len()]);
    for cut in 0..stream.len().min(400) {
        assert_eq!(read_in_pieces(stream, [cut, stream.len()]), whole, "cut at {cut}");
    }
    assert_eq!(
        read_in_pieces(stream, std::iter::repeat(1)),
        whole,
        "byte by byte"
    );
    whole
}

fn times(stream: &[u8]) -> Vec<u32> {
    read(stream).unwrap().iter().map(|message| message.time).collect()
}

/// Header bytes of types 0 to 3 on chunk stream 4, an audio message of `length`.
fn h0(time: u32, length: u8) -> Vec<u8> {
    let [_, a, b, c] = time.to_be_bytes();
    vec![4, a, b, c, 0, 0, length, 8, 1, 0, 0, 0]
}

fn h1(delta: u8, length: u8) -> Vec<u8> {
    vec![0x44, 0, 0, delta, 0, 0, length, 8]
}

const H3: u8 = 0xC4;

#[test]
fn deltas_add_up_and_type_3_repeats_them() {
    let mut stream = [h0(100, 1), vec![b'a']].concat();
    stream.extend([h1(20, 2), b"bb".into()].concat());
    stream.extend([0x84, 0, 0, 23, b'c', b'c']);
    stream.extend([H3, b'd', b'd', H3, b'e', b'e']);
    assert_eq!(times(&stream), [100, 120, 143, 166, 189]);
    // Behind a type 0 the delta is its time: sections 5.3.1.2.4, and ffmpeg's packets at 20, 40, 60.
    let stream = [h0(20, 1), vec![b'a', H3, b'b', H3, b'c']].concat();
    assert_eq!(times(&stream), [20, 40, 60]);
}

#[test]
fn r21_the_first_chunk_may_be_of_any_type() {
    assert_eq!(times(&[h1(5, 1), vec![b'x']].concat()), [5], "R21");
    // Without a length there is nothing but an empty message of type 0.
    for first in [&[0x84, 0, 0, 7][..], &[H3][..]] {
        let mut reader = Reader::new(LIMITS);
        assert!(!reader.had_odd_first());
        reader.read(&mut &first[..]).unwrap();
        assert!(reader.had_odd_first());
        let messages = read(first).unwrap();
        assert_eq!(messages.len(), 1);
        assert!(messages[0].payload.is_empty());
        assert_eq!(messages[0].kind, MessageType::Other(0));
    }
}

/// An extended header of type 0 for 300 bytes, in chunks of 128.
fn extended(time: u32, repeated: Option<u32>) -> Vec<u8> {
    let mut stream = vec![4, 0xFF, 0xFF, 0xFF, 0, 1, 44, 9, 1, 0, 0, 0];
    stream.extend(time.to_be_bytes());
    let payload: Vec<u8> = (0u8..=255).chain(0..44).collect();
    for (number, piece) in payload.chunks(128).enumerate() {
        if number > 0 {
            stream.push(H3);
            stream.extend(repeated.iter().flat_map(|time| time.to_be_bytes()));
        }
        stream.extend(piece);
    }
    stream
}

#[test]
fn r14_type_3_may_come_with_or_without_the_extended_time() {
    for time in [0xFF_FFFF, 0x100_0000, 0x8081_8283, u32::MAX] {
        for repeated in [Some(time), None] {
            let mut stream = extended(time, repeated);
            stream.extend([h0(7, 1), vec![b'z']].concat());
            let messages = read(&stream).unwrap();
            let shape: Vec<_> = messages.iter().map(|m| (m.time, m.payload.len())).collect();
            // 0x80818283 is what the second chunk's payload begins with, so without the field that is lost: no
            // reader can tell, and no encoder leaves it out at a time beyond 24 days.
            if (time, repeated) != (0x8081_8283, None) {
                assert_eq!(shape, [(time, 300), (7, 1)], "R14: {time:#x} {repeated:?}");
                assert_eq!(messages[0].payload[128], 128);
            }
        }
    }
}

#[test]
fn r14_an_extended_delta_is_a_delta() {
    let mut stream = [h0(1000, 1), vec![b'a']].concat();
    stream.extend([0x84, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, b'b']);
    stream.extend([H3, 1, 0, 0, 0, b'c']);
    assert_eq!(times(&stream), [1000, 0x100_03E8, 0x200_03E8]);

    // Within a message behind it, some repeat the delta, some the time that it led to, some nothing.
    for repeated in [&[1, 0, 0, 0][..], &[1, 0, 3, 0xE8], &[]] {
        let mut stream = [h0(1000, 1), vec![b'a']].concat();
        stream.extend([0x44, 0xFF, 0xFF, 0xFF, 0, 0, 130, 8, 1, 0, 0, 0]);
        stream.extend([b'b'; 128]);
        stream.push(H3);
        stream.extend(repeated);
        stream.extend([b'c'; 2]);
        let messages = read(&stream).unwrap();
        assert_eq!((messages[1].time, messages[1].payload.len()), (0x100_03E8, 130));
        assert!(messages[1].payload.ends_with(b"bcc"));
    }
}

#[test]
fn peeked_bytes_of_short_chunks_are_not_lost() {
    // Chunks of one byte whose payload begins like the extended time that is left out.
    let mut stream = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    stream.extend([4, 0xFF, 0xFF, 0xFF, 0, 0, 5, 9, 1, 0, 0, 0, 1, 2, 3, 4]);
    stream.extend([b'x', H3, 1, H3, 1, H3, b'y', H3, b'z']);
    assert_eq!(read(&stream).unwrap()[0].payload, &b"x\x01\x01yz"[..]);
}

#[test]
fn r22_messages_interleave_and_abort_ends_one() {
    let mut stream = vec![6, 0, 0, 9, 0, 0, 200, 9, 1, 0, 0, 0];
    stream.extend([1; 128]);
    stream.extend([h0(3, 130), vec![2; 128]].concat());
    stream.extend([0xC6]);
    stream.extend([1; 72]);
    stream.extend([H3, 2, 2]);
    let messages = read(&stream).unwrap();
    let shape: Vec<_> = messages
        .iter()
        .map(|m| (m.kind, m.time, m.payload.len()))
        .collect();
    assert_eq!(
        shape,
        [(MessageType::Video, 9, 200), (MessageType::Audio, 3, 130)]
    );

    let mut stream = [h0(3, 130), vec![2; 128]].concat();
    stream.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 4]);
    stream.extend([h0(4, 1), vec![9]].concat());
    assert_eq!(times(&stream), [4], "R22");

    let stream = [h0(3, 130), vec![2; 128], h0(4, 1), vec![9]].concat();
    assert_eq!(read(&stream), Err(ChunkError::Interrupted { csid: 4 }));
}

#[test]
fn r22_the_chunk_size_may_change_within_a_message() {
    let mut stream = [h0(3, 200), vec![2; 128]].concat();
    stream.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 50]);
    stream.extend([H3]);
    stream.extend([3; 50]);
    stream.extend([H3]);
    stream.extend([4; 22]);
    assert_eq!(read(&stream).unwrap()[0].payload.len(), 200, "R22");
}

#[test]
fn r18_chunk_sizes_from_1_to_the_largest() {
    let set = |size: u32| {
        [
            vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0],
            size.to_be_bytes().into(),
        ]
        .concat()
    };
    for size in [1, 128, 60_000, 0x100_0000, 134_217_728, 0x7FFF_FFFF] {
        let mut stream = set(size);
        Writer::new(size).write(MessageType::Video, 6, 1, 5, &[7; 900], &mut stream);
        assert_eq!(read(&stream).unwrap()[0].payload.len(), 900, "R18: {size}");
    }
    for size in [0, 0x8000_0000, u32::MAX] {
        assert_eq!(read(&set(size)), Err(ChunkError::ChunkSize(size)), "R18");
    }
    assert_eq!(
        read(&[2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 9]),
        Err(ChunkError::ControlCutShort)
    );
}

#[test]
fn r19_limits_hold_and_announcements_cost_nothing() {
    let mut reader = Reader::new(LIMITS);
    let mut input = &[4, 0, 0, 0, 0x0F, 0xFF, 0xFF, 9, 1, 0, 0, 0, 1][..];
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(reader.unfinished() <= 4096, "R19: {}", reader.unfinished());

    let long = read(&[4, 0, 0, 0, 0x10, 0, 1, 9, 1, 0, 0, 0]);
    let expected = ChunkError::MessageTooLong {
        length: (1 << 20) + 1,
        limit: 1 << 20,
    };
    assert_eq!(long, Err(expected));

    let stream = |count: u32| -> Vec<u8> {
        let headers = (0..count).flat_map(|number| {
            [
                vec![0, u8::try_from(number).unwrap()],
                h0(0, 1)[1..].into(),
                vec![1],
            ]
        });
        headers.flatten().collect()
    };
    assert_eq!(
        read(&stream(MAX_CHUNK_STREAMS as u32)).unwrap().len(),
        MAX_CHUNK_STREAMS,
        "R20"
    );
    let too_many = read_in_pieces(&stream(MAX_CHUNK_STREAMS as u32 + 1), [1 << 20]);
    assert_eq!(too_many, Err(ChunkError::TooManyChunkStreams));

    let mut reader = Reader::new(LIMITS);
    let failed = (64..128u8).find_map(|csid| {
        let mut chunks = vec![0, csid, 0, 0, 0, 0x0F, 0xFF, 0xFF, 9, 1, 0, 0, 0];
        chunks.extend([1; 128]);
        for _ in 0..1000 {
            chunks.extend([0xC0, csid]);
            chunks.extend([1; 128]);
        }
        let result = reader.read(&mut &chunks[..]);
        assert!(reader.unfinished() <= LIMITS.unfinished);
        result.err()
    });
    let expected = ChunkError::TooMuchUnfinished {
        limit: LIMITS.unfinished,
    };
    assert_eq!(failed, Some(expected));
}

#[test]
fn r14_r15_shared_bytes_are_the_same_wherever_they_stand() {
    let payload = vec![7; SHARED_CHUNK_SIZE as usize * 2 + 1];
    let mut first = Vec::new();
    Writer::write_shared(TagKind::Video, 6, 0xFF_FFFF, &payload, &mut first);
    let mut later = vec![1, 2, 3];
    Writer::write_shared(TagKind::Video, 6, 0xFF_FFFF + (1 << 32), &payload, &mut later);
    assert_eq!(first, later[3..], "R15");
    assert_eq!(
        first.len(),
        payload.len() + 16 + 2 * 5,
        "the extended time on each header (R14)"
    );
}

/// A hundred messages, all begun before one ends, on chunk streams in all three forms of their number.
#[test]
fn r20_a_hundred_chunk_streams_live_at_once() {
    let spread = (0..100).map(|number| 3 + number * 662);
    let csids: Vec<u32> = spread.chain([63, 64, 319, 320, 65_599]).collect();
    let mut encoder = Encoder::default();
    let mut chunks: Vec<_> = csids
        .iter()
        .map(|csid| {
            let sent = Sent {
                csid: *csid,
                kind: 9,
                time: *csid,
                payload: vec![0xA5; 300],
                header: 0,
                repeat_extended: true,
            };
            encoder.chunks(&sent).into_iter()
        })
        .collect();
    let mut stream = Vec::new();
    for _ in 0..3 {
        stream.extend(chunks.iter_mut().flat_map(|chunks| chunks.next().unwrap()));
    }
    assert_eq!(times(&stream), csids);
}

/// Runs the oracle byte by byte, since it reads on with the old chunk size what comes in one piece.
fn oracle(stream: &[u8]) -> Vec<Message> {
    let mut assembler = rtmp_runtime::chunk::ChunkAssembler::new();
    let mut messages = Vec::new();
    for byte in stream {
        for message in assembler.push(&[*byte]).unwrap() {
            let kind = MessageType::from_wire(message.message_type_id);
            match kind {
                MessageType::SetChunkSize => {
                    assembler.set_chunk_size(u32::from_be_bytes(message.payload[..].try_into().unwrap()));
                }
                _ => messages.push(Message {
                    kind,
                    stream_id: message.message_stream_id,
                    time: message.timestamp,
                    payload: Bytes::from(message.payload),
                }),
            }
        }
    }
    messages
}

const CAPTURES: [&[u8]; 5] = [
    captures::FFMPEG,
    captures::FFMPEG_PCM,
    captures::FFMPEG_EXTENDED,
    captures::FFMPEG_PLAY,
    captures::RTMPDUMP_PLAY,
];

/// What follows the handshake in a capture.
fn chunks_of(capture: &[u8]) -> &[u8] {
    &capture[1 + 2 * crate::rtmp::handshake::PACKET_BYTES..]
}

#[test]
fn captures_read_as_the_oracle_reads_them() {
    for capture in CAPTURES {
        let stream = chunks_of(capture);
        let messages = read_in_pieces(stream, [stream.len()]).unwrap();
        assert!(!messages.is_empty());
        assert_eq!(messages, oracle(stream));
    }
}

#[test]
fn captures_read_the_same_at_every_split_point() {
    for capture in CAPTURES {
        let whole = captures::events(capture);
        assert_eq!(captures::events_in_pieces(capture, std::iter::repeat(1)), whole);
        // Every point of the beginning, where commands are; then a few of each kind of place.
        for cut in (0..capture.len()).filter(|cut| *cut < 4500 || cut % 997 == 0) {
            assert_eq!(
                captures::events_in_pieces(capture, [cut, capture.len()]),
                whole,
                "cut at {cut}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn captures_read_the_same_in_any_pieces(sizes in prop::collection::vec(1usize..5000, 1..200), which in 0..CAPTURES.len()) {
        let capture = CAPTURES[which];
        let pieces = sizes.iter().copied().cycle();
        prop_assert_eq!(captures::events_in_pieces(capture, pieces), captures::events(capture));
    }

    #[test]
    fn all_header_types_interleaved_read_as_meant(
        sent in prop::collection::vec(any_message(), 1..24),
        order in prop::collection::vec(any::<prop::sample::Index>(), 200),
        sizes in prop::collection::vec(1usize..300, 1..20),
    ) {
        // Up to one open message per chunk stream; which of them gets its next chunk is by `order`.
        let (mut encoder, mut stream, mut finished) = (Encoder::default(), Vec::new(), Vec::new());
        let mut waiting: Vec<Sent> = sent.into_iter().rev().collect();
        let mut open: Vec<(Sent, Vec<Vec<u8>>)> = Vec::new();
        let mut order = order.iter().cycle();
        loop {
            while let Some(next) = waiting.last() {
                if open.iter().any(|(sent, _)| sent.csid == next.csid) {
                    break;
                }
                let mut chunks = encoder.chunks(next);
                chunks.reverse();
                open.extend(waiting.pop().map(|sent| (sent, chunks)));
            }
            if open.is_empty() {
                break;
            }
            let index = order.next().unwrap().index(open.len());
            stream.extend(open[index].1.pop().unwrap());
            if open[index].1.is_empty() {
                let (sent, _) = open.remove(index);
                finished.push((sent.kind, sent.time, sent.payload));
            }
        }
        let messages = read_in_pieces(&stream, sizes.into_iter().cycle()).unwrap();
        let read: Vec<_> = messages.into_iter().map(|m| (m.kind.to_wire(), m.time, m.payload.to_vec())).collect();
        prop_assert_eq!(read, finished);
    }

    #[test]
    fn what_is_written_is_read_by_us_and_by_the_oracle(
        sent in prop::collection::vec(any_message(), 1..8),
        chunk_size in prop_oneof![1u32..4, 100u32..200, Just(SHARED_CHUNK_SIZE)],
    ) {
        let mut stream = Vec::new();
        Writer::new(128).write(MessageType::SetChunkSize, 2, 0, 0, &chunk_size.to_be_bytes(), &mut stream);
        let mut expected = Vec::new();
        for Sent { csid, kind, time, payload, .. } in sent {
            let kind = MessageType::from_wire(kind);
            Writer::new(chunk_size).write(kind, csid, 1, time, &payload, &mut stream);
            expected.push(Message { kind, stream_id: 1, time, payload: payload.into() });
        }
        prop_assert_eq!(&read_in_pieces(&stream, [stream.len()]).unwrap(), &expected);
        prop_assert_eq!(oracle(&stream), expected);
    }

    #[test]
    fn any_bytes_are_an_error_or_messages_however_they_are_cut(
        stream in prop::collection::vec(any::<u8>(), 0..600),
        sizes in prop::collection::vec(1usize..40, 1..20),
    ) {
        let whole = read_in_pieces(&stream, [stream.len()]);
        let pieces = read_in_pieces(&stream, sizes.into_iter().cycle());
        prop_assert_eq!(pieces, whole);
    }
}

#[test]
fn the_largest_message_there_is_room_for() {
    let limits = Limits {
        message: chunk::MAX_MESSAGE_BYTES,
        unfinished: 2 * chunk::MAX_MESSAGE_BYTES as usize,
    };
    let payload = vec![7; chunk::MAX_MESSAGE_BYTES as usize - 1];
    let mut stream = Vec::new();
    Writer::new(128).write(MessageType::Video, 6, 1, 0, &payload, &mut stream);
    let mut reader = Reader::new(limits);
    let message = reader.read(&mut &stream[..]).unwrap().unwrap();
    assert_eq!(message.payload, payload);
    assert_eq!(reader.unfinished(), 0);
}
