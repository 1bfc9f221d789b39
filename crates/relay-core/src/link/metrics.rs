//! What links tell Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::Registry;

use super::child::{Child, LinkStatus};
use super::door::DoorStats;
use super::parent::{LinkInfo, Parent};
use crate::metrics::{at_scrape, counter, counters, gauge, gauges};

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Registers what comes to a link port.
///
/// # Errors
/// When the name is taken in the registry.
pub fn register_door(registry: &Registry, stats: Arc<DoorStats>) -> prometheus::Result<()> {
    at_scrape(registry, "relay_link_handshakes_total", move || {
        let help = "Handshakes on the link port, by what became of them.";
        counters("relay_link_handshakes_total", help, "outcome", stats.outcomes())
    })
}

/// Registers what a child counts.
///
/// # Errors
/// When a name is taken in the registry.
pub fn register_child(registry: &Registry, child: &Child) -> prometheus::Result<()> {
    let child = child.clone();
    at_scrape(registry, "relay_cascade_connected", move || {
        let (links, intake) = (child.counts(), child.intake_counts());
        let connected = matches!(*child.status().borrow(), LinkStatus::Connected { .. });
        let lag = child.lag_ms().map(|ms| {
            let help = "How far this node is behind the origin, in its streams' own time, by what its parent says of them.";
            gauge("relay_cascade_lag_seconds", help, ms as f64 / 1000.0)
        });
        Ok([
            gauge(
                "relay_cascade_connected",
                "1 while there is a link to the parent.",
                f64::from(u8::from(connected)),
            )?,
            counter(
                "relay_cascade_links_total",
                "Links to a parent that were welcomed.",
                read(&links.links),
            )?,
            counter(
                "relay_cascade_dial_failures_total",
                "Attempts to link that failed.",
                read(&links.failures),
            )?,
            counter(
                "relay_cascade_second_dials_total",
                "Links dialled beside one that had fallen silent.",
                read(&links.second_dials),
            )?,
            gauge(
                "relay_cascade_rtt_seconds",
                "Round trip of the link to the parent.",
                read(&links.rtt_us) as f64 / 1e6,
            )?,
            counter(
                "relay_cascade_lost_packets_total",
                "Packets lost on links to parents that are over.",
                read(&links.lost_packets),
            )?,
            counter(
                "relay_cascade_resumes_total",
                "Groups that went on where this node had been cut off.",
                read(&intake.resumes),
            )?,
            counter(
                "relay_cascade_groups_total",
                "Groups that came in.",
                read(&intake.groups),
            )?,
            counter(
                "relay_cascade_tags_total",
                "Tags that came in.",
                read(&intake.tags),
            )?,
            counter(
                "relay_cascade_bytes_total",
                "Payload bytes that came in.",
                read(&intake.bytes),
            )?,
            counter(
                "relay_cascade_duplicates_total",
                "Tags that came by two links and were dropped.",
                read(&intake.duplicates),
            )?,
            counter(
                "relay_cascade_skips_total",
                "Times the parent skipped to a newer start point.",
                read(&intake.skips),
            )?,
            counter(
                "relay_cascade_gaps_total",
                "Groups left out because tags before them were missing.",
                read(&intake.gaps),
            )?,
            counter(
                "relay_cascade_hash_mismatches_total",
                "Groups that are not what the parent has.",
                read(&intake.hash_mismatches),
            )?,
            gauge(
                "relay_cascade_group_delay_seconds",
                "From the origin's clock at the newest group's beginning there to this node's at its beginning here.",
                read(&intake.group_delay_ms) as f64 / 1000.0,
            )?,
            // Nothing while it is not known.
            lag.transpose()?.unwrap_or_default(),
        ]
        .concat())
    })
}

/// Registers what a parent counts. At most `max_children` children get a label of their own.
///
/// # Errors
/// When a name is taken in the registry.
pub fn register_parent(registry: &Registry, parent: &Parent, max_children: usize) -> prometheus::Result<()> {
    let parent = parent.clone();
    at_scrape(registry, "relay_cascade_children", move || {
        let (links, sent) = (parent.list(), parent.sent());
        let names: Vec<String> = links
            .iter()
            .take(max_children)
            .map(|link| link.child.to_string())
            .collect();
        let each = |value: &dyn Fn(usize) -> f64| -> Vec<(&str, f64)> {
            names
                .iter()
                .enumerate()
                .map(|(index, name)| (name.as_str(), value(index)))
                .collect()
        };
        Ok([
            gauge("relay_cascade_children", "Links to children.", links.len() as f64)?,
            gauges(
                "relay_cascade_child_rtt_seconds",
                "Round trip of the link to a child.",
                "edge",
                each(&|index| links[index].rtt.as_secs_f64()),
            )?,
            gauges(
                "relay_cascade_child_viewers",
                "Viewers that a child reports.",
                "edge",
                each(&|index| f64::from(links[index].report.viewers)),
            )?,
            gauges(
                "relay_cascade_child_lag_seconds",
                "How far a child was behind the origin at most in its last second, by its report.",
                "edge",
                lags(&links, &names),
            )?,
            counter(
                "relay_cascade_sent_groups_total",
                "Groups sent to children.",
                read(&sent.groups),
            )?,
            counter(
                "relay_cascade_sent_tags_total",
                "Tags sent to children.",
                read(&sent.tags),
            )?,
            counter(
                "relay_cascade_sent_bytes_total",
                "Payload bytes sent to children.",
                read(&sent.bytes),
            )?,
            counter(
                "relay_cascade_sent_resumes_total",
                "Groups that went on where a child had been cut off.",
                read(&sent.resumes),
            )?,
            counter(
                "relay_cascade_resets_total",
                "Groups cut off because they were too late for a child or no longer held.",
                read(&sent.resets),
            )?,
        ]
        .concat())
    })
}

/// How far each child is behind that says so.
fn lags<'a>(links: &[LinkInfo], names: &'a [String]) -> Vec<(&'a str, f64)> {
    let lag = |(name, link): (&'a String, &LinkInfo)| {
        let lag_ms = link.report.lag_ms?;
        Some((name.as_str(), lag_ms as f64 / 1000.0))
    };
    names.iter().zip(links).filter_map(lag).collect()
}
