//! Control messages: each comes back, versions meet, limits hold.

use serde_json::{Value, json};

use super::super::control::{ControlDecoder, ControlError, MAX_MESSAGE_BYTES, encode};
use super::super::message::{
    Floor, Held, HeldPosition, Hello, LinkRole, MAX_ENDPOINTS, MAX_ENTRIES, MAX_HELD_PARTS, MAX_HOPS,
    MAX_NAMED, MAX_OFFER_TEXT_BYTES, MAX_OFFERS, MAX_TEXT_BYTES, Newest, Offer, Policy, Report, StreamDown,
    TooMuch, View, Welcome,
};
use super::super::{Instance, Message};
use crate::stream::{MAX_KEY_BYTES, Position, StreamKey};

fn instance() -> Instance {
    Instance::of_hex([7; 16])
}

fn longest_key() -> StreamKey {
    format!("live/{}", "k".repeat(MAX_KEY_BYTES - 5)).parse().unwrap()
}

fn position() -> Position {
    Position {
        epoch: u64::MAX,
        group: u64::MAX,
        tags: u32::MAX,
    }
}

fn held(entries: usize) -> Held {
    Held {
        positions: vec![
            HeldPosition {
                stream: longest_key(),
                position: position()
            };
            entries
        ],
        floors: vec![
            Floor {
                stream: longest_key(),
                epoch: u64::MAX,
                time: u64::MAX
            };
            entries
        ],
    }
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        instance: instance(),
        version: "1.2.3".to_owned(),
        role: LinkRole::Media,
        positions: held(2).positions,
        floors: held(1).floors,
        held_parts: 3,
        public: vec!["http://192.0.2.7:8080".to_owned()],
        capacity: Some(1_000_000_000),
    }
}

/// A view as full as it may be.
fn fullest_view() -> View {
    let offer = Offer {
        instance: "i".repeat(64).parse().unwrap(),
        public: vec!["x".repeat(MAX_OFFER_TEXT_BYTES); MAX_ENDPOINTS],
        headroom: u64::MAX,
    };
    View {
        offers: vec![offer; MAX_OFFERS],
    }
}

/// One of each.
fn all() -> Vec<Message> {
    let stream: StreamKey = "live/cam".parse().unwrap();
    let reason = "so it is".to_owned();
    vec![
        Message::Hello(Box::new(hello())),
        Message::Held(held(MAX_ENTRIES)),
        Message::Welcome(Welcome {
            protocol: 1,
            instance: instance(),
            hops: vec![instance(); MAX_HOPS],
            version: "1".to_owned(),
        }),
        Message::Hops {
            hops: vec![instance()],
        },
        Message::StreamUp {
            stream: stream.clone(),
        },
        Message::StreamDown(StreamDown {
            stream,
            reason: reason.clone(),
            end: Some(position()),
        }),
        Message::Newest(Newest {
            behind_ms: 40,
            streams: held(MAX_ENTRIES).floors,
        }),
        Message::Floors {
            floors: held(3).floors,
        },
        Message::Report(Report {
            viewers: 3,
            lag_ms: Some(5),
            draining: true,
            committed: Some(u64::MAX),
            full: true,
            ..Report::default()
        }),
        Message::Ping { nonce: u64::MAX },
        Message::Pong { nonce: 0 },
        Message::Policy(Policy {
            max_viewers: Some(4),
            drain_seconds: Some(60),
            unreachable: vec!["http://192.0.2.7:8080: the connection was refused".to_owned()],
        }),
        Message::Pool(fullest_view()),
        Message::Drain { seconds: 9 },
        Message::Ask { instance: instance() },
        Message::Known {
            instance: instance(),
            member: true,
        },
        Message::Bye { reason },
    ]
}

