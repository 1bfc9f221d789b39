//! A node: what origin and edge have in common, put together.

mod capacity;
mod doorman;
mod operations;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus::Registry;
use relay_web::Assets;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use capacity::{Capacity, threads};
pub use operations::Operations;

use crate::admission::ServePolicy;
use crate::check::Facts;
use crate::clock::Clock;
use crate::config::{Config, Listen, Program};
use crate::dns;
use crate::fanout::{Fanout, FanoutConfig, FanoutMetrics};
use crate::limits::OpenFiles;
use crate::node_metrics;
use crate::readiness::Readiness;
use crate::serve::ingest::Ingest;
use crate::serve::{BindError, Doorman, ListenConfig, Listener, ServeLimits, ServeMetrics, Site};
use crate::stream::{Hub, HubConfig, LogConfig, try_memory};

/// How often the logs are held against their budget. At 100 Mbit/s of ingest they grow by 3 MB in between.
const BUDGET_CHECK: Duration = Duration::from_millis(250);

/// How long a viewer of a stream that has no start point yet is held before it is told to come again: longer than an
/// ordinary keyframe interval.
const START_WAIT: Duration = Duration::from_secs(5);

/// How often the health page's remarks are made anew: people and probes look at it every ten seconds or so.
const REMARK_EACH: Duration = Duration::from_secs(5);

/// Those who share the places for connections that are no viewers yet: HTTP and RTMP.
const LISTENERS: usize = 2;

