//! Enhanced RTMP through a whole session: what is announced, what passes, and who is asked to connect anew (R32 to R35).

use bytes::Bytes;

use super::bare::Bare;
use super::{NOW, Pair};
use crate::amf0::Value;
use crate::codec::{self, Codec};
use crate::flv::TagKind;
use crate::rtmp::capabilities::{Ability, Capabilities};
use crate::rtmp::client::{self, Action};
use crate::rtmp::command::RECONNECT_REQUEST;
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Quirk};

/// The `connect` of an encoder that knows enhanced RTMP, with more properties or fewer.
fn connect(more: &[(&str, Value)]) -> Value {
    let mut object = Value::object([("app", "live".into()), ("type", "nonprivate".into())]);
    let more: Vec<_> = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    object.extend(&more);
    object
}

fn reconnecting() -> Bare {
    let config = Config {
        reconnects: true,
        ..Config::default()
    };
    let (bare, _) = Bare::of(config).connected_with(connect(&[("capsEx", 1.0.into())]));
    bare
}

#[test]
fn r32_who_announces_it_is_told_what_we_can_do() {
    let list = Value::StrictArray(vec!["av01".into(), "hvc1".into(), "Opus".into()]);
    let map = Value::object([("hvc1", 2.0.into()), ("*", 4.0.into())]);
    for announced in [
        &[("fourCcList", list)][..],
        &[
            ("videoFourCcInfoMap", map.clone()),
            ("audioFourCcInfoMap", map),
            ("capsEx", 15.0.into()),
        ],
        &[("capsEx", 0.0.into())],
    ] {
        for reconnects in [true, false] {
            let config = Config {
                reconnects,
                ..Config::default()
            };
            let (bare, answer) = Bare::of(config).connected_with(connect(announced));
            assert_eq!((&*answer.name, answer.transaction), ("_result", 1.0));
            for object in [&answer.object, &answer.arguments[0]] {
                assert_eq!(Capabilities::of(object), Some(Capabilities::of_relay(reconnects)));
                let video = object.get("videoFourCcInfoMap").unwrap();
                assert_eq!(
                    video.get("*"),
                    Some(&4.0.into()),
                    "whatever it is, it is passed on"
                );
            }
            assert!(bare.session.capabilities().is_some());
        }
    }
    let (bare, answer) = Bare::new().connected_with(connect(&[]));
    for object in [&answer.object, &answer.arguments[0]] {
        assert_eq!(
            Capabilities::of(object),
            None,
            "a client of 2012 is told nothing new"
        );
    }
    assert!(bare.session.capabilities().is_none());
}

#[test]
fn r32_our_player_announces_that_it_takes_everything() {
    let mut pair = Pair::new("rtmp://h/live/cam", Action::Play, 100);
    pair.settle();
    let announced = pair.server.capabilities().unwrap();
    assert!(announced.video.ability(Codec::HEVC).includes(Ability::FORWARD));
    let mut pair = Pair::new("rtmp://h/live/cam", Action::Publish, 100);
    pair.settle();
    assert_eq!(
        pair.server.capabilities(),
        None,
        "a publisher says only what it must"
    );
}

