//! Parents and children over real QUIC on loopback.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, RecvStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::{Child, ChildConfig, ChildDesk, Dialled, Dialler};
use super::dial::dial;
use super::door::Arrival;
use super::lane::{Heard, read_header};
use super::parent::{NoDesk, Parent, ParentConfig};
use super::quic::{self, QuicConfig};
use super::testing::{Desk, Node, dialler, now};
use crate::cascade::control::{ControlDecoder, encode};
use crate::cascade::message::{Floor, Hello, LinkRole, Newest, PROTOCOL, Policy, Report, View};
use crate::cascade::{GroupCode, Instance, LinkCode, Message};
use crate::clock::Clock;
use crate::flv::{Tag, TagKind};
use crate::stream::{GroupHead, Headers, Hub, HubConfig, Position, Read, Stream, StreamKey};
use crate::tls::{self, Credentials, NodeName};
use crate::token::Address;

/// Nothing here takes a second; this is for a machine that does other things as well.
const LIMIT: Duration = Duration::from_secs(60);

/// A body of a keyframe, and of the frames after it.
const KEYFRAME: &[u8] = b"\x17\x01\x00\x00\x00key";
const FRAME: &[u8] = b"\x27\x01\x00\x00\x00frame";

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"))
}

/// A node that serves the streams of its hub.
struct Serving {
    hub: Arc<Hub>,
    parent: Parent,
    address: Address,
    clock: Clock,
    desk: Arc<Desk>,
}

impl Serving {
    /// Serves with these credentials, below `hops`.
    fn start(
        desk: &Arc<Desk>,
        credentials: Arc<Credentials>,
        hub: Arc<Hub>,
        hops: watch::Receiver<Vec<Instance>>,
        config: ParentConfig,
    ) -> Self {
        let instance = Instance::from(credentials.peer().instance);
        let mut node = Node::start(Arc::clone(desk), credentials);
        let clock = Clock::start();
        let desk_of_parent = Arc::new(NoDesk::default());
        let parent = Parent::new(Arc::clone(&hub), clock, config, instance, hops, desk_of_parent);
        let (address, serving) = (node.address.clone(), parent.clone());
        tokio::spawn(async move {
            while let Some(Arrival::Link { connection, peer }) = node.links.recv().await {
                let parent = serving.clone();
                let stop = CancellationToken::new();
                tokio::spawn(async move { parent.serve(connection, peer.instance.into(), stop).await });
            }
        });
        let desk = Arc::clone(desk);
        Self {
            hub,
            parent,
            address,
            clock,
            desk,
        }
    }

    fn origin(desk: &Arc<Desk>) -> Self {
        Self::below(desk, Vec::new(), config())
    }

    /// Serves as one that has these above it.
    fn below(desk: &Arc<Desk>, hops: Vec<Instance>, config: ParentConfig) -> Self {
        let (_, hops) = watch::channel(hops);
        Self::start(desk, desk.origin(now()), hub(), hops, config)
    }

    /// Begins a group with a keyframe.
    fn begin(&self, epoch: u64, number: u64, payload: &[u8]) -> Arc<Stream> {
        let stream = self.hub.open(&key()).unwrap();
        let now = self.clock.now();
        let head = GroupHead {
            epoch,
            number,
            continuation: false,
            first_time: number * 1000,
            origin_us: now.unix_us,
        };
        let headers = Headers {
            video: Some(Bytes::from_static(b"\x17\x00\x00\x00\x00\x01\x64\x00\x28")),
            ..Headers::default()
        };
        stream.begin_group(head, now).unwrap();
        stream.put_preface(&headers, head.first_time, now).unwrap();
        self.append(number * 1000, payload);
        stream
    }

    /// Begins another stream with a keyframe.
    fn begin_other(&self, name: &str) {
        let stream = self.hub.open(&name.parse().unwrap()).unwrap();
        let now = self.clock.now();
        let head = GroupHead {
            epoch: 1,
            number: 1,
            continuation: false,
            first_time: 0,
            origin_us: now.unix_us,
        };
        stream.begin_group(head, now).unwrap();
        let tag = Tag {
            kind: TagKind::Video,
            time: 0,
            payload: Bytes::from_static(KEYFRAME),
        };
        stream.append(&tag, now).unwrap();
    }

