//! ffmpeg and rtmpdump over loopback: they must take our replies for a server's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{NOW, captures};
use crate::flv::TagKind;
use crate::rtmp::chunk::{Writer, shared_csid};
use crate::rtmp::server::{Config, Event, Session};

/// What came over one connection.
struct Connection {
    events: Vec<Event>,
    input: Vec<u8>,
}

/// Serves one connection on a port of its own: takes any publisher with the key `s3`, and plays the captured clip to
/// any viewer, to its end.
fn serve_one() -> (u16, JoinHandle<Connection>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        serve(socket)
    });
    (port, served)
}

fn serve(mut socket: TcpStream) -> Connection {
    let mut session = Session::new(Config::default(), [5; 32]);
    let mut connection = Connection {
        events: Vec::new(),
        input: Vec::new(),
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        // A client that leaves with replies unread resets the connection.
        let Ok(count @ 1..) = socket.read(&mut buffer) else {
            return connection;
        };
        connection.input.extend_from_slice(&buffer[..count]);
        session.handle_input(&buffer[..count], NOW).unwrap();
        while let Some(event) = session.poll_event() {
            let mut tail = Vec::new();
            match &event {
                Event::Publish { secret, .. } if secret.as_deref() == Some("s3") => {
                    session.accept_publish().unwrap();
                }
                Event::Publish { .. } => session.refuse_publish("NetStream.Publish.Denied", "wrong key"),
                Event::Play { .. } => {
                    session.accept_play().unwrap();
                    send(&mut socket, &mut session);
                    tail = clip();
                    session.stream_eof();
                }
                _ => {}
            }
            connection.events.push(event);
            if socket.write_all(&tail).is_err() {
                return connection;
            }
        }
        send(&mut socket, &mut session);
        if connection.events.last() == Some(&Event::Closed) {
            return connection;
        }
    }
}

fn send(socket: &mut TcpStream, session: &mut Session) {
    while let Some(output) = session.poll_output() {
        let _ = socket.write_all(&output);
    }
}

/// The captured clip in shared bytes.
fn clip() -> Vec<u8> {
    let mut out = Vec::new();
    for event in captures::events(captures::FFMPEG) {
        if let Event::Tag { kind, time, payload } = event {
            Writer::write_shared(kind, shared_csid(kind), time.into(), &payload, &mut out);
        }
    }
    out
}

fn run(program: &str, arguments: &str) -> Output {
    let command = Command::new(program)
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output();
    command.unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"))
}

/// Three seconds of a test picture and a tone, 45 frames and 141 packets, as H.264 and AAC.
const BOTH: &str = "-f lavfi -i testsrc2=size=320x180:rate=15 -f lavfi -i sine=frequency=440:sample_rate=48000 \
                    -t 3 -c:v libx264 -g 15 -bf 0 -b:v 120k -c:a aac -b:a 48k";

/// Publishes with ffmpeg. `RELAY_CAPTURE=FILE` keeps what it sent: so were the fixtures made.
fn publish(inputs: &str, name: &str) -> (Output, Vec<Event>) {
    let (port, served) = serve_one();
    let url = format!("rtmp://127.0.0.1:{port}/live/{name}");
    let output = run("ffmpeg", &format!("-v warning {inputs} -f flv {url}"));
    let connection = served.join().unwrap();
    if let Ok(file) = std::env::var("RELAY_CAPTURE") {
        std::fs::write(file, &connection.input).unwrap();
    }
    (output, connection.events)
}

fn play(program: &str, arguments: &str) -> (Output, Vec<Event>) {
    let (port, served) = serve_one();
    let url = format!("rtmp://127.0.0.1:{port}/live/cam");
    let output = run(program, &arguments.replace("URL", &url));
    let connection = served.join().unwrap();
    if let Ok(file) = std::env::var("RELAY_CAPTURE") {
        std::fs::write(file, &connection.input).unwrap();
    }
    (output, connection.events)
}

fn times(events: &[Event], wanted: TagKind) -> Vec<u32> {
    let tags = events.iter().filter_map(|event| match event {
        Event::Tag { kind, time, .. } if *kind == wanted => Some(*time),
        _ => None,
    });
    tags.collect()
}

#[test]
fn ffmpeg_publishes() {
    let (output, events) = publish(BOTH, "cam?key=s3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(matches!(&events[0], Event::Publish { app, name, .. } if app == "live" && name == "cam"));
    assert_eq!(events.last(), Some(&Event::Unpublish));
    // 45 frames, a sequence header before and an end of sequence behind them.
    let video = times(&events, TagKind::Video);
    assert_eq!(video.len(), 47, "{video:?}");
    assert!(video.is_sorted());
    assert!(times(&events, TagKind::Audio).len() >= 140);
    assert_eq!(times(&events, TagKind::Script).len(), 1);
}

#[test]
fn ffmpeg_sees_a_refusal() {
    let (output, events) = publish(BOTH, "cam?key=wrong");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("wrong key"), "{said}");
    assert_eq!(events.last(), Some(&Event::Closed));
}

/// Sizes and deltas that repeat make ffmpeg begin messages with a header of type 3.
#[test]
fn ffmpeg_publishes_uncompressed_sound() {
    let sound = "-f lavfi -i sine=frequency=440:sample_rate=11025 -c:a pcm_s16le -t 2";
    let (output, events) = publish(sound, "cam?key=s3");
    assert!(output.status.success());
    let audio = times(&events, TagKind::Audio);
    assert!(audio.len() >= 20);
    for (number, time) in (0u32..).zip(audio) {
        let due = number * 1024 * 1000 / 11025;
        assert!(time.abs_diff(due) <= 1, "tag {number} at {time}, not {due}");
    }
}

/// Four hours and forty minutes into a broadcast the times outgrow their field (R14).
#[test]
fn ffmpeg_publishes_across_the_extended_timestamp() {
    let inputs = format!("{BOTH} -output_ts_offset 16776");
    let (output, events) = publish(&inputs, "cam?key=s3");
    assert!(output.status.success());
    for kind in [TagKind::Audio, TagKind::Video] {
        let times = times(&events, kind);
        // The sequence header is at 0.
        let media = &times[1..];
        assert!(
            media[0] < 0xFF_FFFF && media[media.len() - 1] > 0xFF_FFFF,
            "{times:?}"
        );
        let steady = |pair: &[u32]| pair[0] <= pair[1] && pair[1] - pair[0] < 100;
        assert!(media.windows(2).all(steady), "{times:?}");
    }
}

#[test]
fn ffmpeg_plays() {
    let (output, events) = play("ffmpeg", "-v error -i URL -f framecrc -");
    assert!(output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    let frames = String::from_utf8_lossy(&output.stdout);
    let of_stream = |start: &str| frames.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(of_stream("0,"), 45, "every frame of the clip");
    assert!(of_stream("1,") >= 140);
    assert!(matches!(&events[0], Event::Play { name, .. } if name == "cam"));
}

#[test]
fn rtmpdump_plays() {
    let file = std::env::temp_dir().join(format!("relay-rtmpdump-{}.flv", std::process::id()));
    let (output, events) = play("rtmpdump", &format!("-q -v -r URL -o {}", file.display()));
    let flv = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(matches!(&events[0], Event::Play { name, .. } if name == "cam"));
    let media: usize = captures::events(captures::FFMPEG)
        .iter()
        .map(|event| match event {
            Event::Tag { payload, .. } => payload.len(),
            _ => 0,
        })
        .sum();
    assert!(flv.len() > media, "{} bytes of {media}", flv.len());
}
