//! Cameras and phones, from the first byte to the last (R31).
//!
//! No recordings of these devices were to be had: what they send is written by hand here, after what is told of them in
//! public (which handshake, which properties and calls, how they name a stream). So these tests keep us from breaking what
//! works with such sessions; whether a device does send them only the device can tell.

use super::captures;
use crate::amf0::{self, Value};
use crate::flv::TagKind;
use crate::rtmp::chunk::Writer;
use crate::rtmp::command::Command;
use crate::rtmp::digest::{self, Scheme};
use crate::rtmp::handshake::{PACKET_BYTES, VERSION};
use crate::rtmp::message::MessageType;
use crate::rtmp::server::Event;

/// What tells one device from another.
struct Device {
    /// Whether it shows a digest, and where.
    digest: Option<Scheme>,
    /// What it writes where the simple handshake has zeros.
    version: [u8; 4],
    /// The size of its chunks, if it sets one.
    chunk_size: Option<u32>,
    connect: Value,
    /// Between `connect` and `publish`; `createStream` included.
    calls: &'static [&'static str],
    /// What it calls the stream.
    name: &'static str,
    /// What it says of the kind of publishing.
    kind: Option<&'static str>,
    /// The chunk stream of its media.
    csid: u32,
    /// Video configuration, key frame and frame.
    video: [&'static [u8]; 3],
}

/// An H.264 configuration, key frame and frame.
const AVC: [&[u8]; 3] = [
    b"\x17\0\0\0\0\x01\x64\0\x1f\xff\xe1\0\x04\x67\x64\0\x1f\x01\0\x02\x68\xee",
    b"\x17\x01\0\0\0\0\0\0\x02\x65\x88",
    b"\x27\x01\0\0\0\0\0\0\x02\x41\x9a",
];

/// The same of HEVC by number, and by FourCC.
const HEVC_BY_NUMBER: [&[u8]; 3] = [
    b"\x1c\0\0\0\0\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03",
    b"\x1c\x01\0\0\0\0\0\0\x02\x26\x01",
    b"\x2c\x01\0\0\0\0\0\0\x02\x02\x01",
];
const HEVC: [&[u8]; 3] = [
    b"\x90hvc1\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5d\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03",
    b"\x91hvc1\0\0\0\0\0\0\x02\x26\x01",
    b"\xa3hvc1\0\0\0\x02\x02\x01",
];

const AUDIO: [&[u8]; 2] = [b"\xaf\0\x11\x90", b"\xaf\x01\x21\x10"];

/// A GoPro: the conversation of ffmpeg, which it is built on, with the URL of a report in public: a dot in the name, and a
/// token.
fn gopro() -> Device {
    Device {
        digest: Some(Scheme::DigestFirst),
        version: [9, 0, 124, 2],
        chunk_size: Some(60_000),
        connect: Value::object([
            ("app", "live".into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; Lavf57.83.100)".into()),
            ("tcUrl", "rtmp://192.168.1.210:1935/live".into()),
        ]),
        calls: &["releaseStream", "FCPublish", "createStream", "_checkbw"],
        name: "external.stream?token=s3",
        kind: Some("live"),
        csid: 6,
        video: AVC,
    }
}

/// Larix on a phone, as it was: HEVC by the number 12.
fn larix() -> Device {
    Device {
        digest: None,
        version: [0; 4],
        chunk_size: Some(4096),
        connect: Value::object([
            ("app", "live/phones".into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; Larix)".into()),
            ("swfUrl", "rtmp://h/live/phones".into()),
            ("tcUrl", "rtmp://h/live/phones".into()),
            ("fpad", false.into()),
            ("capabilities", 239.0.into()),
            ("audioCodecs", 3191.0.into()),
            ("videoCodecs", 252.0.into()),
            ("videoFunction", 1.0.into()),
            ("objectEncoding", 0.0.into()),
        ]),
        calls: &["releaseStream", "FCPublish", "createStream"],
        name: "cam-1?key=s3",
        kind: Some("live"),
        csid: 4,
        video: HEVC_BY_NUMBER,
    }
}

/// Larix as it is: enhanced RTMP, announced in both forms.
fn larix_enhanced() -> Device {
    let codecs = || Value::object([("hvc1", 3.0.into()), ("avc1", 3.0.into()), ("*", 0.0.into())]);
    let mut device = larix();
    device.connect.extend(&[
        (
            "fourCcList".to_owned(),
            Value::StrictArray(vec!["hvc1".into(), "avc1".into()]),
        ),
        ("videoFourCcInfoMap".to_owned(), codecs()),
        ("audioFourCcInfoMap".to_owned(), codecs()),
        ("capsEx".to_owned(), 1.0.into()),
    ]);
    Device {
        video: HEVC,
        ..device
    }
}

/// A phone's app on one of the common libraries: noise where the handshake has its version, and a key in the app's query.
fn phone() -> Device {
    Device {
        digest: None,
        version: [0xA1, 0xB2, 0xC3, 0xD4],
        chunk_size: None,
        connect: Value::object([
            ("app", "live?key=s3".into()),
            ("flashVer", "FMLE/3.0 (compatible; Lavf57.56.101)".into()),
            ("swfUrl", Value::Undefined),
            ("tcUrl", "rtmp://[::1]:1935/live?key=s3".into()),
            ("pageUrl", Value::Null),
            ("objectEncoding", 3.0.into()),
        ]),
        calls: &["releaseStream", "FCPublish", "createStream"],
        name: "cam_1~b",
        kind: Some("live"),
        csid: 8,
        video: AVC,
    }
}

