//! An edge's links once it is a member: up to its parent and the origin, down to its own children.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use quinn::Endpoint;
use relay_core::cascade::Instance;
use relay_core::cascade::message::LinkRole;
use relay_core::config::{Config, HostPort};
use relay_core::link::child::{Child, ChildConfig, Dialled, Dialler, LinkStatus};
use relay_core::link::dial::dial;
use relay_core::link::door::{Arrival, Door};
use relay_core::link::join::Joined;
use relay_core::link::metrics::{register_child, register_door, register_parent};
use relay_core::link::parent::{NoDesk, Parent, ParentConfig};
use relay_core::link::quic::{self, QuicConfig};
use relay_core::link::refusal::Refusal;
use relay_core::node::{Node, NodeError};
use relay_core::readiness::Readiness;
use relay_core::tls::{self, InstanceId, LINK_ALPN, NodeName, Role, peer};
use relay_core::token::Address;
use tokio_util::sync::CancellationToken;

use crate::error::EdgeError;
use crate::others::Others;
use crate::presence::Presence;

/// How long one attempt may take. An attempt's packets back off, so that a fresh one finds a healed path sooner; a
/// handshake over the worst path there is, 600 ms by satellite, still fits.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// How long streams are kept without any parent: viewers are held for an origin that is being mended, not for ever.
const HOLD: Duration = Duration::from_secs(600);

/// What an edge needs for its links, before it has joined.
pub struct Pool {
    endpoint: Endpoint,
    quic: QuicConfig,
    parent: Option<HostPort>,
    child: ChildConfig,
    parent_config: ParentConfig,
    registry: Registry,
    us: Presence,
}

impl Pool {
    /// Links over `endpoint`.
    pub fn new(
        endpoint: Endpoint,
        quic: QuicConfig,
        config: &Config,
        registry: Registry,
        us: Presence,
    ) -> Self {
        Self {
            endpoint,
            quic,
            parent: config.edge.parent.clone(),
            child: ChildConfig {
                silence: config.link.silence.get(),
                backoff_max: config.link.backoff_max.get(),
                hold: HOLD,
                role: LinkRole::Both,
            },
            parent_config: ParentConfig {
                max_lag_ms: config.limits.max_lag.millis(),
                max_links: config.limits.max_children as usize,
                max_depth: config.limits.max_depth as usize,
            },
            registry,
            us,
        }
    }

    /// Starts all links of a fresh member, in the node's tasks. Gives the one to the origin.
    ///
    /// # Errors
    /// What TLS or QUIC has against the certificate, or a metric's name.
    pub fn start(self, joined: &Joined, node: &Node, readiness: &Readiness) -> Result<Child, EdgeError> {
        let us = joined.credentials.peer().instance;
        self.us.others.leave_out(name_of(us));
        let server = tls::server(Arc::clone(&joined.credentials), &joined.root, &[LINK_ALPN])?;
        self.endpoint
            .set_server_config(Some(quic::server_config(server, &self.quic)?));
        let client = tls::link_client(Arc::clone(&joined.credentials), &joined.root)?;
        let client = quic::client_config(client, &self.quic)?;
        let line = Line {
            endpoint: self.endpoint.clone(),
            client,
        };
        let to_origin = line.dialler(joined.addresses.clone(), NodeName::Origin, None);

        let (child, origin) = match &self.parent {
            None => {
                let child = self.child(us, node, self.child);
                node.tasks
                    .spawn(keep(child.clone(), to_origin, node.stop.clone()));
                (child.clone(), child)
            }
            Some(parent) => {
                let media = self.child(
                    us,
                    node,
                    ChildConfig {
                        role: LinkRole::Media,
                        ..self.child
                    },
                );
                // It tells the origin what is held here, whoever brought it.
                let control = media.beside(ChildConfig {
                    role: LinkRole::Control,
                    ..self.child
                });
                let to_parent = line.dialler(
                    vec![address_of(parent)?],
                    NodeName::AnyEdge,
                    Some(control.clone()),
                );
                node.tasks
                    .spawn(keep(control.clone(), to_origin, node.stop.clone()));
                node.tasks
                    .spawn(keep(media.clone(), to_parent, node.stop.clone()));
                (media, control)
            }
        };
        node.tasks
            .spawn(watch_link(child.clone(), readiness.clone(), node.stop.clone()));
        node.tasks.spawn(watch_origin(
            origin.clone(),
            self.us.others.clone(),
            node.stop.clone(),
        ));
        let hub = Arc::clone(&node.hub);
        let parent = Parent::new(
            hub,
            node.clock,
            self.parent_config,
            name_of(us),
            child.hops(),
            Arc::new(NoDesk::of(child.clone())),
        );
        let children = parent.clone();
        node.doorman.know_links(move || children.load());
        register_child(&self.registry, &child).map_err(NodeError::from)?;
        register_parent(&self.registry, &parent, self.parent_config.max_links).map_err(NodeError::from)?;
        let door = Door::new(self.endpoint, self.quic, self.parent_config.max_links);
        register_door(&self.registry, door.stats()).map_err(NodeError::from)?;
        node.tasks.spawn(answer(door, parent, child, node.stop.clone()));
        Ok(origin)
    }

