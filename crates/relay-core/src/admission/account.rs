//! A budget as an operator sees it.

use super::room::Room;

/// What there is to give away, and from which part of it on what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The whole of it, in bits per second.
    pub bits: u64,
    /// Beyond this part of it, in hundredths, viewers are sent elsewhere.
    pub scarce_percent: u64,
    /// Beyond this part of it, in hundredths, they are refused.
    pub full_percent: u64,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What may be sent, if anybody knows.
    pub limit: Option<Limit>,
    /// How many viewers there may be.
    pub most_viewers: u64,
    /// What is given away, in bits per second on the wire.
    pub committed: u64,
    /// What viewers were sent in the last second, in bits.
    pub to_viewers: u64,
    /// What children were sent in the last second, in bits.
    pub to_children: u64,
    /// How much room there is for one more viewer of an ordinary stream.
    pub room: Room,
}
