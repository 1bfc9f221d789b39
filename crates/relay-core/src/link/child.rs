//! The child's side of links: keeps one up for ever, a second one beside it while the first is silent.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::Connection;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::control::close;
use super::intake::Intake;
pub use super::intake::IntakeCounts;
use super::lane::Heard;
use super::receiving::{LinkEnd, Receiving};
use crate::cascade::message::{LinkRole, Policy, Report, View};
use crate::cascade::{Instance, LinkCode, Message};
use crate::clock::Clock;
use crate::stream::Hub;

/// How often the links are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A link that lasted so long did work: after it the next attempt is at once.
const PROVEN_MS: u64 = 3000;

/// How long to wait for an answer about an instance before the certificate alone has to do.
const ASK_PATIENCE: Duration = Duration::from_secs(2);

/// Instances asked about at once.
const MAX_ASKS: usize = 16;

/// A connection to a parent, and who that is by its certificate.
pub struct Dialled {
    /// The connection.
    pub connection: Connection,
    /// The parent.
    pub parent: Instance,
}

/// What a dialler gives: a connection, or a sentence that says why there is none.
pub type Dialling = Pin<Box<dyn Future<Output = Result<Dialled, String>> + Send>>;

/// Dials the parent, with fresh name resolution each time. Gives up by itself within two seconds or so: a fresh attempt
/// finds a healed path sooner than an old one that has backed off.
pub type Dialler = Arc<dyn Fn() -> Dialling + Send + Sync>;

/// How a child keeps its link.
#[derive(Clone, Copy, Debug)]
pub struct ChildConfig {
    /// No byte from the parent for so long: a second link is dialled beside the first.
    pub silence: Duration,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
    /// Without any link for so long, the streams are ended: the parent is not coming back.
    pub hold: Duration,
    /// Streams, reports, or both.
    pub role: LinkRole,
}

impl ChildConfig {
    fn silence_ms(&self) -> u64 {
        u64::try_from(self.silence.as_millis()).unwrap_or(u64::MAX)
    }
}

/// How the link stands, for `/readyz`, metrics and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkStatus {
    /// There is none, or it is silent.
    Connecting {
        /// Why the last attempt failed, in a sentence.
        trouble: Option<String>,
    },
    /// The origin has ended this node's membership. It is asked again all the same: whoever runs the node decides.
    Revoked,
    /// It is up.
    Connected {
        /// The parent.
        parent: Instance,
    },
}

/// What a child counts of its links.
#[derive(Debug, Default)]
pub struct LinkCounts {
    /// Links that were welcomed.
    pub links: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Links dialled beside a silent one.
    pub second_dials: AtomicU64,
    /// The newest link's round trip in microseconds.
    pub rtt_us: AtomicU64,
    /// Packets lost on links, in all.
    pub lost_packets: AtomicU64,
}

/// A child. Clones are the same child.
#[derive(Clone)]
pub struct Child(pub(super) Arc<Inner>);

/// What a child says of itself, and what it does with what the origin says of the pool.
pub trait ChildDesk: Send + Sync + 'static {
    /// Where viewers reach this node.
    fn public(&self) -> Vec<String>;

    /// How it fares; asked each second. What came in by links is added to it.
    fn report(&self) -> Report;

    /// Other nodes that serve viewers, as the origin has them now.
    fn pool(&self, view: View);

    /// What the origin wants of this node.
    fn policy(&self, policy: Policy);
}

pub(super) struct Inner {
    pub(super) intake: Arc<Intake>,
    pub(super) clock: Clock,
    pub(super) instance: Instance,
    pub(super) config: ChildConfig,
    pub(super) desk: Arc<dyn ChildDesk>,
    pub(super) hops: watch::Sender<Vec<Instance>>,
    pub(super) status: watch::Sender<LinkStatus>,
    pub(super) counts: LinkCounts,
    pub(super) asks: Asks,
    /// Places for streams whose end is being waited for: as many as this node has streams.
    pub(super) endings: Arc<Semaphore>,
    /// A link that the parent dialled: while it speaks, this node dials none.
    pushed: Mutex<Option<Arc<Heard>>>,
    seed: u64,
}

