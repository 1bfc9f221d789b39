//! The origin, put together: everything is bound first, then it runs until told to stop.

use std::path::Path;
use std::sync::Arc;

use relay_core::admin::AdminSocket;
use relay_core::clock::Clock;
use relay_core::config::{Config, Environment, Program};
use relay_core::limits::OpenFiles;
use relay_core::link::quic::QuicConfig;
use relay_core::metrics::{self, MetricsServer};
use relay_core::node::{Node, NodeError};
use relay_core::readiness::Readiness;
use relay_core::stream::StreamKey;
use relay_core::systemd;
use relay_core::token::Address;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::desk::AdminDesk;
use crate::error::StartError;
use crate::greeting::{Greeting, Reach};
use crate::hook::Hook;
use crate::identity::OriginIdentity;
use crate::ingest::file::Source;
use crate::ingest::rtmp::Encoders;
use crate::ingest::{self, Publishing, patience};
use crate::links::{LinkPort, Links};
use crate::pool::Pool;
use crate::probe::Prober;
use crate::scale::{ScaleOut, Site};
use crate::state::State;
use crate::targets::Targets;
use crate::tokens::Desk;

/// An origin with all its ports open.
pub struct Origin {
    node: Node,
    publishing: Arc<Publishing>,
    access: Access,
    sources: Vec<Source>,
    links: Links,
    pool: Arc<Pool>,
    prober: Prober,
    scale_out: Option<ScaleOut>,
    admin: Option<AdminSocket>,
    operator: Arc<AdminDesk>,
    metrics: MetricsServer,
    readiness: Readiness,
    reach: Reach,
    state: Arc<State>,
}

impl Origin {
    /// Reads the state folder and opens all ports. Call it within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong, in a sentence; nothing is left running then.
    pub async fn bind(config: &Config, environment: &Environment) -> Result<Self, StartError> {
        let clock = Clock::start();
        let hook = config.scale_out.program()?;
        let files = OpenFiles::raise();
        let sources = config
            .source
            .iter()
            .map(Source::load)
            .collect::<Result<Vec<_>, _>>()?;
        let state = Arc::new(State::open(&config.state_dir(environment)?)?);
        let access = Access::new(config.origin.publish, state.publish_key()?);
        let registry = metrics::registry(Program::Origin.name()).map_err(NodeError::from)?;
        let readiness = Readiness::waiting_for([("origin", "the ports are not open yet")]);
        let metrics_listen = config.metrics.listen.addr();
        let metrics = MetricsServer::bind(
            metrics_listen,
            registry.clone(),
            readiness.clone(),
            config.metrics.token.clone(),
        );
        let metrics = metrics.await?;

        let ca = Arc::new(state.pool_ca(clock.now())?);
        let life = config.link.cert_lifetime.get();
        let identity = OriginIdentity::new(Arc::clone(&ca), state.instance()?, life, clock.now())?;
        let quic = QuicConfig::from(&config.link);
        let port = LinkPort::open(
            config.link.listen.addr(),
            &identity,
            &ca,
            quic,
            config.limits.max_children as usize,
        )?;

        let node = Node::start(config, Program::Origin, &registry, clock)?;
        let records = Arc::new(state.streams()?);
        let publishing = Publishing::new(Arc::clone(&node.hub), patience(&config.origin), clock, records);
        ingest::metrics::register(&registry, &publishing).map_err(NodeError::from)?;
        let encoders = Encoders::new(access.clone(), Arc::clone(&publishing));
        let doors = node.open(config, Some(Arc::new(encoders)))?;

        let configured = config.origin.public_host.as_ref().map(|host| host.as_str());
        let reach = Reach {
            host: Reach::host(configured, config.link.listen.addr()),
            http: doors.http.port(),
            rtmp: doors.rtmp.port(),
            link: port.address.port(),
        };
        let addresses = vec![reach.link_address().parse::<Address>()?];
        let desk = Desk::open(Arc::clone(&state), ca, life, addresses)?;
        let desk = Arc::new(desk.with_late_renewal(config.link.late_renewal.get()));
        let probing = config.origin.probe;
        let pool = Pool::new(
            state.members()?,
            probing,
            publishing.floors(),
            Arc::clone(&state),
            clock,
        );
        let pool = Arc::new(pool);
        let prober = Prober::new(Arc::clone(&pool), Arc::clone(&node.hub), clock, &registry);
        let prober = prober.map_err(NodeError::from)?;
        let names = node.answer_names(config, pool.names(), &registry)?;
        let links = Links::new(port, identity, Arc::clone(&desk), &node, &pool, config, &registry)?;
        let scale_out = match hook {
            Some((program, arguments)) => {
                let hook = Hook::new(program, arguments, config.scale_out.time_limit.get());
                let site = Site {
                    pool: Arc::clone(&pool),
                    desk: Arc::clone(&desk),
                    state: Arc::clone(&state),
                };
                Some(ScaleOut::new(hook, config, site, &node, &registry)?)
            }
            None => None,
        };
        let admin = match config.admin_socket(Program::Origin, environment)? {
            Some(path) => Some(open_admin(&path).await?),
            None => None,
        };
        let operator = AdminDesk {
            operations: node.operations(),
            publishing: Arc::clone(&publishing),
            desk,
            clock,
            targets: Targets::new(metrics.address(), &reach.host),
            children: links.parent().clone(),
            pool: Arc::clone(&pool),
            readiness: readiness.clone(),
        };
        tracing::info!(
            http = %doors.http, rtmp = %doors.rtmp, link = %links.address(), metrics = %metrics.address(),
            %files, state = %state.folder().display(), "relay-origin is up"
        );
        if let Some(address) = names {
            tracing::info!(%address, zone = config.dns.zone.as_ref().map(tracing::field::display), "answering the pool's names");
        }
        Ok(Self {
            node,
            publishing,
            access,
            sources,
            links,
            pool,
            prober,
            scale_out,
            admin,
            operator: Arc::new(operator),
            metrics,
            readiness,
            reach,
            state,
        })
    }

