//! The pool as this origin keeps it: the brain of [`relay_core::pool`], with a clock, chance, links and the state folder.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use relay_core::cascade::Instance;
use relay_core::cascade::message::{Floor, Hello, LinkRole, MAX_OFFERS, Policy, Report, View};
use relay_core::clock::Clock;
use relay_core::dns;
use relay_core::link::parent::{Parent, ParentDesk};
use relay_core::pool::{
    Arrival, Endpoint, Finding, Remembered, Roster, RosterConfig, Row, Scheme, State, Totals, Wish,
};
use relay_core::serve::{Elsewhere, chance};
use tokio_util::sync::CancellationToken;

use crate::ingest::Floors;
use crate::state;

/// How often the names are brought up to date, and it is looked whether members have come, gone or were told to drain, which is
/// written down then. What a crash takes is found out anew by their links.
const LOOK: Duration = Duration::from_secs(1);

/// How old what is written of their loads may be, in milliseconds. After a restart it decides for some seconds where viewers
/// go.
const SAVE_ALL_MS: u64 = 10_000;

/// Over how long an edge that is told to drain spreads its viewers' ends: of groups of 2 s, a twentieth leaves with each.
const DRAIN_SECONDS: u32 = 60;

/// The pool. Its brain is behind one lock, which is held for microseconds.
pub struct Pool {
    roster: Mutex<Roster>,
    clock: Clock,
    floors: Floors,
    state: Arc<state::State>,
    /// Set once the parent is there: who is linked is who is a member.
    parent: OnceLock<Parent>,
    /// What the zone's names stand for.
    names: Arc<dns::Source>,
}

impl Pool {
    /// The pool as it was when it was last written down. Without `probing` nobody comes to its edges as a viewer does, and each
    /// that is linked is believed.
    pub fn new(
        known: Vec<Remembered>,
        probing: bool,
        floors: Floors,
        state: Arc<state::State>,
        clock: Clock,
    ) -> Self {
        let rules = RosterConfig {
            probing,
            ..RosterConfig::default()
        };
        Self {
            roster: Mutex::new(Roster::new(rules, known, clock.now())),
            clock,
            floors,
            state,
            parent: OnceLock::new(),
            names: Arc::default(),
        }
    }

    /// The addresses where viewers find edges with room, kept up to date while [`run`](Self::run) runs.
    pub const fn names(&self) -> &Arc<dns::Source> {
        &self.names
    }

    /// The links by which members speak. Only the first call counts.
    pub fn know_parent(&self, parent: Parent) {
        // Called once, where both are made.
        let _ = self.parent.set(parent);
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        // Each event leaves it whole.
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All members, as an operator sees them.
    pub fn list(&self) -> Vec<Row> {
        let now = self.clock.now();
        self.roster().list(now)
    }

    /// How many members stand so, for each state there is.
    pub fn tally(&self) -> [(State, usize); State::ALL.len()] {
        let now = self.clock.now();
        self.roster().tally(now)
    }

    /// At most `count` public endpoints that are due to be probed now.
    pub fn to_probe(&self, count: usize) -> Vec<(Instance, Endpoint)> {
        let now = self.clock.now();
        self.roster().to_probe(count, now)
    }

    /// At most `count` public endpoints that are to be watched for a while from now on, by one each who takes `bits` a second.
    pub fn to_watch(&self, count: usize, bits: u64) -> Vec<(Instance, Endpoint)> {
        let now = self.clock.now();
        self.roster().to_watch(count, bits, now)
    }

    /// One who watched an edge has gone.
    pub fn watched(&self, edge: &Instance) {
        self.roster().watched(edge);
    }

    /// Whether whoever watches an edge should go on.
    pub fn is_worth_watching(&self, edge: &Instance) -> bool {
        let now = self.clock.now();
        self.roster().is_worth_watching(edge, now)
    }

    /// Takes what the probe found, and tells the operator if the endpoint stands otherwise from now on.
    pub fn probed(&self, edge: &Instance, endpoint: &Endpoint, finding: Finding) {
        let now = self.clock.now();
        let reason = match &finding {
            Finding::Good => None,
            Finding::Failed(reason) | Finding::Stalled(reason) | Finding::Wrong(reason) => {
                Some(reason.clone())
            }
        };
        match (self.roster().probed(edge, endpoint, finding, now), reason) {
            (None, _) => {}
            (Some(standing), None) => {
                tracing::info!(%edge, %endpoint, standing = standing.name(), "the probe reaches an edge");
            }
            (Some(standing), Some(reason)) => {
                tracing::warn!(%edge, %endpoint, standing = standing.name(), reason, "viewers are not sent to an edge");
            }
        }
    }

    /// All members in a few sums.
    pub fn totals(&self) -> Totals {
        let now = self.clock.now();
        self.roster().totals(now)
    }

    /// Lets a member drain, or go on. False if there is none of that name.
    pub fn order_drain(&self, instance: &Instance, drain: bool) -> bool {
        self.roster().order_drain(instance, drain)
    }

    /// Forgets a member that was revoked, and closes its links.
    pub fn revoked(&self, instance: &Instance) {
        self.roster().revoked(instance);
        if let Some(parent) = self.parent.get() {
            parent.cut(instance);
        }
    }

    /// Writes the members down until `stop`, soon after one came, went or was told to drain, and what they carry now and then; and
    /// keeps the pool's names up to date where they are answered (`named`).
    pub async fn run(self: Arc<Self>, named: bool, stop: CancellationToken) {
        let mut tick = self.clock.every(LOOK);
        let (mut written, mut written_ms) = (Vec::new(), 0);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let now = self.clock.now();
            if named {
                self.names.offer(self.roster().addresses(Scheme::Http, now));
            }
            let members = self.roster().remember(now);
            let lasting: Vec<Remembered> = members.iter().map(lasting).collect();
            if lasting == written && (members.is_empty() || now.mono_ms < written_ms + SAVE_ALL_MS) {
                continue;
            }
            let state = Arc::clone(&self.state);
            let saving = tokio::task::spawn_blocking(move || state.save_members(&members)).await;
            match saving {
                Ok(Ok(())) => (written, written_ms) = (lasting, now.mono_ms),
                Ok(Err(error)) => tracing::error!(%error, "the pool's members cannot be written down"),
                Err(panic) => tracing::error!(%panic, "writing the pool's members down failed"),
            }
        }
    }
}

