//! Sessions from the first byte to the last.

use bytes::Bytes;

use super::bare::Bare;
use super::{NOW, Pair};
use crate::amf0::{self, Value};
use crate::flv::TagKind;
use crate::rtmp::chunk::{Writer, shared_csid};
use crate::rtmp::client::{self, Action};
use crate::rtmp::command::Command;
use crate::rtmp::message::{MessageType, UserControl};
use crate::rtmp::server::{Config, Event, Session};
use crate::rtmp::{HandshakeError, RtmpError};

fn metadata() -> Vec<u8> {
    let mut body = Vec::new();
    amf0::encode(&"onMetaData".into(), &mut body);
    amf0::encode(&Value::EcmaArray(vec![("width".into(), 640.0.into())]), &mut body);
    body
}

#[test]
fn a_publisher_from_the_first_byte_to_the_last() {
    for cut in [1, 3, 128, 1 << 20] {
        let mut pair = Pair::new("rtmp://h/live/cam?key=s3", Action::Publish, cut);
        let expected = Event::Publish {
            app: "live".into(),
            name: "cam".into(),
            query: Some("key=s3".into()),
            secret: Some("s3".into()),
        };
        assert_eq!(pair.server_events(), [expected]);
        assert!(
            pair.client_events().is_empty(),
            "nothing is said before it is decided (R03)"
        );
        pair.server.accept_publish().unwrap();
        assert_eq!(pair.client_events(), [client::Event::Started]);

        let large = vec![0x17; 300_000];
        pair.client.send_tag(TagKind::Script, 0, &metadata());
        pair.client.send_tag(TagKind::Video, 0xFF_FFF0, &large);
        pair.client.send_tag(TagKind::Video, 0x100_0010, &large);
        pair.client.send_tag(TagKind::Audio, 0x100_0010, &[]);
        pair.client.send_tag(TagKind::Audio, u32::MAX, &[0xAF, 1, 2]);
        let tag = |kind, time, payload: &[u8]| Event::Tag {
            kind,
            time,
            payload: Bytes::copy_from_slice(payload),
        };
        let tags = [
            tag(TagKind::Script, 0, &metadata()),
            tag(TagKind::Video, 0xFF_FFF0, &large),
            tag(TagKind::Video, 0x100_0010, &large),
            tag(TagKind::Audio, u32::MAX, &[0xAF, 1, 2]),
        ];
        assert_eq!(pair.server_events(), tags);

        pair.client.finish();
        assert_eq!(
            pair.server_events(),
            [Event::Unpublish],
            "once, however often it is said"
        );
    }
}

#[test]
fn a_viewer_from_the_first_byte_to_the_last() {
    for cut in [1, 3, 128, 1 << 20] {
        let mut pair = Pair::new("rtmp://h/v2/pub/cam", Action::Play, cut);
        let expected = Event::Play {
            app: "v2/pub".into(),
            name: "cam".into(),
            secret: None,
            hops: 0,
        };
        assert_eq!(pair.server_events(), [expected]);
        pair.server.accept_play().unwrap();
        assert_eq!(pair.client_events(), [client::Event::Started]);

        let mut shared = Vec::new();
        let large = vec![0x17; 200_000];
        for (kind, time, payload) in [
            (TagKind::Script, 0, &metadata()),
            (TagKind::Video, 0x1_0000_0007, &large),
            (TagKind::Video, 0xFF_FFFF, &large),
        ] {
            Writer::write_shared(kind, shared_csid(kind), time, payload, &mut shared);
        }
        for piece in shared.chunks(cut) {
            pair.client.handle_input(piece, NOW).unwrap();
        }
        pair.server.stream_eof();
        let tag = |kind, time, payload: &[u8]| client::Event::Tag {
            kind,
            time,
            payload: Bytes::copy_from_slice(payload),
        };
        let events = [
            tag(TagKind::Script, 0, &metadata()),
            tag(TagKind::Video, 7, &large),
            tag(TagKind::Video, 0xFF_FFFF, &large),
            client::Event::Ended,
        ];
        assert_eq!(pair.client_events(), events);
        pair.client.finish();
        assert_eq!(pair.server_events(), [Event::StopPlay]);
    }
}

