//! The floor over loopback, as its viewers have it.

use std::time::Duration;

use relay_core::flv::{RawTag, Reader, TagKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::mark::Mark;

/// How long an event is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn verb() -> Verb {
    let words = [
        "--listen",
        "127.0.0.1:0",
        "--period",
        "20ms",
        "--gop",
        "400ms",
        "--audio",
    ];
    Verb::from_args(&["relay-load", "floor"], &words).unwrap()
}

/// Starts a floor whose streams end with the token.
fn start(
    verb: &Verb,
) -> (
    SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<Result<(), FloorError>>,
) {
    let floor = Floor::bind(verb).unwrap();
    let (address, stop) = (floor.address(), CancellationToken::new());
    let running = tokio::spawn(floor.run(stop.clone()));
    (address, stop, running)
}

/// Takes chunks off as they come; each of ours is whole lines and a body.
struct Viewer {
    socket: TcpStream,
    input: Vec<u8>,
    flv: Reader,
}

impl Viewer {
    async fn connect(address: SocketAddr, path: &str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: floor\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Self {
            socket,
            input: Vec::new(),
            flv: Reader::new(),
        }
    }

    async fn read(&mut self) {
        let read = tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.input)).await;
        assert_ne!(read.expect("the floor is silent").unwrap(), 0, "the floor closed");
    }

    /// Up to the end of `mark`, which is taken off.
    async fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.input.windows(mark.len()).position(|found| found == mark) {
                let rest = self.input.split_off(at + mark.len());
                return std::mem::replace(&mut self.input, rest);
            }
            self.read().await;
        }
    }

    async fn chunk(&mut self) -> Vec<u8> {
        let line = self.until(b"\r\n").await;
        let length = std::str::from_utf8(&line).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        while self.input.len() < length + 2 {
            self.read().await;
        }
        let rest = self.input.split_off(length + 2);
        let mut chunk = std::mem::replace(&mut self.input, rest);
        assert_eq!(chunk.split_off(length), b"\r\n");
        chunk
    }

    async fn tag(&mut self) -> RawTag {
        loop {
            if let Some(tag) = self.flv.poll_tag().unwrap() {
                return tag;
            }
            let chunk = self.chunk().await;
            self.flv.push(&chunk);
        }
    }
}

#[tokio::test]
async fn a_viewer_gets_head_headers_keyframe_and_all_that_follows() {
    let (address, stop, running) = start(&verb());
    let mut viewer = Viewer::connect(address, "/live/cam.flv").await;
    let head = viewer.until(b"\r\n\r\n").await;
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    assert_eq!(viewer.tag().await.kind, TagKind::Script);
    assert!(viewer.tag().await.payload.starts_with(b"\x17\x00"));
    assert!(viewer.tag().await.payload.starts_with(b"\xaf\x00"));
    let keyframe = viewer.tag().await;
    assert!(keyframe.payload.starts_with(b"\x17\x01"));
    let mut sequence = Mark::verify(&keyframe.payload).unwrap().sequence;
    let (mut keyframes, mut sounds) = (1, 0);
    while keyframes < 4 {
        let tag = viewer.tag().await;
        if tag.kind == TagKind::Audio {
            sounds += 1;
            continue;
        }
        let mark = Mark::verify(&tag.payload).unwrap();
        sequence += 1;
        assert_eq!(mark.sequence, sequence);
        assert_eq!(u64::from(tag.time), sequence * 40);
        keyframes += usize::from(tag.payload[0] == 0x17);
    }
    assert!((50..=60).contains(&sounds), "{sounds} in 1.2 s");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_differ_and_are_had_by_number() {
    let verb = Verb { streams: 2, ..verb() };
    let (address, stop, running) = start(&verb);
    let mut sequences = Vec::new();
    for name in ["/live/cam0.flv", "/live/cam1.flv"] {
        let mut viewer = Viewer::connect(address, name).await;
        viewer.until(b"\r\n\r\n").await;
        for _ in 0..3 {
            viewer.tag().await;
        }
        let mark = Mark::verify(&viewer.tag().await.payload).unwrap();
        sequences.push((mark.sequence, mark.made_us));
    }
    // Keyframes of the second lie between those of the first; the bounds leave room for a busy machine's clocks.
    let [first, second] = sequences[..] else {
        panic!("two")
    };
    let apart = first.1.abs_diff(second.1) % 400_000;
    assert!((100_000..=300_000).contains(&apart), "{apart} µs");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_get_is_refused_in_words() {
    let (address, stop, running) = start(&verb());
    for (request, answer) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 405 ",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 505 "),
        ("\x16\x03\x01", "HTTP/1.1 400 "),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        let read = tokio::time::timeout(PATIENCE, socket.read_to_string(&mut said)).await;
        read.unwrap().unwrap();
        assert!(said.starts_with(answer), "{request:?}: {said}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_before_it_listens() {
    let refused = |change: fn(&mut Verb)| {
        let mut verb = verb();
        change(&mut verb);
        let Err(error) = Floor::bind(&verb) else {
            panic!("it listens");
        };
        (error.exit(), error.to_string())
    };
    let (exit, said) = refused(|verb| verb.period = Seconds::from_millis(5));
    assert_eq!((exit, &*said), (Exit::Usage, "--period is 10 ms to 1 s"));
    assert_eq!(refused(|verb| verb.streams = 0).0, Exit::Usage);
    assert_eq!(refused(|verb| verb.fps = 0).0, Exit::Usage);
    let (exit, said) = refused(|verb| {
        verb.streams = MAX_STREAMS;
        verb.rate = Bitrate::from_bits(4_000_000);
    });
    assert!(
        exit == Exit::Usage && said.contains("1024 are the limit"),
        "{said}"
    );
    let (exit, said) = refused(|verb| verb.congestion = "carrier-pigeon".to_owned());
    assert!(exit == Exit::OsError && said.contains("carrier-pigeon"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut verb = verb();
    verb.listen = taken.local_addr().unwrap();
    let error = Floor::bind(&verb).err().map(|error| error.exit());
    assert_eq!(error, Some(Exit::Unavailable));
}
