//! One endpoint of an edge: its health, and when it is probed next.

use std::net::IpAddr;

use super::config::RosterConfig;
use super::endpoint::{Endpoint, Scheme};
use super::health::{Finding, Health, Standing};
use crate::cascade::message::MAX_ENDPOINTS;

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
        }
    }

    /// Whether the probe has come to a finding, good or not.
    pub(super) fn is_proven(&self) -> bool {
        self.health.standing() != Standing::Unproven
    }

    /// Whether viewers are sent there.
    pub(super) fn is_good(&self, rules: &RosterConfig) -> bool {
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
        self.health.found(finding);
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

/// The fronts of an edge that names `public` and is seen at `remote`. Of `old` ones that are still named, what is known is
/// kept; if that is `stale`, then only that they were bad: a liar does not clear its name by coming back.
pub(super) fn fronts(
    public: &[Endpoint],
    remote: IpAddr,
    old: &[Front],
    stale: bool,
    now_ms: u64,
) -> Vec<Front> {
    let mut fronts: Vec<Front> = Vec::new();
    for endpoint in public {
        let endpoint = endpoint.seen_at(remote);
        if fronts.len() == MAX_ENDPOINTS || fronts.iter().any(|front| front.endpoint == endpoint) {
            continue;
        }
        let known = old.iter().find(|front| front.endpoint == endpoint);
        let kept = known.filter(|front| !stale || front.health.standing() == Standing::Bad);
        fronts.push(
            kept.cloned()
                .unwrap_or_else(|| Front::new(endpoint, Standing::Unproven, now_ms)),
        );
    }
    fronts
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
        let fronts = fronts(&public, "::ffff:192.0.2.7".parse().unwrap(), &[], false, 0);
        let texts: Vec<_> = fronts.iter().map(|front| front.text.as_str()).collect();
        assert_eq!(texts, ["http://192.0.2.7:8080", "rtmp://edge.example.org"]);
    }

    #[test]
    fn a_liar_does_not_clear_its_name_by_coming_back() {
        let rules = RosterConfig::default();
        let public = ["http://192.0.2.7", "http://192.0.2.8"].map(endpoint);
        let remote = "192.0.2.7".parse().unwrap();
        let mut old = fronts(&public, remote, &[], false, 0);
        old[0].found(Finding::Wrong("another hash".to_owned()), &rules, 0);
        old[1].found(Finding::Good, &rules, 0);
        let standings = |stale| {
            fronts(&public, remote, &old, stale, 0)
                .into_iter()
                .map(|f| f.health.standing())
        };
        assert!(standings(false).eq([Standing::Bad, Standing::Good]));
        assert!(standings(true).eq([Standing::Bad, Standing::Unproven]));
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
