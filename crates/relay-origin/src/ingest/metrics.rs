//! What the ingest counted, told at each scrape.

use std::sync::Arc;

use prometheus::Registry;
use prometheus::proto::MetricFamily;
use relay_core::metrics::{at_scrape, counter, counters, gauge};
use relay_core::stream::Dropped;
use relay_core::stream::policy::Dismissal;

use super::{Counts, KINDS, Publishing, REFUSALS, SWITCHES};

/// Registers the totals of `publishing`.
///
/// # Errors
/// When a name is taken in the registry.
pub fn register(registry: &Registry, publishing: &Arc<Publishing>) -> prometheus::Result<()> {
    let publishing = Arc::clone(publishing);
    at_scrape(registry, "relay_ingest_bytes_total", move || {
        families(&publishing.counts())
    })
}

fn families(counts: &Counts) -> prometheus::Result<Vec<MetricFamily>> {
    Ok([messages(counts)?, publishers(counts)?, streams(counts)?].concat())
}

fn messages(counts: &Counts) -> prometheus::Result<Vec<MetricFamily>> {
    Ok([
        counters(
            "relay_ingest_tags_total",
            "Messages that publishers sent, by kind.",
            "kind",
            KINDS.into_iter().zip(counts.tags),
        )?,
        counter(
            "relay_ingest_bytes_total",
            "Payload bytes that publishers sent.",
            counts.bytes,
        )?,
        counters(
            "relay_ingest_dropped_tags_total",
            "Messages that did not become part of a stream, by reason.",
            "reason",
            Dropped::ALL.map(Dropped::label).into_iter().zip(counts.dropped),
        )?,
        counters(
            "relay_ingest_repairs_total",
            "Mends of publishers' clocks: a tag held at its track's last time, or a leap taken out.",
            "repair",
            [("held", counts.repairs_held), ("leap", counts.repairs_leaps)],
        )?,
    ]
    .concat())
}

fn publishers(counts: &Counts) -> prometheus::Result<Vec<MetricFamily>> {
    Ok([
        counter(
            "relay_ingest_sessions_total",
            "Publishers let in, files played here among them.",
            counts.sessions,
        )?,
        counters(
            "relay_ingest_refusals_total",
            "Publishers turned away, files played here among them, by reason.",
            "reason",
            REFUSALS.into_iter().zip(counts.refusals),
        )?,
        counters(
            "relay_ingest_removals_total",
            "Publishers let go, by reason: replaced by another one, no media or no more media, by an operator, or the log took no \
             more.",
            "reason",
            Dismissal::ALL.map(Dismissal::label).into_iter().zip(counts.removals),
        )?,
        counters(
            "relay_ingest_switches_total",
            "Changes between a stream's two publishers, by reason: the one on air was lost, or the first one is back.",
            "reason",
            SWITCHES.into_iter().zip(counts.switches),
        )?,
        gauge(
            "relay_ingest_standbys",
            "Publishers that are held ready beside the one on air.",
            counts.standbys as f64,
        )?,
    ]
    .concat())
}

fn streams(counts: &Counts) -> prometheus::Result<Vec<MetricFamily>> {
    Ok([
        counter("relay_ingest_epochs_total", "Epochs begun.", counts.epochs)?,
        counter("relay_ingest_groups_total", "Groups begun.", counts.groups)?,
        counter(
            "relay_ingest_ended_streams_total",
            "Streams that ended because no publisher came back in time.",
            counts.ended,
        )?,
        counter(
            "relay_ingest_refused_claims_total",
            "Edges' claims to hold more of a stream than is known here that were absurd or found no room.",
            counts.claims_refused,
        )?,
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, TextEncoder};

    use super::*;

    #[test]
    fn each_count_is_told_once_under_its_own_name() {
        let counts = Counts {
            tags: [1, 2, 3],
            bytes: 4,
            dropped: [5, 6, 7, 8, 9, 10, 11, 12],
            refusals: [13, 14, 15, 16, 17],
            repairs_held: 18,
            repairs_leaps: 19,
            sessions: 20,
            removals: [21, 22, 23, 24, 25],
            switches: [26, 27],
            standbys: 28,
            epochs: 29,
            groups: 30,
            ended: 31,
            claims_refused: 32,
        };
        let mut page = Vec::new();
        TextEncoder::new()
            .encode(&families(&counts).unwrap(), &mut page)
            .unwrap();
        let page = String::from_utf8(page).unwrap();
        let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples.len(), 32, "{page}");
        for number in 1..=32 {
            let told = samples
                .iter()
                .filter(|line| line.ends_with(&format!(" {number}")));
            assert_eq!(told.count(), 1, "{number} in {page}");
        }
        for line in [
            "relay_ingest_tags_total{kind=\"video\"} 2",
            "relay_ingest_dropped_tags_total{reason=\"no_keyframe\"} 7",
            "relay_ingest_refusals_total{reason=\"denied\"} 14",
            "relay_ingest_repairs_total{repair=\"leap\"} 19",
            "relay_ingest_removals_total{reason=\"log\"} 25",
        ] {
            assert!(samples.contains(&line), "{line} in {page}");
        }
    }
}