    fn child(&self, us: InstanceId, node: &Node, config: ChildConfig) -> Child {
        Child::new(
            Arc::clone(&node.hub),
            node.clock,
            name_of(us),
            config,
            Arc::new(self.us.clone()),
            us.seed(),
        )
    }
}

/// An instance as the cascade names it: 32 hexadecimal digits are a valid name.
fn name_of(instance: InstanceId) -> Instance {
    Instance::from(instance)
}

fn address_of(parent: &HostPort) -> Result<Address, EdgeError> {
    Address::new(parent.host(), parent.port()).map_err(EdgeError::Parent)
}

async fn keep(child: Child, dialler: Dialler, stop: CancellationToken) {
    child.run(dialler, stop).await;
}

/// What dialling needs.
struct Line {
    endpoint: Endpoint,
    client: quinn::ClientConfig,
}

impl Line {
    /// Dials `addresses` in turn, one per attempt, and insists on meeting `name`. An edge that answers is asked about at
    /// the origin, over `control`, before it is believed: its certificate may have been revoked since it was made.
    fn dialler(&self, addresses: Vec<Address>, name: NodeName, control: Option<Child>) -> Dialler {
        let (endpoint, client) = (self.endpoint.clone(), self.client.clone());
        let turn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        Arc::new(move || {
            let (endpoint, client, control) = (endpoint.clone(), client.clone(), control.clone());
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // A token names at least one address.
            let address = addresses.get(turn % addresses.len().max(1)).cloned();
            Box::pin(async move {
                let address = address.ok_or("no address of the parent is known")?;
                let dialled = dial(&endpoint, &client, &address, &name.server_name(), ATTEMPT).await;
                let connection = dialled.map_err(|error| error.to_string())?;
                let them = peer(&connection).ok_or("the parent showed no certificate")?;
                let parent = name_of(them.instance);
                // Where the origin cannot be asked, the certificate has to do: a tree outlives its origin's absence.
                if let Some(control) = control
                    && control.ask(&parent).await == Some(false)
                {
                    Refusal::EdgeRevoked.close(&connection);
                    return Err(format!(
                        "the edge at {address} is no member of the pool, by the origin's word"
                    ));
                }
                Ok(Dialled { connection, parent })
            })
        })
    }
}

/// Shows in `/readyz` how the link to the parent stands.
async fn watch_link(child: Child, readiness: Readiness, stop: CancellationToken) {
    let mut status = child.status();
    loop {
        match &*status.borrow_and_update() {
            LinkStatus::Connected { .. } => readiness.fulfil("parent"),
            LinkStatus::Connecting { trouble } => {
                let trouble = trouble.as_deref().unwrap_or("there is no link to the parent yet");
                readiness.lack("parent", trouble);
            }
            LinkStatus::Revoked => readiness.lack("parent", "this edge was revoked"),
        }
        if !matches!(stop.run_until_cancelled(status.changed()).await, Some(Ok(()))) {
            return;
        }
    }
}

/// Notes when nobody tells of the other nodes any more.
async fn watch_origin(origin: Child, others: Others, stop: CancellationToken) {
    let mut status = origin.status();
    loop {
        let is_linked = matches!(*status.borrow_and_update(), LinkStatus::Connected { .. });
        if !is_linked {
            others.origin_is_lost();
        }
        if !matches!(stop.run_until_cancelled(status.changed()).await, Some(Ok(()))) {
            return;
        }
    }
}

/// Serves what comes to the link port: children of this edge's, and an origin that pushes.
async fn answer(mut door: Door, parent: Parent, child: Child, stop: CancellationToken) {
    let links = tokio_util::task::TaskTracker::new();
    while let Some(Some(arrival)) = stop.run_until_cancelled(door.next()).await {
        let Arrival::Link { connection, peer } = arrival else {
            continue;
        };
        let stop = stop.clone();
        match peer.role {
            Role::Origin => {
                let (child, from) = (child.clone(), name_of(peer.instance));
                links.spawn(async move {
                    child
                        .receive(
                            Dialled {
                                connection,
                                parent: from,
                            },
                            stop,
                        )
                        .await
                });
            }
            Role::Edge => {
                let parent = parent.clone();
                links.spawn(async move { parent.serve(connection, name_of(peer.instance), stop).await });
            }
        }
    }
    links.close();
    links.wait().await;
}
