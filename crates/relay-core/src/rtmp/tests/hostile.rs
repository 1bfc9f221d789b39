//! Peers that want to cost us memory, before they are let in and after (R18, R19, R20, R27).

use super::NOW;
use super::bare::Bare;
use crate::amf0::{self, Value};
use crate::rtmp::RtmpError;
use crate::rtmp::chunk::{MAX_CHUNK_STREAMS, Writer};
use crate::rtmp::command::Command;
use crate::rtmp::handshake::{PACKET_BYTES, VERSION};
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Session};

/// What a peer may cost before it is let in, its driver's buffer included.
const STRANGER_BYTES: u64 = 64 << 10;

/// How a driver reads from a stranger, and from a publisher.
const READ: usize = 4 << 10;
const PUBLISHER_READ: usize = 16 << 10;

/// What becomes of a connection, and the most that it ever held, by the counting allocator.
struct End {
    result: Result<(), RtmpError>,
    most: u64,
    answered: usize,
}

/// Drives a session as a socket's driver does. Nobody is let in, unless as a publisher with so much memory.
fn drive(input: &[u8], publisher_memory: Option<usize>) -> End {
    let mut end = End {
        result: Ok(()),
        most: 0,
        answered: 0,
    };
    let spent = allocation_counter::measure(|| {
        let config = Config {
            publisher_memory: publisher_memory.unwrap_or_default(),
            ..Config::default()
        };
        let mut session = Session::new(config, [0; 32]);
        let mut buffer = Vec::with_capacity(publisher_memory.map_or(READ, |_| PUBLISHER_READ));
        for piece in input.chunks(buffer.capacity()) {
            buffer.clear();
            buffer.extend_from_slice(piece);
            end.result = session.handle_input(&buffer, NOW);
            while let Some(event) = session.poll_event() {
                if publisher_memory.is_some() && matches!(event, Event::Publish { .. }) {
                    end.result = end.result.clone().and_then(|()| session.accept_publish());
                }
            }
            while let Some(output) = session.poll_output() {
                end.answered += output.len();
            }
            if end.result.is_err() || session.is_deciding() {
                break;
            }
        }
    });
    end.most = spent.bytes_max;
    end
}

fn handshake() -> Vec<u8> {
    let mut out = vec![VERSION];
    out.resize(1 + 2 * PACKET_BYTES, 0);
    out
}

fn call(command: &Command, out: &mut Vec<u8>) {
    Writer::new(128).write(MessageType::Amf0Command, 3, 0, 0, &command.body(), out);
}

fn connected() -> Vec<u8> {
    let mut out = handshake();
    call(
        &Command::new("connect", 1.0, Value::object([("app", "live".into())]), []),
        &mut out,
    );
    out
}

fn publishing() -> Vec<u8> {
    let mut out = connected();
    call(
        &Command::new("publish", 2.0, Value::Null, ["cam".into()]),
        &mut out,
    );
    out
}

fn set_chunk_size(size: u32, out: &mut Vec<u8>) {
    Writer::new(128).write(MessageType::SetChunkSize, 2, 0, 0, &size.to_be_bytes(), out);
}

/// A header of type 0 on any chunk stream.
fn begin(csid: u32, length: u32, kind: u8, out: &mut Vec<u8>) {
    let [low, high, ..] = (csid - 64).to_le_bytes();
    let [_, a, b, c] = length.to_be_bytes();
    out.extend_from_slice(&[1, low, high, 0, 0, 0, a, b, c, kind, 1, 0, 0, 0]);
}

/// Messages of a length begun on each of 65,000 chunk streams, a chunk of 128 bytes each.
fn on_each_chunk_stream(length: u32, out: &mut Vec<u8>) {
    for csid in 64..65_064 {
        begin(csid, length, 9, out);
        out.extend_from_slice(&[0x17; 128]);
    }
}

/// A command with a value in the place of its object.
fn with_object(name: &str, object: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    amf0::encode(&name.into(), &mut body);
    amf0::encode(&1.0.into(), &mut body);
    body.extend_from_slice(object);
    body
}

/// A whole message from a stranger in the chunks that he likes.
fn message(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let mut out = handshake();
    Writer::new(128).write(kind, 3, 0, 0, body, &mut out);
    out
}

/// Objects within each other.
fn nested(depth: usize) -> Vec<u8> {
    [3, 0, 1, b'a'].repeat(depth)
}