/// Questions to the origin about instances.
#[derive(Default)]
pub(super) struct Asks {
    waiting: Mutex<HashMap<Instance, Vec<oneshot::Sender<bool>>>>,
    pub(super) asked: tokio::sync::Notify,
}

impl Asks {
    /// What is to be asked, to be said anew on each link.
    pub(super) fn open(&self) -> Vec<Message> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .keys()
            .map(|instance| Message::Ask {
                instance: instance.clone(),
            })
            .collect()
    }

    pub(super) fn answer(&self, instance: &Instance, member: bool) {
        let askers = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(instance);
        for asker in askers.into_iter().flatten() {
            // Whoever asked may have lost patience.
            let _ = asker.send(member);
        }
    }
}

/// One link of this child's.
struct Running {
    connection: Connection,
    heard: Arc<Heard>,
    welcomed: Arc<AtomicBool>,
    began_ms: u64,
}

impl Running {
    /// Whether it was welcomed, and something was heard within `silence_ms`.
    fn speaks(&self, silence_ms: u64) -> bool {
        self.welcomed.load(Ordering::Relaxed) && self.heard.silent_ms() < silence_ms
    }
}

impl Child {
    /// A child that puts what it gets into `hub`. `seed` spreads the attempts of many children.
    pub fn new(
        hub: Arc<Hub>,
        clock: Clock,
        instance: Instance,
        config: ChildConfig,
        desk: Arc<dyn ChildDesk>,
        seed: u64,
    ) -> Self {
        Self::with_intake(
            Arc::new(Intake::new(hub, clock)),
            clock,
            instance,
            config,
            desk,
            seed,
        )
    }

    fn with_intake(
        intake: Arc<Intake>,
        clock: Clock,
        instance: Instance,
        config: ChildConfig,
        desk: Arc<dyn ChildDesk>,
        seed: u64,
    ) -> Self {
        let endings = Arc::new(Semaphore::new(intake.max_lanes()));
        Self(Arc::new(Inner {
            intake,
            clock,
            instance,
            config,
            desk,
            hops: watch::Sender::new(Vec::new()),
            status: watch::Sender::new(LinkStatus::Connecting { trouble: None }),
            counts: LinkCounts::default(),
            asks: Asks::default(),
            endings,
            pushed: Mutex::default(),
            seed,
        }))
    }

    /// Another link of the same node: it tells of the same streams, and is kept by itself.
    #[must_use]
    pub fn beside(&self, config: ChildConfig) -> Self {
        let Inner {
            intake,
            clock,
            instance,
            desk,
            seed,
            ..
        } = &*self.0;
        Self::with_intake(
            Arc::clone(intake),
            *clock,
            instance.clone(),
            config,
            Arc::clone(desk),
            *seed,
        )
    }

    /// The nodes from the origin down to this one's parent, as they change.
    pub fn hops(&self) -> watch::Receiver<Vec<Instance>> {
        self.0.hops.subscribe()
    }

