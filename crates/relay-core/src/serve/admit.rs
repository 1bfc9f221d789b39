//! Who may watch here: the door's side of [`admission`](crate::admission).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use prometheus::core::Collector as _;
use prometheus::{IntCounterVec, Opts, Registry};
use serde::{Deserialize, Serialize};

use crate::admission::{
    Account, Bounds, Budget, Lately, LinkLoad, Load, Refusal, Room, ServePolicy, Verdict, Why, Wish, decide,
};
use crate::cascade::message::View;
use crate::clock::Clock;
use crate::pool::{Endpoint, Scheme};
use crate::stream::Stream;

/// Finds places on other nodes.
pub trait Elsewhere: Send + Sync + 'static {
    /// Where one more viewer of a stream of so many bits per second is welcome. The place is kept for it.
    fn place(&self, scheme: Scheme, bits: u64) -> Option<Endpoint>;

    /// Some nodes with room, for players who look for another one by themselves.
    fn view(&self) -> View;
}

/// Random bits for who chooses among places. Without any, the choice is always the same one.
pub fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
}

/// Decides on each one who wants to watch, before the first byte.
pub struct Doorman {
    policy: ServePolicy,
    clock: Clock,
    budget: Mutex<Budget>,
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    links: OnceLock<Box<dyn Fn() -> LinkLoad + Send + Sync>>,
    decisions: IntCounterVec,
    refused: Mutex<Lately>,
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

    /// Decides on one who wants `stream` and was sent on `hops` times before. Who is served has its share kept.
    pub(super) fn decide(&self, stream: &Stream, scheme: Scheme, hops: u8) -> Verdict<Endpoint> {
        let wish = Wish {
            bits: stream.peak_bytes_per_second().saturating_mul(8),
            burst_bytes: stream.burst_bytes(),
        };
        let now_ms = self.clock.now().mono_ms;
        let mut budget = self.budget();
        let room = budget.room(wish, now_ms);
        let elsewhere = || self.elsewhere.get()?.place(scheme, wish.bits);
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
