//! How a node and its pool stand, in plain words, the worst first. A function of one [`Overview`], nothing else.

mod edges;
mod encoders;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::words::{at_least, counted, grouped, rate};
use super::{Overview, StreamRow};

pub(super) use edges::rank;

/// A stream from which nothing came for so many seconds is silent: an encoder sends tags many times a second.
const SILENT_SECONDS: f64 = 5.0;

/// Names in one sentence; of the rest only the number is told.
const NAMED: usize = 3;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Somebody who wants to watch cannot, or soon cannot.
    Alarm,
    /// It works, and needs a hand.
    Warning,
    /// Nothing is on.
    Idle,
    /// All is well.
    Well,
    /// Worth knowing.
    Notice,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// How bad it is.
    pub level: Level,
    /// What it is, and what to do.
    pub text: String,
}

impl Sentence {
    fn new(level: Level, text: impl Into<String>) -> Self {
        Self {
            level,
            text: text.into(),
        }
    }
}

/// What there is to say of a snapshot: what is wrong and what to do, the worst first; else that all is well, or that nothing is
/// on; then what is worth knowing. There is always a first sentence.
pub fn health(seen: &Overview) -> Vec<Sentence> {
    let mut told: Vec<Sentence> = Vec::new();
    for lack in &seen.lacks {
        told.push(Sentence::new(Level::Alarm, format!("Not ready: {lack}.")));
    }
    streams(seen, &mut told);
    encoders::told(seen, &mut told);
    refusals(seen, &mut told);
    edges::told(seen, &mut told);
    uplink(seen, &mut told);
    let complains = told.iter().any(|sentence| sentence.level <= Level::Warning);
    told.push(match (seen.streams.is_empty(), complains) {
        (true, _) => nothing_is_on(seen),
        (false, true) => Sentence::new(Level::Notice, format!("Meanwhile: {}.", figures(seen))),
        (false, false) => Sentence::new(Level::Well, format!("All is well: {}.", figures(seen))),
    });
    told.sort_by_key(|sentence| sentence.level);
    told
}

/// Whether the snapshot is an origin's, which has a pool.
fn is_origin(seen: &Overview) -> bool {
    seen.tokens_live.is_some()
}

/// `3 edges, 1,240 viewers, room for 22,000 more`.
fn figures(seen: &Overview) -> String {
    let mut parts = Vec::new();
    if is_origin(seen) {
        parts.push(counted(edges::in_service(seen), "edge"));
    }
    parts.push(counted(seen.viewers.pool, "viewer"));
    match seen.room {
        Some(0) => parts.push("room for no more".to_owned()),
        Some(room) => parts.push(format!("room for {} more", grouped(at_least(room)))),
        None => {}
    }
    parts.join(", ")
}

fn nothing_is_on(seen: &Overview) -> Sentence {
    if !is_origin(seen) {
        return Sentence::new(Level::Idle, "No stream has come from the origin yet.");
    }
    let mut ready = counted(edges::in_service(seen), "edge");
    if let Some(room) = seen.room {
        ready = format!(
            "{ready}, room for {} of {}",
            counted(at_least(room), "viewer"),
            rate(seen.viewer_bits)
        );
    }
    Sentence::new(
        Level::Idle,
        format!(
            "No stream is live: `relay-origin publish-url live/camera` says where to publish. Ready: {ready}."
        ),
    )
}

