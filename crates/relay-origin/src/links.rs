//! The origin's link port: edges join here, and are fed from here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use quinn::{ClientConfig, Endpoint};
use relay_core::cascade::Instance;
use relay_core::clock::Clock;
use relay_core::config::{Config, HostPort, Push};
use relay_core::link::backoff::Backoff;
use relay_core::link::dial::dial;
use relay_core::link::door::{Arrival, Door};
use relay_core::link::join::JoinHall;
use relay_core::link::metrics::{register_door, register_parent};
use relay_core::link::parent::{Parent, ParentConfig};
use relay_core::link::quic::{self, QuicConfig};
use relay_core::link::refusal::Refusal;
use relay_core::metrics::{at_scrape, counters};
use relay_core::node::{Node, NodeError};
use relay_core::tls::{self, InstanceId, JOIN_ALPN, LINK_ALPN, NodeName, PoolCa, PoolRoot, Role, peer};
use relay_core::token::Address;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::StartError;
use crate::identity::OriginIdentity;
use crate::pool::Pool;
use crate::tokens::Desk;

/// How long one attempt at an edge may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The first wait after a push that failed, and the longest.
const PUSH_WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How long the last words to children may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// The bound port.
pub struct LinkPort {
    door: Door,
    endpoint: Endpoint,
    client: ClientConfig,
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
        max_links: usize,
    ) -> Result<Self, StartError> {
        let root = PoolRoot::new(ca.certificate().clone())?;
        let tls = tls::server(identity.credentials(), &root, &[LINK_ALPN, JOIN_ALPN])?;
        let client = quic::client_config(tls::link_client(identity.credentials(), &root)?, &quic)?;
        let port = quic::bind(listen, Some(quic::server_config(tls, &quic)?), &quic)?;
        if let Some(warning) = port.buffers.warning() {
            tracing::warn!("{warning}");
        }
        let endpoint = port.endpoint;
        let bound = endpoint.local_addr();
        let address = bound.map_err(|error| quic::BindError::Other {
            address: listen,
            error,
        })?;
        Ok(Self {
            door: Door::new(endpoint.clone(), quic, max_links),
            endpoint,
            client,
            address,
        })
    }
}

/// Everything that comes to the port, served; and edges that are dialled from here.
pub struct Links {
    port: LinkPort,
    identity: OriginIdentity,
    desk: Arc<Desk>,
    parent: Parent,
    hall: JoinHall,
    push: Vec<Push>,
}

impl Links {
    /// Serves what comes to `port`.
    ///
    /// # Errors
    /// When a metric's name is taken.
    pub fn new(
        port: LinkPort,
        identity: OriginIdentity,
        desk: Arc<Desk>,
        node: &Node,
        pool: &Arc<Pool>,
        config: &Config,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let limits = ParentConfig {
            max_lag_ms: config.limits.max_lag.millis(),
            max_links: config.limits.max_children as usize,
            max_depth: config.limits.max_depth as usize,
        };
        let us = Instance::from(identity.credentials().peer().instance);
        // The origin is at the top: there is nobody above it, and never will be.
        let (_, nobody_above) = watch::channel(Vec::new());
        let hub = Arc::clone(&node.hub);
        let parent = Parent::new(hub, node.clock, limits, us, nobody_above, Arc::clone(pool) as _);
        pool.know_parent(parent.clone());
        let children = parent.clone();
        node.doorman.know_links(move || children.load());
        let hall = JoinHall::new(Arc::clone(&desk) as _, node.clock);
        let joins = hall.stats();
        at_scrape(registry, "relay_edge_joins_total", move || {
            let help = "Edges that asked to join or to renew, by outcome.";
            counters("relay_edge_joins_total", help, "outcome", joins.outcomes())
        })
        .map_err(NodeError::from)?;
        register_parent(registry, &parent, limits.max_links).map_err(NodeError::from)?;
        register_door(registry, port.door.stats()).map_err(NodeError::from)?;
        Ok(Self {
            port,
            identity,
            desk,
            parent,
            hall,
            push: config.push.clone(),
        })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Who is linked, and where their metrics are.
    pub const fn parent(&self) -> &Parent {
        &self.parent
    }

    /// Serves until `stop`.
    pub async fn run(self, clock: Clock, stop: CancellationToken) {
        let Self {
            mut port,
            identity,
            desk,
            parent,
            hall,
            push,
        } = self;
        let links = TaskTracker::new();
        for Push { edge } in push {
            let line = Line {
                endpoint: port.endpoint.clone(),
                client: port.client.clone(),
                edge,
            };
            let (parent, desk, stop) = (parent.clone(), Arc::clone(&desk), stop.clone());
            links.spawn(async move { line.push(&parent, &desk, stop).await });
        }
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
                            continue;
                        }
                        let (parent, stop) = (parent.clone(), stop.clone());
                        links.spawn(async move { parent.serve(connection, peer.instance.into(), stop).await });
                    }
                    None => break,
                },
            }
        }
        links.close();
        links.wait().await;
        let LinkPort { door, endpoint, .. } = port;
        endpoint.set_server_config(None);
        drop(door);
        // What was said last is on its way when this returns; a peer that hears nothing does not hold us up.
        let _ = tokio::time::timeout(GOODBYE, endpoint.wait_idle()).await;
    }
}

/// One edge that is dialled from here.
struct Line {
    endpoint: Endpoint,
    client: ClientConfig,
    edge: HostPort,
}

impl Line {
    /// Keeps a link to the edge up until `stop`.
    async fn push(&self, parent: &Parent, desk: &Desk, stop: CancellationToken) {
        let mut backoff = Backoff::new(PUSH_WAITS.0, PUSH_WAITS.1, u64::from(self.edge.port()));
        let mut said = None;
        loop {
            let dialled = stop.run_until_cancelled(self.dial()).await;
            let wait = match dialled {
                None => return,
                Some(Ok((connection, instance))) if desk.is_revoked(instance) => {
                    Refusal::EdgeRevoked.close(&connection);
                    backoff.next_wait()
                }
                Some(Ok((connection, instance))) => {
                    tracing::info!(edge = %self.edge, %instance, "push: linked to the edge");
                    (backoff, said) = (
                        Backoff::new(PUSH_WAITS.0, PUSH_WAITS.1, u64::from(self.edge.port())),
                        None,
                    );
                    parent.serve(connection, instance.into(), stop.clone()).await;
                    backoff.next_wait()
                }
                Some(Err(trouble)) => {
                    if said.as_ref() != Some(&trouble) {
                        tracing::warn!(edge = %self.edge, trouble, "push: cannot link to the edge yet");
                        said = Some(trouble);
                    }
                    backoff.next_wait()
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    async fn dial(&self) -> Result<(quinn::Connection, InstanceId), String> {
        let address = Address::new(self.edge.host(), self.edge.port()).map_err(|error| error.to_string())?;
        let name = NodeName::AnyEdge.server_name();
        let dialled = dial(&self.endpoint, &self.client, &address, &name, ATTEMPT).await;
        let connection = dialled.map_err(|error| error.to_string())?;
        let them = peer(&connection).ok_or("the edge showed no certificate")?;
        Ok((connection, them.instance))
    }
}