fn framed(json: &Value) -> Vec<u8> {
    let text = json.to_string();
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

fn read(bytes: &[u8]) -> Result<Option<Message>, ControlError> {
    let mut decoder = ControlDecoder::default();
    decoder.push(bytes);
    decoder.poll()
}

fn one(json: &Value) -> Message {
    read(&framed(json)).unwrap().unwrap()
}

#[test]
fn each_message_comes_back_byte_by_byte() {
    let bytes: Vec<u8> = all()
        .iter()
        .flat_map(|message| encode(message).unwrap())
        .collect();
    let mut decoder = ControlDecoder::default();
    let mut came = Vec::new();
    for byte in bytes.chunks(1) {
        decoder.push(byte);
        came.extend(decoder.poll().unwrap());
    }
    assert_eq!(came, all());
    decoder.finish().unwrap();
}

#[test]
fn unknown_fields_and_types_are_ignored() {
    for message in all() {
        let bytes = encode(&message).unwrap();
        let mut json: Value = serde_json::from_slice(&bytes[4..]).unwrap();
        json["later"] = json!({"of": ["any", "shape"]});
        assert_eq!(one(&json), message);
    }
    assert_eq!(one(&json!({"type": "later", "stream": 5})), Message::Unknown);
}

#[test]
fn what_an_older_version_lacks_has_a_default() {
    let instance_text = instance().to_string();
    let Message::Hello(hello) = one(&json!({"type": "hello", "protocol": 1, "instance": instance_text}))
    else {
        panic!("no hello");
    };
    assert_eq!(
        (hello.role, hello.held_parts, hello.capacity),
        (LinkRole::Both, 0, None)
    );
    assert_eq!(
        one(&json!({"type": "report"})),
        Message::Report(Report::default())
    );
    assert_eq!(one(&json!({"type": "drain"})), Message::Drain { seconds: 0 });
    assert_eq!(one(&json!({"type": "held"})), Message::Held(Held::default()));
    assert_eq!(
        one(&json!({"type": "policy"})),
        Message::Policy(Policy::default())
    );
    assert_eq!(one(&json!({"type": "pool"})), Message::Pool(View::default()));
    assert_eq!(
        one(&json!({"type": "newest"})),
        Message::Newest(Newest::default())
    );
    let bare = one(&json!({"type": "pool", "offers": [{"instance": instance_text}]}));
    assert!(matches!(bare, Message::Pool(view) if view.offers[0].public.is_empty()));
    let down = one(&json!({"type": "stream_down", "stream": "live/cam"}));
    assert!(matches!(down, Message::StreamDown(StreamDown { end: None, .. })));
    let welcome = one(&json!({"type": "welcome", "protocol": 1, "instance": instance_text}));
    assert!(matches!(welcome, Message::Welcome(welcome) if welcome.hops.is_empty()));
}

#[test]
fn what_a_message_must_have_is_missed() {
    for json in [
        json!({"type": "hello", "protocol": 1}),
        json!({"type": "hello", "protocol": 1, "instance": "No Name"}),
        json!({"type": "stream_up"}),
        json!({"type": "stream_up", "stream": "nameless"}),
        json!({"type": "ping", "nonce": -1}),
        json!({"type": "pool", "offers": [{"headroom": 1}]}),
        json!({"no": "type"}),
        json!([1]),
    ] {
        assert!(
            matches!(read(&framed(&json)), Err(ControlError::Malformed(_))),
            "{json}"
        );
    }
}

#[test]
fn the_fullest_message_fits_and_one_entry_more_does_not() {
    let full = encode(&Message::Held(held(MAX_ENTRIES))).unwrap();
    assert!(full.len() <= MAX_MESSAGE_BYTES, "{}", full.len());
    let view = encode(&Message::Pool(fullest_view())).unwrap();
    assert!(view.len() <= MAX_MESSAGE_BYTES, "{}", view.len());
    let too_many = Message::Held(held(MAX_ENTRIES + 1));
    assert_eq!(
        encode(&too_many),
        Err(ControlError::TooMuch(TooMuch("positions")))
    );
}

#[test]
fn lists_and_texts_are_held_against_their_limits() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let id = instance().to_string();
    let key = |n: usize| json!(vec![json!({"stream": "live/cam", "epoch": 1, "time": 1}); n]);
    let hello = |field: &str, value: Value| {
        let mut hello = json!({"type": "hello", "protocol": 1, "instance": id});
        hello[field] = value;
        hello
    };
    let offer = |public: Value| json!({"instance": id, "public": public, "headroom": 1});
    let pool = |offers: Vec<Value>| json!({"type": "pool", "offers": offers});
    let long_place = "x".repeat(MAX_OFFER_TEXT_BYTES + 1);
    let cases = [
        (pool(vec![offer(json!([])); MAX_OFFERS + 1]), "offers"),
        (pool(vec![offer(json!(vec!["x"; MAX_ENDPOINTS + 1]))]), "public"),
        (pool(vec![offer(json!([long_place]))]), "public"),
        (hello("floors", key(MAX_ENTRIES + 1)), "floors"),
        (hello("held_parts", json!(MAX_HELD_PARTS + 1)), "held_parts"),
        (hello("public", json!(vec!["x"; MAX_ENDPOINTS + 1])), "public"),
        (hello("public", json!([long])), "public"),
        (hello("version", json!(long)), "version"),
        (json!({"type": "hops", "hops": vec![&id; MAX_HOPS + 1]}), "hops"),
        (
            json!({"type": "floors", "floors": key(MAX_ENTRIES + 1)}),
            "floors",
        ),
        (
            json!({"type": "newest", "streams": key(MAX_ENTRIES + 1)}),
            "streams",
        ),
        (json!({"type": "report", "metrics": long}), "metrics"),
        (json!({"type": "policy", "unreachable": [long]}), "unreachable"),
        (
            json!({"type": "policy", "unreachable": vec!["http://a: no"; MAX_ENDPOINTS + 1]}),
            "unreachable",
        ),
        (
            json!({"type": "stream_down", "stream": "live/cam", "reason": long}),
            "reason",
        ),
        (json!({"type": "bye", "reason": long}), "reason"),
    ];
    for (json, field) in cases {
        assert_eq!(
            read(&framed(&json)),
            Err(ControlError::TooMuch(TooMuch(field))),
            "{json}"
        );
    }
}

