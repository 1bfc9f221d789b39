//! What the fan-out counts.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::viewer::Goodbye;
use crate::flavour::Flavour;

/// The fan-out's metrics. Shards count in plain fields and add up once per slot.
#[derive(Clone, Debug)]
pub struct FanoutMetrics {
    pub(super) viewers: IntGaugeVec,
    pub(super) joins: IntCounterVec,
    pub(super) joiners: IntGauge,
    pub(super) goodbyes: IntCounterVec,
    pub(super) egress: IntCounterVec,
    pub(super) sent: IntCounterVec,
    pub(super) sends: IntCounter,
    pub(super) short_sends: IntCounter,
    pub(super) skips: IntCounter,
    pub(super) slot_lateness: Histogram,
    pub(super) busy: prometheus::Counter,
    pub(super) turns: IntCounter,
    pub(super) period: GaugeVec,
}

impl FanoutMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in the registry.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            viewers: IntGaugeVec::new(
                Opts::new("relay_viewers", "Viewers being served, by flavour."),
                &["flavour"],
            )?,
            joins: IntCounterVec::new(
                Opts::new(
                    "relay_viewer_joins_total",
                    "Viewers taken over by the fan-out, by flavour.",
                ),
                &["flavour"],
            )?,
            joiners: IntGauge::new(
                "relay_fanout_joiners",
                "Viewers handed over to the fan-out that wait for their first burst.",
            )?,
            goodbyes: IntCounterVec::new(
                Opts::new("relay_viewer_goodbyes_total", "Viewers gone, by reason."),
                &["reason"],
            )?,
            egress: IntCounterVec::new(
                Opts::new(
                    "relay_egress_bytes_total",
                    "Bytes that the kernel took for viewers, by flavour.",
                ),
                &["flavour"],
            )?,
            sent: IntCounterVec::new(
                Opts::new(
                    "relay_fanout_sent_bytes_total",
                    "The same bytes by system call: send copies them, sendfile lends the log's pages.",
                ),
                &["call"],
            )?,
            sends: IntCounter::new("relay_fanout_sends_total", "Send system calls for viewers.")?,
            short_sends: IntCounter::new(
                "relay_fanout_short_sends_total",
                "Sends that a full socket cut short.",
            )?,
            skips: IntCounter::new(
                "relay_viewer_skips_total",
                "Times a late viewer was moved to the newest start point.",
            )?,
            slot_lateness: Histogram::with_opts(
                HistogramOpts::new(
                    "relay_fanout_slot_lateness_seconds",
                    "How late the slots of the period begin.",
                )
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0]),
            )?,
            busy: prometheus::Counter::new(
                "relay_fanout_busy_seconds_total",
                "Time that the fan-out's threads spent working.",
            )?,
            turns: IntCounter::new(
                "relay_fanout_turns_total",
                "Times that the fan-out's threads woke up: for a slot, or for viewers with something to say.",
            )?,
            period: GaugeVec::new(
                Opts::new(
                    "relay_fanout_period_seconds",
                    "How often each viewer gets what is new, by thread of the fan-out.",
                ),
                &["shard"],
            )?,
        };
        metrics.preset();
        registry.register(Box::new(metrics.viewers.clone()))?;
        registry.register(Box::new(metrics.joins.clone()))?;
        registry.register(Box::new(metrics.joiners.clone()))?;
        registry.register(Box::new(metrics.goodbyes.clone()))?;
        registry.register(Box::new(metrics.egress.clone()))?;
        registry.register(Box::new(metrics.sends.clone()))?;
        registry.register(Box::new(metrics.short_sends.clone()))?;
        registry.register(Box::new(metrics.skips.clone()))?;
        registry.register(Box::new(metrics.slot_lateness.clone()))?;
        registry.register(Box::new(metrics.busy.clone()))?;
        registry.register(Box::new(metrics.sent.clone()))?;
        registry.register(Box::new(metrics.turns.clone()))?;
        registry.register(Box::new(metrics.period.clone()))?;
        Ok(metrics)
    }

    /// Gives every label its zero, so that a rate over it is right from the first event on.
    fn preset(&self) {
        for flavour in Flavour::ALL {
            self.viewers.with_label_values(&[flavour.name()]);
            self.joins.with_label_values(&[flavour.name()]);
            self.egress.with_label_values(&[flavour.name()]);
        }
        for reason in Goodbye::ALL {
            self.goodbyes.with_label_values(&[reason.name()]);
        }
    }
}
