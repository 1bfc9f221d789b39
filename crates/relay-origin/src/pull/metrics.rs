//! How pulls stand, told at each scrape.

use std::sync::Arc;

use prometheus::Registry;
use prometheus::proto::MetricFamily;
use relay_core::metrics::{at_scrape, counter, counters, gauges};

use super::board::{Board, Standing};
use super::fault::OUTCOMES;

/// Registers what `board` tells; at most `max_streams` streams have a label of their own.
///
/// # Errors
/// When a name is taken in the registry.
pub fn register(registry: &Registry, board: &Arc<Board>, max_streams: usize) -> prometheus::Result<()> {
    let board = Arc::clone(board);
    at_scrape(registry, "relay_sources", move || families(&board, max_streams))
}

fn families(board: &Board, max_streams: usize) -> prometheus::Result<Vec<MetricFamily>> {
    let standing = Standing::ALL.map(|standing| (standing.label(), board.count(standing) as f64));
    let flowing = board.entries.iter().take(max_streams);
    let flowing = flowing.map(|entry| (entry.stream().as_str(), f64::from(u8::from(entry.is_flowing()))));
    Ok([
        gauges(
            "relay_sources",
            "Pulled streams, by how they stand.",
            "state",
            standing,
        )?,
        gauges(
            "relay_source_flowing",
            "Whether the media of a pulled stream comes: 1, or 0.",
            "stream",
            flowing,
        )?,
        counter(
            "relay_source_sessions_total",
            "Attempts to pull a stream that brought media.",
            board.sessions(),
        )?,
        counters(
            "relay_source_attempts_total",
            "Attempts to pull a stream, by how they ended.",
            "outcome",
            OUTCOMES.into_iter().zip(board.outcomes()),
        )?,
    ]
    .concat())
}
