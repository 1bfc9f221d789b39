//! What a node's capacity is worked out from: its machine, its configuration, and what it does.

use std::num::NonZeroU16;
use std::sync::Arc;

use prometheus::Registry;

use super::Node;
use crate::admission::Bandwidth;
use crate::capacity::{self, Counters, Demand, Estimate, Stated, Watched};
use crate::check::Facts;
use crate::clock::Clock;
use crate::config::{Config, Program};
use crate::fanout::{Fanout, FanoutMetrics};
use crate::stream::Hub;

/// A stream flows if its newest tag is no older than this, in milliseconds.
const FLOWING_MS: u64 = 2000;

/// What a node has sent and what it can send. Clones are the same.
#[derive(Clone)]
pub struct Capacity {
    watched: Watched,
    metrics: FanoutMetrics,
    /// What may be sent by configuration, or by the card, in bits per second.
    most: Option<u64>,
}

impl Capacity {
    pub(super) fn new(metrics: FanoutMetrics, bandwidth: Bandwidth) -> Self {
        Self {
            watched: Watched::default(),
            metrics,
            most: bandwidth.most(),
        }
    }

    /// Bytes that the kernel took for viewers since the start.
    pub fn sent_bytes(&self) -> u64 {
        self.metrics.load().bytes
    }

    /// What it can send to viewers, in bits per second; `None` until that is known, some hundred milliseconds after the
    /// start.
    pub fn bits(&self) -> Option<u64> {
        // A float that does not fit is clipped.
        let estimated = (self.watched.get()?.bytes_per_second() * 8.0) as u64;
        Some(self.most.map_or(estimated, |most| estimated.min(most)))
    }
}

impl Node {
    /// What it can send.
    pub fn capacity(&self) -> Capacity {
        self.capacity.clone()
    }

    /// Works out the capacity from now on, and shows it in metrics and log.
    pub(super) fn watch_capacity(
        &self,
        config: &Config,
        program: Program,
        facts: Facts,
        registry: &Registry,
        metrics: FanoutMetrics,
    ) -> prometheus::Result<()> {
        let watched = self.capacity.watched.clone();
        capacity::register(registry, watched.clone())?;
        let threads = threads(config, &facts);
        let estimate = Estimate::new(
            facts,
            Stated::of(config, program),
            Demand::expected(config),
            threads,
        );
        let (hub, fanout, clock) = (Arc::clone(&self.hub), Arc::clone(&self.fanout), self.clock);
        let counters = move || counters(&hub, &fanout, &metrics, clock);
        self.tasks.spawn(capacity::watch(
            estimate,
            counters,
            clock,
            watched,
            self.stop.clone(),
        ));
        Ok(())
    }
}

/// How many threads send at once: one per shard, and no more than there are cores.
pub fn threads(config: &Config, facts: &Facts) -> u64 {
    let shards = config
        .fanout
        .shards
        .map_or(u64::MAX, |shards| NonZeroU16::get(shards).into());
    shards.min(facts.cores)
}

fn counters(hub: &Hub, fanout: &Fanout, metrics: &FanoutMetrics, clock: Clock) -> Counters {
    let load = metrics.load();
    let now = clock.now().mono_ms;
    let states = hub.list();
    let states = states.iter().map(|stream| stream.state());
    let (mut streams, mut ingest_bytes) = (0, 0);
    for state in states {
        ingest_bytes += state.bytes;
        streams += u64::from(
            state
                .last_append_ms
                .is_some_and(|last| now.saturating_sub(last) <= FLOWING_MS),
        );
    }
    Counters {
        busy_seconds: load.busy_seconds,
        bursts: load.bursts,
        egress_bytes: load.bytes,
        viewers: fanout.viewers() as u64,
        ingest_bytes,
        streams,
    }
}
