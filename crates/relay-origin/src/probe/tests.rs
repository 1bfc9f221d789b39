//! Visits to endpoints that answer this way and that.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relay_core::clock::{Clock, Now};
use relay_core::flavour::Flavour;
use relay_core::flv::{Tag, TagKind, encode_into, file_header};
use relay_core::pool::Finding;
use relay_core::rtmp::command::{PLAY_FAILED, PLAY_NOT_FOUND};
use relay_core::rtmp::server::{Config, Event, Session};
use relay_core::stream::{GroupHead, LogConfig, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::fault::Fault;
use super::visit::{Visit, Visited};

pub(super) const AUDIO_HEADER: &[u8] = b"\xaf\x00\x12\x10";

const NOW: Now = Now {
    mono_ms: 1_000_000,
    unix_us: 0,
};

/// Enough for a few answers over loopback on a loaded machine, and little enough to be waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn video(time: u64, keyframe: bool) -> Tag {
    let first: u8 = if keyframe { 0x17 } else { 0x27 };
    Tag {
        kind: TagKind::Video,
        time,
        payload: Bytes::from(format!("{}\x01body {time}", char::from(first))),
    }
}

/// Pictures of a stream whose keyframes are every fifth.
pub(super) fn tags(numbers: std::ops::Range<u64>) -> Vec<Tag> {
    numbers.map(|n| video(n * 40, n % 5 == 0)).collect()
}

/// The origin's stream of those tags, with sound that has been announced.
pub(super) fn stream_of(tags: &[Tag]) -> Arc<Stream> {
    let stream = Stream::new("live/cam".parse().unwrap(), LogConfig::default());
    for (number, tag) in (0..).zip(tags) {
        let head = GroupHead {
            epoch: 1,
            number,
            continuation: false,
            first_time: tag.time,
            origin_us: 0,
        };
        if tag.payload[0] == 0x17 || number == 0 {
            stream.begin_group(head, NOW).unwrap();
        }
        if number == 0 {
            let header = Tag {
                kind: TagKind::Audio,
                time: tag.time,
                payload: AUDIO_HEADER.into(),
            };
            stream.append(&header, NOW).unwrap();
        }
        stream.append(tag, NOW).unwrap();
    }
    Arc::new(stream)
}

pub(super) fn live() -> Arc<Stream> {
    stream_of(&tags(0..30))
}

/// What a relay answers with those tags.
pub(super) fn playing(tags: &[Tag]) -> Vec<u8> {
    let mut body = file_header(true, true).to_vec();
    tags.iter().for_each(|tag| encode_into(&mut body, tag));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut answer = format!("{head}{:x}\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer.extend(b"\r\n");
    answer
}

/// Answers each connection with the next of `answers`, and with the last from then on; then keeps it open.
pub(super) async fn serving(answers: Vec<Vec<u8>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let mut kept = Vec::new();
        for turn in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let answer = &answers[turn.min(answers.len() - 1)];
            let _ = socket.write_all(answer).await;
            kept.push(socket);
        }
    });
    (authority, task)
}

async fn visit(scheme: &str, authority: &str, stream: Option<Arc<Stream>>) -> Visited {
    let endpoint = format!("{scheme}://{authority}").parse().unwrap();
    let mut visit = Visit::new(endpoint, stream, Clock::start());
    visit.patience = PATIENCE;
    visit.pay().await
}

async fn http(answers: &[&str], stream: Option<Arc<Stream>>) -> Finding {
    let answers = answers.iter().map(|text| text.as_bytes().to_vec()).collect();
    let (authority, _server) = serving(answers).await;
    visit("http", &authority, stream).await.finding
}

const LACKS: &str = "HTTP/1.1 404 Not Found\r\nServer: relay\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn who_plays_the_stream_is_good_and_the_first_frame_is_timed() {
    let (authority, _server) = serving(vec![playing(&tags(25..30))]).await;
    let visited = visit("http", &authority, Some(live())).await;
    assert_eq!(visited.finding, Finding::Good);
    assert!(
        visited
            .first_frame
            .is_some_and(|time| time < Duration::from_secs(1))
    );
}

#[tokio::test]
async fn an_altered_body_is_a_lie() {
    let mut wrong = tags(25..30);
    wrong[3].payload = Bytes::from_static(b"\x27\x01body 1121");
    let (authority, _server) = serving(vec![playing(&wrong)]).await;
    let visited = visit("http", &authority, Some(live())).await;
    assert_eq!(visited.finding, Finding::Wrong(Fault::Altered.to_string()));
    assert_eq!(visited.first_frame, None);
}

#[tokio::test]
async fn an_edge_that_has_just_linked_is_asked_again() {
    let answers = vec![LACKS.into(), LACKS.into(), playing(&tags(25..30))];
    let (authority, _server) = serving(answers).await;
    assert_eq!(
        visit("http", &authority, Some(live())).await.finding,
        Finding::Good
    );
}

#[tokio::test]
async fn one_that_never_gets_the_stream_has_failed_unless_the_stream_is_over() {
    let failed = Finding::Failed(Fault::Lacks.to_string());
    assert_eq!(http(&[LACKS], Some(live())).await, failed);
    let over = live();
    over.end();
    assert_eq!(http(&[LACKS], Some(over)).await, Finding::Good);
}

