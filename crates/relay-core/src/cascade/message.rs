//! What the two ends of a link tell each other on the control stream: JSON, slow, readable, evolvable.
//!
//! Fields that this version does not know are ignored, and messages too; fields that an older version lacks have
//! defaults. So a version and the one before it work together.

use serde::{Deserialize, Serialize};

use super::instance::Instance;
use crate::stream::{Position, StreamKey};

/// The version of the control messages, and the oldest one that this end works with.
pub const PROTOCOL: u32 = 1;

/// How many nodes a stream passes at most, the origin included. Each hop costs about one tick of latency, and no pool
/// of 10,000 edges needs more than four.
pub const MAX_HOPS: usize = 8;

/// Positions, and floors, in one message: with the longest of keys they stay well under a message's limit.
pub const MAX_ENTRIES: usize = 64;

/// Messages of [`Held`] that may follow a Hello: room for 4160 streams, four times what a hub holds by default.
pub const MAX_HELD_PARTS: u32 = 64;

/// Streams that a child names on one link: as many as a Hello and what follows it can.
pub const MAX_NAMED: usize = MAX_ENTRIES * (MAX_HELD_PARTS as usize + 1);

/// Streams that a parent may push on one link, or announce: as many as any node may be told to hold (`[limits] max_streams`).
/// One who has more means no good.
pub const MAX_PUSHED: usize = 100_000;

/// The longest text in a message: a reason, or an endpoint.
pub const MAX_TEXT_BYTES: usize = 512;

/// Public endpoints in a Hello: HTTP and RTMP in both families, and as many again.
pub const MAX_ENDPOINTS: usize = 8;

/// Edges in a [`View`]: enough that a node that sends viewers on does not send them all to the same few, and little
/// enough that the fullest view fits into a message.
pub const MAX_OFFERS: usize = 24;

/// The longest text of an endpoint in a [`View`]: the longest name that DNS carries, with scheme and port.
pub const MAX_OFFER_TEXT_BYTES: usize = 270;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Child → parent, first: who it is and what it holds.
    Hello(Box<Hello>),
    /// Child → parent, right after Hello, as often as that says: more of what it holds.
    Held(Held),
    /// Parent → child, in answer: it is in.
    Welcome(Welcome),
    /// Parent → child: the parent's own place changed.
    Hops {
        /// From the origin down to the parent, both included.
        hops: Vec<Instance>,
    },
    /// Parent → child: this stream is live, its groups come as they come to be.
    StreamUp {
        /// Which.
        stream: StreamKey,
    },
    /// Parent → child: this stream has ended for good.
    StreamDown(StreamDown),
    /// Parent → child, with each Ping where streams are pushed: how far they have come, so that the child knows how far it is behind.
    Newest(Newest),
    /// Child → parent: times below which a stream must not fall.
    Floors {
        /// At most [`MAX_ENTRIES`].
        floors: Vec<Floor>,
    },
    /// Child → parent, each second.
    Report(Report),
    /// Parent → child, each half second, so that silence means something. Either end answers.
    Ping {
        /// Comes back in the answer.
        nonce: u64,
    },
    /// The answer to Ping.
    Pong {
        /// The Ping's.
        nonce: u64,
    },
    /// Parent → child: what the pool wants of it.
    Policy(Policy),
    /// Parent → child: where else viewers can be sent.
    Pool(View),
    /// Either end: it takes nobody new and will be gone by then.
    Drain {
        /// Seconds until it is gone.
        seconds: u32,
    },
    /// Child → origin: is this instance, which answered where I dialled, a member now?
    Ask {
        /// Which.
        instance: Instance,
    },
    /// Origin → child: the answer.
    Known {
        /// Which.
        instance: Instance,
        /// Whether it is.
        member: bool,
    },
    /// Either end, last: it closes the link now.
    Bye {
        /// Why, in a sentence.
        reason: String,
    },
    /// What this version does not know.
    #[serde(skip)]
    Unknown,
}

/// What a child wants of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkRole {
    /// Streams, and nothing else: its parent is an edge.
    Media,
    /// Reports and policy: its parent is the origin, its media comes from elsewhere.
    Control,
    /// Both on one link.
    #[default]
    Both,
}