#[test]
fn a_refusal_is_visible_and_ends_the_session() {
    for action in [Action::Publish, Action::Play] {
        let mut pair = Pair::new("rtmp://h/live/cam", action, 100);
        pair.settle();
        pair.server.poll_event().unwrap();
        match action {
            Action::Publish => pair
                .server
                .refuse_publish("NetStream.Publish.Denied", "the key is wrong"),
            Action::Play => pair
                .server
                .refuse_play("NetStream.Publish.Denied", "the key is wrong"),
        }
        let refused = client::Event::Refused {
            code: "NetStream.Publish.Denied".into(),
            description: "the key is wrong".into(),
            elsewhere: None,
        };
        assert_eq!(pair.client_events(), [refused]);
        assert_eq!(pair.server_events(), [Event::Closed]);
        pair.server.handle_input(&[0xFF; 1000], NOW).unwrap();
        assert_eq!(pair.server_events(), []);
    }
}

#[test]
fn a_viewer_is_sent_to_the_same_stream_elsewhere() {
    let mut pair = Pair::new("rtmp://h/live/cam?key=s3", Action::Play, 100);
    pair.settle();
    pair.server.redirect_play("rtmp://e:1936/live");
    let events = pair.client_events();
    let [client::Event::Refused { code, elsewhere, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(code, "NetConnection.Connect.Rejected");
    assert_eq!(
        elsewhere.as_deref(),
        Some(&"rtmp://e:1936/live/cam?key=s3".parse().unwrap())
    );
    assert_eq!(pair.server_events().last(), Some(&Event::Closed));
    pair.server.redirect_play("rtmp://f/live");
    assert_eq!(pair.client_events(), [], "said once");
}

#[test]
fn connect_is_answered_with_windows_chunk_size_and_encoding() {
    let mut bare = Bare::new();
    let object = Value::object([("app", "live".into()), ("objectEncoding", 3.0.into())]);
    bare.call(&Command::new("connect", 1.0, object, [])).unwrap();
    let replies = bare.replies();
    let kinds: Vec<_> = replies.iter().map(|reply| reply.kind).collect();
    assert_eq!(
        kinds,
        [
            MessageType::WindowAckSize,
            MessageType::SetPeerBandwidth,
            MessageType::UserControl,
            MessageType::Amf0Command
        ],
        "and Set Chunk Size, which the reader obeys"
    );
    let result = Command::parse(&replies[3].payload).unwrap();
    assert_eq!((&*result.name, result.transaction), ("_result", 1.0));
    assert_eq!(result.code(), Some("NetConnection.Connect.Success"));
    assert_eq!(
        result.arguments[0].get("objectEncoding"),
        Some(&Value::Number(3.0))
    );
}

#[test]
fn r24_side_calls_are_answered_with_their_number() {
    let mut bare = Bare::connected();
    for (name, also) in [
        ("releaseStream", None),
        ("FCPublish", Some("onFCPublish")),
        ("FCUnpublish", Some("onFCUnpublish")),
        ("FCSubscribe", Some("onFCSubscribe")),
        ("_checkbw", None),
        ("getStreamLength", None),
        ("someNewCall", None),
    ] {
        bare.call(&Command::new(name, 9.0, Value::Null, ["cam".into()]))
            .unwrap();
        let replies = bare.commands();
        assert_eq!(
            (&*replies[0].name, replies[0].transaction),
            ("_result", 9.0),
            "{name}"
        );
        let second = replies.get(1).map(|reply| (&*reply.name, reply.transaction));
        assert_eq!(second, also.map(|also| (also, 9.0)), "{name} (R24)");
    }
    for _ in 0..3 {
        bare.call(&Command::new("createStream", 4.0, Value::Null, []))
            .unwrap();
        assert_eq!(
            bare.commands()[0].arguments,
            [Value::Number(1.0)],
            "always stream 1"
        );
    }
    bare.call(&Command::new("someNewCall", 0.0, Value::Null, []))
        .unwrap();
    bare.call(&Command::new("_result", 7.0, Value::Null, [])).unwrap();
    assert!(bare.commands().is_empty());
}

#[test]
fn r25_r26_publish_needs_no_type_and_may_come_as_amf3() {
    let mut bare = Bare::connected();
    let mut body = vec![0];
    body.extend_from_slice(&Command::new("publish", 5.0, Value::Null, ["cam".into()]).body());
    bare.send(MessageType::Amf3Command, &body).unwrap();
    assert!(
        matches!(&bare.events()[..], [Event::Publish { name, .. }] if name == "cam"),
        "R25, R26"
    );
}

#[test]
fn pings_are_answered_and_a_flood_of_them_ends_the_session() {
    let mut bare = Bare::publishing();
    bare.send(MessageType::UserControl, &UserControl::Ping(77).body())
        .unwrap();
    assert_eq!(
        UserControl::parse(&bare.replies()[0].payload),
        Some(UserControl::Pong(77))
    );
    let flood = (0..5000).find_map(|_| {
        bare.send(MessageType::UserControl, &UserControl::Ping(1).body())
            .err()
    });
    assert_eq!(flood, Some(RtmpError::Flood));
}

#[test]
fn r17_acknowledgements_come_without_being_asked_for() {
    let mut bare = Bare::publishing();
    let mut total = 0u32;
    let mut acknowledged = Vec::new();
    for _ in 0..40 {
        let mut out = Vec::new();
        Writer::new(128).write(MessageType::Video, 6, 1, 0, &[0x17; 50_000], &mut out);
        total += u32::try_from(out.len()).unwrap();
        bare.session.handle_input(&out, NOW).unwrap();
        bare.events();
        for reply in bare.replies() {
            assert_eq!(reply.kind, MessageType::Acknowledgement);
            acknowledged.push(u32::from_be_bytes(reply.payload[..].try_into().unwrap()));
        }
    }
    assert!(acknowledged.len() >= 3, "R17");
    assert!(acknowledged.is_sorted(), "the total, not what came since (R16)");
    let before = 1 + 2 * 1536 + 1000;
    assert!(acknowledged.iter().all(|number| *number <= total + before));
    assert!(*acknowledged.last().unwrap() > total / 2);
}

#[test]
fn a_viewer_pauses_and_goes_on() {
    let mut bare = Bare::connected();
    bare.call(&Command::new("play", 5.0, Value::Null, ["cam".into()]))
        .unwrap();
    bare.session.accept_play().unwrap();
    bare.events();
    bare.replies();
    for (paused, code) in [
        (true, "NetStream.Pause.Notify"),
        (false, "NetStream.Unpause.Notify"),
    ] {
        let arguments = [paused.into(), 0.0.into()];
        bare.call(&Command::new("pause", 0.0, Value::Null, arguments))
            .unwrap();
        assert_eq!(bare.commands()[0].code(), Some(code));
        assert_eq!(bare.events(), [Event::Pause(paused)]);
    }
}

#[test]
fn r29_odd_and_empty_messages_do_not_end_a_publisher() {
    let mut bare = Bare::publishing();
    for kind in (0..=u8::MAX).map(MessageType::from_wire) {
        // Set Chunk Size and Abort are nothing without their four bytes.
        if !matches!(kind, MessageType::SetChunkSize | MessageType::Abort) {
            bare.send(kind, &[]).unwrap();
        }
    }
    bare.send(MessageType::Amf0Data, &[0x44]).unwrap();
    bare.send(MessageType::Other(19), &[1, 2, 3]).unwrap();
    bare.send(MessageType::UserControl, &[0, 6]).unwrap();
    bare.send(MessageType::Acknowledgement, &[1]).unwrap();
    bare.send(MessageType::Audio, &[0xAF]).unwrap();
    let kinds: Vec<_> = bare.events();
    assert!(matches!(
        kinds[..],
        [
            Event::Tag {
                kind: TagKind::Script,
                ..
            },
            Event::Tag {
                kind: TagKind::Audio,
                ..
            }
        ]
    ));
}

#[test]
fn input_behind_a_publish_waits_for_the_decision() {
    let mut bare = Bare::connected();
    let mut out = Vec::new();
    let publish = Command::new("publish", 5.0, Value::Null, ["cam".into()]);
    Writer::new(128).write(MessageType::Amf0Command, 3, 1, 0, &publish.body(), &mut out);
    Writer::new(128).write(MessageType::Video, 6, 1, 40, &[0x17; 30_000], &mut out);
    bare.session.handle_input(&out, NOW).unwrap();
    assert!(matches!(bare.events()[..], [Event::Publish { .. }]));
    assert!(bare.session.is_deciding());
    bare.session.accept_publish().unwrap();
    assert!(matches!(bare.events()[..], [Event::Tag { time: 40, .. }]));
    assert_eq!(
        bare.session.held_bytes(),
        bare.session.poll_output().unwrap().len()
    );

    let mut bare = Bare::connected();
    bare.session.handle_input(&out, NOW).unwrap();
    let impatient = (0..10).find_map(|_| bare.session.handle_input(&[0; 16_384], NOW).err());
    assert_eq!(impatient, Some(RtmpError::Impatient));
}

#[test]
fn r19_a_stranger_holds_little_memory() {
    let mut bare = Bare::connected();
    let announced = [3, 0, 0, 0, 0, 0x20, 1, 9, 0, 0, 0, 0];
    let refused = bare.session.handle_input(&announced, NOW);
    assert!(matches!(refused, Err(RtmpError::Chunk(_))), "{refused:?}");

    let mut bare = Bare::connected();
    let mut failed = None;
    for csid in 4..60 {
        let mut begun = vec![csid, 0, 0, 0, 0, 0x20, 0, 20, 0, 0, 0, 0];
        begun.resize(12 + 128, 0);
        failed = bare.session.handle_input(&begun, NOW).err();
        assert!(bare.session.held_bytes() <= 64 << 10);
        if failed.is_some() {
            break;
        }
    }
    assert!(failed.is_some());
}

#[test]
fn what_is_out_of_order_ends_the_session() {
    for name in ["createStream", "publish", "play"] {
        let mut bare = Bare::new();
        let early = bare.call(&Command::new(name, 2.0, Value::Null, ["cam".into()]));
        assert_eq!(early, Err(RtmpError::NotConnected));
    }
    let mut bare = Bare::publishing();
    let second = bare.call(&Command::new("play", 2.0, Value::Null, ["cam".into()]));
    assert_eq!(second, Err(RtmpError::AlreadyActive));
    let mut session = Session::new(Config::default(), [0; 32]);
    let refused = session.handle_input(b"GET / HTTP/1.1", NOW);
    assert_eq!(refused, Err(HandshakeError::Version(b'G').into()));
}

/// Metadata are kept as they are: the order to the server is taken off for players and put on for servers, an update passes, and
/// what clears them is no tag.
#[test]
fn r36_metadata_pass_and_are_ordered_to_be_kept_elsewhere() {
    let text = |name: &str| {
        let mut out = Vec::new();
        amf0::encode(&name.into(), &mut out);
        out
    };
    let mut bare = Bare::publishing();
    let update = [text("onMetaData"), vec![8, 0, 0, 0, 1, 0, 1, b'a', 5, 0, 0, 9]].concat();
    for (sent, passed) in [
        ([text("@setDataFrame"), metadata()].concat(), Some(metadata())),
        (update.clone(), Some(update)),
        ([text("@clearDataFrame"), text("onMetaData")].concat(), None),
    ] {
        bare.send(MessageType::Amf0Data, &sent).unwrap();
        let bodies: Vec<_> = bare
            .events()
            .into_iter()
            .map(|event| match event {
                Event::Tag {
                    kind: TagKind::Script,
                    payload,
                    ..
                } => payload.to_vec(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bodies, Vec::from_iter(passed));
    }

    let mut pair = Pair::new("rtmp://h/live/cam", Action::Publish, 1 << 20);
    pair.settle();
    pair.server.poll_event();
    pair.server.accept_publish().unwrap();
    pair.settle();
    pair.client.send_tag(TagKind::Script, 0, &metadata());
    let sent = pair.client.poll_output().unwrap();
    let ordered = [text("@setDataFrame"), metadata()].concat();
    assert!(sent.windows(ordered.len()).any(|window| window == ordered));
}

#[test]
fn a_connection_may_publish_again_after_it_has_stopped() {
    let mut bare = Bare::publishing();
    bare.call(&Command::new("deleteStream", 6.0, Value::Null, [1.0.into()]))
        .unwrap();
    bare.call(&Command::new("publish", 7.0, Value::Null, ["cam".into()]))
        .unwrap();
    assert!(matches!(
        bare.events()[..],
        [Event::Unpublish, Event::Publish { .. }]
    ));
    bare.session.accept_publish().unwrap();
    bare.send(MessageType::Audio, &[0xAF]).unwrap();
    assert!(matches!(bare.events()[..], [Event::Tag { .. }]));
}

#[test]
fn r28_an_aggregate_is_its_parts() {
    let mut bare = Bare::publishing();
    let mut body = Vec::new();
    for (kind, time) in [(8, 5), (9, 28), (20, 30), (8, 51)] {
        body.extend_from_slice(&[kind, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, kind, 0, 0, 0, 12]);
    }
    bare.send(MessageType::Aggregate, &body).unwrap();
    let times: Vec<_> = bare
        .events()
        .iter()
        .map(|event| match event {
            Event::Tag { time, .. } => *time,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [0, 23, 46], "R28; no commands in there");
}

#[test]
fn the_replies_to_a_viewer_fit_its_side_buffer() {
    let mut bare = Bare::connected();
    let name = "n".repeat(crate::stream::MAX_KEY_BYTES);
    bare.call(&Command::new("play", 5.0, Value::Null, [name.as_str().into()]))
        .unwrap();
    bare.session.accept_play().unwrap();
    assert!(bare.session.poll_output().unwrap().len() < 2048);
    bare.session.stream_eof();
    assert!(bare.session.poll_output().unwrap().len() < 2048);
    assert!(
        size_of::<Session>() < 1024,
        "{} bytes for each viewer",
        size_of::<Session>()
    );
}