#[test]
fn r18_r19_r20_a_stranger_takes_less_than_64_kb_and_is_closed_with_a_reason() {
    let mut cases: Vec<(&str, Vec<u8>, &str)> = Vec::new();
    for size in [0, 0x8000_0000, u32::MAX] {
        let mut input = handshake();
        set_chunk_size(size, &mut input);
        cases.push(("a chunk size that there is not", input, "chunk_size"));
    }
    let mut input = connected();
    on_each_chunk_stream(0xFF_FFFF, &mut input);
    cases.push(("16 MB on each chunk stream", input, "message_too_long"));
    let mut input = connected();
    on_each_chunk_stream(8 << 10, &mut input);
    cases.push((
        "what it may have on each chunk stream",
        input,
        "too_much_unfinished",
    ));
    let mut input = connected();
    on_each_chunk_stream(128, &mut input);
    cases.push(("a chunk on each chunk stream", input, "too_many_chunk_streams"));
    let mut input = connected();
    set_chunk_size(1, &mut input);
    begin(64, 0xFF_FFFF, 9, &mut input);
    cases.push(("16 MB in chunks of a byte", input, "message_too_long"));
    cases.push((
        "no chunk stream at all",
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        "not_rtmp",
    ));
    let mut input = connected();
    for _ in 0..500 {
        call(
            &Command::new("FCPublish", 2.0, Value::Null, ["cam".into()]),
            &mut input,
        );
    }
    cases.push(("calls with long answers", input, "flood"));
    let deep = message(MessageType::Amf0Command, &with_object("connect", &nested(10_000)));
    cases.push(("10,000 objects within each other", deep, "message_too_long"));
    for (what, input, reason) in &cases {
        let end = drive(input, None);
        println!("{what}: {} bytes, {:?}", end.most, end.result);
        assert_eq!(end.result.unwrap_err().reason(), *reason, "{what}");
        assert!(end.most <= STRANGER_BYTES, "{what}: {} bytes", end.most);
    }
}

/// What is within the limits of a message, and would become much more here.
#[test]
fn r19_r27_no_command_of_a_stranger_takes_64_kb() {
    let room = 8000;
    let strict = |count: usize, element: &[u8]| {
        let mut array = vec![0x0A, 0, 0, 0xFF, 0xFF];
        array.extend(element.repeat(count));
        array
    };
    let text = |byte: u8, length: u16| {
        let mut text = vec![0x02];
        text.extend(length.to_be_bytes());
        text.extend(vec![byte; length.into()]);
        text
    };
    let values = [
        ("objects within each other", nested(room / 4)),
        ("nulls", strict(room, &[5])),
        (
            "properties without a name",
            [&[3][..], &[0, 0, 5].repeat(room / 3)].concat(),
        ),
        (
            "objects beside each other",
            strict(room / 8, &[3, 0, 1, b'a', 5, 0, 0, 9]),
        ),
        (
            "arrays beside each other",
            strict(room / 6, &[0x0A, 0, 0, 0, 1, 5]),
        ),
        (
            "objects in arrays in objects",
            strict(
                room / 60,
                &[&nested(12)[..], &[5], &[0, 0, 9].repeat(12)].concat(),
            ),
        ),
        ("text that is none", text(0xFF, 7000)),
        ("long text", text(b'x', 7900)),
        (
            "texts of AMF3",
            [
                &[0x11, 0x09, 0xFF, 0x7F, 0x01][..],
                &[0x06, 0x03, b'x'].repeat(2000),
            ]
            .concat(),
        ),
        (
            "a text of AMF3 many times",
            [
                &[0x11, 0x09, 0xFF, 0x7F, 0x01, 0x06, 0x8F, 0x51][..],
                &[b'x'; 1000],
                &[0x06, 0].repeat(2000),
            ]
            .concat(),
        ),
        (
            "members of AMF3",
            [&[0x11, 0x0A, 0x9F, 0x73, 0x01, 0x03, b'x'][..], &[0].repeat(2000)].concat(),
        ),
    ];
    for (what, value) in &values {
        for name in ["connect", "publish", "anything"] {
            let end = drive(
                &message(MessageType::Amf0Command, &with_object(name, value)),
                None,
            );
            assert!(end.most <= STRANGER_BYTES, "{what}, {name}: {} bytes", end.most);
        }
    }
    // Text where it is kept, parsed and said back.
    let long = Value::String("a/%41?key=".repeat(room / 10));
    let mut input = handshake();
    let object = Value::Object(vec![("app".to_owned(), long.clone())]);
    call(&Command::new("connect", 1.0, object, []), &mut input);
    for name in [
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "releaseStream",
        "publish",
    ] {
        call(&Command::new(name, 2.0, Value::Null, [long.clone()]), &mut input);
    }
    let end = drive(&input, None);
    println!("long names: {} bytes, {:?}", end.most, end.result);
    assert_eq!(end.result, Ok(()));
    assert!(end.most <= STRANGER_BYTES, "long names: {} bytes", end.most);
}

