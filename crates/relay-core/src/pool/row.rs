//! An edge as an operator sees it.

use std::net::IpAddr;

use serde::Serialize;

use super::config::RosterConfig;
use super::endpoint::Endpoint;
use super::health::Standing;
use super::member::{Member, State};
use crate::cascade::Instance;

/// All that is worth a column in a table of edges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Who.
    pub instance: Instance,
    /// How it stands.
    pub state: State,
    /// Why it stands so, as a sentence.
    pub why: String,
    /// Whether it is offered to viewers.
    pub offered: bool,
    /// Whether an operator wants it to drain.
    pub ordered_to_drain: bool,
    /// Whether it drains, or did when it was heard last: then it has gone on purpose.
    pub draining: bool,
    /// Its program version.
    pub version: String,
    /// Where viewers reach it.
    pub endpoints: Vec<EndpointRow>,
    /// Where its link comes from.
    pub remote: Option<IpAddr>,
    /// Whom its media comes from, if not from the origin.
    pub parent: Option<Instance>,
    /// Where its metrics can be scraped, by its own word.
    pub metrics: Option<String>,
    /// Its viewers, without those who watch it for the probe.
    pub viewers: u32,
    /// Bits a second that it is taken to be able to send.
    pub capacity: u64,
    /// Bits a second that it has given away, by its own word.
    pub committed: Option<u64>,
    /// Bits a second of viewers on their way to it.
    pub promised: u64,
    /// Bits a second that it has left.
    pub headroom: u64,
    /// Bits a second that it sends to viewers, as its reports measure it.
    pub egress: u64,
    /// How far it was behind the origin at most in its last second, in milliseconds of its streams' time, by its own word.
    pub lag_ms: Option<u64>,
    /// Groups whose hash was not its parent's.
    pub hash_mismatches: u64,
    /// How long it has been known, in milliseconds, the time without the origin not counted.
    pub age_ms: u64,
    /// How long nothing was heard of it, in milliseconds.
    pub silence_ms: u64,
}

/// One endpoint of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointRow {
    /// Where.
    pub endpoint: Endpoint,
    /// What the probe found.
    pub standing: Standing,
    /// What was wrong last.
    pub reason: Option<String>,
}

impl Member {
    /// The member as a row.
    pub(super) fn row(&self, rules: &RosterConfig, now_ms: u64) -> Row {
        let endpoints = self.fronts.iter().map(|front| EndpointRow {
            endpoint: front.endpoint.clone(),
            standing: front.health.standing(),
            reason: front.health.reason().map(str::to_owned),
        });
        Row {
            instance: self.instance.clone(),
            state: self.state(rules, now_ms),
            why: self.why(rules, now_ms),
            offered: self.fronts.is_open() && self.weight(rules, now_ms) > 0,
            ordered_to_drain: self.ordered_to_drain,
            draining: self.is_draining(),
            version: self.version.clone(),
            endpoints: endpoints.collect(),
            remote: self.remote,
            parent: self.parent.clone(),
            metrics: self.metrics.clone(),
            viewers: self.load.viewers.saturating_sub(self.watchers),
            capacity: self.load.capacity(rules.assumed_capacity),
            committed: self.load.committed,
            promised: self.load.promised.bits(self.promise_ms(now_ms)),
            headroom: self.headroom(rules, now_ms),
            egress: self.load.egress.bits(),
            lag_ms: self.load.lag_ms,
            hash_mismatches: self.load.hash_mismatches,
            age_ms: self.age_ms(now_ms),
            silence_ms: self.silence_ms(now_ms),
        }
    }
}
