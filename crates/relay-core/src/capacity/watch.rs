//! The capacity of a running node: a glance on a thread of its own, then its counters every few seconds; a metric and, when
//! it is news, a line in the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::Registry;
use prometheus::proto::MetricFamily;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Cost, Counters, Estimate, Verdict, glance};
use crate::clock::Clock;
use crate::metrics::{at_scrape, gauge, gauges};

/// How often the counters are looked at: a scrape's interval, roughly.
const LOOK: Duration = Duration::from_secs(5);

/// How far the glance's thread steps back for those who have viewers: half of what a thread can.
const NICENESS: i32 = 10;

/// The newest verdict, for the metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<Mutex<Option<Verdict>>>);

impl Watched {
    fn set(&self, verdict: Verdict) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    pub(crate) fn get(&self) -> Option<Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Registers the metrics of what `watched` will hold.
///
/// # Errors
/// When a name is taken in the registry.
pub(crate) fn register(registry: &Registry, watched: Watched) -> prometheus::Result<()> {
    at_scrape(registry, "relay_capacity_viewers", move || {
        watched
            .get()
            .map_or_else(|| Ok(Vec::new()), |verdict| families(&verdict))
    })
}

fn families(verdict: &Verdict) -> prometheus::Result<Vec<MetricFamily>> {
    let bounds = verdict.bounds.iter();
    Ok([
        gauge(
            "relay_capacity_bytes_per_second",
            "What this node can send to viewers, by the first of its limits.",
            verdict.bytes_per_second(),
        )?,
        gauges(
            "relay_capacity_viewers",
            "Viewers that each limit allows at the mean rate; limits that are not known are not there.",
            "limit",
            bounds.map(|bound| (bound.limit.name(), bound.viewers as f64)),
        )?,
    ]
    .concat())
}

/// Follows a node's capacity until `stop`. `counters` reads what it has done so far.
pub(crate) async fn watch(
    mut estimate: Estimate,
    counters: impl Fn() -> Counters,
    clock: Clock,
    watched: Watched,
    stop: CancellationToken,
) {
    match stop.run_until_cancelled(measured()).await {
        Some(Some(cost)) => estimate.handle_measurement(cost),
        // Said already; the counters will tell when there are viewers.
        Some(None) => {}
        None => return,
    }
    let mut tick = clock.every(LOOK);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        estimate.handle_counters(clock.now().mono_ms, counters());
        let verdict = estimate.verdict();
        if estimate.is_news(&verdict) {
            tracing::info!("{verdict}");
        }
        watched.set(verdict);
    }
}

/// The glance, on a thread of its own that gives way to all others.
async fn measured() -> Option<Cost> {
    let (result, answer) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("capacity".to_owned())
        .spawn(move || {
            // Where the system refuses, the glance competes for its 200 ms.
            let _ = rustix::process::nice(NICENESS);
            // Nobody waits any more where the node is ending.
            let _ = result.send(glance());
        });
    if let Err(error) = thread {
        tracing::warn!(%error, "no thread to measure what sending costs here");
        return None;
    }
    match answer.await {
        Ok(Ok(Some(cost))) => return Some(cost),
        Ok(Ok(None)) => tracing::info!("this machine is too busy to measure what sending costs here"),
        Ok(Err(error)) => tracing::warn!(%error, "cannot measure what sending costs here"),
        Err(_) => tracing::error!("the thread that measures what sending costs here failed"),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Demand, Stated};
    use crate::check::Facts;
    use crate::config::{Config, Program};

    #[tokio::test]
    async fn a_node_is_measured_and_told_of() {
        let registry = Registry::new();
        let watched = Watched::default();
        register(&registry, watched.clone()).unwrap();
        assert!(registry.gather().is_empty(), "nothing is known yet");
        let config = Config::default();
        let estimate = Estimate::new(
            Facts::silent(),
            Stated::of(&config, Program::Edge),
            Demand::expected(&config),
            1,
        );
        let stop = CancellationToken::new();
        let ended = stop.clone();
        // The first look comes with the first verdict, and ends it here.
        let counters = move || {
            ended.cancel();
            Counters::default()
        };
        watch(estimate, counters, Clock::start(), watched.clone(), stop).await;
        let verdict = watched.get().unwrap();
        assert!(verdict.viewers() > 0, "{verdict}");
        let names: Vec<_> = registry
            .gather()
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        assert_eq!(
            names,
            ["relay_capacity_bytes_per_second", "relay_capacity_viewers"]
        );
    }
}
