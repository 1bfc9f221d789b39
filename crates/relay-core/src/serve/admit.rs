//! Who may watch here: the door's side of [`admission`](crate::admission).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{IntCounterVec, Opts, Registry};
use serde::{Deserialize, Serialize};

use crate::admission::{
    Account, Bounds, Budget, Lately, LinkLoad, Load, MAX_HOPS, Refusal, Room, ServePolicy, Verdict, Why,
    Wish, decide,
};
use crate::cascade::message::View;
use crate::clock::Clock;
use crate::family::Family;
use crate::pool::{self, Endpoint, Scheme};
use crate::stream::Stream;

/// Finds places on other nodes.
pub trait Elsewhere: Send + Sync + 'static {
    /// Where one more viewer is welcome. The place is kept for it.
    fn place(&self, wish: &pool::Wish) -> Option<Endpoint>;

    /// Some nodes with room, for players who look for another one by themselves.
    fn view(&self) -> View;
}

/// Random bits for who chooses among places. Without any, the choice is always the same one.
pub fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
}

/// What a stream is taken to need whose rate this node does not know, in bits a second: what an encoder is mostly set to.
const UNKNOWN_BITS: u64 = 2_500_000;

/// Decides on each one who wants to watch, before the first byte.
pub struct Doorman {
    policy: ServePolicy,
    clock: Clock,
    budget: Mutex<Budget>,
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    links: OnceLock<Box<dyn Fn() -> LinkLoad + Send + Sync>>,
    decisions: IntCounterVec,
    refused: Mutex<Lately>,
    /// Until when other nodes may have streams that this one does not have yet, on the monotonic clock.
    returns_until_ms: AtomicU64,
}

/// How often something was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// What: `served`, `redirected` or `refused`.
    pub decision: String,
    /// Why: a label of `relay_admissions_total`.
    pub reason: String,
    /// How often since the start.
    pub count: u64,
}

impl Doorman {
    /// One who knows nothing of other nodes yet.
    ///
    /// # Errors
    /// When a metric's name is taken.
    pub fn new(
        policy: ServePolicy,
        bounds: Bounds,
        clock: Clock,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let decisions = IntCounterVec::new(
            Opts::new(
                "relay_admissions_total",
                "Decisions on those who wanted to watch, by what was decided and why.",
            ),
            &["decision", "reason"],
        )?;
        registry.register(Box::new(decisions.clone()))?;
        Ok(Self {
            policy,
            clock,
            budget: Mutex::new(Budget::new(bounds)),
            elsewhere: OnceLock::new(),
            links: OnceLock::new(),
            decisions,
            refused: Mutex::default(),
            returns_until_ms: AtomicU64::new(0),
        })
    }

    /// Whether this node ever serves viewers itself.
    pub fn serves(&self) -> bool {
        self.policy != ServePolicy::EdgesOnly
    }

    /// How its budget stands.
    pub fn account(&self) -> Account {
        let now_ms = self.clock.now().mono_ms;
        self.budget().account(now_ms)
    }

    /// How often somebody was refused in the last minute.
    pub fn refused_lately(&self) -> u64 {
        let now_ms = self.clock.now().mono_ms;
        self.refused().count(now_ms)
    }

    /// What was decided since the start, by decision and reason.
    pub fn decisions(&self) -> Vec<Decisions> {
        let mut rows = Vec::new();
        for metric in self
            .decisions
            .collect()
            .iter()
            .flat_map(|family| family.get_metric())
        {
            let label = |name: &str| {
                let found = metric.get_label().iter().find(|label| label.name() == name);
                found.map_or_else(String::new, |label| label.value().to_owned())
            };
            rows.push(Decisions {
                decision: label("decision"),
                reason: label("reason"),
                // A counter of whole numbers.
                count: metric.get_counter().get_value() as u64,
            });
        }
        rows.sort_unstable_by(|a, b| (&a.decision, &a.reason).cmp(&(&b.decision, &b.reason)));
        rows
    }

    /// From now on viewers can be sent there. Only the first call counts.
    pub fn know_elsewhere(&self, elsewhere: Arc<dyn Elsewhere>) {
        // A second one would be a mistake of ours, and harmless.
        let _ = self.elsewhere.set(elsewhere);
    }

