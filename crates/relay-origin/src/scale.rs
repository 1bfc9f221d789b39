//! More edges by themselves: looks whether one more is wanted, and runs the operator's program that starts it, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};
use relay_core::admission::ServePolicy;
use relay_core::clock::Clock;
use relay_core::config::Config;
use relay_core::metrics::{at_scrape, gauge};
use relay_core::node::{Node, NodeError};
use relay_core::pool::{Need, Own, ScaleRules, Scaler, Start};
use relay_core::serve::Doorman;
use relay_core::stream::Hub;
use relay_core::token::JoinToken;
use tokio_util::sync::CancellationToken;

use crate::error::StartError;
use crate::hook::{End, Hook, Told};
use crate::pool::Pool;
use crate::state::State;
use crate::tokens::Desk;

/// How often it is looked: each edge reports once a second.
const LOOK: Duration = Duration::from_secs(1);

/// How long a new edge has to join: a slow cloud's boot, and a second attempt. A token that somebody finds later is worth nothing.
pub const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);

/// What it belongs to.
pub struct Site {
    /// Who is a member.
    pub pool: Arc<Pool>,
    /// Who makes join tokens.
    pub desk: Arc<Desk>,
    /// What outlives the process.
    pub state: Arc<State>,
}

/// Starts edges.
pub struct ScaleOut {
    hook: Hook,
    scaler: Scaler,
    site: Site,
    doorman: Arc<Doorman>,
    hub: Arc<Hub>,
    policy: ServePolicy,
    clock: Clock,
    counts: Counts,
    /// The starts as they are written down.
    written: Vec<u64>,
}

impl ScaleOut {
    /// Goes on where the state folder says that it was.
    ///
    /// # Errors
    /// The file is damaged, or a metric's name is taken.
    pub fn new(
        hook: Hook,
        config: &Config,
        site: Site,
        node: &Node,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let rules = ScaleRules {
            from_percent: config.scale_out.from.into(),
            cooldown_ms: config.scale_out.cooldown.millis(),
            max_edges: config.scale_out.max_edges as usize,
        };
        let written = site.state.started()?;
        Ok(Self {
            hook,
            scaler: Scaler::new(rules, &written, node.clock.now()),
            site,
            doorman: Arc::clone(&node.doorman),
            hub: Arc::clone(&node.hub),
            policy: config.origin.serve,
            clock: node.clock,
            counts: Counts::register(registry).map_err(NodeError::from)?,
            written,
        })
    }