/// Why a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no memory for streams.
    #[error("this system gives no memory for streams (memfd_create, ftruncate, mmap of 2 MB): {0}")]
    Memory(std::io::Error),
    /// The fan-out's threads could not be started.
    #[error("cannot start the fan-out: {0}")]
    Fanout(#[from] std::io::Error),
    /// A metric's name is taken: a mistake of ours.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Why a node does not answer its zone's names.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// The zone.
    #[error(transparent)]
    Zone(#[from] dns::ZoneError),
    /// The port, or the metrics.
    #[error(transparent)]
    Server(#[from] dns::ServerError),
}

/// Streams and fan-out of a node, and what runs for it.
pub struct Node {
    /// Its streams.
    pub hub: Arc<Hub>,
    /// Its fan-out.
    pub fanout: Arc<Fanout>,
    /// Its time.
    pub clock: Clock,
    /// Ends everything that belongs to it.
    pub stop: CancellationToken,
    /// What runs for it.
    pub tasks: TaskTracker,
    /// Who decides on its viewers.
    pub doorman: Arc<Doorman>,
    capacity: Capacity,
    serve_metrics: ServeMetrics,
    program: Program,
    /// What a viewer takes as long as no stream tells, in bits per second.
    expected_bits: u64,
    started_ms: u64,
}

/// Where a node's doors are.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// HTTP viewers and pages.
    pub http: SocketAddr,
    /// RTMP publishers and players.
    pub rtmp: SocketAddr,
}

impl Node {
    /// Starts the fan-out, the watch over the logs' budget, and that over its capacity. Call it within a tokio runtime.
    ///
    /// # Errors
    /// When the kernel has no threads or descriptors for it.
    pub fn start(
        config: &Config,
        program: Program,
        registry: &Registry,
        clock: Clock,
    ) -> Result<Self, NodeError> {
        // Better a sentence now than a stream refused in mid-broadcast.
        try_memory().map_err(NodeError::Memory)?;
        let limits = &config.limits;
        let hub = Arc::new(Hub::new(HubConfig {
            max_streams: limits.max_streams as usize,
            log_budget: usize::try_from(limits.log_bytes(program)).unwrap_or(usize::MAX),
            log: LogConfig {
                resume_window_ms: limits.resume_window.millis(),
            },
        }));
        let tracks = config.tracks.iter();
        hub.state_tracks(tracks.map(|tracks| (tracks.stream.clone(), tracks.stated())));
        // The log's segments, the links and the admin side need descriptors too: viewers don't get the last ones.
        let files = OpenFiles::read();
        let most = u64::from(limits.max_viewers).min(files.viewers_beside(limits.max_handshakes));
        let fanout = FanoutConfig {
            shards: config.fanout.shards.map_or(0, NonZeroU16::get).into(),
            period_min_ms: config.fanout.period_min.millis(),
            period_max_ms: config.fanout.period_max.millis(),
            sendfile_from: config.fanout.sendfile_from.len(),
            max_late_ms: limits.max_late.millis(),
            no_progress_ms: limits.no_progress.millis(),
            max_viewers: usize::try_from(most).unwrap_or(usize::MAX),
        };
        let fanout_metrics = FanoutMetrics::register(registry)?;
        let fanout = Arc::new(Fanout::start(fanout, clock, &fanout_metrics)?);
        let facts = Facts::read();
        let bounds = doorman::bounds(config, program, &facts, most);
        // Edges are where viewers belong.
        let policy = match program {
            Program::Origin => config.origin.serve,
            Program::Edge => ServePolicy::Always,
        };
        let doorman = Arc::new(Doorman::new(policy, bounds, clock, registry)?);
        let node = Self {
            hub,
            fanout,
            clock,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            doorman,
            capacity: Capacity::new(fanout_metrics.clone(), bounds.bandwidth),
            serve_metrics: ServeMetrics::register(registry)?,
            program,
            expected_bits: config.origin.stream_rate.bits(),
            started_ms: clock.now().mono_ms,
        };
        node_metrics::register(registry, &node.hub, clock, config.metrics.max_streams as usize)?;
        node.keep_doorman_posted(doorman::Counted {
            hub: Arc::clone(&node.hub),
            fanout: Arc::clone(&node.fanout),
            metrics: fanout_metrics.clone(),
            threads: threads(config, &facts),
        });
        node.watch_capacity(config, program, facts, registry, fanout_metrics)?;
        node.watch_budget();
        Ok(node)
    }

    /// Opens the doors for viewers and, with `ingest`, for publishers.
    ///
    /// # Errors
    /// Which port could not be had, and why.
    pub fn open(&self, config: &Config, ingest: Option<Arc<dyn Ingest>>) -> Result<Doors, BindError> {
        let handshakes = OpenFiles::read().handshakes(config.limits.max_handshakes);
        let site = Arc::new(Site {
            hub: Arc::clone(&self.hub),
            fanout: Arc::clone(&self.fanout),
            clock: self.clock,
            ingest,
            doorman: Arc::clone(&self.doorman),
            assets: Assets::load(),
            cors: config.viewers.cors.as_str().to_owned(),
            frame_ancestors: config.viewers.frame_ancestors.as_str().to_owned(),
            limits: ServeLimits {
                max_connections: (handshakes as usize / LISTENERS).max(1),
                request_time: config.limits.handshake_time.get(),
                start_wait: START_WAIT,
                publisher_idle: config.limits.publisher_silence.get(),
            },
            metrics: self.serve_metrics.clone(),
            stop: self.stop.clone(),
        });
        let listener = |listen: Listen, name, key| {
            Listener::bind(&ListenConfig {
                address: listen.addr(),
                name,
                key,
                congestion: config.viewers.congestion.name().map(str::to_owned),
                send_buffer: config.viewers.send_buffer.len(),
                unsent: u32::try_from(config.viewers.unsent.bytes()).unwrap_or(u32::MAX),
            })
        };
        let http = listener(config.http.listen, "HTTP", "[http] listen")?;
        let rtmp = listener(config.rtmp.listen, "RTMP", "[rtmp] listen")?;
        let doors = Doors {
            http: http.local_addr(),
            rtmp: rtmp.local_addr(),
        };
        self.tasks.spawn(Arc::clone(&site).serve_http(http));
        self.tasks.spawn(site.serve_rtmp(rtmp));
        Ok(doors)
    }

    /// Answers the zone's names from what `source` offers, if `[dns]` names a zone. Gives the port, the same for UDP and TCP.
    ///
    /// # Errors
    /// The port could not be had, or a metric's name is taken.
    pub fn answer_names(
        &self,
        config: &Config,
        source: &Arc<dns::Source>,
        registry: &Registry,
    ) -> Result<Option<SocketAddr>, NamesError> {
        let Some(zone) = dns::Zone::of(&config.dns)? else {
            return Ok(None);
        };
        let server = dns::Server::bind(&config.dns, zone, Arc::clone(source), self.clock, registry)?;
        let address = server.address();
        self.tasks.spawn(server.run(self.stop.clone()));
        Ok(Some(address))
    }

    /// What an operator can see and do here.
    pub fn operations(&self) -> Operations {
        Operations {
            hub: Arc::clone(&self.hub),
            fanout: Arc::clone(&self.fanout),
            clock: self.clock,
            doorman: Arc::clone(&self.doorman),
            capacity: self.capacity.clone(),
            serve_metrics: self.serve_metrics.clone(),
            program: self.program.name(),
            expected_bits: self.expected_bits,
            started_ms: self.started_ms,
        }
    }

    /// Lets the health page tell of how many streams encoders should be looked at, by what is wrong; who may read that page
    /// may not know the streams' names.
    pub fn remark_on_encoders(&self, readiness: &Readiness) {
        let (hub, stop) = (Arc::clone(&self.hub), self.stop.clone());
        let readiness = readiness.clone();
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(REMARK_EACH);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                readiness.remark("encoders", remark(&hub));
            }
        });
    }

    fn watch_budget(&self) {
        let (hub, stop) = (Arc::clone(&self.hub), self.stop.clone());
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(BUDGET_CHECK);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut shed = 0;
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                hub.enforce_budget();
                let starts = hub.counters().starts_shed.load(Ordering::Relaxed);
                if starts > shed {
                    tracing::warn!(
                        budget = hub.log_budget(),
                        "the logs' memory is used up ([limits] log_budget): joiners wait for the next keyframe"
                    );
                    shed = starts;
                }
            }
        });
    }

    /// Ends all viewers and connections, and waits until it is done.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let fanout = Arc::clone(&self.fanout);
        // The fan-out's threads say goodbye within milliseconds, but are joined where that holds nobody up.
        if let Err(panic) = tokio::task::spawn_blocking(move || fanout.stop()).await {
            tracing::error!(%panic, "the fan-out did not stop cleanly");
        }
    }
}

/// `keyframe_interval (2), silent_audio (1)`: how many streams each warning is true of.
fn remark(hub: &Hub) -> Option<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for stream in hub.list() {
        for raised in stream.warnings() {
            *counts.entry(raised.warning.label()).or_default() += 1;
        }
    }
    let parts: Vec<_> = counts
        .into_iter()
        .map(|(label, count)| format!("{label} ({count})"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
