//! What the admin API does on an edge.

use relay_core::admin::{
    Answer, Desk, DrainRequest, EdgeRow, EndedKey, KeyRequest, KeyRow, KickRequest, MadeKey, Overview,
    Refused, StreamRow, TokenRequest, TokenRow, ViewerRow,
};
use relay_core::node::Operations;
use relay_core::readiness::Readiness;

/// Whoever asks an edge for tokens is told where they are.
const AT_THE_ORIGIN: Refused = Refused::NotHere("tokens are made and revoked at the origin");

/// For publish keys.
const KEYS_AT_THE_ORIGIN: Refused = Refused::NotHere("publish keys are at the origin, as publishers are");

/// And whoever asks for other edges.
const EDGES_AT_THE_ORIGIN: Refused =
    Refused::NotHere("the pool's edges are listed, drained and revoked at the origin");

/// Streams and viewers, for the one who opens the admin socket.
pub struct AdminDesk {
    /// What every node can do.
    pub operations: Operations,
    /// Where this node's metrics are.
    pub metrics: String,
    /// What this node lacks.
    pub readiness: Readiness,
}

impl Desk for AdminDesk {
    fn overview(&self) -> Overview {
        self.operations.overview(&self.readiness).concluded()
    }

    fn streams(&self) -> Vec<StreamRow> {
        self.operations.streams()
    }

    fn viewers(&self) -> Answer<'_, Vec<ViewerRow>> {
        Box::pin(self.operations.viewers())
    }

    fn kick(&self, whom: KickRequest) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            match whom {
                KickRequest::Viewer(id) => self.operations.kick_viewer(id).await,
                KickRequest::Stream(_) => Err(Refused::NotHere("publishers are at the origin")),
            }
        })
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, Refused> {
        Err(AT_THE_ORIGIN)
    }

    fn create_token(&self, _: TokenRequest) -> Result<String, Refused> {
        Err(AT_THE_ORIGIN)
    }

    fn revoke_token(&self, _: &str) -> Result<(), Refused> {
        Err(AT_THE_ORIGIN)
    }

    fn keys(&self) -> Result<Vec<KeyRow>, Refused> {
        Err(KEYS_AT_THE_ORIGIN)
    }

    fn create_key(&self, _: KeyRequest) -> Result<MadeKey, Refused> {
        Err(KEYS_AT_THE_ORIGIN)
    }

    fn revoke_key(&self, _: &str) -> Result<EndedKey, Refused> {
        Err(KEYS_AT_THE_ORIGIN)
    }

    fn edges(&self) -> Result<Vec<EdgeRow>, Refused> {
        Err(EDGES_AT_THE_ORIGIN)
    }

    fn drain_edge(&self, _: &str, _: DrainRequest) -> Result<String, Refused> {
        Err(EDGES_AT_THE_ORIGIN)
    }

    fn revoke_edge(&self, _: &str) -> Result<String, Refused> {
        Err(EDGES_AT_THE_ORIGIN)
    }

    fn metrics_targets(&self) -> Vec<String> {
        vec![self.metrics.clone()]
    }
}
