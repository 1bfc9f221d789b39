//! Times and counts at the ends of their fields: 24, 31 and 32 bits, both ways.

use super::bare::Bare;
use super::encoder::{Encoder, Sent};
use super::{NOW, Pair};
use crate::flv::TagKind;
use crate::rtmp::ack::Ack;
use crate::rtmp::chunk::{MAX_CHUNK_SIZE, Writer, shared_csid};
use crate::rtmp::client::{self, Action};
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{self, Event};

/// The last moment before each field is full.
const EDGES: [u32; 3] = [0xFF_FFFE, 0x7FFF_FFFF, u32::MAX];

/// How far apart the messages of these tests are.
const STEP: u32 = 20;

/// Twelve moments around an edge.
fn around(edge: u32) -> impl Iterator<Item = u32> {
    (0..12).map(move |number| edge.wrapping_sub(6 * STEP).wrapping_add(number * STEP))
}

fn tag_times(events: impl IntoIterator<Item = Event>) -> Vec<u32> {
    let times = events.into_iter().filter_map(|event| match event {
        Event::Tag { time, .. } => Some(time),
        _ => None,
    });
    times.collect()
}

/// With each type of header, with and without the extended time in chunks of type 3.
#[test]
fn r14_r15_an_encoder_crosses_each_edge() {
    for edge in EDGES {
        for header in 0..4 {
            for repeat_extended in [true, false] {
                let mut bare = Bare::publishing();
                let mut encoder = Encoder::default();
                for time in around(edge) {
                    let sent = Sent {
                        csid: 6,
                        kind: 9,
                        time,
                        payload: vec![0xA5; 300],
                        header,
                        repeat_extended,
                    };
                    let bytes = encoder.chunks(&sent).concat();
                    bare.session.handle_input(&bytes, NOW).unwrap();
                }
                let expected: Vec<u32> = around(edge).collect();
                let what = format!("{edge:#x}, type {header}, repeated {repeat_extended}");
                assert_eq!(tag_times(bare.events()), expected, "{what}");
                // The first message has a header of type 0 in any case; later ones have deltas.
                let extended = header == 0 || edge > EDGES[0];
                let told = bare.session.poll_quirk();
                let quirk = (extended && !repeat_extended).then_some(server::Quirk::BareContinuation);
                assert_eq!(told, quirk, "{what}");
            }
        }
    }
}

#[test]
fn r14_r15_our_own_publisher_crosses_each_edge() {
    for edge in EDGES {
        let mut pair = Pair::new("rtmp://h/live/cam", Action::Publish, 1 << 20);
        pair.settle();
        pair.server.poll_event();
        pair.server.accept_publish().unwrap();
        pair.settle();
        // More than a chunk, so that there are some of type 3.
        let payload = vec![0x17; 70_000];
        for time in around(edge) {
            pair.client.send_tag(TagKind::Video, time, &payload);
        }
        let expected: Vec<u32> = around(edge).collect();
        assert_eq!(tag_times(pair.server_events()), expected);
    }
}