    fn append(&self, time: u64, payload: &[u8]) {
        let tag = Tag {
            kind: TagKind::Video,
            time,
            payload: Bytes::copy_from_slice(payload),
        };
        let stream = self.hub.get(&key()).unwrap();
        stream.append(&tag, self.clock.now()).unwrap();
    }
}

fn key() -> StreamKey {
    "live/cam".parse().unwrap()
}

fn hub() -> Arc<Hub> {
    Arc::new(Hub::new(HubConfig::default()))
}

fn config() -> ParentConfig {
    ParentConfig {
        max_lag_ms: 10_000,
        max_links: 16,
        max_depth: 4,
    }
}

const fn at(epoch: u64, group: u64, tags: u32) -> Position {
    Position { epoch, group, tags }
}

/// A child's desk where nothing is said and nothing done.
struct Silent;

impl ChildDesk for Silent {
    fn public(&self) -> Vec<String> {
        Vec::new()
    }

    fn report(&self) -> Report {
        Report::default()
    }

    fn pool(&self, _: View) {}

    fn policy(&self, _: Policy) {}
}

/// A child with credentials of its own, whose parent can be changed.
struct Receiving {
    child: Child,
    hub: Arc<Hub>,
    credentials: Arc<Credentials>,
    parent: Arc<Mutex<Address>>,
}

impl Receiving {
    fn start(desk: &Arc<Desk>, parent: &Address, name: NodeName) -> Self {
        Self::into_hub(desk, parent, name, hub())
    }

    fn into_hub(desk: &Arc<Desk>, parent: &Address, name: NodeName, hub: Arc<Hub>) -> Self {
        let credentials = desk.edge(now());
        let config = ChildConfig {
            // Only a parent that is really gone is silent for so long: these tests close links.
            silence: LIMIT,
            backoff_max: Duration::from_millis(50),
            hold: LIMIT,
            role: LinkRole::Both,
        };
        let instance = credentials.peer().instance.into();
        let child = Child::new(
            Arc::clone(&hub),
            Clock::start(),
            instance,
            config,
            Arc::new(Silent),
            1,
        );
        let parent = Arc::new(Mutex::new(parent.clone()));
        let dialler = dialler_to(desk, &credentials, &parent, name);
        let running = child.clone();
        tokio::spawn(async move { running.run(dialler, CancellationToken::new()).await });
        Self {
            child,
            hub,
            credentials,
            parent,
        }
    }

    fn instance(&self) -> Instance {
        self.credentials.peer().instance.into()
    }

    /// Waits until the stream is held up to `position`.
    async fn reach(&self, position: Position) -> Arc<Stream> {
        in_time(&format!("{position:?}"), async {
            let mut changes = self.hub.changes();
            let stream = loop {
                changes.borrow_and_update();
                if let Some(stream) = self.hub.get(&key()) {
                    break stream;
                }
                changes.changed().await.unwrap();
            };
            let mut appended = stream.watch();
            loop {
                appended.borrow_and_update();
                if stream.held() >= Some(position) {
                    return stream;
                }
                appended.changed().await.unwrap();
            }
        })
        .await
    }

    /// Resumes, skips, gaps, duplicates, and groups that are not the parent's.
    fn counted(&self) -> [u64; 5] {
        let counts = self.child.intake_counts();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            read(&counts.resumes),
            read(&counts.skips),
            read(&counts.gaps),
            read(&counts.duplicates),
            read(&counts.hash_mismatches),
        ]
    }
}

fn dialler_to(
    desk: &Arc<Desk>,
    credentials: &Arc<Credentials>,
    parent: &Arc<Mutex<Address>>,
    name: NodeName,
) -> Dialler {
    let tls = tls::link_client(Arc::clone(credentials), &desk.root()).unwrap();
    let client = quic::client_config(tls, &QuicConfig::default()).unwrap();
    let (endpoint, parent) = (dialler(), Arc::clone(parent));
    Arc::new(move || {
        let (endpoint, client) = (endpoint.clone(), client.clone());
        let address = parent.lock().unwrap().clone();
        Box::pin(async move {
            let dialled = dial(&endpoint, &client, &address, &name.server_name(), LIMIT).await;
            let connection = dialled.map_err(|error| error.to_string())?;
            let parent = tls::peer_instance(&connection).unwrap().into();
            Ok(Dialled { connection, parent })
        })
    })
}

