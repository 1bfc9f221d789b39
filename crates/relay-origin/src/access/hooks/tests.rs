//! A service on loopback that says what it is told to, and what comes of that.

use std::collections::VecDeque;
use std::net::SocketAddr;

use prometheus::Registry;
use relay_core::config::Seconds;
use relay_core::serve::ingest::PublishRequest;
use relay_core::stream::StreamKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;

const SECRET: &str = "0123456789abcdef";

/// How the service takes a request.
#[derive(Clone, Copy)]
enum Mood {
    /// Answers so.
    Says(&'static str),
    /// Reads, and never answers.
    Hangs,
    /// Closes the connection in the middle.
    Breaks,
}

const YES: Mood = Mood::Says("HTTP/1.1 204 No Content\r\n\r\n");
const NO: Mood =
    Mood::Says("HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\n{\"reason\": \"not on today\"}");
const DOWN: Mood = Mood::Says("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");

/// A service with a mood for each request to come; yes when they are used up.
struct Service {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Service {
    async fn start(moods: &[Mood]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, mut moods) = (Arc::new(Mutex::new(Vec::new())), VecDeque::from(moods.to_vec()));
        let told = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mood = moods.pop_front().unwrap_or(YES);
                tokio::spawn(answer(socket, mood, Arc::clone(&told)));
            }
        });
        Self {
            address,
            heard,
            _task: tokio_util::task::AbortOnDropHandle::new(task),
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// The JSON of each request.
    fn bodies(&self) -> Vec<serde_json::Value> {
        let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
        let bodies = self.heard();
        bodies
            .iter()
            .map(|request| serde_json::from_str(&body(request)).unwrap())
            .collect()
    }
}

async fn answer(mut socket: TcpStream, mood: Mood, heard: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    loop {
        socket.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        if text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.len() == length)
        {
            heard.lock().unwrap().push(text);
            break;
        }
    }
    match mood {
        Mood::Says(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
        Mood::Hangs => std::future::pending().await,
        Mood::Breaks => {}
    }
}

/// Hooks that ask and tell a service, and their teller.
fn hooks(service: &Service, change: impl FnOnce(&mut config::Hooks)) -> (Arc<Hooks>, Teller) {
    let url = |path: &str| Some(format!("http://{}/{path}", service.address).parse().unwrap());
    let mut config = config::Hooks {
        on_publish: url("in"),
        on_unpublish: url("out"),
        secret: Some(Secret::new(SECRET).unwrap()),
        timeout: Seconds::new(2),
        retries: 1,
        ..config::Hooks::default()
    };
    change(&mut config);
    let metrics = AccessMetrics::register(&Registry::new()).unwrap();
    Hooks::new(&config, Clock::start(), metrics).unwrap().unwrap()
}

fn visit(stream: &str) -> Visit {
    let request = PublishRequest {
        stream: stream.parse::<StreamKey>().unwrap(),
        secret: None,
        backup: false,
        query: None,
        peer: "192.0.2.1:5000".parse().unwrap(),
        encrypted: false,
    };
    Visit::new(&request, Some("hall".parse().unwrap())).unwrap()
}

/// The words of a refusal.
async fn refused(hooks: &Arc<Hooks>, stream: &str) -> Option<String> {
    hooks
        .on_publish(visit(stream))
        .await
        .err()
        .map(|refused| refused.said)
}

#[tokio::test]
async fn a_yes_lets_in_and_a_no_turns_away_with_the_services_words() {
    let service = Service::start(&[YES, NO]).await;
    let (hooks, _teller) = hooks(&service, |_| {});
    assert!(hooks.asks());
    drop(hooks.on_publish(visit("live/cam")).await.unwrap());
    assert_eq!(refused(&hooks, "live/cam").await.as_deref(), Some("not on today"));
    let heard = service.heard();
    assert_eq!(heard.len(), 2, "a no is not asked again");
    assert!(heard[0].starts_with("POST /in HTTP/1.1\r\n"), "{}", heard[0]);
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    let header = head
        .lines()
        .find_map(|line| line.strip_prefix("relay-signature: "));
    let time = header.unwrap()[2..].split(',').next().unwrap().parse().unwrap();
    assert_eq!(header.unwrap(), signature::sign(SECRET, time, body.as_bytes()));
    assert!(time.abs_diff(hooks.clock.now().unix_us / 1_000_000) <= 10);
}