/// A stream's time has 64 bits; what a viewer reads wraps, and never stops or goes back by less than a whole turn.
#[test]
fn r14_r15_a_viewer_crosses_each_edge() {
    for edge in EDGES {
        let mut pair = Pair::new("rtmp://h/live/cam", Action::Play, 1 << 20);
        pair.settle();
        pair.server.poll_event();
        pair.server.accept_play().unwrap();
        pair.settle();
        pair.client_events();
        let turns = 3u64 << 32;
        let payload = vec![0x17; 70_000];
        let mut shared = Vec::new();
        let csid = shared_csid(TagKind::Video);
        let moments = (0..12u64).map(|number| turns + u64::from(edge) + number * 20 - 120);
        for time in moments.clone() {
            Writer::write_shared(TagKind::Video, csid, time, &payload, &mut shared);
        }
        pair.client.handle_input(&shared, NOW).unwrap();
        let times: Vec<u32> = std::iter::from_fn(|| pair.client.poll_event())
            .map(|event| match event {
                client::Event::Tag { time, .. } => time,
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: Vec<u32> = moments.map(|time| time as u32).collect();
        assert_eq!(times, expected);
    }
}

/// What is fed: more than a turn of the acknowledgements' number.
const TURN: u64 = (1 << 32) + (64 << 20);

/// A message of a megabyte in one chunk.
fn megabyte() -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(MAX_CHUNK_SIZE).write(MessageType::Video, 6, 1, 0, &vec![0x27; 1 << 20], &mut out);
    out
}

fn set_chunk_size() -> Vec<u8> {
    let mut out = Vec::new();
    let size = MAX_CHUNK_SIZE.to_be_bytes();
    Writer::new(128).write(MessageType::SetChunkSize, 2, 0, 0, &size, &mut out);
    out
}

/// Holds acknowledgements against the total, and says how many there were.
struct Clerk {
    total: u64,
    count: u64,
}

impl Clerk {
    fn check(&mut self, kind: MessageType, payload: &[u8]) {
        if kind == MessageType::Acknowledgement {
            let number = u32::from_be_bytes(payload.try_into().unwrap());
            assert_eq!(u64::from(number), self.total % (1 << 32), "the total modulo 2^32");
            self.count += 1;
        }
    }
}

#[test]
fn r16_a_server_acknowledges_past_4_gib() {
    let mut bare = Bare::publishing();
    let mut clerk = Clerk {
        total: bare.received,
        count: 0,
    };
    let (begin, message) = (set_chunk_size(), megabyte());
    bare.session.handle_input(&begin, NOW).unwrap();
    clerk.total += begin.len() as u64;
    while clerk.total < TURN {
        bare.session.handle_input(&message, NOW).unwrap();
        clerk.total += message.len() as u64;
        assert_eq!(bare.events().len(), 1, "nothing stops");
        for reply in bare.replies() {
            clerk.check(reply.kind, &reply.payload);
        }
    }
    assert!(clerk.count > 4096, "{} acknowledgements", clerk.count);
}

#[test]
fn r16_a_client_acknowledges_past_4_gib() {
    let mut pair = Pair::new("rtmp://h/live/cam", Action::Play, 1 << 20);
    pair.settle();
    pair.server.poll_event();
    pair.server.accept_play().unwrap();
    pair.settle();
    pair.client_events();
    let mut clerk = Clerk {
        total: pair.down,
        count: 0,
    };
    let mut replies = crate::rtmp::chunk::Reader::new(super::bare::ALL);
    let (begin, message) = (set_chunk_size(), megabyte());
    pair.client.handle_input(&begin, NOW).unwrap();
    clerk.total += begin.len() as u64;
    while clerk.total < TURN {
        pair.client.handle_input(&message, NOW).unwrap();
        clerk.total += message.len() as u64;
        assert!(matches!(
            pair.client.poll_event(),
            Some(client::Event::Tag { .. })
        ));
        let up = pair.client.poll_output().unwrap_or_default();
        let mut up = &up[..];
        while let Some(reply) = replies.read(&mut up).unwrap() {
            clerk.check(reply.kind, &reply.payload);
        }
    }
    // Our server asks for one each 2.5 MB.
    assert!(clerk.count > 2048, "{} acknowledgements", clerk.count);
}

/// Whatever window the peer asks for, and if it asks for none, well before a peer would wait.
#[test]
fn r17_acknowledgements_come_in_time() {
    for window in [None, Some(0), Some(1), Some(2_500_000), Some(u32::MAX)] {
        let mut ack = Ack::new();
        if let Some(window) = window {
            ack.set_window(window);
        }
        let allowed = u64::from(window.unwrap_or(1 << 20)).max(4096);
        let mut unacknowledged = 0;
        for _ in 0..3 * (allowed / 4096).min(2000) {
            ack.count(4096);
            unacknowledged += 4096;
            if ack.due().is_some() {
                unacknowledged = 0;
            }
            assert!(unacknowledged <= allowed, "{window:?}");
        }
    }
}
