//! What one connection can do to the others: nothing, not even by a fault of ours.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::ingest::{Decision, Permit, Publication, PublishRequest, Refused};
use super::*;
use crate::admission::{Bounds, ServePolicy};
use crate::clock::Now;
use crate::fanout::{FanoutConfig, FanoutMetrics};
use crate::flv::TagKind;
use crate::rtmp::client::{Action, Event, Session};
use crate::stream::HubConfig;
use crate::stream::policy::Dismissal;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body at which the ingest of these tests panics.
const TRIGGER: &[u8] = b"\x17\x01panic";

/// Lets everyone in, counts tags, and panics where it is told to.
#[derive(Default)]
struct Fragile {
    tags: Arc<AtomicUsize>,
}

impl Ingest for Fragile {
    fn decide(&self, request: PublishRequest, _: Now) -> Decision<'_> {
        Box::pin(async move {
            assert!(request.stream.name() != "panic", "as the test wants it");
            Ok(Box::new(Counting(Arc::clone(&self.tags))) as Box<dyn Permit>)
        })
    }
}

struct Counting(Arc<AtomicUsize>);

impl Permit for Counting {
    fn publish(self: Box<Self>, _: Now) -> Result<Box<dyn Publication>, Refused> {
        Ok(self)
    }
}

impl Publication for Counting {
    fn handle_tag(&mut self, _: TagKind, _: u32, payload: Bytes, _: Now) {
        assert!(payload != TRIGGER, "as the test wants it");
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn handle_unpublish(&mut self, _: Now) {}

    fn stopped(&self) -> CancellationToken {
        CancellationToken::new()
    }

    fn dismissal(&self) -> Option<Dismissal> {
        None
    }

    fn revoked(&self) -> CancellationToken {
        CancellationToken::new()
    }
}

/// A site that takes publishers, its RTMP address, and the tags that it took.
fn site(registry: &Registry) -> (Arc<Site>, SocketAddr, Arc<AtomicUsize>) {
    let clock = Clock::start();
    let config = FanoutConfig {
        shards: 1,
        ..FanoutConfig::default()
    };
    let ingest = Fragile::default();
    let tags = Arc::clone(&ingest.tags);
    let site = Arc::new(Site {
        hub: Arc::new(Hub::new(HubConfig::default())),
        fanout: Arc::new(Fanout::start(config, clock, &FanoutMetrics::register(registry).unwrap()).unwrap()),
        clock,
        ingest: Some(Arc::new(ingest)),
        doorman: Arc::new(Doorman::new(ServePolicy::Always, Bounds::default(), clock, registry).unwrap()),
        assets: Assets::load(),
        cors: "*".to_owned(),
        frame_ancestors: "*".to_owned(),
        // Two places: one that a panic kept would be missed by the third that comes.
        limits: ServeLimits {
            max_connections: 2,
            ..ServeLimits::default()
        },
        metrics: ServeMetrics::register(registry).unwrap(),
        farewell: Farewell::default(),
        stop: CancellationToken::new(),
    });
    let listener = Listener::bind(&ListenConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        name: "RTMP",
        key: "[rtmp] listen",
        congestion: None,
        send_buffer: 64 << 10,
        unsent: 16 << 10,
    })
    .unwrap();
    let address = listener.local_addr();
    tokio::spawn(Arc::clone(&site).serve_rtmp(listener));
    (site, address, tags)
}

/// An encoder on a connection of its own.
struct Encoder {
    socket: TcpStream,
    session: Session,
}

impl Encoder {
    async fn connect(address: SocketAddr, name: &str) -> Self {
        let url = format!("rtmp://{address}/live/{name}").parse().unwrap();
        let now = Clock::start().now();
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            session: Session::new(url, Action::Publish, [7; 32], now),
        }
    }

    /// Goes on until the server says something that is an event; `None` is the end of the connection.
    async fn event(&mut self) -> Option<Event> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(event) = self.session.poll_event() {
                return Some(event);
            }
            self.flush().await;
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer));
            let Ok(count @ 1..) = read.await.expect("a word or the end") else {
                return None;
            };
            self.session
                .handle_input(&buffer[..count], Clock::start().now())
                .unwrap();
        }
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await.unwrap();
        }
    }

    async fn send(&mut self, body: &[u8]) {
        self.session.send_tag(TagKind::Video, 0, body);
        self.flush().await;
    }
}

async fn reaches(tags: &AtomicUsize, count: usize) {
    let counted = async {
        while tags.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the tags");
}

/// B10, R07: the others go on, the place is free again, and the fault is counted.
#[tokio::test]
async fn a_panic_in_one_connection_costs_that_connection_only() {
    let registry = Registry::new();
    let (site, address, tags) = site(&registry);
    let mut good = Encoder::connect(address, "good").await;
    assert_eq!(good.event().await, Some(Event::Started));
    good.send(b"\x17\x01first").await;
    reaches(&tags, 1).await;

    let mut bad = Encoder::connect(address, "bad").await;
    assert_eq!(bad.event().await, Some(Event::Started));
    bad.send(TRIGGER).await;
    assert_eq!(bad.event().await, None, "its connection is over");
    let mut worse = Encoder::connect(address, "panic").await;
    assert_eq!(worse.event().await, None, "and so is this one's, before it began");

    good.send(b"\x27\x01second").await;
    reaches(&tags, 2).await;
    let mut third = Encoder::connect(address, "third").await;
    assert_eq!(third.event().await, Some(Event::Started));
    third.send(b"\x17\x01third").await;
    reaches(&tags, 3).await;
    assert_eq!(site.metrics.faults("RTMP"), 2);
    site.stop.cancel();
}
