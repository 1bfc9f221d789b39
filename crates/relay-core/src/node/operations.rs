//! What an operator can see and do on every node.

use std::sync::Arc;

use crate::admin::{Refused, StreamRow, ViewerRow};
use crate::clock::Clock;
use crate::fanout::{Fanout, ViewerInfo};
use crate::stream::{Hub, Stream};

/// Lists and kicks, for the admin API of either program.
#[derive(Clone)]
pub struct Operations {
    pub(super) hub: Arc<Hub>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) clock: Clock,
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
            log_bytes: state.log_bytes as u64,
        }
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