    /// Looks each second, and starts what is wanted, until `stop`. A program that runs then is ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = self.clock.every(LOOK);
        let (mut was_full, mut missed) = (false, 0);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let now = self.clock.now();
            let need = self.scaler.handle_look(&self.site.pool.totals(), self.own(), now);
            let missing = self.scaler.missing(now.mono_ms);
            if missing > missed {
                tracing::warn!(missing, program = %self.hook.program().display(), "an edge was started minutes ago, and has not joined");
            }
            missed = missing;
            if need == Need::Maximum && !was_full {
                tracing::warn!(
                    use_percent = self.scaler.use_percent(),
                    "one more edge is wanted, and there are as many as there may be ([scale_out] max_edges)"
                );
            }
            was_full = need == Need::Maximum || (was_full && need == Need::Held);
            self.counts
                .show(self.scaler.use_percent(), self.scaler.pending(now.mono_ms));
            // Before the program runs: were the origin to fail each time it does, it would not go on for ever.
            self.write_down().await;
            if let Need::Start(start) = need {
                self.start(&start, &stop).await;
            }
        }
    }

    /// What the origin itself may give away. One that serves nobody has nothing, as soon as there is something to be seen.
    fn own(&self) -> Own {
        let most = match self.policy {
            ServePolicy::EdgesOnly => (!self.hub.list().is_empty()).then_some(0),
            ServePolicy::Overflow | ServePolicy::Always => self.doorman.most(),
        };
        Own {
            committed: self.doorman.committed(),
            most,
        }
    }

    async fn start(&mut self, start: &Start, stop: &CancellationToken) {
        let Start {
            edges, use_percent, ..
        } = *start;
        let program = self.hook.program().display().to_string();
        let Some(token) = self.token().await else {
            self.counts.runs.with_label_values(&["not_started"]).inc();
            self.scaler.failed(start);
            return;
        };
        tracing::info!(program, edges, use_percent, token = %token.id, "starting an edge");
        let join = token.to_string();
        let told = Told {
            edges,
            use_percent,
            join: &join,
        };
        let run = self.hook.run(&told, stop).await;
        self.counts.runs.with_label_values(&[run.end.label()]).inc();
        let lines = run.said.last_lines();
        let said = match lines.is_empty() {
            true => "nothing".to_owned(),
            false => lines.join(" | "),
        };
        let took = format!("{:.1} s", run.took.as_secs_f32());
        match &run.end {
            End::Exited(status) if status.success() => {
                tracing::info!(program, took, said, "an edge was started");
            }
            end => tracing::warn!(program, took, said, reason = %end, "starting an edge failed"),
        }
        if !run.end.may_have_started() {
            self.scaler.failed(start);
            self.take_back(token).await;
        }
    }

    /// A token for one edge. It is written down, so that takes a moment.
    async fn token(&self) -> Option<JoinToken> {
        let (desk, now) = (Arc::clone(&self.site.desk), self.clock.now());
        match tokio::task::spawn_blocking(move || desk.create(TOKEN_LIFE, 1, now)).await {
            Ok(Ok(token)) => Some(token),
            Ok(Err(error)) => {
                tracing::error!(%error, "no edge can be started: there is no token for it");
                None
            }
            Err(panic) => {
                tracing::error!(%panic, "making a token for an edge failed");
                None
            }
        }
    }

    /// Nobody will come with it.
    async fn take_back(&self, token: JoinToken) {
        let desk = Arc::clone(&self.site.desk);
        let revoking = tokio::task::spawn_blocking(move || desk.revoke(token.id)).await;
        if let Ok(Err(error)) = revoking {
            tracing::warn!(%error, "a token that nobody needs cannot be revoked");
        }
    }

    async fn write_down(&mut self) {
        let started = self.scaler.started();
        if started == self.written {
            return;
        }
        let (state, list) = (Arc::clone(&self.site.state), started.clone());
        match tokio::task::spawn_blocking(move || state.save_started(&list)).await {
            Ok(Ok(())) => self.written = started,
            Ok(Err(error)) => tracing::error!(%error, "the edges that were started cannot be written down"),
            Err(panic) => tracing::error!(%panic, "writing down which edges were started failed"),
        }
    }
}

/// What is told of it.
struct Counts {
    runs: IntCounterVec,
    shown: Arc<Shown>,
}

/// What was found at the last look.
#[derive(Default)]
struct Shown {
    use_percent: AtomicU64,
    pending: AtomicU64,
}

impl Counts {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Runs of the program that starts an edge, by outcome.";
        let runs = IntCounterVec::new(Opts::new("relay_scale_out_runs_total", help), &["outcome"])?;
        for label in End::LABELS {
            runs.with_label_values(&[label]).reset();
        }
        registry.register(Box::new(runs.clone()))?;
        let shown = Arc::new(Shown::default());
        let show = Arc::clone(&shown);
        at_scrape(registry, "relay_scale_out_use_ratio", move || {
            let used = show.use_percent.load(Ordering::Relaxed) as f64 / 100.0;
            let pending = show.pending.load(Ordering::Relaxed) as f64;
            Ok([
                gauge(
                    "relay_scale_out_use_ratio",
                    "How much of what edges can send is given away, those on their way counted; 0 if that is unknown.",
                    used,
                )?,
                gauge(
                    "relay_scale_out_pending",
                    "Edges that were started less than three minutes ago and have not joined.",
                    pending,
                )?,
            ]
            .concat())
        })?;
        Ok(Self { runs, shown })
    }

    fn show(&self, use_percent: Option<u64>, pending: usize) {
        let use_percent = use_percent.unwrap_or_default();
        self.shown.use_percent.store(use_percent, Ordering::Relaxed);
        self.shown.pending.store(pending as u64, Ordering::Relaxed);
    }
}