fn streams(seen: &Overview, told: &mut Vec<Sentence>) {
    let silence = |row: &StreamRow| row.silent_seconds.unwrap_or(0.0);
    let mut silent: Vec<&StreamRow> = seen
        .streams
        .iter()
        .filter(|row| silence(row) > SILENT_SECONDS)
        .collect();
    silent.sort_by(|a, b| silence(b).total_cmp(&silence(a)));
    if let Some(longest) = silent.first() {
        let names = listed(silent.iter().map(|row| row.stream.clone()));
        let time = format!("{:.0} s", silence(longest));
        let time = if silent.len() > 1 {
            format!("up to {time}")
        } else {
            time
        };
        let hand = match is_origin(seen) {
            true => "look at the encoder and the way from it; viewers stay, and see a still picture",
            false => "look at the origin, and at the way from it",
        };
        told.push(Sentence::new(
            Level::Alarm,
            format!("Nothing has come of {names} for {time}: {hand}."),
        ));
    }
    let shapeless = seen.streams.iter();
    let shapeless = shapeless.filter(|row| !row.playable && row.tags > 0 && silence(row) <= SILENT_SECONDS);
    let names = listed(shapeless.map(|row| row.stream.clone()));
    if !names.is_empty() {
        told.push(Sentence::new(
            Level::Notice,
            format!(
                "{names} has had no keyframe yet, so viewers wait: an encoder that sends one every 2 s is best."
            ),
        ));
    }
}

fn refusals(seen: &Overview, told: &mut Vec<Sentence>) {
    let times = match seen.refused_lately {
        0 => return,
        1 => "Once".to_owned(),
        times => format!("{} times", grouped(times)),
    };
    let hand = match is_origin(seen) {
        true => ": start an edge with the token of `relay-origin token create`",
        false => "",
    };
    told.push(Sentence::new(
        Level::Alarm,
        format!("{times} in the last minute a viewer was turned away here, for want of room{hand}."),
    ));
}

fn uplink(seen: &Overview, told: &mut Vec<Sentence>) {
    let uplink = &seen.uplink;
    let short = uplink.short_of.as_deref();
    if uplink.full && short == Some("draining") {
        told.push(Sentence::new(
            Level::Notice,
            "This node drains: it takes nobody new.",
        ));
    } else if let (true, Some(what)) = (uplink.full, short.filter(|what| *what != "uplink")) {
        let what = match what {
            "cpu" => "its processor is busy",
            "tcp_memory" => "the kernel's memory for connections is used up (net.ipv4.tcp_mem)",
            _ => "it has as many viewers as it may ([limits] max_viewers, or descriptors)",
        };
        let level = if is_origin(seen) {
            Level::Warning
        } else {
            Level::Notice
        };
        told.push(Sentence::new(
            level,
            format!("No viewer more is served here: {what}."),
        ));
    }
    if is_origin(seen) && seen.serves && uplink.configured.is_none() {
        told.push(Sentence::new(
            Level::Notice,
            "What this origin's line carries is not known: set `uplink` in [origin], and it is never overfilled.",
        ));
    }
    let (Some(configured), Some(share), Some(scarce), Some(full)) = (
        uplink.configured,
        uplink.share,
        uplink.scarce_from,
        uplink.full_from,
    ) else {
        return;
    };
    let used = format!("{} of {}", rate(uplink.committed), rate(configured));
    let (level, what) = if share > full {
        (
            Level::Alarm,
            format!("The uplink is full, {used} given away, and takes no viewer more"),
        )
    } else if share > scarce {
        (
            Level::Warning,
            format!(
                "The uplink fills up, {used} given away; from {:.0} % on it takes no viewer more",
                full * 100.0
            ),
        )
    } else {
        return;
    };
    let hand = match (is_origin(seen), edges::in_service(seen)) {
        // An edge fills up as it should; the origin sends viewers elsewhere then.
        (false, _) => return told.push(Sentence::new(Level::Notice, format!("{what}."))),
        (true, 0) => "start an edge with the token of `relay-origin token create`",
        (true, _) => "let further edges take their streams from others (`parent` in their [edge])",
    };
    told.push(Sentence::new(level, format!("{what}: {hand}.")));
}

/// `a, b, c and 4 more`.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(NAMED);
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match (more, &*named) {
        (0, [first @ .., last]) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (0, _) => named.join(", "),
        _ => format!("{} and {} more", named.join(", "), grouped(more as u64)),
    }
}
