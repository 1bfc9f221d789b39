//! What one who joins is given.

use super::*;
use crate::flv::{Reader, Tag, TagKind};
use crate::stream::{GroupHead, LogConfig, Stated};

const NOW: Now = Now {
    mono_ms: 1_000_000,
    unix_us: 0,
};
const AAC: &[u8] = b"\xaf\x00\x12\x10";
const AVC: &[u8] = b"\x17\x00\0\0\0avcC";

/// A stream of pictures whose headers are these, and a feed of it.
fn feed(headers: &Headers, frames: u64) -> Feed {
    let stream = Arc::new(Stream::new("live/cam".parse().unwrap(), LogConfig::default()));
    let head = GroupHead {
        epoch: 1,
        number: 0,
        continuation: false,
        first_time: 0,
        origin_us: 0,
    };
    stream.begin_group(head, NOW).unwrap();
    stream.put_preface(headers, 0, NOW).unwrap();
    for n in 0..frames {
        let payload = if n == 0 {
            &b"\x17\x01\0\0\0"[..]
        } else {
            b"\x27\x01\0\0\0"
        };
        show(&stream, TagKind::Video, n * 40, payload);
    }
    let lease = stream.lease(Flavour::Flv).unwrap();
    let mut feed = Feed::new(stream, Flavour::Flv, lease, 1);
    assert!(feed.sync());
    feed
}

fn show(stream: &Stream, kind: TagKind, time: u64, payload: &'static [u8]) {
    let payload = Bytes::from_static(payload);
    stream.append(&Tag { kind, time, payload }, NOW).unwrap();
}

/// What its FLV promises, (audio, video), and the bodies of the headers.
fn joined(feed: &mut Feed) -> ((bool, bool), Vec<Bytes>) {
    let (_, prelude) = feed.join();
    let body = prelude.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    let mut reader = Reader::new();
    reader.push(&prelude[body..prelude.len() - 2]);
    let tags = std::iter::from_fn(|| reader.poll_tag().unwrap());
    let bodies = tags.map(|tag| tag.payload).collect();
    (reader.tracks().unwrap(), bodies)
}

fn both() -> Headers {
    Headers {
        video: Some(Bytes::from_static(AVC)),
        audio: Some(Bytes::from_static(AAC)),
        ..Headers::default()
    }
}

fn metadata(property: &str) -> Bytes {
    use crate::amf0::{self, Value};
    let mut payload = Vec::new();
    amf0::encode(&Value::from("onMetaData"), &mut payload);
    let properties = [("videocodecid", Value::from(7.0)), (property, Value::from(2.0))];
    amf0::encode(&Value::object(properties), &mut payload);
    payload.into()
}

#[test]
fn r37_sequence_headers_are_promises() {
    let mut feed = feed(&both(), 1);
    assert!(feed.stream.knows_tracks(), "nobody has to wait for that");
    assert_eq!(joined(&mut feed), ((true, true), vec![AVC.into(), AAC.into()]));
}

#[test]
fn r37_announced_sound_without_a_header_is_waited_for_and_then_promised() {
    let headers = Headers {
        metadata: Some(metadata("audiocodecid")),
        ..both()
    };
    let mut feed = feed(
        &Headers {
            audio: None,
            ..headers
        },
        1,
    );
    assert!(!feed.stream.knows_tracks(), "MP3 has no header");
    show(&feed.stream, TagKind::Audio, 20, b"\x2f\xff\xfb");
    assert!(feed.stream.knows_tracks());
    assert_eq!(joined(&mut feed).0, (true, true));
}

#[test]
fn r37_announced_sound_that_does_not_come_is_promised_to_nobody() {
    let headers = Headers {
        metadata: Some(metadata("audiocodecid")),
        ..both()
    };
    let mut feed = feed(
        &Headers {
            audio: None,
            ..headers
        },
        26,
    );
    assert!(feed.stream.knows_tracks(), "after a second it is known");
    assert_eq!(joined(&mut feed).0, (false, true));
}

#[test]
fn r37_a_stream_of_pictures_that_says_so_is_known_at_once() {
    let headers = Headers {
        metadata: Some(metadata("width")),
        ..both()
    };
    let mut feed = feed(
        &Headers {
            audio: None,
            ..headers
        },
        1,
    );
    assert!(feed.stream.knows_tracks());
    assert_eq!(joined(&mut feed).0, (false, true));
}

#[test]
fn r37_a_track_that_went_silent_is_kept_from_joiners_with_its_header() {
    let mut feed = feed(&both(), 126);
    assert_eq!(joined(&mut feed), ((false, true), vec![AVC.into()]));
    show(&feed.stream, TagKind::Audio, 5_040, b"\xaf\x01");
    assert_eq!(
        joined(&mut feed),
        ((true, true), vec![AVC.into(), AAC.into()]),
        "it is back"
    );
}

#[test]
fn r37_the_operator_has_the_last_word() {
    for (audio, promised) in [(Some(true), true), (Some(false), false)] {
        let mut feed = feed(
            &Headers {
                audio: None,
                ..both()
            },
            30,
        );
        feed.stream.state_tracks(Stated { audio, video: None });
        assert_eq!(joined(&mut feed).0, (promised, true));
        show(&feed.stream, TagKind::Audio, 2_000, b"\x2f\xff\xfb");
        assert_eq!(joined(&mut feed).0, (promised, true), "whatever it sends");
    }
}

/// A node above states it, and its children hold to it.
#[test]
fn r37_a_statement_comes_down_with_the_preface() {
    let stated = Stated {
        audio: Some(true),
        video: None,
    };
    let mut feed = feed(
        &Headers {
            audio: None,
            stated,
            ..both()
        },
        30,
    );
    assert_eq!(joined(&mut feed).0, (true, true));
}

#[test]
fn joiners_at_one_start_point_share_one_prelude() {
    let mut feed = feed(&both(), 2);
    let (first, second) = (feed.join(), feed.join());
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.as_ptr(), second.1.as_ptr());
}