impl LinkRole {
    /// Whether streams are pushed on such a link.
    pub const fn has_media(self) -> bool {
        matches!(self, Self::Media | Self::Both)
    }
}

/// A child's first message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the child.
    pub protocol: u32,
    /// The child's instance: the certificate's.
    pub instance: Instance,
    /// The child's program version, for lists and logs.
    #[serde(default)]
    pub version: String,
    /// What it wants.
    #[serde(default)]
    pub role: LinkRole,
    /// Where it goes on: at most [`MAX_ENTRIES`].
    #[serde(default)]
    pub positions: Vec<HeldPosition>,
    /// Highest epoch and time per stream: at most [`MAX_ENTRIES`].
    #[serde(default)]
    pub floors: Vec<Floor>,
    /// How many messages of [`Held`] follow.
    #[serde(default)]
    pub held_parts: u32,
    /// Where viewers reach it: at most [`MAX_ENDPOINTS`], such as `http://192.0.2.7:8080`.
    #[serde(default)]
    pub public: Vec<String>,
    /// What it believes it can send, in bits a second.
    #[serde(default)]
    pub capacity: Option<u64>,
}

/// More of what a child holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// As in Hello.
    #[serde(default)]
    pub positions: Vec<HeldPosition>,
    /// As in Hello.
    #[serde(default)]
    pub floors: Vec<Floor>,
}

/// The next tag of a stream that a child lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPosition {
    /// The stream.
    pub stream: StreamKey,
    /// Where it goes on.
    #[serde(flatten)]
    pub position: Position,
}

/// The highest epoch and time of a stream that somebody has seen: it never falls below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The stream.
    pub stream: StreamKey,
    /// The epoch.
    pub epoch: u64,
    /// The output time in milliseconds.
    pub time: u64,
}

/// A parent's answer to Hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`] of the parent.
    pub protocol: u32,
    /// The parent's instance.
    pub instance: Instance,
    /// From the origin down to the parent, both included: at most [`MAX_HOPS`].
    #[serde(default)]
    pub hops: Vec<Instance>,
    /// The parent's program version.
    #[serde(default)]
    pub version: String,
}

/// A stream's true end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDown {
    /// Which.
    pub stream: StreamKey,
    /// Why, in a sentence.
    #[serde(default)]
    pub reason: String,
    /// Where it ended: this message overtakes the last groups, and the child waits for them.
    #[serde(default)]
    pub end: Option<Position>,
}

/// How far a parent's streams have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Newest {
    /// How far the parent itself is behind the origin, in milliseconds of its streams' time.
    pub behind_ms: u64,
    /// The newest epoch and time of each stream that is live there: at most [`MAX_ENTRIES`]; of more, the others come the next time.
    pub streams: Vec<Floor>,
}

/// How a child fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Viewers now.
    pub viewers: u32,
    /// Bytes sent to viewers since it started.
    pub egress_bytes: u64,
    /// What it believes it can send, in bits a second.
    pub capacity: Option<u64>,
    /// What it has promised to its viewers, in bits a second and by its own admission's reckoning. `None` from one
    /// that does not reckon so.
    pub committed: Option<u64>,
    /// Set while it takes nobody new, whatever the figures say: another limit than its capacity bites.
    pub full: bool,
    /// Set while it drains.
    pub draining: bool,
    /// Groups whose hash was not the parent's, since it started.
    pub hash_mismatches: u64,
    /// How far it was behind the origin at most since the report before, in milliseconds of its streams' time. `None` where it has
    /// no stream, or its parent does not say how far those have come.
    pub lag_ms: Option<u64>,
    /// Where its metrics can be scraped, if anywhere.
    pub metrics: Option<String>,
}

/// What the pool wants of a child; said whole on each new link, and each time that it changes. At first it is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Viewers that it may take at most.
    pub max_viewers: Option<u32>,
    /// It takes nobody new, and lets those who are there go within so many seconds. Without it takes viewers (again).
    pub drain_seconds: Option<u32>,
    /// Its public endpoints at which the origin cannot reach it as a viewer would, each with the reason: `http://192.0.2.7:8080: the
    /// connection was refused`. At most [`MAX_ENDPOINTS`]. Viewers are not sent there.
    pub unreachable: Vec<String>,
}

