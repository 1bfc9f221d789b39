//! The origin's link port: edges join here, and are fed from here.

use std::net::SocketAddr;
use std::sync::Arc;

use relay_core::clock::Clock;
use relay_core::link::door::{Arrival, Door};
use relay_core::link::join::JoinHall;
use relay_core::link::quic::{self, QuicConfig};
use relay_core::link::refusal::Refusal;
use relay_core::node::Node;
use relay_core::tls::{self, JOIN_ALPN, LINK_ALPN, PoolCa, PoolRoot, Role};
use tokio_util::sync::CancellationToken;

use crate::error::StartError;
use crate::identity::OriginIdentity;
use crate::ingest::Floors;
use crate::tokens::Desk;

/// The bound port.
pub struct LinkPort {
    door: Door,
    /// Where it is.
    pub address: SocketAddr,
}

impl LinkPort {
    /// Opens the port for links and joins.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn open(
        listen: SocketAddr,
        identity: &OriginIdentity,
        ca: &PoolCa,
        quic: QuicConfig,
    ) -> Result<Self, StartError> {
        let root = PoolRoot::new(ca.certificate().clone())?;
        let tls = tls::server(identity.credentials(), &root, &[LINK_ALPN, JOIN_ALPN])?;
        let port = quic::bind(listen, Some(quic::server_config(tls, &quic)?), &quic)?;
        if let Some(warning) = port.buffers.warning() {
            tracing::warn!("{warning}");
        }
        let address = port
            .endpoint
            .local_addr()
            .map_err(|source| quic::BindError::Other {
                address: listen,
                source,
            })?;
        Ok(Self {
            door: Door::new(port.endpoint, quic),
            address,
        })
    }
}

/// Everything that comes to the port, served.
pub struct Links {
    port: LinkPort,
    identity: OriginIdentity,
    desk: Arc<Desk>,
}

impl Links {
    /// Serves what comes to `port`.
    pub fn new(
        port: LinkPort,
        identity: OriginIdentity,
        desk: Arc<Desk>,
        _node: &Node,
        _floors: Floors,
    ) -> Self {
        Self { port, identity, desk }
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Serves until `stop`.
    pub async fn run(self, clock: Clock, stop: CancellationToken) {
        let Self {
            mut port,
            identity,
            desk,
        } = self;
        let hall = JoinHall::new(Arc::clone(&desk) as _, clock);
        let mut renewal = tokio::time::interval(identity.renew_after());
        renewal.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renewal.tick() => if let Err(error) = identity.renew(clock.now()) {
                    tracing::error!(%error, "this origin cannot renew its own certificate");
                },
                arrival = port.door.next() => match arrival {
                    Some(Arrival::Join(connection)) => hall.enter(connection),
                    Some(Arrival::Link { connection, peer }) => {
                        if peer.role != Role::Edge || desk.is_revoked(peer.instance) {
                            Refusal::EdgeRevoked.close(&connection);
                        }
                    }
                    None => break,
                },
            }
        }
    }
}