    /// How the link stands, as it changes.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.0.status.subscribe()
    }

    /// What was counted of the links.
    pub fn counts(&self) -> &LinkCounts {
        &self.0.counts
    }

    /// What was counted of what they brought.
    pub fn intake_counts(&self) -> Arc<IntakeCounts> {
        Arc::clone(&self.0.intake.counts)
    }

    /// How far this node is behind the origin, in milliseconds of its streams' time; `None` where there is no stream, or the parent
    /// does not say.
    pub fn lag_ms(&self) -> Option<u64> {
        self.0.intake.lag_ms()
    }

    /// Asks the parent, which is the origin, whether an instance is a member now; `None` if no answer comes.
    pub async fn ask(&self, instance: &Instance) -> Option<bool> {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.0.asks.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= MAX_ASKS {
                return None;
            }
            waiting.entry(instance.clone()).or_default().push(sender);
        }
        self.0.asks.asked.notify_one();
        let answer = tokio::time::timeout(ASK_PATIENCE, answer).await;
        if answer.is_err() {
            self.0
                .asks
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(instance);
        }
        answer.ok()?.ok()
    }

    /// Serves a link that the parent dialled, until it ends or `stop`.
    pub async fn receive(&self, dialled: Dialled, stop: CancellationToken) {
        let mut links = JoinSet::new();
        let running = self.start(dialled, &mut links);
        tracing::info!(address = %running.connection.remote_address(), "the parent dialled this node ([[push]])");
        *self.pushed() = Some(Arc::clone(&running.heard));
        tokio::select! {
            () = stop.cancelled() => close(&running.connection, LinkCode::Bye),
            _ = links.join_next() => {}
        }
        let mut pushed = self.pushed();
        if pushed
            .as_ref()
            .is_some_and(|heard| Arc::ptr_eq(heard, &running.heard))
        {
            *pushed = None;
            self.0
                .status
                .send_replace(LinkStatus::Connecting { trouble: None });
        }
    }

    fn pushed(&self) -> MutexGuard<'_, Option<Arc<Heard>>> {
        self.0.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a link that the parent dialled is up and speaks.
    fn is_pushed(&self, silence_ms: u64) -> bool {
        self.pushed()
            .as_ref()
            .is_some_and(|heard| heard.silent_ms() < silence_ms)
    }

    /// Keeps a link up until `stop`.
    pub async fn run(&self, dialler: Dialler, stop: CancellationToken) {
        let mut keeper = Keeper::new(self, dialler);
        tokio::select! {
            () = stop.cancelled() => {}
            () = keeper.run() => {}
        }
        for link in keeper.running.values() {
            close(&link.connection, LinkCode::Bye);
        }
        keeper.links.shutdown().await;
    }

    fn start(&self, dialled: Dialled, links: &mut JoinSet<(usize, LinkEnd)>) -> Running {
        let heard = Arc::new(Heard::now(self.0.clock));
        let welcomed = Arc::new(AtomicBool::new(false));
        let id = dialled.connection.stable_id();
        let running = Running {
            connection: dialled.connection.clone(),
            heard: Arc::clone(&heard),
            welcomed: Arc::clone(&welcomed),
            began_ms: self.0.clock.now().mono_ms,
        };
        let receiving = Receiving {
            child: self.clone(),
            dialled,
            heard,
            welcomed,
        };
        links.spawn(async move { (id, receiving.run().await) });
        running
    }
}

/// Keeps a child's links.
struct Keeper<'a> {
    child: &'a Child,
    dialler: Dialler,
    backoff: Backoff,
    links: JoinSet<(usize, LinkEnd)>,
    running: HashMap<usize, Running>,
    dialling: Option<Dialling>,
    next_dial_ms: u64,
    /// Since when there has been no link that speaks.
    alone_since_ms: u64,
}

impl<'a> Keeper<'a> {
    fn new(child: &'a Child, dialler: Dialler) -> Self {
        let first = LOOK.min(child.0.config.backoff_max);
        Self {
            child,
            dialler,
            backoff: Backoff::new(first, child.0.config.backoff_max, child.0.seed),
            links: JoinSet::new(),
            running: HashMap::new(),
            dialling: None,
            next_dial_ms: 0,
            alone_since_ms: child.0.clock.now().mono_ms,
        }
    }

