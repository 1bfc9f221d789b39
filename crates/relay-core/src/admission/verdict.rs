//! What becomes of one who comes.

use serde::{Deserialize, Serialize};

use super::room::{Room, Why};

/// How often one viewer is sent on at most: to an edge, and from a full one to another.
pub const MAX_HOPS: u8 = 2;

/// After how many seconds one who was refused may ask again: by then somebody has left, or an edge has come.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// When a node serves viewers itself: `[origin] serve`. Edges always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServePolicy {
    /// Never: without an edge there is nobody to be seen.
    EdgesOnly,
    /// Only where no edge can.
    #[default]
    Overflow,
    /// As long as there is room; then edges.
    Always,
}

/// What becomes of one who comes. `T` names a place elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It is served here.
    Serve,
    /// It is sent there.
    Elsewhere(T),
    /// It is refused, and may come again after [`RETRY_AFTER_SECONDS`].
    Refuse(Refusal),
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node is full, and there is no other.
    Full(Why),
    /// This node serves no viewers, and no edge can take one more.
    NoEdge,
}

impl Refusal {
    /// What it is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full(why) => why.sentence(),
            Self::NoEdge => "there is no server with room for one more",
        }
    }

    /// Its name, as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full(why) => why.name(),
            Self::NoEdge => "no_edge",
        }
    }
}

/// Decides on one who was sent on `hops` times before. `elsewhere` finds a place with room for one more and keeps it.
pub fn decide<T>(
    policy: ServePolicy,
    room: Room,
    hops: u8,
    elsewhere: impl FnOnce() -> Option<T>,
) -> Verdict<T> {
    let prefers_elsewhere = match (policy, room) {
        (ServePolicy::EdgesOnly | ServePolicy::Overflow, _) | (_, Room::Scarce(_) | Room::Full(_)) => true,
        (ServePolicy::Always, Room::Plenty) => false,
    };
    if prefers_elsewhere
        && hops < MAX_HOPS
        && let Some(place) = elsewhere()
    {
        return Verdict::Elsewhere(place);
    }
    match room {
        _ if policy == ServePolicy::EdgesOnly => Verdict::Refuse(Refusal::NoEdge),
        Room::Plenty | Room::Scarce(_) => Verdict::Serve,
        Room::Full(why) => Verdict::Refuse(Refusal::Full(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCARCE: Room = Room::Scarce(Why::Uplink);
    const FULL: Room = Room::Full(Why::Uplink);

    fn verdict(policy: ServePolicy, room: Room, hops: u8, edge: bool) -> Verdict<&'static str> {
        decide(policy, room, hops, || edge.then_some("edge"))
    }

    #[test]
    fn an_edge_takes_who_it_can_and_the_origin_the_rest() {
        use ServePolicy::{Always, EdgesOnly, Overflow};
        let elsewhere = Verdict::Elsewhere("edge");
        let full = Verdict::Refuse(Refusal::Full(Why::Uplink));
        let no_edge = Verdict::Refuse(Refusal::NoEdge);
        for (policy, room, edge, expected) in [
            (Overflow, Room::Plenty, true, elsewhere),
            (Overflow, FULL, true, elsewhere),
            (Overflow, Room::Plenty, false, Verdict::Serve),
            (Overflow, SCARCE, false, Verdict::Serve),
            (Overflow, FULL, false, full),
            (Always, Room::Plenty, true, Verdict::Serve),
            (Always, SCARCE, true, elsewhere),
            (Always, SCARCE, false, Verdict::Serve),
            (Always, FULL, true, elsewhere),
            (Always, FULL, false, full),
            (EdgesOnly, Room::Plenty, true, elsewhere),
            (EdgesOnly, Room::Plenty, false, no_edge),
            (EdgesOnly, FULL, false, no_edge),
        ] {
            assert_eq!(
                verdict(policy, room, 0, edge),
                expected,
                "{policy:?} {room:?} {edge}"
            );
        }
    }

    /// Two nodes that are full send nobody back and forth.
    #[test]
    fn nobody_is_sent_on_for_ever() {
        for hops in [MAX_HOPS, u8::MAX] {
            assert_eq!(verdict(ServePolicy::Always, SCARCE, hops, true), Verdict::Serve);
            let full = Verdict::Refuse(Refusal::Full(Why::Uplink));
            assert_eq!(verdict(ServePolicy::Always, FULL, hops, true), full);
        }
        let last = verdict(ServePolicy::Overflow, Room::Plenty, MAX_HOPS, true);
        assert_eq!(last, Verdict::Serve, "rather than refuse who was sent here");
    }
}