    /// What a person at a terminal needs next. It shows the publish key.
    pub fn greeting(&self, stream: &StreamKey) -> String {
        let publish_url = self.access.publish_url(&self.reach.host, self.reach.rtmp, stream);
        let state = self.state.folder().display().to_string();
        Greeting {
            reach: &self.reach,
            publish_url: &publish_url,
            stream,
            state: &state,
        }
        .to_string()
    }

    /// Runs until `stop`, then ends all that it started.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            node,
            publishing,
            sources,
            links,
            pool,
            prober,
            scale_out,
            admin,
            operator,
            metrics,
            readiness,
            ..
        } = self;
        let clock = node.clock;
        let ending = node.stop.clone();
        let publishing_stopped = CancellationToken::new();
        let sweeping = tokio::spawn(Arc::clone(&publishing).run(publishing_stopped.clone()));
        node.tasks.spawn(metrics.run(ending.clone()));
        node.remark_on_encoders(&readiness);
        node.tasks.spawn(links.run(clock, ending.clone()));
        node.tasks.spawn(pool.run(ending.clone()));
        // Without `[origin] probe` it is never told where to go.
        node.tasks.spawn(prober.run(ending.clone()));
        if let Some(scale_out) = scale_out {
            node.tasks.spawn(scale_out.run(ending.clone()));
        }
        if let Some(admin) = admin {
            node.tasks.spawn(admin.run(operator, ending.clone()));
        }
        for source in sources {
            node.tasks
                .spawn(source.run(Arc::clone(&publishing), clock, ending.clone()));
        }
        readiness.fulfil("origin");
        systemd::ready("all ports are open");
        stop.cancelled().await;
        systemd::stopping();
        readiness.lack("origin", "this origin is shutting down");
        node.shut_down().await;
        publishing_stopped.cancel();
        if let Err(panic) = sweeping.await {
            tracing::error!(%panic, "the watch over publishers failed");
        }
    }
}

async fn open_admin(path: &Path) -> Result<AdminSocket, StartError> {
    let opened = AdminSocket::bind(path).await;
    opened.map_err(|error| StartError::Admin {
        path: path.display().to_string(),
        error,
    })
}
