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
        let address = port.endpoint.local_addr().map_err(|source| quic::BindError::Other { address: listen, source })?;
        Ok(Self { door: Door::new(port.endpoint, quic), address })
    }
}