/// Some of the pool's edges, for a node that has to send viewers elsewhere: a weighted sample, not all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// At most [`MAX_OFFERS`], none of them twice.
    pub offers: Vec<Offer>,
}

/// An edge that takes viewers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who.
    pub instance: Instance,
    /// Where viewers reach it: at most [`MAX_ENDPOINTS`], each of at most [`MAX_OFFER_TEXT_BYTES`].
    #[serde(default)]
    pub public: Vec<String>,
    /// What it has left for more viewers, in bits a second: the weight to choose it by.
    #[serde(default)]
    pub headroom: u64,
}

/// Why a message is refused though it is JSON: a field has more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {0} has more than it may")]
pub struct TooMuch(pub &'static str);

impl Message {
    /// Holds each list and text against its limit.
    ///
    /// # Errors
    /// Which field has more than it may.
    pub fn check(&self) -> Result<(), TooMuch> {
        match self {
            Self::Hello(hello) => {
                within("positions", hello.positions.len(), MAX_ENTRIES)?;
                within("floors", hello.floors.len(), MAX_ENTRIES)?;
                within("held_parts", hello.held_parts as usize, MAX_HELD_PARTS as usize)?;
                within("public", hello.public.len(), MAX_ENDPOINTS)?;
                within("version", hello.version.len(), MAX_TEXT_BYTES)?;
                (hello.public.iter()).try_for_each(|text| within("public", text.len(), MAX_TEXT_BYTES))
            }
            Self::Held(held) => {
                within("positions", held.positions.len(), MAX_ENTRIES)?;
                within("floors", held.floors.len(), MAX_ENTRIES)
            }
            Self::Welcome(welcome) => {
                within("version", welcome.version.len(), MAX_TEXT_BYTES)?;
                within("hops", welcome.hops.len(), MAX_HOPS)
            }
            Self::Hops { hops } => within("hops", hops.len(), MAX_HOPS),
            Self::Newest(newest) => within("streams", newest.streams.len(), MAX_ENTRIES),
            Self::Floors { floors } => within("floors", floors.len(), MAX_ENTRIES),
            Self::Report(report) => within(
                "metrics",
                report.metrics.as_ref().map_or(0, String::len),
                MAX_TEXT_BYTES,
            ),
            Self::Policy(policy) => {
                within("unreachable", policy.unreachable.len(), MAX_ENDPOINTS)?;
                (policy.unreachable.iter())
                    .try_for_each(|text| within("unreachable", text.len(), MAX_TEXT_BYTES))
            }
            Self::Pool(view) => view.check(),
            Self::StreamDown(down) => within("reason", down.reason.len(), MAX_TEXT_BYTES),
            Self::Bye { reason } => within("reason", reason.len(), MAX_TEXT_BYTES),
            _ => Ok(()),
        }
    }
}

fn within(field: &'static str, length: usize, limit: usize) -> Result<(), TooMuch> {
    if length > limit {
        return Err(TooMuch(field));
    }
    Ok(())
}

impl View {
    fn check(&self) -> Result<(), TooMuch> {
        within("offers", self.offers.len(), MAX_OFFERS)?;
        self.offers.iter().try_for_each(|offer| {
            within("public", offer.public.len(), MAX_ENDPOINTS)?;
            (offer.public.iter()).try_for_each(|text| within("public", text.len(), MAX_OFFER_TEXT_BYTES))
        })
    }
}

impl Hello {
    /// Spreads what is held over this Hello and the messages to send right after it.
    pub fn hold(&mut self, positions: Vec<HeldPosition>, floors: Vec<Floor>) -> Vec<Message> {
        let (mut positions, mut floors) = (
            positions.into_iter().take(MAX_NAMED),
            floors.into_iter().take(MAX_NAMED),
        );
        let mut next = || Held {
            positions: positions.by_ref().take(MAX_ENTRIES).collect(),
            floors: floors.by_ref().take(MAX_ENTRIES).collect(),
        };
        let first = next();
        self.positions = first.positions;
        self.floors = first.floors;
        let mut parts = Vec::new();
        loop {
            let part = next();
            if part == Held::default() {
                break;
            }
            parts.push(Message::Held(part));
        }
        self.held_parts = u32::try_from(parts.len()).unwrap_or(MAX_HELD_PARTS);
        parts
    }
}