#[tokio::test]
async fn who_turns_viewers_away_as_a_relay_does_is_reached() {
    let full = "HTTP/1.1 503 Service Unavailable\r\nServer: relay\r\nRetry-After: 5\r\n\r\n";
    let proxied = "HTTP/1.1 503 Service Unavailable\r\nServer: nginx\r\nRetry-After: 5\r\n\r\n";
    let sent_on = "HTTP/1.1 302 Found\r\nLocation: http://b/live/cam.flv?hop=3\r\n\r\n";
    for answer in [full, proxied, sent_on] {
        assert_eq!(http(&[answer], Some(live())).await, Finding::Good, "{answer}");
    }
    let refuses = Finding::Failed(Fault::Refuses.to_string());
    for status in ["503 Service Unavailable", "502 Bad Gateway", "403 Forbidden"] {
        let answer = format!("HTTP/1.1 {status}\r\nServer: nginx\r\n\r\n");
        assert_eq!(http(&[&answer], Some(live())).await, refuses, "{status}");
    }
}

#[tokio::test]
async fn somebody_else_on_the_port_is_no_relay() {
    let no_relay = Finding::Failed(Fault::NoRelay.to_string());
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    let moved = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://b/\r\n\r\n";
    for answer in [page, moved, "220 mail.example.org ESMTP\r\n"] {
        assert_eq!(http(&[answer], Some(live())).await, no_relay, "{answer}");
        assert_eq!(http(&[answer], None).await, no_relay, "{answer}");
    }
    let (authority, _server) = serving(vec![page.into()]).await;
    assert_eq!(visit("rtmp", &authority, None).await.finding, no_relay);
    assert_eq!(visit("rtmp", &authority, Some(live())).await.finding, no_relay);
}

#[tokio::test]
async fn without_a_stream_the_list_of_streams_is_enough() {
    let list = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]";
    assert_eq!(http(&[list], None).await, Finding::Good);
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    drop(listener);
    for scheme in ["http", "rtmp"] {
        let refused = visit(scheme, &authority, Some(live())).await;
        assert_eq!(refused.finding, Finding::Failed(Fault::Refused.to_string()));
    }
    let nameless = visit("http", "no-such-host.invalid:80", None).await.finding;
    assert!(matches!(nameless, Finding::Failed(_)), "{nameless:?}");
}

#[tokio::test]
async fn a_frozen_one_is_given_its_time() {
    let silent = Finding::Failed(Fault::Silent.to_string());
    assert_eq!(http(&[""], Some(live())).await, silent);
    let (authority, _server) = serving(vec![Vec::new()]).await;
    assert_eq!(visit("rtmp", &authority, None).await.finding, silent);
    let stalled = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\n\r\n";
    let no_frame = Finding::Failed(Fault::NoFrame.to_string());
    assert_eq!(http(&[stalled], Some(live())).await, no_frame);
}

/// Plays, refuses or sends on each RTMP player, as `answer` does once it is known what they want.
async fn playing_rtmp(answer: impl Fn(&mut Session) -> Vec<u8> + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut session = Session::new(Config::default(), [7; 32]);
            let mut input = [0; 4096];
            let mut media = Vec::new();
            while let Ok(read @ 1..) = socket.read(&mut input).await {
                session.handle_input(&input[..read], NOW).unwrap();
                while let Some(event) = session.poll_event() {
                    if let Event::Play { hops, .. } = event {
                        assert_eq!(hops, 2, "it is not to be sent on");
                        media = answer(&mut session);
                    }
                }
                while let Some(bytes) = session.poll_output() {
                    socket.write_all(&bytes).await.unwrap();
                }
                socket.write_all(&std::mem::take(&mut media)).await.unwrap();
            }
        }
    });
    (authority, task)
}

fn frames(session: &mut Session, tags: &[Tag]) -> Vec<u8> {
    session.accept_play().unwrap();
    let mut out = Vec::new();
    tags.iter().for_each(|tag| {
        Flavour::Rtmp.frame(tag, &mut out);
    });
    out
}

#[tokio::test]
async fn an_rtmp_endpoint_is_judged_by_the_same_measure() {
    let mut wrong = tags(25..30);
    wrong[3].payload = Bytes::from_static(b"\x27\x01body 1121");
    for (sent, finding) in [
        (tags(25..30), Finding::Good),
        (wrong, Finding::Wrong(Fault::Altered.to_string())),
    ] {
        let (authority, _server) = playing_rtmp(move |session| frames(session, &sent)).await;
        let visited = visit("rtmp", &authority, Some(live())).await;
        assert_eq!(visited.finding, finding);
        assert_eq!(visited.first_frame.is_some(), finding == Finding::Good);
        assert_eq!(visit("rtmp", &authority, None).await.finding, Finding::Good);
    }
}

#[tokio::test]
async fn an_rtmp_refusal_is_told_from_a_lack() {
    let lacks = Finding::Failed(Fault::Lacks.to_string());
    let refuses = Finding::Failed(Fault::Refuses.to_string());
    for (code, finding) in [
        (PLAY_FAILED, Finding::Good),
        (PLAY_NOT_FOUND, lacks),
        ("NetConnection.Connect.Rejected", refuses),
    ] {
        let (authority, _server) = playing_rtmp(move |session| {
            session.refuse_play(code, "in words");
            Vec::new()
        })
        .await;
        assert_eq!(
            visit("rtmp", &authority, Some(live())).await.finding,
            finding,
            "{code}"
        );
    }
    let (authority, _server) = playing_rtmp(|session| {
        session.redirect_play("rtmp://b/live?hop=3");
        Vec::new()
    })
    .await;
    assert_eq!(
        visit("rtmp", &authority, Some(live())).await.finding,
        Finding::Good
    );
}
