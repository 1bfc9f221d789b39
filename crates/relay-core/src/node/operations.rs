//! What an operator can see and do on every node.

use std::sync::Arc;

use super::Capacity;
use crate::admin::{
    AdmissionRow, Both, JoinRow, Overview, Refused, StreamRow, UplinkRow, ViewerRow, WarningRow,
};
use crate::admission::{Account, Room, Why};
use crate::clock::Clock;
use crate::fanout::{Fanout, ViewerInfo};
use crate::readiness::Readiness;
use crate::serve::{Doorman, ServeMetrics};
use crate::stream::{Hub, Stream};

/// The least that one more viewer is reckoned with, in bits per second: what a stream that has just begun takes says nothing.
const LEAST_VIEWER_BITS: u64 = 100_000;

/// Lists and kicks, for the admin API of either program.
#[derive(Clone)]
pub struct Operations {
    pub(super) hub: Arc<Hub>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) clock: Clock,
    pub(super) doorman: Arc<Doorman>,
    pub(super) capacity: Capacity,
    pub(super) serve_metrics: ServeMetrics,
    /// Whose operations they are, for a person.
    pub(super) program: &'static str,
    /// What a viewer takes as long as no stream tells, in bits per second.
    pub(super) expected_bits: u64,
    /// When the node came up, on the monotonic clock.
    pub(super) started_ms: u64,
}

impl Operations {
    /// The streams, by name.
    pub fn streams(&self) -> Vec<StreamRow> {
        self.hub.list().iter().map(|stream| self.row(stream)).collect()
    }

    fn row(&self, stream: &Stream) -> StreamRow {
        let state = stream.state();
        let now = self.clock.now().mono_ms;
        StreamRow {
            stream: stream.key().to_string(),
            playable: state.playable,
            epoch: state.epoch,
            tags: state.tags,
            bytes: state.bytes,
            silent_seconds: state
                .last_append_ms
                .map(|last| now.saturating_sub(last) as f64 / 1000.0),
            viewers: stream.viewer_count(),
            peak_bits: stream.peak_bytes_per_second().saturating_mul(8),
            log_bytes: state.log_bytes as u64,
            warnings: stream.warnings().into_iter().map(WarningRow::from).collect(),
        }
    }

    /// How this node stands by itself. A pool is still to be added, and the conclusion to be drawn.
    pub fn overview(&self, readiness: &Readiness) -> Overview {
        let now = self.clock.now();
        let (streams, account) = (self.streams(), self.doorman.account());
        let viewers = self.fanout.viewers() as u64;
        let peak = streams.iter().map(|stream| stream.peak_bits).max();
        let viewer_bits = peak.unwrap_or(self.expected_bits).max(LEAST_VIEWER_BITS);
        let room = self.capacity.bits().map(|bits| {
            let more = bits.saturating_sub(account.committed) / viewer_bits;
            let more = more.min(account.most_viewers.saturating_sub(viewers));
            if matches!(account.room, Room::Full(_)) {
                0
            } else {
                more
            }
        });
        let both = |here| Both { here, pool: here };
        Overview {
            program: self.program.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time_ms: now.unix_ms(),
            uptime_seconds: now.mono_ms.saturating_sub(self.started_ms) / 1000,
            health: Vec::new(),
            lacks: readiness.lacking(),
            streams,
            streams_left_out: 0,
            edges: Vec::new(),
            edges_left_out: 0,
            viewers: both(viewers),
            egress: both(account.to_viewers),
            room,
            viewer_bits,
            uplink: uplink(account),
            serves: self.doorman.serves(),
            joins: self.serve_metrics.joins().map(join_row).collect(),
            admissions: self.admissions(),
            refused_lately: self.doorman.refused_lately(),
            tokens_live: None,
        }
    }

    fn admissions(&self) -> Vec<AdmissionRow> {
        let decisions = self.doorman.decisions().into_iter();
        let rows = decisions.map(|made| AdmissionRow {
            decision: made.decision,
            reason: made.reason,
            count: made.count,
        });
        rows.collect()
    }

    /// The viewers, by id.
    pub async fn viewers(&self) -> Vec<ViewerRow> {
        self.fanout.list().await.into_iter().map(viewer_row).collect()
    }

    /// Closes a viewer.
    ///
    /// # Errors
    /// When there is none of that id.
    pub async fn kick_viewer(&self, id: u64) -> Result<(), Refused> {
        if !self.fanout.list().await.iter().any(|viewer| viewer.id == id) {
            return Err(Refused::NotFound(format!("there is no viewer {id}")));
        }
        self.fanout.kick(id);
        Ok(())
    }
}

fn join_row((outcome, count): (&str, u64)) -> JoinRow {
    JoinRow {
        outcome: outcome.to_owned(),
        count,
    }
}

fn uplink(account: Account) -> UplinkRow {
    let (short_of, full) = match account.room {
        Room::Plenty => (None, false),
        Room::Scarce(why) => (Some(Why::name(why).to_owned()), false),
        Room::Full(why) => (Some(Why::name(why).to_owned()), true),
    };
    let part = |percent: u64| percent as f64 / 100.0;
    UplinkRow {
        configured: account.limit.map(|limit| limit.bits),
        committed: account.committed,
        share: account
            .limit
            .filter(|limit| limit.bits > 0)
            .map(|limit| account.committed as f64 / limit.bits as f64),
        scarce_from: account.limit.map(|limit| part(limit.scarce_percent)),
        full_from: account.limit.map(|limit| part(limit.full_percent)),
        to_edges: account.to_children,
        short_of,
        full,
    }
}

fn viewer_row(viewer: ViewerInfo) -> ViewerRow {
    ViewerRow {
        id: viewer.id,
        stream: viewer.stream.to_string(),
        flavour: viewer.flavour.name().to_owned(),
        peer: viewer.peer.to_string(),
        age_seconds: viewer.age_ms as f64 / 1000.0,
        behind_bytes: viewer.behind_bytes,
        skips: viewer.skips,
    }
}
