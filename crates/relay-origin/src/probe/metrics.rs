//! What the probe tells Prometheus, and with it how the edges stand.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use relay_core::metrics::{at_scrape, gauges};
use relay_core::pool::Finding;

use super::visit::Visited;
use crate::pool::Pool;

/// What is counted of visits.
#[derive(Clone, Debug)]
pub(super) struct ProbeMetrics {
    results: IntCounterVec,
    first_frame: Histogram,
    gap: Histogram,
}

impl ProbeMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in the registry.
    pub(super) fn register(registry: &Registry, pool: &Arc<Pool>) -> prometheus::Result<Self> {
        let metrics = Self {
            results: IntCounterVec::new(
                Opts::new(
                    "relay_probe_results_total",
                    "Visits to edges through their public endpoints, as a viewer comes, by what was found.",
                ),
                &["result"],
            )?,
            first_frame: Histogram::with_opts(
                HistogramOpts::new(
                    "relay_probe_first_frame_seconds",
                    "From dialling an edge's public endpoint to the first frame from there.",
                )
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0]),
            )?,
            gap: Histogram::with_opts(
                HistogramOpts::new(
                    "relay_probe_gap_seconds",
                    "The longest time by which something came later than usual, of each stay of ten seconds at an edge.",
                )
                .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0]),
            )?,
        };
        for finding in [
            Finding::Good,
            Finding::Failed(String::new()),
            Finding::Stalled(String::new()),
            Finding::Wrong(String::new()),
        ] {
            metrics.results.with_label_values(&[name(&finding)]);
        }
        registry.register(Box::new(metrics.results.clone()))?;
        registry.register(Box::new(metrics.first_frame.clone()))?;
        registry.register(Box::new(metrics.gap.clone()))?;
        let pool = Arc::clone(pool);
        at_scrape(registry, "relay_edges", move || {
            let tally = pool.tally();
            let counts = tally.map(|(state, count)| (state.name(), count as f64));
            gauges(
                "relay_edges",
                "Edges of the pool, by how they stand.",
                "state",
                counts,
            )
        })?;
        Ok(metrics)
    }

    /// Counts a finding.
    pub(super) fn found(&self, finding: &Finding) {
        self.results.with_label_values(&[name(finding)]).inc();
    }

    /// Counts the longest gap of a stay.
    pub(super) fn stayed(&self, worst_gap: Duration) {
        self.gap.observe(worst_gap.as_secs_f64());
    }

    /// Counts what came of a visit.
    pub(super) fn note(&self, visited: &Visited) {
        self.found(&visited.finding);
        if let Some(time) = visited.first_frame {
            self.first_frame.observe(time.as_secs_f64());
        }
    }
}

const fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::Good => "good",
        Finding::Failed(_) => "failed",
        Finding::Stalled(_) => "stalled",
        Finding::Wrong(_) => "wrong",
    }
}
