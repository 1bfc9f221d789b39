//! Pulls from small servers on this machine, into a real log.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use relay_core::clock::Now;
use relay_core::config::Config;
use relay_core::flv::{Tag, TagKind, encode_into, file_header};
use relay_core::limits::Limits;
use relay_core::stream::publisher::Status;
use relay_core::stream::{Hub, HubConfig, StreamKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ingest::Rules;
use crate::state::State;

/// An origin's streams, and a pull into one of them.
struct Site {
    hub: Arc<Hub>,
    publishing: Arc<Publishing>,
    clock: Clock,
    folder: PathBuf,
    _state: State,
}

impl Drop for Site {
    fn drop(&mut self) {
        // Litter in the temporary folder fails no test.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("relay-pull-{name}-{}", std::process::id()));
        // What a killed run left is in the way; most often there is nothing.
        let _ = std::fs::remove_dir_all(&folder);
        let hub = Arc::new(Hub::new(HubConfig::default()));
        let clock = Clock::start();
        let state = State::open(&folder).unwrap();
        let records = Arc::new(state.streams().unwrap());
        let rules = Rules::new(&config::Origin::default(), &Limits::default());
        Self {
            publishing: Publishing::new(Arc::clone(&hub), rules, clock, records),
            hub,
            clock,
            folder,
            _state: state,
        }
    }

    /// Begins to pull; the task ends with the guard.
    fn pull(&self, urls: &[String]) -> (Arc<Board>, tokio_util::sync::DropGuard) {
        let text = format!(
            "[[source]]\nstream = \"live/a\"\nallow = [\"127.0.0.1\"]\nidle = \"1s\"\nurl = {urls:?}"
        );
        let config = Config::parse(std::path::Path::new("x"), &text).unwrap();
        let pulls = Pulls::load(&config.source).unwrap();
        let (board, stop) = (pulls.board(), CancellationToken::new());
        let own = OwnPorts { http: 0, rtmp: 0 };
        pulls.run(&self.publishing, self.clock, own, &TaskTracker::new(), &stop);
        (board, stop.drop_guard())
    }

    fn tags(&self) -> u64 {
        self.hub.get(&key()).map_or(0, |stream| stream.state().tags)
    }

    fn status(&self, now: Now) -> Option<Status> {
        self.publishing.statuses(now).first().map(|(_, status)| *status)
    }
}

fn key() -> StreamKey {
    "live/a".parse().unwrap()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Takes the next connection and reads its request.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    socket
}

/// Some pictures, 40 ms apart, the first a keyframe.
fn flv(times: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = file_header(false, true).to_vec();
    let mut put = |time, payload: &[u8]| {
        let payload = bytes::Bytes::copy_from_slice(payload);
        let kind = TagKind::Video;
        encode_into(&mut bytes, &Tag { kind, time, payload });
    };
    put(0, b"\x17\x00\x00\x00\x00avcC");
    put(times.start * 40, b"\x17\x01\x00\x00\x00key");
    for number in times.skip(1) {
        put(number * 40, format!("\x27\x01\x00\x00\x00{number}").as_bytes());
    }
    bytes
}

const HEAD: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// Looks until it is so, for 20 s at most.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(20), looking).await;
    assert!(looked.is_ok(), "waited for {what}");
}

/// The end of a source is a publisher that is gone: its stream is waited for, and it is pulled again.
#[tokio::test]
async fn r05_a_source_that_ends_is_waited_for_and_pulled_again() {
    let site = Site::new("ends");
    let (listener, address) = listener().await;
    let (board, _running) = site.pull(&[format!("http://{address}/a.flv")]);
    let mut socket = asked(&listener).await;
    socket.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    until("ten pictures", || site.tags() == 10).await;
    assert_eq!(board.rows(site.clock.now())[0].state, "flowing");
    drop(socket);
    until("the end", || {
        site.status(site.clock.now()) == Some(Status::Awaited)
    })
    .await;
    let mut socket = asked(&listener).await;
    socket.write_all(&[HEAD, &flv(0..5)].concat()).await.unwrap();
    until("five more", || site.tags() == 15).await;
    assert_eq!(board.sessions(), 2);
    assert_eq!(site.publishing.counts().epochs, 2);
}

/// R46, R48: a server that falls silent is left for the next; and what it held is no stream when it is asked again.
#[tokio::test]
async fn r48_an_echo_of_a_silent_server_is_not_taken_for_a_stream() {
    let site = Site::new("echo");
    let (listener, address) = listener().await;
    let (board, _running) = site.pull(&[format!("http://{address}/a.flv")]);
    let mut first = asked(&listener).await;
    first.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    until("ten pictures", || site.tags() == 10).await;
    // It says no more; it is left after a second and asked again, and gives what it has.
    let mut second = asked(&listener).await;
    assert_eq!(board.outcomes()[9], 1, "idle");
    second.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    drop(second);
    let mut third = asked(&listener).await;
    assert_eq!((site.tags(), board.sessions()), (10, 1), "an echo was taken");
    assert_eq!(board.outcomes()[10], 1, "ended");
    // Now it goes on.
    third.write_all(&[HEAD, &flv(0..20)].concat()).await.unwrap();
    until("what it has and what is new", || site.tags() == 30).await;
    assert_eq!(board.sessions(), 2);
}

/// R47, R48: a URL that gives nothing is left at once for the next one.
#[tokio::test]
async fn r48_a_dead_url_gives_way_to_the_next() {
    let site = Site::new("next");
    let (gone, dead) = listener().await;
    drop(gone);
    let (listener, address) = listener().await;
    let urls = [format!("rtmp://{dead}/live/a"), format!("http://{address}/a.flv")];
    let (board, _running) = site.pull(&urls);
    let mut socket = asked(&listener).await;
    socket.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    until("ten pictures", || site.tags() == 10).await;
    let row = &board.rows(site.clock.now())[0];
    assert_eq!((&*row.url, &*row.state), (&*urls[1], "flowing"));
    assert_eq!(board.outcomes()[2], 1, "one without a connection");
}

/// A stream that has a publisher is left to that one, and no server is blamed for it.
#[tokio::test]
async fn r04_a_pull_takes_nobodys_place() {
    let site = Site::new("busy");
    let (listener, address) = listener().await;
    let encoder = site.publishing.open(&key(), site.clock.now()).unwrap();
    let (board, _running) = site.pull(&[format!("http://{address}/a.flv")]);
    let mut socket = asked(&listener).await;
    socket.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    let is_refused = || {
        // One that is silent for long would be replaced.
        let script = bytes::Bytes::from_static(b"\x02\x00\x0aonTextData");
        encoder.handle_tag(TagKind::Script, 0, script, site.clock.now());
        board.rows(site.clock.now())[0].state == "standby"
    };
    until("the refusal", is_refused).await;
    assert_eq!(board.sessions(), 0);
    assert!(!encoder.stopped().is_cancelled());
}

#[tokio::test]
async fn what_is_sent_away_by_the_operator_lets_go() {
    let site = Site::new("kick");
    let (listener, address) = listener().await;
    let (board, _running) = site.pull(&[format!("http://{address}/a.flv")]);
    let mut socket = asked(&listener).await;
    socket.write_all(&[HEAD, &flv(0..10)].concat()).await.unwrap();
    until("ten pictures", || site.tags() == 10).await;
    assert!(site.publishing.kick(&key()));
    until("the end", || board.rows(site.clock.now())[0].state == "standby").await;
    assert_eq!(
        socket.read(&mut [0; 8]).await.unwrap_or(0),
        0,
        "the connection is closed"
    );
}
