//! Edges as an operator names and sees them.

use std::io::{self, Write};

use relay_core::admin::{EdgeRow, EndpointRow, Refused, SHORT_ID};
use relay_core::cascade::Instance;
use relay_core::pool::{Row, Standing, State};

/// The one instance whose name begins with `text`.
///
/// # Errors
/// When there is none, or there are several.
pub fn named(text: &str, instances: impl Iterator<Item = Instance>) -> Result<Instance, Refused> {
    let mut found = instances.filter(|instance| !text.is_empty() && instance.to_string().starts_with(text));
    let none = || {
        Refused::NotFound(format!(
            "there is no edge {text}; `relay-origin edges` lists them"
        ))
    };
    let first = found.next().ok_or_else(none)?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err(Refused::NotFound(format!(
            "the ids of several edges begin with {text}: write more of it"
        ))),
    }
}

/// A member, as the admin API shows it.
pub fn row(row: Row) -> EdgeRow {
    let endpoints = row.endpoints.into_iter().map(|found| EndpointRow {
        url: found.endpoint.to_string(),
        health: match found.reason {
            None => found.standing.name().to_owned(),
            Some(reason) => format!("{}: {reason}", found.standing.name()),
        },
    });
    EdgeRow {
        id: row.instance.to_string(),
        state: row.state.name().to_owned(),
        why: match row.state {
            State::Lost if row.draining => "it drained and has left".to_owned(),
            _ => row.why,
        },
        draining: row.draining,
        version: row.version,
        parent: row.parent.map(|parent| parent.to_string()),
        endpoints: endpoints.collect(),
        capacity: row.capacity,
        committed: row.committed.unwrap_or_default(),
        headroom: row.headroom,
        viewers: row.viewers,
        egress: row.egress,
        lag_ms: row.lag_ms,
        age_seconds: row.age_ms / 1000,
    }
}

/// Writes the list for a terminal.
///
/// # Errors
/// What the output says.
pub fn print(edges: &[EdgeRow], out: &mut impl Write) -> io::Result<()> {
    if edges.is_empty() {
        return writeln!(
            out,
            "there is no edge; `relay-origin token create` makes what one needs to join"
        );
    }
    writeln!(
        out,
        "{:<SHORT_ID$}  {:<11} {:>8} {:>10} {:>10} {:>8}  WHERE",
        "ID", "STATE", "VIEWERS", "SENDS", "ROOM", "LAG"
    )?;
    for edge in edges {
        let id = edge.short_id();
        let place = edge
            .endpoints
            .first()
            .map_or("-", |endpoint| endpoint.url.as_str());
        writeln!(
            out,
            "{id:<SHORT_ID$}  {:<11} {:>8} {:>10} {:>10} {:>8}  {place}",
            edge.state,
            edge.viewers,
            rate(edge.egress),
            rate(edge.headroom),
            lag(edge),
        )?;
        if edge.state != "serving" || edge.endpoints.iter().any(is_given_up) {
            writeln!(out, "{:<SHORT_ID$}  {}", "", edge.why)?;
        }
    }
    Ok(())
}

/// Whether viewers are kept from an endpoint, though the edge may have another one.
fn is_given_up(endpoint: &EndpointRow) -> bool {
    [Standing::Bad, Standing::Unreachable]
        .iter()
        .any(|standing| endpoint.health.starts_with(standing.name()))
}

/// How far it is behind the origin. What was true of a lost one says nothing of now.
fn lag(edge: &EdgeRow) -> String {
    match edge.lag_ms {
        Some(ms) if edge.state != "lost" => format!("{ms} ms"),
        _ => "-".to_owned(),
    }
}

/// A rate as it fits into a column: `940 Mbit`.
fn rate(bits: u64) -> String {
    match bits {
        0..1_000 => format!("{bits} bit"),
        1_000..1_000_000 => format!("{} kbit", bits / 1_000),
        1_000_000..10_000_000_000 => format!("{} Mbit", bits / 1_000_000),
        _ => format!("{} Gbit", bits / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances() -> impl Iterator<Item = Instance> {
        ["ab12", "ab99", "c0ffee"]
            .into_iter()
            .map(|name| name.parse().unwrap())
    }

    #[test]
    fn the_beginning_of_an_id_names_an_edge() {
        assert_eq!(named("c", instances()).unwrap().to_string(), "c0ffee");
        assert_eq!(named("ab9", instances()).unwrap().to_string(), "ab99");
        let several = named("ab", instances()).unwrap_err().to_string();
        assert!(several.contains("write more of it"), "{several}");
        for none in ["", "d", "ab123"] {
            let error = named(none, instances()).unwrap_err().to_string();
            assert!(error.contains("there is no edge"), "{error}");
        }
    }

    #[test]
    fn the_list_says_what_is_wrong_with_whom() {
        let mut out = Vec::new();
        print(&[], &mut out).unwrap();
        assert!(String::from_utf8_lossy(&out).contains("token create"));
        let edge = |state: &str| EdgeRow {
            id: "0123456789abcdef".into(),
            state: state.into(),
            why: "nothing was heard of it for 4 s".into(),
            draining: false,
            version: "0.1.0".into(),
            parent: None,
            endpoints: vec![EndpointRow {
                url: "http://192.0.2.7:8080".into(),
                health: "good".into(),
            }],
            capacity: 1_000_000_000,
            committed: 60_000_000,
            headroom: 940_000_000,
            viewers: 24,
            egress: 59_123_456,
            lag_ms: Some(40),
            age_seconds: 60,
        };
        let mut out = Vec::new();
        print(&[edge("serving"), edge("lost")], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "ID        STATE        VIEWERS      SENDS       ROOM      LAG  WHERE\n\
             01234567  serving           24    59 Mbit   940 Mbit    40 ms  http://192.0.2.7:8080\n\
             01234567  lost              24    59 Mbit   940 Mbit        -  http://192.0.2.7:8080\n\
             \x20         nothing was heard of it for 4 s\n"
        );
    }
}
