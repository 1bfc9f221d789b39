//! The parent's side of links: greets children, pushes them every stream, hears their reports.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::Connection;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::child::Child;
use super::control::{ControlEnd, Inbox, Outbox, close, close_after};
pub use super::sending::SentCounts;
use super::sending::{Sending, Sent};
use crate::admission::LinkLoad;
use crate::cascade::message::{
    Floor, Hello, LinkRole, MAX_ENTRIES, MAX_HOPS, MAX_NAMED, Newest, PROTOCOL, Policy, Report, StreamDown,
    TooMuch, View, Welcome,
};
use crate::cascade::{ControlError, Instance, LinkCode, Message};
use crate::clock::Clock;
use crate::stream::{Hub, Position, Stream, StreamKey};

/// How long a child may take to say who it is: a round trip and a lost packet or two.
const GREETING: Duration = Duration::from_secs(5);

/// How often a child hears from us at least, so that two seconds of silence mean something.
const PING: Duration = Duration::from_millis(500);

/// How often it is looked whether there is news of the pool.
const NEWS: Duration = Duration::from_secs(1);

/// In how many of these looks a child that sends nobody elsewhere is told of other nodes once: a view takes some KB of the
/// uplink.
const SECONDS_PER_VIEW: u32 = 5;

/// A stream that a child holds and this node lacks is given so long to come back, as after a restart of either; then
/// the child is told that it has ended. Longer than an origin's grace window.
const UNCLAIMED: Duration = Duration::from_secs(20);

/// What a parent does with what children say: passes it to the pool's brain, or to nobody.
pub trait ParentDesk: Send + Sync + 'static {
    /// A child was welcomed, and dialled from there, or was dialled there.
    fn linked(&self, child: &Instance, hello: &Hello, remote: SocketAddr);

    /// A link of a child's is over.
    fn unlinked(&self, child: &Instance, role: LinkRole);

    /// What the pool wants of a child; asked each second. `None` if this node knows nothing of the pool.
    fn policy(&self, child: &Instance) -> Option<Policy>;

    /// Where else viewers can be sent; asked now and then. `None` if this node knows nothing of the pool.
    fn view(&self, child: &Instance) -> Option<View>;

    /// A child holds streams up to these epochs and times: they must not fall below.
    fn floors(&self, child: &Instance, floors: &[Floor]);

    /// A child's report.
    fn report(&self, child: &Instance, report: Report);

    /// Whether an instance is a member of the pool now.
    fn is_member(&self, instance: &Instance) -> bool;

    /// How far this node itself is behind the origin, in milliseconds; nothing at the origin.
    fn behind_ms(&self) -> u64 {
        0
    }
}

/// A desk of one who knows nothing of the pool: an edge. Its children speak with the origin themselves.
#[derive(Clone, Default)]
pub struct NoDesk {
    child: Option<Child>,
}

impl NoDesk {
    /// The desk of a node that is a child itself.
    pub const fn of(child: Child) -> Self {
        Self { child: Some(child) }
    }
}

impl ParentDesk for NoDesk {
    fn linked(&self, _: &Instance, _: &Hello, _: SocketAddr) {}

    fn unlinked(&self, _: &Instance, _: LinkRole) {}

    fn policy(&self, _: &Instance) -> Option<Policy> {
        None
    }

    fn view(&self, _: &Instance) -> Option<View> {
        None
    }

    fn floors(&self, _: &Instance, _: &[Floor]) {}

    fn report(&self, _: &Instance, _: Report) {}

    fn is_member(&self, _: &Instance) -> bool {
        false
    }

    fn behind_ms(&self) -> u64 {
        self.child.as_ref().and_then(Child::lag_ms).unwrap_or(0)
    }
}

/// How a parent serves its children.
#[derive(Clone, Copy, Debug)]
pub struct ParentConfig {
    /// A group older than this gives way to a newer start point, in milliseconds.
    pub max_lag_ms: u64,
    /// Links at a time.
    pub max_links: usize,
    /// Nodes from the origin to the last edge, both included.
    pub max_depth: usize,
}

