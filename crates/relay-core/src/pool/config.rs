//! The times and bounds of a roster.

/// What a roster goes by. All times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterConfig {
    /// Whether somebody probes the endpoints. If not, each counts as good.
    pub probing: bool,
    /// Edges at most, lost ones that are still remembered included. Default 10,000, each of some 2 KB.
    pub max_members: usize,
    /// How long after the origin's start those that were there before it are offered though they have no link yet.
    /// Default 15 s: an edge dials again each 5 s at most, and its viewers never noticed that the origin was away.
    pub presume_ms: u64,
    /// How long an edge may be silent before it is offered no more. Default 3 s: three reports.
    pub silence_ms: u64,
    /// How long a lost edge stays in the list. Default one hour: long enough to be looked for.
    pub forget_ms: u64,
    /// How often an endpoint is probed. Default 2 s, so that a dead one is out within 4 s.
    pub probe_ms: u64,
    /// The longest wait between probes of one that cannot be reached. Default 15 s: whoever opens a firewall is looking on.
    pub probe_backoff_ms: u64,
    /// What an edge is taken to carry that does not say, in bits a second. Default 100 Mbit/s, the smallest port that one
    /// rents.
    pub assumed_capacity: u64,
}

impl Default for RosterConfig {
    fn default() -> Self {
        Self {
            probing: true,
            max_members: 10_000,
            presume_ms: 15_000,
            silence_ms: 3_000,
            forget_ms: 3_600_000,
            probe_ms: 2_000,
            probe_backoff_ms: 15_000,
            assumed_capacity: 100_000_000,
        }
    }
}