/// All tags of a group.
fn tags_of(stream: &Stream, epoch: u64, group: u64) -> Vec<(TagKind, u64, Bytes)> {
    let mut tags = Vec::new();
    while let Read::Tags(more) = stream.read(at(epoch, group, tags.len() as u32), 1000) {
        tags.extend(more.into_iter().map(|tag| (tag.kind, tag.time, tag.payload)));
    }
    tags
}

#[tokio::test]
async fn two_hops_bring_every_byte() {
    let desk = Desk::new();
    let origin = Serving::origin(&desk);
    let near = Receiving::start(&desk, &origin.address, NodeName::Origin);
    let (credentials, hops) = (Arc::clone(&near.credentials), near.child.hops());
    let between = Serving::start(&desk, credentials, Arc::clone(&near.hub), hops, config());
    let far = Receiving::start(&desk, &between.address, NodeName::AnyEdge);

    let source = origin.begin(1, 1, KEYFRAME);
    far.reach(at(1, 1, 1)).await;
    for group in 2..=4 {
        for n in 1..50_u64 {
            origin.append((group - 1) * 1000 + n * 20, &vec![n as u8; 1 + n as usize * 300]);
        }
        origin.begin(1, group, KEYFRAME);
    }
    let end = far.reach(at(1, 4, 1)).await;
    let middle = near.reach(at(1, 4, 1)).await;
    for group in 1..=4 {
        let sent = tags_of(&source, 1, group);
        assert_eq!(sent.len(), if group < 4 { 50 } else { 1 });
        for held in [&middle, &end] {
            assert_eq!(tags_of(held, 1, group), sent, "group {group}");
            assert_eq!(held.seal_of(1, group), source.seal_of(1, group), "group {group}");
        }
    }
    assert_eq!(
        end.headers().video,
        source.headers().video,
        "the preface came along"
    );
    assert_eq!((near.counted(), far.counted()), ([0; 5], [0; 5]));
    assert_eq!(far.child.hops().borrow().len(), 2, "origin and edge");
}