/// R75: what is no answer is asked again, and then the configuration decides, stream by stream.
#[tokio::test]
async fn r75_without_an_answer_the_configuration_decides() {
    let moods = [
        DOWN,
        YES,
        Mood::Breaks,
        Mood::Hangs,
        DOWN,
        DOWN,
        Mood::Says("HTTP/1.1 429 Slow\r\n\r\n"),
        DOWN,
    ];
    let service = Service::start(&moods).await;
    let (hooks, _teller) = hooks(&service, |config| {
        config.fail_open = vec!["live/open-*".parse().unwrap()];
        config.remember = Seconds::new(0);
    });
    drop(hooks.on_publish(visit("live/cam")).await.unwrap());
    let attempts: Vec<_> = service
        .bodies()
        .iter()
        .map(|body| body["attempt"].clone())
        .collect();
    assert_eq!(attempts, [1, 2]);
    let said = refused(&hooks, "live/cam").await.unwrap();
    assert!(said.contains("does not answer"), "{said}");
    assert!(refused(&hooks, "live/open-air").await.is_none());
    assert!(refused(&hooks, "live/cam").await.is_some(), "429 is no answer");
    assert_eq!(service.heard().len(), moods.len());
}

/// R75: the service's last word on an encoder holds while it is away.
#[tokio::test]
async fn r75_what_was_allowed_before_is_remembered() {
    let service = Service::start(&[YES, DOWN, NO, DOWN, YES]).await;
    let (hooks, _teller) = hooks(&service, |config| config.retries = 0);
    drop(hooks.on_publish(visit("live/cam")).await.unwrap());
    assert!(
        refused(&hooks, "live/cam").await.is_none(),
        "it was let in before"
    );
    assert_eq!(refused(&hooks, "live/cam").await.as_deref(), Some("not on today"));
    assert!(
        refused(&hooks, "live/cam").await.is_some(),
        "the last word was no"
    );
}

#[tokio::test]
async fn nobody_there_is_said_and_costs_no_farewell() {
    let service = Service::start(&[]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (hooks, teller) = hooks(&service, |config| {
        config.on_publish = Some(format!("http://{nobody}/").parse().unwrap());
    });
    assert!(refused(&hooks, "live/cam").await.is_some());
    teller.run(stopped()).await;
    assert!(service.heard().is_empty(), "it never heard of it");
}

/// Each publisher of whom the service may have heard is said to be gone, once, and why.
#[tokio::test]
async fn every_one_it_heard_of_is_said_to_be_gone() {
    let service = Service::start(&[YES, NO, Mood::Hangs, DOWN, YES]).await;
    let (hooks, teller) = hooks(&service, |config| config.retries = 0);
    let mut told = hooks.on_publish(visit("live/one")).await.unwrap();
    told.begin(hooks.clock.now());
    drop(told);
    assert!(refused(&hooks, "live/two").await.is_some());
    assert!(refused(&hooks, "live/three").await.is_some());
    assert!(refused(&hooks, "live/four").await.is_some());
    teller.run(stopped()).await;
    let mut told: Vec<_> = service
        .bodies()
        .into_iter()
        .filter(|body| body["event"] == "on_unpublish")
        .map(|body| {
            format!(
                "{} {}",
                body["stream"].as_str().unwrap(),
                body["reason"].as_str().unwrap()
            )
        })
        .collect();
    told.sort();
    assert_eq!(told, ["live/four refused", "live/one gone", "live/three refused"]);
}

#[tokio::test]
async fn one_who_leaves_while_it_is_asked_is_said_to_be_gone() {
    let service = Service::start(&[Mood::Hangs]).await;
    let (hooks, teller) = hooks(&service, |config| config.timeout = Seconds::new(30));
    let asking = tokio::spawn({
        let hooks = Arc::clone(&hooks);
        async move { hooks.on_publish(visit("live/cam")).await.map(drop) }
    });
    while service.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    teller.run(stopped()).await;
    let bodies = service.bodies();
    assert_eq!(
        (&bodies[1]["event"], &bodies[1]["id"]),
        (&"on_unpublish".into(), &bodies[0]["id"])
    );
}

#[test]
fn words_for_an_encoder_are_short_and_plain() {
    for (body, said) in [
        ("{\"reason\": \"not today\"}", "not today"),
        ("too late\nand more", "too late"),
        ("a\u{7}b\r\n", "ab"),
        ("<html><body>Forbidden", "publishing is not allowed"),
        ("{\"error\": 7}", "publishing is not allowed"),
        ("", "publishing is not allowed"),
    ] {
        assert_eq!(words(body), said, "{body:?}");
    }
    assert_eq!(words(&"x".repeat(10_000)).len(), MAX_SAID);
}

/// A token that is cancelled already: what waits is told, and then it is over.
fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}
