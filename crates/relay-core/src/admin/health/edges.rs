//! What there is to say of a pool's edges.

use super::super::words::counted;
use super::super::{EdgeRow, Overview};
use super::{Level, Sentence, is_origin, listed};

/// An edge so far behind the origin, in milliseconds, lags: a viewer there is not live any more.
const LAG_MS: u64 = 5_000;

/// Where an edge stands in a list with the worst first.
pub(in super::super) fn rank(edge: &EdgeRow) -> u8 {
    match &*edge.state {
        "lost" if has_left(edge) => 8,
        "lost" => 0,
        "unreachable" => 1,
        "serving" if is_troubled(edge) || lags(edge) => 2,
        "full" => 3,
        "draining" => 4,
        "presumed" => 5,
        "joining" => 6,
        _ => 7,
    }
}

/// Whether it went on purpose.
fn has_left(edge: &EdgeRow) -> bool {
    edge.state == "lost" && edge.draining
}

/// Whether it takes viewers, but not wherever it should.
fn is_troubled(edge: &EdgeRow) -> bool {
    let is_bad = |health: &str| health.starts_with("bad") || health.starts_with("unreachable");
    edge.state == "serving" && edge.endpoints.iter().any(|endpoint| is_bad(&endpoint.health))
}

fn lags(edge: &EdgeRow) -> bool {
    edge.state == "serving" && edge.lag_ms.is_some_and(|lag| lag > LAG_MS)
}

/// How many edges have viewers or take some.
pub(super) fn in_service(seen: &Overview) -> u64 {
    let serves = |edge: &&EdgeRow| matches!(&*edge.state, "serving" | "full");
    seen.edges.iter().filter(serves).count() as u64
}

/// Adds what there is to say of the pool.
pub(super) fn told(seen: &Overview, told: &mut Vec<Sentence>) {
    if !is_origin(seen) {
        return;
    }
    let in_state = |state: &'static str| {
        let found = seen.edges.iter();
        found.filter(move |edge| edge.state == state && !has_left(edge))
    };
    let serving = in_state("serving").count();
    let (coming, full) = (
        in_state("joining").count() + in_state("presumed").count(),
        in_state("full").count(),
    );
    let known = seen.edges.iter().filter(|edge| !has_left(edge)).count();
    let mut say = |level, text: String| told.push(Sentence::new(level, text));
    if known == 0 {
        say_alone(seen, &mut say);
    } else if serving == 0 && coming == 0 {
        let fate = match seen.serves {
            true => "new viewers come to this origin, as far as its uplink reaches",
            false => "new viewers are turned away",
        };
        let what = match full == known {
            true => format!("Every edge is full ({full} of {known})"),
            false => "No edge takes viewers".to_owned(),
        };
        say(
            Level::Alarm,
            format!("{what}, and {fate}: start another edge with the token of `relay-origin token create`."),
        );
    } else if full > 0 {
        let verb = if full == 1 { "is" } else { "are" };
        say(
            Level::Notice,
            format!("{full} of {known} edges {verb} full; viewers go to the others."),
        );
    }
    complain("lost", in_state("lost").collect(), &mut say);
    complain("unreachable", in_state("unreachable").collect(), &mut say);
    for edge in seen.edges.iter().filter(|edge| is_troubled(edge)) {
        say(Level::Warning, format!("Edge {}: {}.", name(edge), edge.why));
    }
    let late = listed(seen.edges.iter().filter(|edge| lags(edge)).map(|edge| {
        let seconds = edge.lag_ms.unwrap_or(0) as f64 / 1000.0;
        format!("{} ({seconds:.1} s)", name(edge))
    }));
    if !late.is_empty() {
        say(
            Level::Warning,
            format!("Far behind the origin: {late}; the way there is too slow, or too full."),
        );
    }
    for edge in in_state("draining") {
        let left = counted(u64::from(edge.viewers), "viewer");
        say(
            Level::Notice,
            format!("Edge {} drains, with {left} left.", name(edge)),
        );
    }
    if coming > 0 {
        let text = format!("{} on the way to serving.", counted(coming as u64, "edge"));
        say(Level::Notice, text);
    }
}

fn say_alone(seen: &Overview, say: &mut impl FnMut(Level, String)) {
    match seen.serves {
        true => say(
            Level::Notice,
            "There is no edge, so this origin's own uplink carries all viewers; `relay-origin token create` makes what an edge \
             needs to join."
                .to_owned(),
        ),
        false => say(
            Level::Alarm,
            "There is no edge, and this origin serves nobody itself (`serve` in [origin]): start one with the token of \
             `relay-origin token create`."
                .to_owned(),
        ),
    }
}

/// Says of those that are in a bad state what is wrong and what to do.
fn complain(state: &str, edges: Vec<&EdgeRow>, say: &mut impl FnMut(Level, String)) {
    let hand = match (state, edges.len()) {
        ("lost", 1) => {
            "Start it again, or another; `relay-origin edge revoke ID` takes it off the list, else an hour does"
        }
        ("lost", _) => {
            "Start them again, or others; `relay-origin edge revoke ID` takes one off the list, else an hour does"
        }
        _ => "Until then viewers are sent elsewhere",
    };
    match &*edges {
        [] => {}
        [edge] => say(
            Level::Warning,
            format!("Edge {} is {state}: {}. {hand}.", name(edge), edge.why),
        ),
        [first, ..] => say(
            Level::Warning,
            format!(
                "{} edges are {state}: {} (the first: {}). {hand}.",
                edges.len(),
                listed(edges.iter().map(|edge| name(edge))),
                first.why
            ),
        ),
    }
}

/// An edge's id and place, as far as a person needs them.
fn name(edge: &EdgeRow) -> String {
    let id = edge.short_id();
    let place = edge.endpoints.first().map(|endpoint| {
        let url = endpoint.url.as_str();
        url.split_once("://").map_or(url, |(_, rest)| rest)
    });
    place.map_or_else(|| id.to_owned(), |place| format!("{id} at {place}"))
}