    /// This node has just come back, and for so long others may have streams whose publishers it still waits for.
    pub fn returns(&self, time: Duration) {
        let until_ms = self
            .clock
            .now()
            .mono_ms
            .saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.returns_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Where one is sent who wants a stream that is not here, since this node has [just come back](Self::returns); `None` if it should
    /// be here, or there is no place.
    pub(super) fn meanwhile(&self, scheme: Scheme, peer: SocketAddr, hops: u8) -> Option<Endpoint> {
        let is_back = self.clock.now().mono_ms >= self.returns_until_ms.load(Ordering::Relaxed);
        if is_back || hops >= MAX_HOPS {
            return None;
        }
        let place = self.elsewhere.get()?.place(&pool::Wish {
            scheme,
            bits: UNKNOWN_BITS,
            family: Family::of(peer.ip()),
        })?;
        self.decisions.with_label_values(&["redirected", "policy"]).inc();
        Some(place)
    }

    /// Some nodes with room for viewers; none as long as no other node is known.
    pub(super) fn view(&self) -> View {
        self.elsewhere
            .get()
            .map_or_else(View::default, |elsewhere| elsewhere.view())
    }

    /// From now on the children count. Only the first call counts.
    pub fn know_links(&self, links: impl Fn() -> LinkLoad + Send + Sync + 'static) {
        let _ = self.links.set(Box::new(links));
    }

    /// What the children take.
    pub fn link_load(&self) -> LinkLoad {
        self.links.get().map_or_else(LinkLoad::default, |links| links())
    }

    /// Takes what is counted now; gives what all viewers together may be sent in a second, in bytes, if that has a bound.
    pub fn observe(&self, load: Load) -> Option<u64> {
        let now_ms = self.clock.now().mono_ms;
        let mut budget = self.budget();
        budget.observe(load, now_ms);
        budget.viewers_share()
    }

    /// This node is about to stop, or is not any more.
    pub fn set_draining(&self, draining: bool) {
        self.budget().set_draining(draining);
    }

    /// What this node has given away, in bits per second.
    pub fn committed(&self) -> u64 {
        let now_ms = self.clock.now().mono_ms;
        self.budget().committed(now_ms)
    }

    /// What this node may give away at most, in bits per second, if that is known.
    pub fn most(&self) -> Option<u64> {
        self.budget().bounds().bandwidth.most()
    }

    /// Whether one more viewer of an ordinary stream would be one too many.
    pub fn is_full(&self) -> bool {
        let now_ms = self.clock.now().mono_ms;
        matches!(self.budget().room(Wish::default(), now_ms), Room::Full(_))
    }

    /// Decides on one who comes from `peer`, wants `stream` and was sent on `hops` times before. Who is served has its share kept.
    pub(super) fn decide(
        &self,
        stream: &Stream,
        scheme: Scheme,
        peer: SocketAddr,
        hops: u8,
    ) -> Verdict<Endpoint> {
        let wish = Wish {
            bits: stream.peak_bytes_per_second().saturating_mul(8),
            burst_bytes: stream.burst_bytes(),
        };
        let now_ms = self.clock.now().mono_ms;
        let mut budget = self.budget();
        let room = budget.room(wish, now_ms);
        let elsewhere = || {
            self.elsewhere.get()?.place(&pool::Wish {
                scheme,
                bits: wish.bits,
                family: Family::of(peer.ip()),
            })
        };
        let verdict = decide(self.policy, room, hops, elsewhere);
        if verdict == Verdict::Serve {
            budget.admit(wish, now_ms);
        }
        drop(budget);
        let (decision, reason) = labels(&verdict, room);
        self.decisions.with_label_values(&[decision, reason]).inc();
        if matches!(verdict, Verdict::Refuse(_)) {
            self.refused().note(now_ms);
        }
        verdict
    }

    fn refused(&self) -> MutexGuard<'_, Lately> {
        // Counts, each whole.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // Figures, true whatever happened to whoever held it.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A decision as the metric has it: a closed set of either.
fn labels(verdict: &Verdict<Endpoint>, room: Room) -> (&'static str, &'static str) {
    let short = match room {
        Room::Plenty => "room",
        Room::Scarce(why) | Room::Full(why) => Why::name(why),
    };
    match verdict {
        Verdict::Serve => ("served", short),
        Verdict::Elsewhere(_) => ("redirected", if room == Room::Plenty { "policy" } else { short }),
        Verdict::Refuse(refusal) => ("refused", Refusal::name(*refusal)),
    }
}