/// What a list of links shows of one.
#[derive(Clone, Debug)]
pub struct LinkInfo {
    /// The child.
    pub child: Instance,
    /// What it wants.
    pub role: LinkRole,
    /// The address that it dialled from, or was dialled at.
    pub remote: SocketAddr,
    /// Its newest report.
    pub report: Report,
    /// The path's round trip.
    pub rtt: Duration,
    /// Packets lost on the path.
    pub lost_packets: u64,
    /// What was sent.
    pub sent: Arc<SentCounts>,
}

/// Serves children. Clones are the same parent.
#[derive(Clone)]
pub struct Parent(Arc<Inner>);

struct Inner {
    hub: Arc<Hub>,
    clock: Clock,
    config: ParentConfig,
    instance: Instance,
    hops: watch::Receiver<Vec<Instance>>,
    desk: Arc<dyn ParentDesk>,
    links: Mutex<HashMap<u64, Link>>,
    next_link: AtomicU64,
    past: SentCounts,
    /// Bytes on the wire of links that are gone.
    past_bytes: AtomicU64,
}

struct Link {
    connection: Connection,
    child: Instance,
    role: LinkRole,
    report: Report,
    sent: Arc<SentCounts>,
}

impl Parent {
    /// A parent of the streams in `hub`. `hops` are the nodes from the origin down to this one's own parent, none for the
    /// origin; they change when an edge changes parents.
    pub fn new(
        hub: Arc<Hub>,
        clock: Clock,
        config: ParentConfig,
        instance: Instance,
        hops: watch::Receiver<Vec<Instance>>,
        desk: Arc<dyn ParentDesk>,
    ) -> Self {
        let (links, next_link, past) = (Mutex::default(), AtomicU64::new(0), SentCounts::default());
        let past_bytes = AtomicU64::new(0);
        Self(Arc::new(Inner {
            hub,
            clock,
            config,
            instance,
            hops,
            desk,
            links,
            next_link,
            past,
            past_bytes,
        }))
    }

    /// Serves one link, whoever dialled it, until it ends or `stop`. `peer` is the instance in the certificate.
    pub async fn serve(&self, connection: Connection, peer: Instance, stop: CancellationToken) {
        let span = tracing::info_span!("child", instance = %peer, address = %connection.remote_address());
        self.serve_in_span(connection, peer, stop).instrument(span).await;
    }

    async fn serve_in_span(&self, connection: Connection, peer: Instance, stop: CancellationToken) {
        if self.links().len() >= self.0.config.max_links {
            tracing::warn!("one child too many ([limits] max_children)");
            return close(&connection, LinkCode::Fault);
        }
        let Some(greeted) = stop.run_until_cancelled(self.greet(&connection, &peer)).await else {
            return close(&connection, LinkCode::Bye);
        };
        let (hello, inbox, outbox) = match greeted {
            Ok(greeted) => greeted,
            Err(code) => {
                tracing::info!(reason = %code, "a child was turned away");
                return close(&connection, code);
            }
        };
        tracing::info!(role = ?hello.role, version = hello.version, held = hello.positions.len(), "child linked");
        let role = hello.role;
        let id = self.0.next_link.fetch_add(1, Ordering::Relaxed);
        let sent = Arc::new(SentCounts::default());
        let link = Link {
            connection: connection.clone(),
            child: peer.clone(),
            role: hello.role,
            report: Report::default(),
            sent: Arc::clone(&sent),
        };
        self.links().insert(id, link);
        self.0.desk.linked(&peer, &hello, connection.remote_address());
        let session = Session {
            parent: self,
            id,
            connection: &connection,
            child: &peer,
            role,
            outbox,
            sent,
        };
        tokio::select! {
            () = stop.cancelled() => close(&connection, LinkCode::Bye),
            end = session.run(hello, inbox) => {
                close_after(&connection, &end);
                tracing::info!(reason = %end, "child gone");
            }
        }
        self.forget(id);
        self.0.desk.unlinked(&peer, role);
    }

