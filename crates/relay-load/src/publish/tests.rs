//! Publishing over loopback, to a server that takes everything, and to some that do not.

use std::net::SocketAddr;

use argh::FromArgs as _;
use relay_core::clock::Clock;
use relay_core::flv::TagKind;
use relay_core::rtmp::server::{Config, Event, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::mark::Mark;

/// How long an event is waited for.
const TEST_PATIENCE: Duration = Duration::from_secs(60);

/// What a server does with a publisher.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Refuses,
    /// Closes when so many tags came.
    Closes(usize),
}

/// A server on a port of its own; what came is had from the task, connection by connection.
async fn serve(mood: Mood, connections: usize) -> (SocketAddr, JoinHandle<Vec<Vec<Event>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut serving = JoinSet::new();
        for _ in 0..connections {
            let (socket, _) = listener.accept().await.unwrap();
            serving.spawn(receive(socket, mood));
        }
        serving.join_all().await
    });
    (address, served)
}

async fn receive(mut socket: TcpStream, mood: Mood) -> Vec<Event> {
    let (clock, mut session) = (Clock::start(), Session::new(Config::default(), [5; 32]));
    let (mut events, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        let Ok(count @ 1..) = socket.read(&mut buffer).await else {
            return events;
        };
        session.handle_input(&buffer[..count], clock.now()).unwrap();
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { .. } if mood == Mood::Refuses => {
                    session.refuse_publish("NetStream.Publish.BadName", "live/cam0 is taken");
                }
                Event::Publish { .. } => session.accept_publish().unwrap(),
                _ => {}
            }
            events.push(event);
        }
        if mood == Mood::Closes(events.len()) || matches!(mood, Mood::Closes(most) if events.len() > most) {
            return events;
        }
        while let Some(output) = session.poll_output() {
            // One that is refused may be gone already.
            let _ = socket.write_all(&output).await;
        }
    }
}

fn verb(address: SocketAddr, more: &[&str]) -> Verb {
    let url = format!("rtmp://{address}/live/cam{{n}}?key=s3cret");
    let words: Vec<&str> = [&url[..]].into_iter().chain(more.iter().copied()).collect();
    Verb::from_args(&["relay-load", "publish"], &words).unwrap()
}

async fn published(verb: &Verb) -> Result<Tally, PublishError> {
    let publishing = publish(verb, CancellationToken::new(), |_| {});
    timeout(TEST_PATIENCE, publishing).await.unwrap()
}

/// The marks of a connection's pictures.
fn marks(events: &[Event]) -> Vec<Mark> {
    let pictures = events.iter().filter_map(|event| match event {
        Event::Tag {
            kind: TagKind::Video,
            payload,
            ..
        } if payload[1] == 1 => Some(payload),
        _ => None,
    });
    pictures.map(|payload| Mark::verify(payload).unwrap()).collect()
}

#[tokio::test]
async fn streams_arrive_whole_and_under_their_names() {
    let (address, served) = serve(Mood::Takes, 3).await;
    let verb = verb(
        address,
        &["--streams", "3", "--for", "1s", "--gop", "400ms", "--audio"],
    );
    let before = unix_us();
    let tally = published(&verb).await.unwrap();
    assert_eq!(tally.pictures(), 75);
    let mut names = Vec::new();
    for events in served.await.unwrap() {
        let Event::Publish { app, name, .. } = &events[0] else {
            panic!("{:?}", events[0]);
        };
        names.push(format!("{app}/{name}"));
        assert_eq!(events.last(), Some(&Event::Unpublish));
        let marks = marks(&events);
        assert!(marks.iter().map(|mark| mark.sequence).eq(0..25));
        assert!(marks.is_sorted_by_key(|mark| mark.made_us));
        assert!(marks[0].made_us >= before && marks[24].made_us <= unix_us());
        // However busy the machine is, a mark names the moment at which its picture was due: two clocks are read for it.
        let apart = marks[24].made_us - marks[0].made_us;
        assert!(apart.abs_diff(24 * 40_000) < 5_000, "{apart}");
        let of = |wanted| {
            let tags = events
                .iter()
                .filter(move |event| matches!(event, Event::Tag { kind, .. } if *kind == wanted));
            tags.count()
        };
        assert_eq!(
            (of(TagKind::Script), of(TagKind::Video), of(TagKind::Audio)),
            (1, 26, 48)
        );
    }
    names.sort_unstable();
    assert_eq!(names, ["live/cam0", "live/cam1", "live/cam2"]);
}

#[tokio::test]
async fn a_stop_ends_it_politely() {
    let (address, served) = serve(Mood::Takes, 1).await;
    let (verb, stop) = (verb(address, &[]), CancellationToken::new());
    let told = stop.clone();
    let publishing = publish(&verb, stop, |tally| {
        if tally.pictures() > 3 {
            told.cancel();
        }
    });
    let tally = timeout(TEST_PATIENCE, publishing).await.unwrap().unwrap();
    let events = served.await.unwrap().remove(0);
    assert_eq!(events.last(), Some(&Event::Unpublish));
    assert_eq!(marks(&events).len() as u64, tally.pictures());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let (address, _served) = serve(Mood::Refuses, 1).await;
    let error = published(&verb(address, &[])).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("live/cam0 is taken (NetStream.Publish.BadName)"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!(error.exit(), Exit::Unavailable);
}

#[tokio::test]
async fn a_lost_connection_ends_it_all() {
    let (address, _served) = serve(Mood::Closes(10), 2).await;
    let error = published(&verb(address, &["--streams", "2"])).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Closed { .. } | PublishError::Lost { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn nobody_there_and_nobody_who_speaks_rtmp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let error = published(&verb(address, &[])).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Broken { .. } | PublishError::Lost { .. }),
        "{error:?}"
    );
    answering.await.unwrap();
    let error = published(&verb(address, &[])).await.unwrap_err();
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_was_typed_wrong_is_told_before_anything_is_dialled() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for (change, said) in [
        (
            (|verb| verb.streams = 0) as fn(&mut Verb),
            "--streams is 1 to 1000",
        ),
        (
            |verb| {
                verb.url = "rtmp://h/a/b".to_owned();
                verb.streams = 2;
            },
            "with --streams the URL has {n} in it",
        ),
        (
            |verb| verb.url = "http://h/a/b".to_owned(),
            "a stream's URL looks like",
        ),
        (|verb| verb.rate = Bitrate::from_bits(1000), "--rate is too low"),
    ] {
        let mut verb = verb(nowhere, &[]);
        change(&mut verb);
        let error = published(&verb).await.unwrap_err();
        assert!(
            error.exit() == Exit::Usage && error.to_string().starts_with(said),
            "{error}"
        );
    }
}

#[test]
fn the_template_of_the_progress_line_is_one() {
    assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
}
