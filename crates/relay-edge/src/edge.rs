//! The edge, put together: everything is bound first, then it joins, and runs until told to stop.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use relay_core::admin::AdminSocket;
use relay_core::clock::Clock;
use relay_core::config::{Config, Environment, Program};
use relay_core::limits::OpenFiles;
use relay_core::link::child::LinkStatus;
use relay_core::link::join::Asker;
use relay_core::link::quic::{self, QuicConfig};
use relay_core::metrics::{self, MetricsServer, at_scrape, gauge};
use relay_core::node::{Node, NodeError};
use relay_core::readiness::Readiness;
use relay_core::systemd;
use relay_core::tls::NodeKey;
use relay_core::token::JoinToken;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::desk::AdminDesk;
use crate::error::EdgeError;
use crate::join::{Member, Membership};
use crate::others::Others;
use crate::pool::Pool;
use crate::presence::Presence;
use crate::reach::public;

/// How long after a drain's window those who wait for their group's end are waited for.
const LAST_GROUP: Duration = Duration::from_secs(10);

/// How long the origin has to hear of a drain before the first viewer goes: two reports.
const NOTICE: Duration = Duration::from_secs(2);

/// How long the same takes where nobody has to go: one report.
const WORD: Duration = Duration::from_millis(1200);

/// How often it is looked whether all have gone.
const LOOK: Duration = Duration::from_millis(50);

/// An edge with all its ports open, not a member yet.
pub struct Edge {
    node: Node,
    member: Member,
    token: JoinToken,
    pool: Pool,
    admin: Option<AdminSocket>,
    operator: Arc<AdminDesk>,
    metrics: MetricsServer,
    readiness: Readiness,
    us: Presence,
    /// Over how long viewers are let go before the end.
    drain: Duration,
}

impl Edge {
    /// Opens all ports. Call it within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong, in a sentence; nothing is left running then.
    pub async fn bind(
        config: &Config,
        environment: &Environment,
        token: JoinToken,
    ) -> Result<Self, EdgeError> {
        let clock = Clock::start();
        let files = OpenFiles::raise();
        let registry = metrics::registry(Program::Edge.name()).map_err(NodeError::from)?;
        let readiness = Readiness::waiting_for([
            ("pool", "this edge has not joined its pool yet"),
            ("parent", "there is no link to the parent yet"),
        ]);
        let metrics_listen = config.metrics.listen.addr();
        let metrics = MetricsServer::bind(
            metrics_listen,
            registry.clone(),
            readiness.clone(),
            config.metrics.token.clone(),
        );
        let metrics = metrics.await?;
        let quic = QuicConfig::from(&config.link);
        let port = quic::bind(config.link.listen.addr(), None, &quic)?;
        if let Some(warning) = port.buffers.warning() {
            tracing::warn!("{warning}");
        }
        let node = Node::start(config, Program::Edge, &registry, clock)?;
        let doors = node.open(config, None)?;
        let admin = match config.admin_socket(Program::Edge, environment)? {
            Some(path) => Some(open_admin(&path).await?),
            None => None,
        };
        let operator = Arc::new(AdminDesk {
            operations: node.operations(),
            metrics: metrics.address().to_string(),
            readiness: readiness.clone(),
        });
        let member = Member::new(
            Asker::new(port.endpoint.clone(), quic.clone(), NodeKey::generate()?),
            clock,
        );
        tracing::info!(
            http = %doors.http, rtmp = %doors.rtmp, metrics = %metrics.address(), %files, "relay-edge is up"
        );
        let us = Presence {
            public: public(&config.edge.public, &doors),
            metrics: metrics.address().to_string(),
            fanout: Arc::clone(&node.fanout),
            doorman: Arc::clone(&node.doorman),
            capacity: node.capacity(),
            others: Others::default(),
            draining: Arc::default(),
            told: Arc::default(),
        };
        register_reach(&registry, us.clone()).map_err(NodeError::from)?;
        node.doorman.know_elsewhere(Arc::new(us.others.clone()));
        if let Some(address) = node.answer_names(config, us.others.names(), &registry)? {
            tracing::info!(%address, "answering the pool's names");
        }
        let pool = Pool::new(port.endpoint, quic, config, registry, us.clone());
        Ok(Self {
            node,
            member,
            token,
            pool,
            admin,
            operator,
            metrics,
            readiness,
            us,
            drain: config.edge.drain.get(),
        })
    }