    async fn run(&mut self) {
        let mut look = self.child.0.clock.every(LOOK);
        loop {
            let dialling = async {
                match &mut self.dialling {
                    Some(dialling) => dialling.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = look.tick() => self.look(),
                dialled = dialling => self.handle_dialled(dialled),
                Some(ended) = self.links.join_next() => {
                    if let Ok((id, end)) = ended {
                        self.handle_end(id, &end);
                    }
                }
            }
        }
    }

    /// Dials where that is due, and lets go of a link that a newer one has replaced.
    fn look(&mut self) {
        let inner = &self.child.0;
        let now = inner.clock.now().mono_ms;
        let silence = inner.config.silence_ms();
        let pushed = self.child.is_pushed(silence);
        let speaks = self.running.values().any(|link| link.speaks(silence));
        // One that is being greeted is given the same time.
        let greeting = self.running.values().any(|link| link.heard.silent_ms() < silence);
        if pushed || speaks {
            self.alone_since_ms = now;
        }
        if pushed {
            for link in self.running.values() {
                close(&link.connection, LinkCode::Replaced);
            }
        } else if !speaks && !greeting && self.dialling.is_none() && now >= self.next_dial_ms {
            let beside = !self.running.is_empty();
            inner
                .counts
                .second_dials
                .fetch_add(u64::from(beside), Ordering::Relaxed);
            self.dialling = Some((self.dialler)());
        }
        let hold = u64::try_from(inner.config.hold.as_millis()).unwrap_or(u64::MAX);
        if inner.config.role.has_media() && now.saturating_sub(self.alone_since_ms) > hold {
            tracing::warn!("no parent for {} s: the streams are ended", hold / 1000);
            inner.intake.end_all();
            self.alone_since_ms = now;
        }
        self.settle();
        if let Some(link) = self.running.values().find(|link| link.speaks(silence)) {
            let path = link.connection.stats().path;
            inner.counts.rtt_us.store(
                u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
        }
    }

    /// Of several links the first that was welcomed and speaks stays.
    fn settle(&self) {
        if self.running.len() < 2 {
            return;
        }
        let alive = |link: &&Running| link.welcomed.load(Ordering::Relaxed);
        let winner = self
            .running
            .values()
            .filter(alive)
            .min_by_key(|link| link.heard.silent_ms());
        let Some(winner) = winner.map(|link| link.connection.stable_id()) else {
            return;
        };
        for (id, link) in &self.running {
            if *id != winner {
                close(&link.connection, LinkCode::Replaced);
            }
        }
    }

    fn handle_dialled(&mut self, dialled: Result<Dialled, String>) {
        self.dialling = None;
        let inner = &self.child.0;
        match dialled {
            Ok(dialled) => {
                let running = self.child.start(dialled, &mut self.links);
                self.running.insert(running.connection.stable_id(), running);
                // If this one does not speak either, another is tried after the silence.
                let silence = inner.config.silence_ms();
                self.next_dial_ms = inner.clock.now().mono_ms + silence;
            }
            Err(trouble) => self.handle_failure(trouble),
        }
    }

    fn handle_failure(&mut self, trouble: String) {
        let inner = &self.child.0;
        inner.counts.failures.fetch_add(1, Ordering::Relaxed);
        let told = LinkStatus::Connecting {
            trouble: Some(trouble),
        };
        let news = *inner.status.borrow() != told;
        if news
            && let LinkStatus::Connecting {
                trouble: Some(trouble),
            } = &told
        {
            tracing::warn!(trouble, "no link to the parent");
        }
        let silence = inner.config.silence_ms();
        if !self.child.is_pushed(silence) && !self.running.values().any(|link| link.speaks(silence)) {
            inner.status.send_replace(told);
        }
        let wait = u64::try_from(self.backoff.next_wait().as_millis()).unwrap_or(u64::MAX);
        self.next_dial_ms = inner.clock.now().mono_ms + wait;
    }

    fn handle_end(&mut self, id: usize, end: &LinkEnd) {
        let inner = &self.child.0;
        let proven = self.running.remove(&id).is_some_and(|link| {
            let lost = link.connection.stats().path.lost_packets;
            inner.counts.lost_packets.fetch_add(lost, Ordering::Relaxed);
            let age = inner.clock.now().mono_ms.saturating_sub(link.began_ms);
            link.welcomed.load(Ordering::Relaxed) && age >= PROVEN_MS
        });
        if !self.running.is_empty() {
            return tracing::debug!(reason = %end, "a link beside another is over");
        }
        tracing::info!(reason = %end, "the link to the parent is over");
        inner.status.send_replace(match end {
            LinkEnd::Revoked => LinkStatus::Revoked,
            other => LinkStatus::Connecting {
                trouble: Some(other.to_string()),
            },
        });
        if proven {
            // It did work: the next attempt is at once, for a parent that was restarted.
            self.backoff.reset();
            self.next_dial_ms = 0;
        } else {
            let wait = u64::try_from(self.backoff.next_wait().as_millis()).unwrap_or(u64::MAX);
            self.next_dial_ms = inner.clock.now().mono_ms + wait;
        }
    }
}
