//! What a node's streams, logs and sockets look like at the moment of a scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::clock::Clock;
use crate::metrics::{at_scrape, counters, gauge, gauges};
use crate::stream::{Hub, Stream};
use crate::tcp_memory::tcp_memory;

/// What the streams beyond the limit of labels are summed up as.
const OTHERS: &str = "other";

/// Registers them. At most `max_streams` streams get a label of their own; the rest are summed up as `other`.
///
/// # Errors
/// When a name is taken in the registry.
pub(crate) fn register(
    registry: &Registry,
    hub: &Arc<Hub>,
    clock: Clock,
    max_streams: usize,
) -> prometheus::Result<()> {
    let streams = Arc::clone(hub);
    at_scrape(registry, "relay_streams", move || {
        stream_families(&streams, clock, max_streams)
    })?;
    let logs = Arc::clone(hub);
    at_scrape(registry, "relay_log_bytes", move || log_families(&logs))?;
    at_scrape(registry, "relay_tcp_memory_bytes", tcp_families)
}

#[derive(Default)]
struct Sums {
    tags: u64,
    bytes: u64,
    groups: u64,
    viewers: u64,
    epoch: u64,
    /// Seconds since the newest tag; the longest of those summed up.
    silent: f64,
    outgrown: u64,
}

impl Sums {
    fn add(&mut self, stream: &Stream, clock: Clock) {
        let state = stream.state();
        self.tags += state.tags;
        self.bytes += state.bytes;
        self.groups += state.groups;
        self.viewers += stream.viewer_count();
        self.epoch = self.epoch.max(state.epoch.unwrap_or(0));
        self.outgrown += state.outgrown;
        if let Some(last) = state.last_append_ms {
            let silent = clock.now().mono_ms.saturating_sub(last) as f64 / 1000.0;
            self.silent = self.silent.max(silent);
        }
    }
}

fn stream_families(hub: &Hub, clock: Clock, max_streams: usize) -> prometheus::Result<Vec<MetricFamily>> {
    let streams = hub.list();
    let mut sums = BTreeMap::<&str, Sums>::new();
    for (number, stream) in streams.iter().enumerate() {
        let label = if number < max_streams {
            stream.key().as_str()
        } else {
            OTHERS
        };
        sums.entry(label).or_default().add(stream, clock);
    }
    let count = |read: fn(&Sums) -> u64| sums.iter().map(move |(label, sum)| (*label, read(sum)));
    let value = |read: fn(&Sums) -> f64| sums.iter().map(move |(label, sum)| (*label, read(sum)));
    Ok([
        gauge("relay_streams", "Streams on this node.", streams.len() as f64)?,
        counters(
            "relay_stream_tags_total",
            "Tags of the stream that came in.",
            "stream",
            count(|sum| sum.tags),
        )?,
        counters(
            "relay_stream_bytes_total",
            "Payload bytes of the stream that came in.",
            "stream",
            count(|sum| sum.bytes),
        )?,
        counters(
            "relay_stream_groups_total",
            "Groups of the stream that came in.",
            "stream",
            count(|sum| sum.groups),
        )?,
        gauges(
            "relay_stream_viewers",
            "Viewers of the stream on this node.",
            "stream",
            value(|sum| sum.viewers as f64),
        )?,
        gauges(
            "relay_stream_epoch",
            "The stream's epoch: a publisher's return, replacement or restart raises it.",
            "stream",
            value(|sum| sum.epoch as f64),
        )?,
        gauges(
            "relay_stream_silence_seconds",
            "Time since the stream's newest tag.",
            "stream",
            value(|sum| sum.silent),
        )?,
        counters(
            "relay_stream_outgrown_starts_total",
            "Start points given up because too much had come behind them: joiners waited for the next keyframe.",
            "stream",
            count(|sum| sum.outgrown),
        )?,
        warnings(&streams, max_streams)?,
    ]
    .concat())
}

/// 1 for each warning that holds, of streams that have a label of their own; nothing for those that do not.
fn warnings(streams: &[Arc<Stream>], max_streams: usize) -> prometheus::Result<Vec<MetricFamily>> {
    let opts = Opts::new(
        "relay_stream_warning",
        "1 while something is wrong with what the stream's encoder sends, by what it is; else absent.",
    );
    let gauges = IntGaugeVec::new(opts, &["stream", "warning"])?;
    for (number, stream) in streams.iter().enumerate() {
        let label = if number < max_streams {
            stream.key().as_str()
        } else {
            OTHERS
        };
        for raised in stream.warnings() {
            gauges.with_label_values(&[label, raised.warning.label()]).set(1);
        }
    }
    Ok(gauges.collect())
}

fn log_families(hub: &Hub) -> prometheus::Result<Vec<MetricFamily>> {
    let shed = hub.counters();
    let shed = [
        ("group", shed.groups_shed.load(Ordering::Relaxed)),
        ("start_point", shed.starts_shed.load(Ordering::Relaxed)),
    ];
    Ok([
        gauge(
            "relay_log_bytes",
            "Memory of all streams' logs.",
            hub.log_bytes() as f64,
        )?,
        gauge(
            "relay_log_budget_bytes",
            "What the logs may take.",
            hub.log_budget() as f64,
        )?,
        counters(
            "relay_log_shed_total",
            "Times the budget cut a log short, by what was lost.",
            "lost",
            shed,
        )?,
    ]
    .concat())
}

/// The kernel's memory for all TCP sockets of the machine, against its limit: on small machines the first to run out.
fn tcp_families() -> prometheus::Result<Vec<MetricFamily>> {
    let Some((used, limit)) = tcp_memory() else {
        return Ok(Vec::new());
    };
    Ok([
        gauge(
            "relay_tcp_memory_bytes",
            "Memory of all TCP sockets of this machine.",
            used as f64,
        )?,
        gauge(
            "relay_tcp_memory_limit_bytes",
            "Where the kernel stops giving TCP memory (tcp_mem).",
            limit as f64,
        )?,
    ]
    .concat())
}
