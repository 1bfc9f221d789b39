//! All that an operator needs to see whether all is well, at one moment.

use serde::{Deserialize, Serialize};

use super::health::{Sentence, health, rank};
use super::{EdgeRow, StreamRow};
use crate::limits::ADMIN_SNAPSHOT_ROWS;
use crate::serve::Decisions;

/// A snapshot of a node, and at an origin of its pool. `GET /api/v1/overview` gives one, `GET /api/v1/events` one each second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// Whose it is: `relay-origin` or `relay-edge`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// When it was made, in Unix milliseconds.
    pub time_ms: u64,
    /// For how long the program has been running, in seconds.
    pub uptime_seconds: u64,
    /// How all of it stands, in sentences, the worst first.
    pub health: Vec<Sentence>,
    /// What the node lacks to be ready, in sentences.
    pub lacks: Vec<String>,
    /// Its streams, those that have been silent longest first.
    pub streams: Vec<StreamRow>,
    /// Streams beyond those that are listed.
    pub streams_left_out: u64,
    /// The pool's edges, the worst first; none on an edge.
    pub edges: Vec<EdgeRow>,
    /// Edges beyond those that are listed.
    pub edges_left_out: u64,
    /// Viewers.
    pub viewers: Both,
    /// What viewers are sent, in bits per second.
    pub egress: Both,
    /// How many more viewers there is room for, of the stream that takes most; `None` if nobody knows.
    pub room: Option<u64>,
    /// What one more viewer is reckoned with, in bits per second.
    pub viewer_bits: u64,
    /// What may be sent from here, and what is given away of it.
    pub uplink: UplinkRow,
    /// Whether this node serves viewers itself.
    pub serves: bool,
    /// What became of those who asked for a stream here, since the start.
    pub joins: Vec<JoinRow>,
    /// What was decided on those who could have been served here, since the start.
    pub admissions: Vec<Decisions>,
    /// How often somebody was refused here in the last minute.
    pub refused_lately: u64,
    /// Join tokens that are good; none on an edge.
    pub tokens_live: Option<u64>,
}

/// A figure for this node, and for its whole pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both {
    /// This node's.
    pub here: u64,
    /// This node's and its edges', as they report; on an edge its own.
    pub pool: u64,
}

/// What may be sent from a node, in bits per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UplinkRow {
    /// `[origin] uplink`, `[edge] capacity`, or else the card's speed; `None` if nobody knows.
    pub configured: Option<u64>,
    /// What is given away of it, viewers, first bursts and the edges' copies together.
    pub committed: u64,
    /// The one of the other, from 0; `None` without the other.
    pub share: Option<f64>,
    /// From which share on viewers are sent elsewhere.
    pub scarce_from: Option<f64>,
    /// From which share on they are refused.
    pub full_from: Option<f64>,
    /// What the edges' copies of the streams take.
    pub to_edges: u64,
    /// What the node is short of, or about to be: `uplink`, `cpu`, `viewers`, `tcp_memory` or `draining`.
    pub short_of: Option<String>,
    /// Whether it is so short of it that nobody new is served here.
    pub full: bool,
}

/// How often asking for a stream came out in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRow {
    /// A label of `relay_joins_total`, such as `served`.
    pub outcome: String,
    /// How often since the start.
    pub count: u64,
}

impl Overview {
    /// Adds a pool to what a node tells of itself.
    #[must_use]
    pub fn with_pool(mut self, edges: Vec<EdgeRow>, tokens_live: u64) -> Self {
        let there = |edge: &&EdgeRow| !matches!(&*edge.state, "lost" | "presumed");
        let present = || edges.iter().filter(there);
        self.viewers.pool = self.viewers.here + present().map(|edge| u64::from(edge.viewers)).sum::<u64>();
        self.egress.pool = present().fold(self.egress.here, |sum, edge| sum.saturating_add(edge.egress));
        // What the machine could serve says nothing of a line that nobody knows.
        let knows_line = self.uplink.configured.is_some();
        let mut room = self.room.filter(|_| self.serves && knows_line);
        for edge in edges.iter().filter(|edge| edge.state == "serving") {
            // No stream takes nothing.
            let more = edge.headroom / self.viewer_bits.max(1);
            room = Some(room.unwrap_or(0).saturating_add(more));
        }
        self.room = room;
        self.edges = edges;
        self.tokens_live = Some(tokens_live);
        self
    }

    /// Says how it all stands, puts the worst first, and leaves out what would make it too long.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        self.health = health(&self);
        self.edges.sort_by(|a, b| (rank(a), &a.id).cmp(&(rank(b), &b.id)));
        let silence = |row: &StreamRow| row.silent_seconds.unwrap_or(0.0);
        // Those that flow stay in the order of their names.
        self.streams
            .sort_by(|a, b| silence(b).trunc().total_cmp(&silence(a).trunc()));
        self.edges_left_out = cut(&mut self.edges);
        self.streams_left_out = cut(&mut self.streams);
        self
    }
}

/// Leaves out what is too many, and says how much that is.
fn cut<T>(rows: &mut Vec<T>) -> u64 {
    let over = rows.len().saturating_sub(ADMIN_SNAPSHOT_ROWS);
    rows.truncate(ADMIN_SNAPSHOT_ROWS);
    over as u64
}
