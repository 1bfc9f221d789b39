//! An edge as the state folder keeps it over a restart of the origin.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::config::RosterConfig;
use super::endpoint::Endpoint;
use super::front::{Front, Fronts};
use super::health::Standing;
use super::load::Load;
use super::member::Member;
use crate::cascade::Instance;

/// What is worth keeping of an edge. Fields that a file lacks have defaults, so that files of other versions are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Who.
    pub instance: Instance,
    /// Its program version.
    #[serde(default)]
    pub version: String,
    /// Where viewers reached it.
    #[serde(default)]
    pub endpoints: Vec<RememberedEndpoint>,
    /// Where its link came from.
    #[serde(default)]
    pub remote: Option<IpAddr>,
    /// Whom its media came from, if not from the origin.
    #[serde(default)]
    pub parent: Option<Instance>,
    /// Bits a second that it said it can send.
    #[serde(default)]
    pub capacity: Option<u64>,
    /// Bits a second that were given away: to the viewers it had, and to those on their way.
    #[serde(default)]
    pub committed: u64,
    /// Its viewers.
    #[serde(default)]
    pub viewers: u32,
    /// Whether it said that it takes nobody.
    #[serde(default)]
    pub full: bool,
    /// Whether it said that it drains.
    #[serde(default)]
    pub draining: bool,
    /// Whether an operator wanted it to drain.
    #[serde(default)]
    pub ordered_to_drain: bool,
    /// Whether it was lost: then it is kept for the operator's order only.
    #[serde(default)]
    pub lost: bool,
    /// How long it had been there, in milliseconds.
    #[serde(default)]
    pub age_ms: u64,
}

/// One endpoint of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedEndpoint {
    /// Where.
    pub endpoint: Endpoint,
    /// Whether viewers were sent there.
    #[serde(default)]
    pub good: bool,
    /// Whether it was out because it failed or lied.
    #[serde(default)]
    pub bad: bool,
}

impl Member {
    /// The member, as it is kept.
    pub(super) fn remember(&self, rules: &RosterConfig, lost: bool, now_ms: u64) -> Remembered {
        let promised = self.load.promised.bits(self.promise_ms(now_ms));
        Remembered {
            instance: self.instance.clone(),
            version: self.version.clone(),
            endpoints: self.fronts.iter().map(|front| kept(front, rules)).collect(),
            remote: self.remote,
            parent: self.parent.clone(),
            capacity: self.load.capacity,
            committed: self.load.carried().saturating_add(promised),
            viewers: self.load.viewers,
            full: self.load.full,
            draining: self.load.draining,
            ordered_to_drain: self.ordered_to_drain,
            lost,
            age_ms: self.age_ms(now_ms),
        }
    }

    /// A member as it was before the origin's start at `now_ms`.
    pub(super) fn presumed(kept: Remembered, rules: &RosterConfig, now_ms: u64) -> Self {
        let fronts = kept.endpoints.into_iter();
        Self {
            version: kept.version,
            remote: kept.remote,
            parent: kept.parent,
            fronts: Fronts::new(fronts.map(|endpoint| restored(endpoint, now_ms)), rules),
            load: Load {
                capacity: kept.capacity,
                committed: Some(kept.committed),
                viewers: kept.viewers,
                full: kept.full,
                draining: kept.draining,
                ..Load::default()
            },
            load_known: true,
            presumed_until_ms: (!kept.lost).then(|| now_ms.saturating_add(rules.presume_ms)),
            ordered_to_drain: kept.ordered_to_drain,
            age_then_ms: kept.age_ms,
            ..Self::new(kept.instance, rules, now_ms)
        }
    }

    /// How long it has been known, the time without the origin not counted.
    pub(super) const fn age_ms(&self, now_ms: u64) -> u64 {
        self.age_then_ms
            .saturating_add(now_ms.saturating_sub(self.came_ms))
    }
}

fn kept(front: &Front, rules: &RosterConfig) -> RememberedEndpoint {
    RememberedEndpoint {
        endpoint: front.endpoint.clone(),
        good: front.is_good(rules),
        bad: front.health.standing() == Standing::Bad,
    }
}

fn restored(kept: RememberedEndpoint, now_ms: u64) -> Front {
    let standing = match (kept.bad, kept.good) {
        (true, _) => Standing::Bad,
        (false, true) => Standing::Good,
        (false, false) => Standing::Unproven,
    };
    Front::new(kept.endpoint, standing, now_ms)
}