    /// Joins, and runs until `stop`; then ends all that it started.
    ///
    /// # Errors
    /// The origin's final no.
    pub async fn run(self, stop: CancellationToken) -> Result<(), EdgeError> {
        let Self {
            node,
            mut member,
            token,
            pool,
            admin,
            operator,
            metrics,
            readiness,
            us,
            drain,
        } = self;
        let ending = node.stop.clone();
        node.tasks.spawn(metrics.run(ending.clone()));
        node.remark_on_encoders(&readiness);
        if let Some(admin) = admin {
            node.tasks.spawn(admin.run(operator, ending.clone()));
        }
        node.tasks.spawn(watch_membership(
            member.status(),
            readiness.clone(),
            ending.clone(),
        ));
        systemd::ready(&member.status().borrow().to_string());
        let life = async {
            let joined = member.join(&token).await.map_err(EdgeError::Join)?;
            let origin = pool.start(&joined, &node, &readiness)?;
            let (mut status, mut kept) = (origin.status(), pin!(member.keep(joined)));
            tokio::select! {
                error = &mut kept => Err(EdgeError::Join(error)),
                Ok(_) = status.wait_for(|status| *status == LinkStatus::Revoked) => Err(EdgeError::Revoked),
            }
        };
        let end = async {
            stop.cancelled().await;
            systemd::stopping();
            readiness.lack("pool", "this edge is draining");
            drained(&us, drain).await;
        };
        let result = tokio::select! {
            () = end => Ok(()),
            result = life => result,
        };
        systemd::stopping();
        readiness.lack("pool", "this edge is shutting down");
        node.shut_down().await;
        result
    }
}

/// Lets the viewers go, and waits until they have gone, or for the window and a little more: one who takes nothing has no end
/// to be told of.
async fn drained(us: &Presence, window: Duration) {
    if window.is_zero() {
        return;
    }
    us.close_doors();
    if us.fanout.viewers() == 0 {
        // Said all the same: who goes on purpose is not lost, and nobody need be alarmed.
        tokio::time::sleep(WORD).await;
        return;
    }
    tracing::info!(viewers = us.fanout.viewers(), ?window, "draining");
    // Whoever leaves asks where to go: nobody must be sent here any more by then.
    tokio::time::sleep(NOTICE).await;
    us.drain(window);
    let gone = async {
        while us.fanout.viewers() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(window + LAST_GROUP, gone).await.is_err() {
        tracing::info!(viewers = us.fanout.viewers(), "the rest are ended now");
    }
}

/// Tells Prometheus how viewers reach this edge. That is no matter of readiness: it may be a parent all the same, and an
/// orchestrator that restarted it would change nothing.
fn register_reach(registry: &Registry, us: Presence) -> prometheus::Result<()> {
    let name = "relay_unreachable_endpoints";
    at_scrape(registry, name, move || {
        let help = "Public endpoints at which the origin cannot reach this edge as a viewer would.";
        gauge(name, help, us.unreachable() as f64)
    })
}

/// Shows in `/readyz` and in systemd's status how the membership stands.
async fn watch_membership(
    mut status: watch::Receiver<Membership>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    loop {
        match &*status.borrow_and_update() {
            Membership::Member { .. } => readiness.fulfil("pool"),
            Membership::Joining { trouble: None } => {}
            other => readiness.lack(
                "pool",
                other.trouble().unwrap_or("this edge has not joined its pool yet"),
            ),
        }
        if !matches!(stop.run_until_cancelled(status.changed()).await, Some(Ok(()))) {
            return;
        }
        systemd::status(&status.borrow().to_string());
    }
}

async fn open_admin(path: &Path) -> Result<AdminSocket, EdgeError> {
    let opened = AdminSocket::bind(path).await;
    opened.map_err(|error| EdgeError::Admin {
        path: path.display().to_string(),
        error,
    })
}
