//! The endpoints of an edge: the health of each, and when it is probed next.

use std::net::IpAddr;

use super::config::RosterConfig;
use super::endpoint::{Endpoint, Scheme};
use super::health::{Finding, Health, Standing};
use super::watching::WATCH_MS;
use crate::cascade::message::MAX_ENDPOINTS;
use crate::family::Family;

/// An endpoint as the roster keeps it.
#[derive(Clone, Debug)]
pub(super) struct Front {
    pub(super) endpoint: Endpoint,
    /// The endpoint as text, made once: it is sent far more often than it changes.
    pub(super) text: String,
    pub(super) health: Health,
    /// When the next probe is due.
    pub(super) due_ms: u64,
    /// Whether there was one at all.
    probed: bool,
    /// When somebody began to watch here for a while, the last time.
    watched_ms: Option<u64>,
}

impl Front {
    /// An endpoint that is due for its first probe.
    pub(super) fn new(endpoint: Endpoint, standing: Standing, now_ms: u64) -> Self {
        Self {
            text: endpoint.to_string(),
            endpoint,
            health: Health::new(standing),
            due_ms: now_ms,
            probed: false,
            watched_ms: None,
        }
    }

    /// Whether the probe has come to a finding, good or not.
    pub(super) const fn is_proven(&self) -> bool {
        !matches!(self.health.standing(), Standing::Unproven)
    }

    /// Whether viewers are sent there.
    pub(super) const fn is_good(&self, rules: &RosterConfig) -> bool {
        !rules.probing || self.health.is_good()
    }

    /// Whether that is so, and viewers speak `scheme` there.
    pub(super) fn serves(&self, scheme: Scheme, rules: &RosterConfig) -> bool {
        self.endpoint.scheme() == scheme && self.is_good(rules)
    }

    /// Whether it has been tried and will not do.
    pub(super) fn gave_up(&self, rules: &RosterConfig) -> bool {
        rules.probing && matches!(self.health.standing(), Standing::Bad | Standing::Unreachable)
    }

    /// Somebody goes to probe it now. The first probe is at once; the second comes after half to a whole step, by
    /// `scatter`, so that edges that came together are not probed together for ever.
    pub(super) fn is_probed(&mut self, rules: &RosterConfig, scatter: u64, now_ms: u64) {
        let step = match self.probed {
            true => rules.probe_ms,
            false => rules.probe_ms / 2 + scatter % (rules.probe_ms / 2 + 1),
        };
        self.probed = true;
        self.due_ms = now_ms.saturating_add(step);
    }

    /// Takes what the probe found.
    pub(super) fn found(&mut self, finding: Finding, rules: &RosterConfig, now_ms: u64) {
        self.health.found(finding, now_ms);
        if self.health.standing() == Standing::Unreachable {
            let doublings = self.health.failures().saturating_sub(3).min(16);
            let wait = rules
                .probe_ms
                .saturating_mul(1 << doublings)
                .min(rules.probe_backoff_ms);
            self.due_ms = now_ms.saturating_add(wait);
        }
    }
}

/// An endpoint that somebody may watch for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Watchable {
    /// Whether nothing is known to be wrong with the edge: the others go first.
    calm: bool,
    /// When it was watched last.
    watched_ms: Option<u64>,
    /// Its place among the fronts.
    at: usize,
}

/// The fronts of one edge, at most [`MAX_ENDPOINTS`] and none twice; and what is asked of them time and again, worked out
/// when they change: a roster asks it of thousands of edges each second.
#[derive(Clone, Debug)]
pub(super) struct Fronts {
    all: Vec<Front>,
    /// Whether viewers are sent to one of them, by what they speak and by the family of their address.
    open: [[bool; 2]; 2],
    /// When the first is due for a probe: of those without a finding, and of the others.
    due_ms: [u64; 2],
}

impl Fronts {
    /// These, without what is too many.
    pub(super) fn new(fronts: impl Iterator<Item = Front>, rules: &RosterConfig) -> Self {
        let mut all: Vec<Front> = Vec::new();
        for front in fronts {
            if all.len() < MAX_ENDPOINTS && all.iter().all(|other| other.endpoint != front.endpoint) {
                all.push(front);
            }
        }
        let mut fronts = Self {
            all,
            open: [[false; 2]; 2],
            due_ms: [0; 2],
        };
        fronts.work_out(rules);
        fronts
    }

    /// Those of an edge that names `public` and is seen at `remote`. Of old ones that are still named, what is known is kept;
    /// if that is `stale`, then only that they were bad: a liar does not clear its name by coming back.
    #[must_use]
    pub(super) fn renamed(
        &self,
        public: &[Endpoint],
        remote: IpAddr,
        stale: bool,
        rules: &RosterConfig,
        now_ms: u64,
    ) -> Self {
        let front = |endpoint: &Endpoint| {
            let endpoint = endpoint.seen_at(remote);
            let known = self.all.iter().find(|front| front.endpoint == endpoint);
            let kept = known.filter(|front| !stale || front.health.standing() == Standing::Bad);
            kept.cloned()
                .unwrap_or_else(|| Front::new(endpoint, Standing::Unproven, now_ms))
        };
        Self::new(public.iter().map(front), rules)
    }

    /// All of them.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Front> {
        self.all.iter()
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether viewers who speak `scheme` and have addresses of `family` are sent to one of them.
    pub(super) const fn serves(&self, scheme: Scheme, family: Family) -> bool {
        self.open[scheme as usize][family as usize]
    }

    /// Whether viewers are sent to any of them.
    pub(super) fn is_open(&self) -> bool {
        self.open.iter().flatten().any(|open| *open)
    }