#[test]
fn r18_r19_r20_a_publisher_takes_no_more_than_it_may_and_is_closed_with_a_reason() {
    const MEMORY: usize = 8 << 20;
    const MESSAGE: u32 = 2 << 20;
    let begun = |body: fn(&mut Vec<u8>)| {
        let mut input = publishing();
        body(&mut input);
        input
    };
    let cases = [
        (
            "16 MB on each chunk stream",
            begun(|out| on_each_chunk_stream(0xFF_FFFF, out)),
            "message_too_long",
        ),
        (
            "a chunk of 2 MB on each chunk stream",
            begun(|out| on_each_chunk_stream(MESSAGE, out)),
            "too_many_chunk_streams",
        ),
        (
            "as much as it may on each chunk stream",
            begun(filled),
            "too_much_unfinished",
        ),
        (
            "a chunk size of 0",
            begun(|out| set_chunk_size(0, out)),
            "chunk_size",
        ),
        (
            "a chunk size of 2^31",
            begun(|out| set_chunk_size(1 << 31, out)),
            "chunk_size",
        ),
    ];
    for (what, input, reason) in &cases {
        let end = drive(input, Some(MEMORY));
        println!("{what}: {} bytes, {:?}", end.most, end.result);
        assert_eq!(end.result.unwrap_err().reason(), *reason, "{what}");
        assert!(end.most <= MEMORY as u64, "{what}: {} bytes", end.most);
    }
    // Legal, and as bad as it gets.
    let small = 4 << 20;
    let end = drive(&begun(ending_at_once), Some(small));
    println!("ending at once: {} bytes, {:?}", end.most, end.result);
    assert_eq!(end.result, Ok(()));
    assert!(
        end.most > small as u64 * 2 / 3,
        "the test does what it says: {} bytes",
        end.most
    );
    assert!(end.most <= small as u64, "{} bytes", end.most);

    let end = drive(&begun(bytewise), Some(MEMORY));
    assert_eq!(end.result, Ok(()), "chunks of a byte are legal");
    assert!(end.most <= 512 << 10, "{} bytes", end.most);
}

/// Each chunk stream up to its longest message, less a byte.
fn filled(out: &mut Vec<u8>) {
    let short = (2 << 20) - 1;
    set_chunk_size(short, out);
    for csid in 64..70 {
        begin(csid, short + 1, 9, out);
        out.resize(out.len() + short as usize, 0x17);
    }
}

/// Nearly as much as may be unfinished with 4 MiB, of which then half ends and half doubles its room, all within one read.
fn ending_at_once(out: &mut Vec<u8>) {
    const PART: u32 = 16_000;
    let empty = MAX_CHUNK_STREAMS as u32;
    begin(64 + empty, 0, 9, out);
    // Each part arrives in one read, so that it gets just the room that it takes: up to there go empty messages.
    let fill_up = |out: &mut Vec<u8>| {
        let [low, high, ..] = empty.to_le_bytes();
        while out.len() % PUBLISHER_READ < PUBLISHER_READ - 3 {
            out.extend_from_slice(&[0xC1, low, high]);
        }
    };
    let streams = || 64..64 + MAX_CHUNK_STREAMS as u32 - 4;
    set_chunk_size(PART, out);
    for csid in streams() {
        fill_up(out);
        begin(csid, if csid % 2 == 0 { PART + 1 } else { 2 * PART }, 9, out);
        out.resize(out.len() + PART as usize, 0x17);
    }
    set_chunk_size(2, out);
    fill_up(out);
    for csid in streams() {
        let [low, high, ..] = (csid - 64).to_le_bytes();
        out.extend_from_slice(&[0xC1, low, high, 0x17]);
        out.extend((csid % 2 == 1).then_some(0x17));
    }
}

/// A message of 256 KB in chunks of a byte.
fn bytewise(out: &mut Vec<u8>) {
    set_chunk_size(1, out);
    begin(64, 256 << 10, 9, out);
    out.push(0x17);
    out.extend([0xC1, 0, 0, 0x17].repeat((256 << 10) - 1));
}

/// An encoder may be odd all the same: data that nobody can read pass, commands that nobody can read are left out.
#[test]
fn r27_what_is_nested_too_deep_ends_no_session() {
    let mut bare = Bare::publishing();
    let mut data = Vec::new();
    amf0::encode(&"onMetaData".into(), &mut data);
    data.extend(nested(10_000));
    bare.send(MessageType::Amf0Data, &data).unwrap();
    assert!(matches!(&bare.events()[..], [Event::Tag { payload, .. }] if *payload == data));
    bare.send(MessageType::Amf0Command, &with_object("odd", &nested(10_000)))
        .unwrap();
    let answer = bare.commands();
    assert_eq!(&*answer[0].name, "_result");
    let odd: [&[u8]; 5] = [
        &[0x0B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x06],
        &[0x0D],
        &[0x0A, 0, 0, 0, 2, 5, 5],
        &[0x08, 0, 0, 0, 99, 0, 1, b'a', 5, 0, 0, 9],
    ];
    for value in odd {
        let mut body = with_object("odd", value);
        amf0::encode(&"behind it".into(), &mut body);
        let command = Command::parse(&body).unwrap();
        assert_eq!(command.text(0), Some("behind it"), "{value:02x?}");
        bare.send(MessageType::Amf0Command, &body).unwrap();
        assert_eq!(bare.commands().len(), 1);
        let data = [&data[..13], value].concat();
        bare.send(MessageType::Amf0Data, &data).unwrap();
        assert!(
            matches!(&bare.events()[..], [Event::Tag { payload, .. }] if *payload == data),
            "kept as it is (R36)"
        );
    }
}
