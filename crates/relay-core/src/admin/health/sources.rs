//! What there is to say of pulled streams.

use super::super::words::span;
use super::super::{Overview, SourceRow};
use super::{Level, NAMED, Sentence};

/// A source from which nothing came for so many seconds has had time to be tried again, and its fallbacks with it.
const DOWN_SECONDS: u64 = 10;

/// Says which sources give nothing, and why.
pub(super) fn told(seen: &Overview, told: &mut Vec<Sentence>) {
    let is_down =
        |row: &&SourceRow| matches!(&*row.state, "connecting" | "waiting") && row.seconds >= DOWN_SECONDS;
    let mut down: Vec<&SourceRow> = seen.sources.iter().filter(is_down).collect();
    down.sort_by_key(|row| std::cmp::Reverse(row.seconds));
    for row in down.iter().take(NAMED) {
        told.push(Sentence::new(Level::Warning, sentence(row)));
    }
    let more = down.len().saturating_sub(NAMED);
    if more > 0 {
        let text =
            format!("Nor has anything come from {more} further sources: `/api/v1/sources` lists them.");
        told.push(Sentence::new(Level::Warning, text));
    }
    let standby = seen.sources.iter().filter(|row| row.state == "standby");
    for row in standby.take(NAMED) {
        let text = format!("{} is not taken from its source: {}.", row.stream, row.why);
        told.push(Sentence::new(Level::Notice, text));
    }
}

fn sentence(row: &SourceRow) -> String {
    let mut text = format!(
        "{} has not come from its source for {}",
        row.stream,
        span(row.seconds)
    );
    if !row.why.is_empty() {
        text = format!("{text}; {}: {}", row.url, row.why);
    }
    if row.urls > 1 {
        text = format!("{text}; all {} URLs are tried in turn", row.urls);
    }
    text + "."
}