#[test]
fn a_length_over_the_limit_is_refused_at_once() {
    let length = MAX_MESSAGE_BYTES + 1;
    assert_eq!(
        read(&(length as u32).to_be_bytes()),
        Err(ControlError::TooLong(length))
    );
    assert_eq!(read(&(MAX_MESSAGE_BYTES as u32).to_be_bytes()), Ok(None));
}

#[test]
fn a_stream_that_ends_inside_a_message_is_cut() {
    let bytes = encode(&Message::Ping { nonce: 1 }).unwrap();
    let mut decoder = ControlDecoder::default();
    decoder.push(&bytes[..bytes.len() - 1]);
    assert_eq!(decoder.poll(), Ok(None));
    assert_eq!(decoder.finish(), Err(ControlError::Cut));
}

#[test]
fn a_hello_spreads_what_is_held_over_as_many_messages_as_it_says() {
    let (positions, floors) = (held(150).positions, held(70).floors);
    let mut hello = hello();
    let parts = hello.hold(positions, floors);
    assert_eq!((hello.positions.len(), hello.floors.len()), (64, 64));
    assert_eq!((parts.len(), hello.held_parts), (2, 2));
    let lengths: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Message::Held(part) => (part.positions.len(), part.floors.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [(64, 6), (22, 0)]);
    let parts = hello.hold(held(MAX_NAMED + 5).positions, Vec::new());
    assert_eq!(
        (parts.len(), hello.held_parts),
        (MAX_HELD_PARTS as usize, MAX_HELD_PARTS)
    );
    Message::Hello(Box::new(hello)).check().unwrap();
}

/// A bomb of JSON costs no more than its own bytes, and no stack.
#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = (MAX_MESSAGE_BYTES - 200) / (open.len() + close.len());
        let bomb = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        let bare = bomb.clone();
        let hidden = format!("{{\"later\":{bomb},\"type\":\"ping\",\"nonce\":1}}");
        for text in [bare, hidden] {
            let bytes = [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
            assert!(bytes.len() <= MAX_MESSAGE_BYTES);
            assert!(matches!(read(&bytes), Err(ControlError::Malformed(_))));
        }
    }
}

#[test]
fn names_as_long_as_a_message_are_refused() {
    let long = "x".repeat(MAX_MESSAGE_BYTES - 1000);
    let id = instance().to_string();
    for json in [
        json!({"type": "hello", "protocol": 1, "instance": long}),
        json!({"type": "hello", "protocol": 1, "instance": id, "version": long}),
        json!({"type": "ask", "instance": long}),
        json!({"type": "stream_up", "stream": format!("live/{long}")}),
        json!({"type": "floors", "floors": [{"stream": format!("live/{long}"), "epoch": 1, "time": 1}]}),
        json!({"type": "bye", "reason": long}),
    ] {
        let refused = read(&framed(&json));
        let words = refused.as_ref().map_err(ToString::to_string);
        assert!(
            words.is_err_and(|words| words.len() < 300),
            "a sentence, not the name again: {refused:?}"
        );
    }
}

/// The last of two fields of one name does not win over the first unseen.
#[test]
fn a_field_that_comes_twice_is_refused() {
    let id = instance().to_string();
    let twice = format!("{{\"type\":\"hello\",\"protocol\":1,\"instance\":\"{id}\",\"instance\":\"{id}\"}}");
    let bytes = [&(twice.len() as u32).to_be_bytes()[..], twice.as_bytes()].concat();
    assert!(matches!(read(&bytes), Err(ControlError::Malformed(_))));
}
