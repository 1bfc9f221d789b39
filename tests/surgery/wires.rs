//! What the machines' wires carry, counted where they end: on this side, packets, retransmissions and all.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::ground::Place;

/// Bytes that came over each wire since it was laid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wires(BTreeMap<String, u64>);

impl Wires {
    /// Looks.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn look() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/net/dev").context("reading what the cards carried")?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, figures) = line.split_once(':')?;
            let received = figures.split_whitespace().next()?.parse().ok()?;
            Some((name.trim().to_owned(), received))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// What a machine sent since an earlier look, in Mbit/s.
    pub(crate) fn mbit_since(&self, earlier: &Self, place: Place, seconds: f64) -> f64 {
        let of = |wires: &Self| wires.0.get(place.name).copied().unwrap_or(0);
        of(self).saturating_sub(of(earlier)) as f64 * 8.0 / 1e6 / seconds.max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::{EDGE_1, ORIGIN};

    #[test]
    fn a_wire_is_told_by_its_name() {
        let look = |bytes: u64| {
            Wires::parse(&format!(
                "Inter-|   Receive    |  Transmit\n face |bytes packets|bytes packets\n    lo: 5 1 0 7\norigin: {bytes} 9 0 0\n"
            ))
        };
        let (before, after) = (look(1_000_000), look(3_500_000));
        assert!((after.mbit_since(&before, ORIGIN, 2.0) - 10.0).abs() < 1e-9);
        assert!(after.mbit_since(&before, EDGE_1, 2.0).abs() < 1e-9);
    }
}