/// A member without what changes from one report to the next.
fn lasting(member: &Remembered) -> Remembered {
    Remembered {
        committed: 0,
        viewers: 0,
        age_ms: 0,
        ..member.clone()
    }
}

impl Elsewhere for Pool {
    fn place(&self, wish: &Wish) -> Option<Endpoint> {
        let now = self.clock.now();
        self.roster().place(wish, now, &mut chance)
    }

    fn view(&self) -> View {
        let now = self.clock.now();
        self.roster().view(MAX_OFFERS, now, &mut chance)
    }
}

impl ParentDesk for Pool {
    fn linked(&self, child: &Instance, hello: &Hello, remote: SocketAddr) {
        if hello.role == LinkRole::Media {
            return;
        }
        let public = hello
            .public
            .iter()
            .filter_map(|text| match text.parse::<Endpoint>() {
                Ok(endpoint) => Some(endpoint),
                Err(error) => {
                    tracing::warn!(edge = %child, %error, "an edge names a public endpoint that is none");
                    None
                }
            });
        let arrival = Arrival {
            version: hello.version.clone(),
            public: public.collect(),
            remote: remote.ip(),
            capacity: hello.capacity,
            parent: None,
        };
        let now = self.clock.now();
        if let Err(error) = self.roster().linked(child.clone(), arrival, now) {
            tracing::warn!(edge = %child, %error, "an edge is linked, but gets no viewers");
        }
    }

    fn unlinked(&self, child: &Instance, role: LinkRole) {
        if role != LinkRole::Media {
            let now = self.clock.now();
            self.roster().unlinked(child, now);
        }
    }

    fn policy(&self, child: &Instance) -> Option<Policy> {
        let roster = self.roster();
        Some(Policy {
            drain_seconds: roster.is_ordered_to_drain(child).then_some(DRAIN_SECONDS),
            unreachable: roster.unreachable(child),
            ..Policy::default()
        })
    }

    fn view(&self, _: &Instance) -> Option<View> {
        Some(Elsewhere::view(self))
    }

    fn floors(&self, _: &Instance, floors: &[Floor]) {
        for Floor { stream, epoch, time } in floors {
            self.floors.raise(stream, *epoch, *time);
        }
    }

    fn report(&self, child: &Instance, report: Report) {
        let now = self.clock.now();
        self.roster().reported(child, &report, now);
    }

    fn is_member(&self, instance: &Instance) -> bool {
        let linked = |parent: &Parent| parent.list().iter().any(|link| link.child == *instance);
        self.parent.get().is_some_and(linked)
    }
}