/// Waits until a child knows that it holds all that there is.
async fn keeps_up(child: &Child) {
    in_time("its parent's word", async {
        while child.lag_ms() != Some(0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_child_knows_how_far_it_is_behind() {
    let desk = Desk::new();
    let origin = Serving::origin(&desk);
    let near = Receiving::start(&desk, &origin.address, NodeName::Origin);
    let between = Serving::start(
        &desk,
        Arc::clone(&near.credentials),
        Arc::clone(&near.hub),
        near.child.hops(),
        config(),
    );
    let far = Receiving::start(&desk, &between.address, NodeName::AnyEdge);
    assert_eq!(far.child.lag_ms(), None, "there is no stream");
    origin.begin(1, 1, KEYFRAME);
    origin.append(1020, FRAME);
    far.reach(at(1, 1, 2)).await;
    keeps_up(&near.child).await;
    keeps_up(&far.child).await;
    // What a parent says whose media is held up: it is at 1720, and 300 behind itself.
    let intake = &far.child.0.intake;
    let floor = |name: &str, time| Floor {
        stream: name.parse().unwrap(),
        epoch: 1,
        time,
    };
    intake.compare(&Newest {
        behind_ms: 300,
        streams: vec![floor("live/unknown", 90_000), floor("live/cam", 1720)],
    });
    assert_eq!(
        (far.child.lag_ms(), intake.worst_lag_ms()),
        (Some(1000), Some(1000))
    );
    keeps_up(&far.child).await;
    intake.compare(&Newest::default());
    assert_eq!(far.child.lag_ms(), None, "nothing is live any more");
}

/// What there is no room for is refused by name, and costs those that are held nothing.
#[tokio::test]
async fn streams_beyond_the_room_are_refused() {
    let desk = Desk::new();
    let origin = Serving::origin(&desk);
    let narrow = Arc::new(Hub::new(HubConfig {
        max_streams: 2,
        ..HubConfig::default()
    }));
    let edge = Receiving::into_hub(&desk, &origin.address, NodeName::Origin, narrow);
    origin.begin(1, 1, KEYFRAME);
    edge.reach(at(1, 1, 1)).await;
    for n in 0..20 {
        origin.begin_other(&format!("live/more{n}"));
    }
    in_time("the groups to be refused", async {
        while origin.parent.sent().groups.load(Ordering::Relaxed) < 21 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    origin.append(1020, FRAME);
    origin.begin(1, 2, KEYFRAME);
    edge.reach(at(1, 2, 1)).await;
    in_time("the one more that fits", async {
        while edge.hub.list().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!edge.hub.has_room_for(&"live/other".parse().unwrap()));
    assert_eq!(edge.counted(), [0; 5]);
}

#[tokio::test]
async fn a_link_cut_in_mid_group_is_resumed_without_a_gap() {
    let desk = Desk::new();
    let origin = Serving::origin(&desk);
    let edge = Receiving::start(&desk, &origin.address, NodeName::Origin);
    let source = origin.begin(1, 1, KEYFRAME);
    origin.append(1020, FRAME);
    let held = edge.reach(at(1, 1, 2)).await;
    for cut in 1..=3_u64 {
        origin.parent.cut(&edge.instance());
        // These come after the cut, so that only another link can bring them.
        origin.append(1020 + cut * 20, FRAME);
        edge.reach(at(1, 1, 2 + cut as u32)).await;
        assert_eq!(edge.counted(), [cut, 0, 0, 0, 0]);
        assert_eq!(origin.parent.sent().resumes.load(Ordering::Relaxed), cut);
    }
    origin.begin(1, 2, KEYFRAME);
    edge.reach(at(1, 2, 1)).await;
    assert_eq!(held.seal_of(1, 1), source.seal_of(1, 1));
    assert_eq!(tags_of(&held, 1, 1), tags_of(&source, 1, 1));
    assert_eq!(edge.counted(), [3, 0, 0, 0, 0]);
}

#[tokio::test]
async fn an_older_epoch_is_refused() {
    let desk = Desk::new();
    let (new, old) = (Serving::origin(&desk), Serving::origin(&desk));
    new.begin(2, 1, KEYFRAME);
    old.begin(1, 9, KEYFRAME);
    let edge = Receiving::start(&desk, &new.address, NodeName::Origin);
    edge.reach(at(2, 1, 1)).await;
    *edge.parent.lock().unwrap() = old.address.clone();
    new.parent.cut(&edge.instance());
    // Its old epoch is offered first.
    in_time("the other parent", async {
        while old.parent.sent().groups.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Groups are taken in order: once the last is here, those of the old epoch have been decided on.
    old.begin(1, 10, KEYFRAME);
    old.begin(3, 1, KEYFRAME);
    let held = edge.reach(at(3, 1, 1)).await;
    assert!(held.group(1, 9).is_none() && held.group(1, 10).is_none());
    assert_eq!(held.state().tags, 2, "one of each newer epoch");
}

/// A link that is driven by hand: greeted, with nothing read.
struct ByHand {
    connection: Connection,
    /// What the parent says; kept, since a stream that is dropped is stopped.
    control: RecvStream,
}

impl ByHand {
    async fn dial(serving: &Serving, credentials: &Arc<Credentials>, quic: &QuicConfig) -> Self {
        let tls = tls::link_client(Arc::clone(credentials), &serving.desk.root()).unwrap();
        let client = quic::client_config(tls, quic).unwrap();
        let name = NodeName::Origin.server_name();
        let dialled = dial(&dialler(), &client, &serving.address, &name, LIMIT).await;
        let connection = dialled.unwrap();
        let hello = Hello {
            protocol: PROTOCOL,
            instance: credentials.peer().instance.into(),
            version: String::new(),
            role: LinkRole::Media,
            positions: Vec::new(),
            floors: Vec::new(),
            held_parts: 0,
            public: Vec::new(),
            capacity: None,
        };
        let (mut send, control) = connection.open_bi().await.unwrap();
        let hello = encode(&Message::Hello(Box::new(hello))).unwrap();
        send.write_all(&hello).await.unwrap();
        tokio::spawn(async move { send.stopped().await });
        Self { connection, control }
    }

    /// The first message, or why the link was closed instead.
    async fn answer(&mut self) -> Result<Message, LinkCode> {
        let mut decoder = ControlDecoder::default();
        loop {
            if let Some(message) = decoder.poll().unwrap() {
                return Ok(message);
            }
            match in_time("an answer", self.control.read_chunk(1000, true)).await {
                Ok(chunk) => decoder.push(&chunk.unwrap().bytes),
                Err(_) => match in_time("its end", self.connection.closed()).await {
                    ConnectionError::ApplicationClosed(closed) => {
                        return Err(LinkCode::from_number(closed.error_code.into_inner()).unwrap());
                    }
                    other => panic!("{other}"),
                },
            }
        }
    }
}

#[tokio::test]
async fn a_loop_is_turned_away() {
    let desk = Desk::new();
    let edge = desk.edge(now());
    let ancestors = vec![Instance::of_hex([1; 16]), edge.peer().instance.into()];
    let below = Serving::below(&desk, ancestors, config());
    let mut link = ByHand::dial(&below, &edge, &QuicConfig::default()).await;
    assert_eq!(link.answer().await, Err(LinkCode::Loop));
    let mut other = ByHand::dial(&below, &desk.edge(now()), &QuicConfig::default()).await;
    assert!(matches!(other.answer().await, Ok(Message::Welcome(_))));
}

#[tokio::test]
async fn a_chain_ends_at_its_greatest_depth() {
    let desk = Desk::new();
    let depth = |max_depth| ParentConfig {
        max_depth,
        ..config()
    };
    let below = |max_depth| Serving::below(&desk, vec![Instance::of_hex([1; 16])], depth(max_depth));
    let edge = desk.edge(now());
    let mut answers = HashMap::new();
    for max_depth in [2, 3] {
        let mut link = ByHand::dial(&below(max_depth), &edge, &QuicConfig::default()).await;
        answers.insert(max_depth, link.answer().await);
    }
    assert_eq!(
        answers[&2],
        Err(LinkCode::TooDeep),
        "it is the second of two itself"
    );
    assert!(matches!(&answers[&3], Ok(Message::Welcome(welcome)) if welcome.hops.len() == 2));
}

#[tokio::test]
async fn a_group_that_comes_too_late_gives_way_to_the_newest_start() {
    let desk = Desk::new();
    let patience = ParentConfig {
        max_lag_ms: 300,
        ..config()
    };
    let origin = Serving::below(&desk, Vec::new(), patience);
    let narrow = QuicConfig {
        stream_receive_window: 16 << 10,
        ..QuicConfig::default()
    };
    let link = ByHand::dial(&origin, &desk.edge(now()), &narrow).await;
    let big = [KEYFRAME, &[7; 100_000]].concat();
    origin.begin(1, 1, &big);
    let heard = Heard::now(Clock::start());
    let stream = in_time("a group", link.connection.accept_uni()).await.unwrap();
    let mut late = read_header(stream, &heard).await.unwrap().unwrap();
    assert_eq!(late.header.id().number, 1);
    // From here on nothing of it is read. It waits for as long as there is nothing better.
    origin.begin(1, 2, KEYFRAME);
    origin.begin(1, 3, KEYFRAME);
    let code = in_time("its reset", late.stream.received_reset()).await.unwrap();
    assert_eq!(
        code.map(|code| code.into_inner()),
        Some(GroupCode::Late.number().into())
    );
    let stream = in_time("the newest", link.connection.accept_uni()).await.unwrap();
    let newest = read_header(stream, &heard).await.unwrap().unwrap().header;
    assert_eq!((newest.id().number, newest.first_tag), (3, 0));
    assert!(newest.discontinuity && newest.previous.is_none());
    assert_eq!(origin.parent.sent().resets.load(Ordering::Relaxed), 1);
}
