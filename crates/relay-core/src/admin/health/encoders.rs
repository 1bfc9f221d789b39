//! What there is to say of what encoders send.

use std::collections::BTreeMap;

use super::super::{Overview, StreamRow, WarningRow};
use super::{Level, Sentence, is_origin, listed};
use crate::stream::Warning;

/// Adds a sentence for each kind of warning that holds, whatever the number of streams.
pub(super) fn told(seen: &Overview, told: &mut Vec<Sentence>) {
    let mut kinds = BTreeMap::<&str, Vec<(&StreamRow, &WarningRow)>>::new();
    for row in &seen.streams {
        for warning in &row.warnings {
            kinds.entry(&warning.warning).or_default().push((row, warning));
        }
    }
    for (kind, rows) in kinds {
        let [(row, warning), others @ ..] = &*rows else {
            continue;
        };
        let mut text = format!("{} {}: {}.", row.stream, warning.says, warning.hand);
        if !others.is_empty() {
            let names = listed(others.iter().map(|(row, _)| row.stream.clone()));
            text = format!("{text} The same is true of {names}.");
        }
        told.push(Sentence::new(level(seen, kind), text));
    }
}

/// Only the origin's operator has a hand on encoders; and a bitrate that leapt may be what was wanted.
fn level(seen: &Overview, kind: &str) -> Level {
    match is_origin(seen) && kind != Warning::Leap.label() {
        true => Level::Warning,
        false => Level::Notice,
    }
}