    /// Hears who the child is and what it holds, and welcomes it.
    async fn greet(
        &self,
        connection: &Connection,
        peer: &Instance,
    ) -> Result<(Hello, Inbox, Outbox), LinkCode> {
        let greeting = async {
            let (send, receive) = connection.accept_bi().await.map_err(|_| LinkCode::NoGreeting)?;
            let mut inbox = Inbox::new(receive);
            let Ok(Message::Hello(mut hello)) = inbox.next().await else {
                return Err(LinkCode::NoGreeting);
            };
            for _ in 0..hello.held_parts {
                let Ok(Message::Held(part)) = inbox.next().await else {
                    return Err(LinkCode::BadControl);
                };
                hello.positions.extend(part.positions);
                hello.floors.extend(part.floors);
            }
            Ok((*hello, inbox, send))
        };
        let greeted = tokio::time::timeout(GREETING, greeting).await;
        let (hello, inbox, send) = greeted.map_err(|_| LinkCode::NoGreeting)??;
        if hello.protocol != PROTOCOL {
            return Err(LinkCode::Version);
        }
        let hops = self.hops();
        if hello.instance != *peer || *peer == self.0.instance {
            return Err(LinkCode::WrongInstance);
        }
        if hops.contains(peer) {
            return Err(LinkCode::Loop);
        }
        if hops.len() >= self.0.config.max_depth.min(MAX_HOPS) {
            return Err(LinkCode::TooDeep);
        }
        self.0.desk.floors(peer, &hello.floors);
        let outbox = Outbox::start(send);
        let welcome = Welcome {
            protocol: PROTOCOL,
            instance: self.0.instance.clone(),
            hops,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        outbox.say(Message::Welcome(welcome)).await;
        Ok((hello, inbox, outbox))
    }

    /// A link is over: only what it sent is remembered. Under the lock, so that no look misses it.
    fn forget(&self, id: u64) {
        let mut links = self.links();
        if let Some(link) = links.remove(&id) {
            self.0.past.add(&link.sent);
            let bytes = link.connection.stats().udp_tx.bytes;
            self.0.past_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// From the origin down to this node, both included.
    fn hops(&self) -> Vec<Instance> {
        let mut hops = self.0.hops.borrow().clone();
        hops.push(self.0.instance.clone());
        hops
    }

    /// The links, as they stand.
    pub fn list(&self) -> Vec<LinkInfo> {
        let info = |link: &Link| {
            let path = link.connection.stats().path;
            LinkInfo {
                child: link.child.clone(),
                role: link.role,
                remote: link.connection.remote_address(),
                report: link.report.clone(),
                rtt: path.rtt,
                lost_packets: path.lost_packets,
                sent: Arc::clone(&link.sent),
            }
        };
        self.links().values().map(info).collect()
    }

    /// What all links have sent, those that are gone included.
    pub fn sent(&self) -> SentCounts {
        let total = SentCounts::default();
        total.add(&self.0.past);
        self.links().values().for_each(|link| total.add(&link.sent));
        total
    }

    /// What the links have sent, packets and retransmissions included, those that are gone included; and how many of them
    /// streams are pushed to.
    pub fn load(&self) -> LinkLoad {
        let links = self.links();
        let sent = |link: &Link| link.connection.stats().udp_tx.bytes;
        let bytes: u64 = links.values().map(sent).sum();
        LinkLoad {
            bytes: bytes + self.0.past_bytes.load(Ordering::Relaxed),
            children: links.values().filter(|link| link.role.has_media()).count() as u64,
        }
    }

    /// Closes the links of a child that is no member any more.
    pub fn cut(&self, child: &Instance) {
        for link in self.links().values().filter(|link| link.child == *child) {
            close(&link.connection, LinkCode::Bye);
        }
    }

    fn links(&self) -> MutexGuard<'_, HashMap<u64, Link>> {
        // Each change is one insert or removal.
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One link that has been greeted.
struct Session<'a> {
    parent: &'a Parent,
    id: u64,
    connection: &'a Connection,
    child: &'a Instance,
    role: LinkRole,
    outbox: Outbox,
    sent: Arc<SentCounts>,
}

impl Session<'_> {
    async fn run(&self, hello: Hello, mut inbox: Inbox) -> ControlEnd {
        let held = hello
            .positions
            .into_iter()
            .map(|held| (held.stream, held.position))
            .collect();
        let media = async {
            match self.role.has_media() {
                true => self.push_streams(held).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            end = self.hear(&mut inbox) => end,
            () = self.keep_talking() => ControlEnd::Lost("the control stream cannot be written".to_owned()),
            end = media => end,
            error = self.connection.closed() => ControlEnd::Lost(error.to_string()),
        }
    }

    /// Handles what the child says.
    async fn hear(&self, inbox: &mut Inbox) -> ControlEnd {
        let mut named = HashSet::new();
        loop {
            let message = match inbox.next().await {
                Ok(message) => message,
                Err(end) => return end,
            };
            match message {
                Message::Ping { nonce } => self.outbox.mention(Message::Pong { nonce }),
                Message::Floors { floors } => {
                    named.extend(floors.iter().map(|floor| floor.stream.clone()));
                    if named.len() > MAX_NAMED {
                        return ControlError::from(TooMuch("floors")).into();
                    }
                    self.parent.0.desk.floors(self.child, &floors);
                }
                Message::Hello(_) => return ControlError::OutOfTurn("hello").into(),
                Message::Held(_) => return ControlError::OutOfTurn("held").into(),
                Message::Report(report) => {
                    if let Some(link) = self.parent.links().get_mut(&self.id) {
                        link.report = report.clone();
                    }
                    self.parent.0.desk.report(self.child, report);
                }
                Message::Ask { instance } => {
                    let member = self.parent.0.desk.is_member(&instance);
                    self.outbox.mention(Message::Known { instance, member });
                }
                Message::Bye { reason } => return ControlEnd::Lost(format!("it says goodbye: {reason}")),
                _ => {}
            }
        }
    }

    /// Pings, and tells of changes: of this node's own place, of the pool.
    async fn keep_talking(&self) {
        let mut hops = self.parent.0.hops.clone();
        let clock = self.parent.0.clock;
        let (mut ping, mut news) = (clock.every(PING), clock.every(NEWS));
        let (mut policy, mut seconds) = (None, 0_u32);
        let (mut nonce, mut may_move) = (0, true);
        let mut turn = 0;
        loop {
            tokio::select! {
                _ = ping.tick() => {
                    nonce += 1;
                    self.outbox.mention(Message::Ping { nonce });
                    if self.role.has_media() {
                        self.outbox.mention(Message::Newest(self.newest(&mut turn)));
                    }
                }
                _ = news.tick() => {
                    self.tell_policy(&mut policy).await;
                    let drains = policy.as_ref().is_some_and(|policy| policy.drain_seconds.is_some());
                    if seconds.is_multiple_of(SECONDS_PER_VIEW) || drains || self.needs_others() {
                        self.tell_view().await;
                    }
                    seconds = seconds.wrapping_add(1);
                }
                changed = hops.changed(), if may_move => match changed {
                    Ok(()) => {
                        self.outbox.say(Message::Hops { hops: self.parent.hops() }).await;
                    }
                    // Nobody changes it any more, as on the origin.
                    Err(_) => may_move = false,
                },
            }
        }
    }

    /// How far the streams have come; those that do not fit come in their turn.
    fn newest(&self, turn: &mut usize) -> Newest {
        let inner = &self.parent.0;
        let floor = |stream: Arc<Stream>| {
            let (held, time) = (stream.held()?, stream.last_time()?);
            Some(Floor {
                stream: stream.key().clone(),
                epoch: held.epoch,
                time,
            })
        };
        let live = inner.hub.list().into_iter().filter(|stream| !stream.ended());
        let mut streams: Vec<Floor> = live.filter_map(floor).collect();
        if streams.len() > MAX_ENTRIES {
            let first = *turn % streams.len();
            streams.rotate_left(first);
            streams.truncate(MAX_ENTRIES);
            *turn = first + MAX_ENTRIES;
        }
        Newest {
            behind_ms: inner.desk.behind_ms(),
            streams,
        }
    }

    /// Tells what the pool wants of the child: once in any case, since the child may still hold to what it was told on an earlier
    /// link, and then if that has changed.
    async fn tell_policy(&self, told: &mut Option<Policy>) {
        if let Some(policy) = self.parent.0.desk.policy(self.child)
            && told.as_ref() != Some(&policy)
        {
            self.outbox.say(Message::Policy(policy.clone())).await;
            *told = Some(policy);
        }
    }

    async fn tell_view(&self) {
        if let Some(view) = self.parent.0.desk.view(self.child) {
            self.outbox.say(Message::Pool(view)).await;
        }
    }

    /// Whether the child sends viewers elsewhere, or soon will.
    fn needs_others(&self) -> bool {
        let links = self.parent.links();
        links.get(&self.id).is_some_and(|Link { report, .. }| {
            let half_full = report.committed.zip(report.capacity);
            report.full || report.draining || half_full.is_some_and(|(used, all)| used > all / 2)
        })
    }

    /// Sends every stream of the hub, each in a task of its own, as they come and go.
    async fn push_streams(&self, mut held: HashMap<StreamKey, Position>) -> ControlEnd {
        let inner = &self.parent.0;
        let link_began_ms = inner.clock.now().mono_ms;
        let mut changes = inner.hub.changes();
        let mut tasks = JoinSet::new();
        let mut sending: HashMap<StreamKey, Arc<Stream>> = HashMap::new();
        let unclaimed = tokio::time::sleep(UNCLAIMED);
        tokio::pin!(unclaimed);
        loop {
            changes.borrow_and_update();
            for stream in inner.hub.list() {
                let ended = stream.ended();
                if ended
                    || sending
                        .get(stream.key())
                        .is_some_and(|known| Arc::ptr_eq(known, &stream))
                {
                    continue;
                }
                let key = stream.key().clone();
                sending.insert(key.clone(), Arc::clone(&stream));
                self.outbox.say(Message::StreamUp { stream: key.clone() }).await;
                let task = Sending {
                    connection: self.connection.clone(),
                    stream: Arc::clone(&stream),
                    clock: inner.clock,
                    link_began_ms,
                    max_lag_ms: inner.config.max_lag_ms,
                    counts: Arc::clone(&self.sent),
                };
                let from = held.remove(&key);
                tasks.spawn(async move { (stream, task.run(from).await) });
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return ControlEnd::Lost("this node is going away".to_owned());
                },
                () = &mut unclaimed, if !held.is_empty() => for (stream, position) in held.drain() {
                    let (reason, end) = ("it ended while the child was away".to_owned(), Some(position));
                    self.outbox.say(Message::StreamDown(StreamDown { stream, reason, end })).await;
                },
                Some(done) = tasks.join_next() => {
                    let Ok((stream, sent)) = done else { continue };
                    let key = stream.key().clone();
                    let newest = sending.get(&key).is_some_and(|known| Arc::ptr_eq(known, &stream));
                    if newest && sent != Sent::Refused {
                        sending.remove(&key);
                    }
                    match sent {
                        // It is back already: for the child it goes on, in a new epoch.
                        Sent::Ended(_) if !newest => {}
                        Sent::Ended(end) => {
                            let reason = "the stream has ended".to_owned();
                            self.outbox.say(Message::StreamDown(StreamDown { stream: key, reason, end })).await;
                        }
                        Sent::Refused => tracing::warn!(stream = %key, "the child has no room for the stream"),
                        Sent::Lost => return ControlEnd::Lost("the link was lost".to_owned()),
                    }
                }
            }
        }
    }
}