/// A hardware encoder's: no type of publishing, calls that nobody else makes, a chunk stream beyond the short numbers, and a
/// digest in the second block.
fn box_encoder() -> Device {
    Device {
        digest: Some(Scheme::KeyFirst),
        version: [10, 0, 32, 18],
        chunk_size: Some(1),
        connect: Value::EcmaArray(vec![
            ("app".to_owned(), "".into()),
            ("tcUrl".to_owned(), "rtmp://h:1935/live/_definst_/".into()),
        ]),
        calls: &[
            "setPeerInfo",
            "createStream",
            "FCSubscribe",
            "getStreamLength",
            "releaseStream",
        ],
        name: "/cam%2D1?key=s%33",
        kind: None,
        csid: 320,
        video: AVC,
    }
}

/// All that it sends, without waiting for anything.
fn sent_by(device: &Device) -> Vec<u8> {
    let mut c1: [u8; PACKET_BYTES] = std::array::from_fn(|index| index.to_le_bytes()[0].wrapping_mul(37));
    c1[4..8].copy_from_slice(&device.version);
    if let Some(scheme) = device.digest {
        digest::sign_client(&mut c1, scheme);
    }
    let mut out = [&[VERSION][..], &c1, &[0; PACKET_BYTES]].concat();
    let mut writer = Writer::new(128);
    if let Some(size) = device.chunk_size {
        writer.write(MessageType::SetChunkSize, 2, 0, 0, &size.to_be_bytes(), &mut out);
        writer = Writer::new(size);
    }
    let name = || Value::String(device.name.to_owned());
    let mut call = |command: &Command, stream_id| {
        writer.write(
            MessageType::Amf0Command,
            3,
            stream_id,
            0,
            &command.body(),
            &mut out,
        );
    };
    call(&Command::new("connect", 1.0, device.connect.clone(), []), 0);
    for (number, method) in (2u32..).zip(device.calls) {
        call(&Command::new(method, f64::from(number), Value::Null, [name()]), 0);
    }
    let mut publish = Command::new("publish", 0.0, Value::Null, [name()]);
    publish.arguments.extend(device.kind.map(Value::from));
    call(&publish, 1);
    let mut metadata = Vec::new();
    amf0::encode(&"@setDataFrame".into(), &mut metadata);
    amf0::encode(&"onMetaData".into(), &mut metadata);
    amf0::encode(
        &Value::EcmaArray(vec![("width".to_owned(), 1920.0.into())]),
        &mut metadata,
    );
    writer.write(MessageType::Amf0Data, device.csid, 1, 0, &metadata, &mut out);
    for (kind, time, body) in media(device) {
        writer.write(kind.into(), device.csid, 1, time, body, &mut out);
    }
    let end = Command::new("deleteStream", 0.0, Value::Null, [1.0.into()]);
    writer.write(MessageType::Amf0Command, 3, 0, 0, &end.body(), &mut out);
    out
}

fn media(device: &Device) -> [(TagKind, u32, &'static [u8]); 5] {
    let [config, key, frame] = device.video;
    let [audio_config, audio] = AUDIO;
    [
        (TagKind::Video, 0, config),
        (TagKind::Audio, 0, audio_config),
        (TagKind::Video, 0, key),
        (TagKind::Audio, 21, audio),
        (TagKind::Video, 33, frame),
    ]
}

#[test]
fn r31_devices_publish_from_the_first_byte_to_the_last() {
    for (what, device, app, name) in [
        ("a GoPro", gopro(), "live", "external.stream"),
        ("Larix", larix(), "live/phones", "cam-1"),
        ("Larix, enhanced", larix_enhanced(), "live/phones", "cam-1"),
        ("a phone's app", phone(), "live", "cam_1~b"),
        ("a box", box_encoder(), "live", "cam-1"),
    ] {
        let sent = sent_by(&device);
        let whole = captures::events(&sent);
        let Event::Publish {
            app: found_app,
            name: found_name,
            secret,
            ..
        } = &whole[0]
        else {
            panic!("{what}: {whole:?}");
        };
        assert_eq!((&**found_app, &**found_name), (app, name), "{what}");
        assert_eq!(secret.as_deref(), Some("s3"), "{what}");
        assert!(
            matches!(
                &whole[1],
                Event::Tag {
                    kind: TagKind::Script,
                    ..
                }
            ),
            "{what}"
        );
        let tags = media(&device).map(|(kind, time, body)| Event::Tag {
            kind,
            time,
            payload: body.into(),
        });
        assert_eq!(whole[2..7], tags, "{what}");
        assert_eq!(whole[7..], [Event::Unpublish], "{what}");
        assert_eq!(
            captures::events_in_pieces(&sent, std::iter::repeat(1)),
            whole,
            "{what}, byte by byte"
        );
        for cut in (0..sent.len()).step_by(7) {
            let pieces = captures::events_in_pieces(&sent, [cut, sent.len()]);
            assert_eq!(pieces, whole, "{what}, cut at {cut}");
        }
    }
}

/// What ffmpeg really sent has a digest, in the first block; ffmpeg itself checks our answer when it plays.
#[test]
fn r23_ffmpeg_shows_a_digest_and_rtmpdump_none() {
    for (capture, scheme) in [
        (captures::FFMPEG, Some(Scheme::DigestFirst)),
        (captures::FFMPEG_PLAY, Some(Scheme::DigestFirst)),
        (captures::RTMPDUMP_PLAY, None),
    ] {
        let c1 = capture[1..].first_chunk().unwrap();
        assert_eq!(digest::of_client(c1).map(|(scheme, _)| scheme), scheme);
    }
}
