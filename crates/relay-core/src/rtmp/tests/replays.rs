//! Each capture again, cut anywhere: what a session makes of an encoder does not depend on how its bytes arrive.

use std::collections::HashSet;

use bytes::Bytes;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::{NOW, captures};
use crate::flv::TagKind;
use crate::rtmp::chunk::{Limits, MAX_MESSAGE_BYTES, Reader};
use crate::rtmp::handshake::PACKET_BYTES;
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Session};

/// A capture as small as this, a viewer's few words, is cut at every point.
const SMALL: usize = 4096;

/// Of a larger one these points are all tried: the end of the handshake, commands, headers and the first pictures.
const EVERY_POINT: std::ops::Range<usize> = 3060..4800;

/// So many of the others are, taken by chance.
const OTHERS: usize = 100;

/// What a session makes of a capture.
#[derive(Debug, PartialEq)]
struct Story {
    events: Vec<Event>,
    /// Without acknowledgements, which count what has come and so depend on the cut.
    answers: Vec<(MessageType, Bytes)>,
}

fn replay(pieces: &[&[u8]]) -> Story {
    let mut session = Session::new(Config::default(), [0; 32]);
    let (mut events, mut replies) = (Vec::new(), Vec::new());
    for piece in pieces {
        session.handle_input(piece, NOW).unwrap();
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { .. } => session.accept_publish().unwrap(),
                Event::Play { .. } => session.accept_play().unwrap(),
                _ => {}
            }
            events.push(event);
        }
        while let Some(reply) = session.poll_output() {
            replies.extend_from_slice(&reply);
        }
    }
    Story {
        events,
        answers: answers(&replies[1 + 2 * PACKET_BYTES..]),
    }
}

fn answers(mut replies: &[u8]) -> Vec<(MessageType, Bytes)> {
    let mut reader = Reader::new(Limits {
        message: MAX_MESSAGE_BYTES,
        unfinished: MAX_MESSAGE_BYTES as usize,
    });
    std::iter::from_fn(|| reader.read(&mut replies).unwrap())
        .filter(|message| message.kind != MessageType::Acknowledgement)
        .map(|message| (message.kind, message.payload))
        .collect()
}

/// Reads of the size of a server's.
fn in_reads(capture: &[u8]) -> Story {
    replay(&capture.chunks(16 << 10).collect::<Vec<_>>())
}

/// No encoder that worked stops to.
#[test]
fn r31_every_capture_tells_the_same_at_every_split_point() {
    let seed: u64 = std::env::var("RELAY_TEST_SEED").map_or(2026, |text| text.parse().unwrap());
    println!("RELAY_TEST_SEED={seed}");
    let mut chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(4));
    for (name, capture) in captures::ALL {
        let whole = in_reads(capture);
        let one = capture.chunks(1).collect::<Vec<_>>();
        assert_eq!(replay(&one), whole, "{name}, byte by byte");
        let every = if capture.len() <= SMALL {
            0..capture.len()
        } else {
            EVERY_POINT
        };
        let others = (0..OTHERS).map(|_| {
            let chance = chance.next_u64();
            usize::try_from(chance % capture.len() as u64).unwrap()
        });
        for cut in every.chain(others) {
            let (before, behind) = capture.split_at(cut);
            let mut pieces = vec![before];
            pieces.extend(behind.chunks(16 << 10));
            assert_eq!(replay(&pieces), whole, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn every_capture_is_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rtmp");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let on_disk: HashSet<_> = names
        .filter_map(|name| Some(name.strip_suffix(".bin")?.to_owned()))
        .collect();
    let here: HashSet<_> = captures::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(on_disk, here);
}

/// Each publishes what its catalogue says, from the first tag to the last word.
#[test]
fn r13_r40_every_encoder_publishes() {
    for (name, capture) in captures::ALL.iter().filter(|(name, _)| !name.ends_with("-play")) {
        let events = in_reads(capture).events;
        let Some(Event::Publish {
            app,
            name: stream,
            secret,
            ..
        }) = events.first()
        else {
            panic!("{name}: {:?}", events.first());
        };
        assert_eq!(
            (&**app, &**stream, secret.as_deref()),
            ("live", "cam", Some("s3")),
            "{name}"
        );
        let times = |wanted| -> Vec<u32> {
            let tags = events.iter().filter_map(|event| match event {
                Event::Tag { kind, time, .. } if *kind == wanted => Some(*time),
                _ => None,
            });
            tags.collect()
        };
        let (audio, video) = (times(TagKind::Audio), times(TagKind::Video));
        assert_eq!(audio.is_empty(), name.ends_with("-video"), "{name}");
        let sound_only = ["ffmpeg-audio", "ffmpeg-mp3", "ffmpeg-pcm", "ffmpeg-9-flac"].contains(name);
        assert_eq!(video.is_empty(), sound_only, "{name}");
        for times in [&audio, &video] {
            assert!(
                times.is_sorted(),
                "{name}: each track goes forward (R40): {times:?}"
            );
        }
        let seconds = audio.last().max(video.last()).copied().unwrap_or_default() / 1000;
        assert!(seconds >= 1 || *name == "ffmpeg-9-flac", "{name}: {seconds} s");
    }
}

/// B-frames are sent in the order of decoding, each with how much later it is shown: x264 was asked for two in a row.
#[test]
fn r42_composition_offsets_of_b_frames_pass() {
    let capture = captures::ALL.iter().find(|(name, _)| *name == "ffmpeg-video");
    let (_, capture) = capture.unwrap();
    let frames: Vec<_> = in_reads(capture)
        .events
        .into_iter()
        .filter_map(|event| match event {
            Event::Tag {
                kind: TagKind::Video,
                time,
                payload,
            } if payload[1] == 1 => {
                let offset = u32::from_be_bytes([0, payload[2], payload[3], payload[4]]);
                Some((time, time + offset))
            }
            _ => None,
        })
        .collect();
    let (decoded, shown): (Vec<_>, Vec<_>) = frames.into_iter().unzip();
    assert!(decoded.is_sorted() && !shown.is_sorted(), "{decoded:?} {shown:?}");
    let mut in_order = shown;
    in_order.sort_unstable();
    let steady = |pair: &[u32]| pair[0] + 100 == pair[1];
    assert!(
        in_order.windows(2).all(steady),
        "every picture has its time: {in_order:?}"
    );
}