    /// Takes what the probe found at one of them, and tells how it stands from now on if it stood otherwise before.
    pub(super) fn found(
        &mut self,
        endpoint: &Endpoint,
        finding: Finding,
        rules: &RosterConfig,
        now_ms: u64,
    ) -> Option<Standing> {
        let front = self.all.iter_mut().find(|front| front.endpoint == *endpoint)?;
        let before = front.health.standing();
        front.found(finding, rules, now_ms);
        let after = front.health.standing();
        self.work_out(rules);
        (after != before).then_some(after)
    }

    /// Whether any of them is due for a probe, of those that are [proven](Front::is_proven) or of the others.
    pub(super) const fn is_due(&self, proven: bool, now_ms: u64) -> bool {
        self.due_ms[proven as usize] <= now_ms
    }

    /// At most `count` of those that are [due](Self::is_due) for a probe, which somebody now goes to make.
    pub(super) fn take_due(
        &mut self,
        count: usize,
        proven: bool,
        scatter: u64,
        rules: &RosterConfig,
        now_ms: u64,
    ) -> Vec<Endpoint> {
        let due = |front: &&mut Front| front.due_ms <= now_ms && front.is_proven() == proven;
        let taken = self.all.iter_mut().filter(due).take(count).map(|front| {
            front.is_probed(rules, scatter, now_ms);
            front.endpoint.clone()
        });
        let taken = taken.collect();
        self.work_out(rules);
        taken
    }

    /// Those that can be watched for a while: of an edge where something stalled lately all that nobody watches now; else one, and
    /// only if nobody watches any.
    pub(super) fn watchable(&self, now_ms: u64) -> Vec<Watchable> {
        let is_free = |front: &Front| {
            front
                .watched_ms
                .is_none_or(|at| now_ms.saturating_sub(at) >= WATCH_MS)
        };
        let stalled = |front: &Front| front.health.has_stalled(now_ms);
        let calm = !self.all.iter().any(stalled);
        let fronts = self.all.iter().enumerate();
        let reached = fronts.filter(|(_, front)| front.health.is_good() || stalled(front));
        let mut found: Vec<Watchable> = reached
            .filter(|(_, front)| is_free(front))
            .map(|(at, front)| Watchable {
                calm,
                watched_ms: front.watched_ms,
                at,
            })
            .collect();
        if calm {
            found.sort_unstable();
            found.truncate(usize::from(self.all.iter().all(is_free)));
        }
        found
    }

    /// Somebody watches one of them from now on.
    pub(super) fn is_watched(&mut self, one: Watchable, now_ms: u64) -> Option<Endpoint> {
        let front = self.all.get_mut(one.at)?;
        front.watched_ms = Some(now_ms);
        Some(front.endpoint.clone())
    }

    fn work_out(&mut self, rules: &RosterConfig) {
        self.open = Scheme::ALL.map(|scheme| {
            let good = || self.all.iter().filter(|front| front.serves(scheme, rules));
            Family::ALL.map(|family| good().any(|front| front.endpoint.suits(family)))
        });
        self.due_ms = [false, true].map(|proven| {
            let of_kind = self.all.iter().filter(|front| front.is_proven() == proven);
            of_kind.map(|front| front.due_ms).min().unwrap_or(u64::MAX)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn an_open_address_is_filled_in_and_none_is_kept_twice() {
        let public = [
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "rtmp://edge.example.org",
        ]
        .map(endpoint);
        let remote = "::ffff:192.0.2.7".parse().unwrap();
        let rules = RosterConfig::default();
        let fronts = Fronts::new(std::iter::empty(), &rules).renamed(&public, remote, false, &rules, 0);
        let texts: Vec<_> = fronts.iter().map(|front| front.text.as_str()).collect();
        assert_eq!(texts, ["http://192.0.2.7:8080", "rtmp://edge.example.org"]);
    }

    #[test]
    fn a_liar_does_not_clear_its_name_by_coming_back() {
        let rules = RosterConfig::default();
        let public = ["http://192.0.2.7", "http://192.0.2.8"].map(endpoint);
        let remote = "192.0.2.7".parse().unwrap();
        let mut old = Fronts::new(std::iter::empty(), &rules).renamed(&public, remote, false, &rules, 0);
        old.found(&public[0], Finding::Wrong("another hash".to_owned()), &rules, 0);
        old.found(&public[1], Finding::Good, &rules, 0);
        let standings = |stale| {
            let fronts = old.renamed(&public, remote, stale, &rules, 0);
            fronts
                .iter()
                .map(|front| front.health.standing())
                .collect::<Vec<_>>()
        };
        assert_eq!(standings(false), [Standing::Bad, Standing::Good]);
        assert_eq!(standings(true), [Standing::Bad, Standing::Unproven]);
    }

    #[test]
    fn probes_are_scattered_and_back_off() {
        let rules = RosterConfig::default();
        let mut front = Front::new(endpoint("http://192.0.2.7"), Standing::Unproven, 0);
        front.is_probed(&rules, 300, 1_000);
        assert_eq!(front.due_ms, 2_300);
        front.is_probed(&rules, 300, 2_300);
        assert_eq!(front.due_ms, 4_300);
        let mut waits = Vec::new();
        for _ in 0..7 {
            front.found(Finding::Failed("refused".to_owned()), &rules, 10_000);
            waits.push(front.due_ms.saturating_sub(10_000));
        }
        assert_eq!(waits, [0, 0, 2_000, 4_000, 8_000, 15_000, 15_000]);
    }
}