/// Every kind of body, of known and unknown codecs: the very bytes come out, and what a start point needs is known.
#[test]
fn r33_enhanced_bodies_pass_untouched() {
    struct Body(TagKind, &'static [u8], bool, bool);
    let (video, audio) = (TagKind::Video, TagKind::Audio);
    // Kind, body, whether it is a key frame, whether it is a configuration.
    let bodies = [
        Body(video, b"\x90hvc1\x01config", false, true),
        Body(video, b"\x91hvc1\0\0\0frame", true, false),
        Body(video, b"\xa3av01frame", false, false),
        Body(video, b"\x93vp09frame", true, false),
        Body(video, b"\x91avc1\0\0\0frame", true, false),
        Body(video, b"\x92hvc1", false, false),
        Body(video, b"\x94hvc1\x02\0\x09colorInfo", false, false),
        Body(video, b"\x93zzzzwhat is yet to be invented", true, false),
        Body(video, b"\xa3zzzzwhat is yet to be invented", false, false),
        Body(video, b"\x96\x01hvc1\0frame", true, false),
        Body(video, b"\x96\x11hvc1\0\0\0\x01a\x01\0\0\x01b", true, false),
        Body(video, b"\x96\x20hvc1\0\0\0\x01aav01\x01\0\0\x01b", false, true),
        Body(video, b"\x97\x02\0\0\x05\x01av01frame", true, false),
        Body(audio, b"\x90Opusconfig", false, true),
        Body(audio, b"\x91ac-3frame", false, false),
        Body(audio, b"\x91fLaCframe", false, false),
        Body(audio, b"\x94mp4a\x01\x02", false, false),
        Body(audio, b"\x95\x11Opus\0\0\0\x01a\x01\0\0\x01b", false, false),
        Body(audio, b"\x97\x02\0\0\x05\x01Opusframe", false, false),
        Body(audio, b"\x91zzzzwhat is yet to be invented", false, false),
    ];
    let mut bare = Bare::publishing();
    for Body(kind, body, keyframe, config) in bodies {
        bare.send(kind.into(), body).unwrap();
        let expected = Event::Tag {
            kind,
            time: 0,
            payload: Bytes::from_static(body),
        };
        assert_eq!(bare.events(), [expected]);
        let info = codec::classify(kind, body);
        let found = (info.keyframe, info.sequence_header);
        assert_eq!(found, (keyframe, config), "{}", body.escape_ascii());
    }
    assert_eq!(bare.session.poll_quirk(), None, "nothing of it is odd");
}

#[test]
fn r34_hevc_by_number_passes_and_is_told_once() {
    let record = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03";
    for (number, quirk) in [(b'\x1c', Quirk::HevcByNumber), (b'\x17', Quirk::HevcAsAvc)] {
        let mut bare = Bare::publishing();
        let config = [&[number, 0, 0, 0, 0], &record[..]].concat();
        for body in [&config[..], &[number, 1, 0, 0, 0, 9], &config] {
            bare.send(MessageType::Video, body).unwrap();
            assert!(matches!(&bare.events()[..], [Event::Tag { payload, .. }] if payload == body));
        }
        assert_eq!(bare.session.poll_quirk(), Some(quirk));
        assert_eq!(bare.session.poll_quirk(), None);
    }
}

#[test]
fn r35_a_publisher_that_can_is_asked_to_connect_anew_and_goes_on_meanwhile() {
    let mut bare = reconnecting();
    assert!(!bare.session.can_reconnect(), "nothing is published yet");
    bare = bare.published();
    assert!(bare.session.can_reconnect());
    for tc_url in [None, Some("rtmp://elsewhere/live")] {
        bare.session.request_reconnect(tc_url, "the server is updated");
        let replies = bare.replies();
        assert_eq!(replies[0].stream_id, 0, "of the connection, not of its stream");
        let request = crate::rtmp::command::Command::parse(&replies[0].payload).unwrap();
        assert_eq!((&*request.name, request.transaction), ("onStatus", 0.0));
        assert_eq!(
            (request.code(), request.level()),
            (Some(RECONNECT_REQUEST), Some("status"))
        );
        assert_eq!(request.description(), Some("the server is updated"));
        assert_eq!(request.tc_url(), tc_url);
        bare.send(MessageType::Audio, &[0xAF, 1]).unwrap();
        assert!(
            matches!(bare.events()[..], [Event::Tag { .. }]),
            "what it sends until then is taken"
        );
    }
}

#[test]
fn r35_who_cannot_is_not_asked() {
    for announced in [&[][..], &[("capsEx", 14.0.into())]] {
        let (bare, _) = Bare::new().connected_with(connect(announced));
        let mut bare = bare.published();
        assert!(!bare.session.can_reconnect());
        bare.session.request_reconnect(None, "the server is updated");
        assert!(bare.replies().is_empty());
    }
}

#[test]
fn r35_our_client_is_asked_and_told_where() {
    for (tc_url, elsewhere) in [
        (None, None),
        (Some("rtmp://e:99/live"), Some("rtmp://e:99/live/cam?key=s3")),
        (Some("//e/live"), Some("rtmp://e/live/cam?key=s3")),
        (Some("/live"), Some("rtmp://h/live/cam?key=s3")),
    ] {
        let mut pair = Pair::new("rtmp://h/live/cam?key=s3", Action::Publish, 100).reconnecting();
        pair.settle();
        pair.server.poll_event();
        pair.server.accept_publish().unwrap();
        assert_eq!(pair.client_events(), [client::Event::Started]);
        pair.server.request_reconnect(tc_url, "the server is updated");
        let expected = client::Event::ReconnectRequested {
            elsewhere: elsewhere.map(|url| Box::new(url.parse().unwrap())),
        };
        assert_eq!(pair.client_events(), [expected]);
        pair.client.send_tag(TagKind::Audio, 0, &[0xAF, 1]);
        assert!(matches!(pair.server_events()[..], [Event::Tag { .. }]));
        pair.client.handle_input(&[], NOW).unwrap();
    }
}
