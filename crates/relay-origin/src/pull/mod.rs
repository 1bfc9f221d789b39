//! Pulls: streams that this origin fetches from other servers, `[[source]] url`, and publishes as if an encoder sent them.
//!
//! - `guard`: which addresses may be dialled; `dial`: looking names up and dialling; `trust`: whose certificates are believed.
//! - `rota`: which URL is next, and when.
//! - `http`, `rtmp`: the two ways that a stream comes; `intake`: where it goes; `echo`: whether it goes on at all.
//! - `fault`: why an attempt ended.
//! - `board`: how each stands; [`metrics`]: the same for Prometheus.
//!
//! A pull comes in by the same door as every publisher: the stream waits for it within the grace window, on one timeline.

mod board;
mod dial;
mod echo;
mod fault;
mod guard;
mod http;
mod intake;
pub mod metrics;
mod rota;
mod rtmp;
mod trust;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use relay_core::clock::Clock;
use relay_core::config::{self, PullSource, SourceUrl};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

pub use board::Board;
pub use dial::OwnPorts;
pub use trust::TrustError;

use crate::ingest::Publishing;
use crate::trust::Trust;
use board::Entry;
use dial::{Dialler, Resolve, SystemResolver};
use fault::Fault;
use guard::Guard;
use intake::Intake;
use rota::Rota;

/// How often one attempt follows where it is sent: a pool's origin sends on to an edge, which may do so once more.
const MAX_REDIRECTS: usize = 4;

/// How long a server that has taken the connection may take to say that it will send: TLS and the head of its answer, or all of
/// RTMP up to `play`.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long the first tag may take after that: some servers begin at the next keyframe (R10).
const FIRST_TAG_TIME: Duration = Duration::from_secs(10);

/// All streams that are to be pulled.
#[derive(Default)]
pub struct Pulls {
    pulls: Vec<Pull>,
    board: Arc<Board>,
}

/// One stream that is to be pulled.
struct Pull {
    config: PullSource,
    trust: Trust,
    entry: Arc<Entry>,
}

/// How a server is reached.
struct Way {
    dialler: Dialler,
    trust: Trust,
}

impl Pulls {
    /// Reads what the sources among `config` need to be read for.
    ///
    /// # Errors
    /// When the authorities of one cannot be had.
    pub fn load(config: &[config::Source]) -> Result<Self, TrustError> {
        let mut machine = None;
        let mut pulls = Vec::new();
        for source in config {
            if let config::Source::Pull(config) = source {
                pulls.push(Pull::load(config, &mut machine)?);
            }
        }
        let entries = pulls.iter().map(|pull| Arc::clone(&pull.entry)).collect();
        Ok(Self {
            pulls,
            board: Arc::new(Board { entries }),
        })
    }

    /// How each stands.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Pulls each on a task of its own, until `stop`. Nothing that leads to `own` is followed.
    pub fn run(
        self,
        publishing: &Arc<Publishing>,
        clock: Clock,
        own: OwnPorts,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        for pull in self.pulls {
            let running = pull.run(Arc::clone(publishing), clock, own, Box::new(SystemResolver));
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = running => {}
                }
            });
        }
    }
}

impl Pull {
    /// `machine` is whom this machine trusts, read at the first need.
    fn load(config: &PullSource, machine: &mut Option<Trust>) -> Result<Self, TrustError> {
        let trust = match (&config.ca_file, &machine) {
            (Some(file), _) => trust::of_file(file)?,
            (None, Some(trust)) => trust.clone(),
            (None, None) => machine.insert(Trust::of_machine()?).clone(),
        };
        let needs_trust = |url: &SourceUrl| matches!(url, SourceUrl::Http(url) if url.scheme() == "https");
        if trust.is_empty() && config.url.iter().any(needs_trust) {
            return Err(TrustError::Nobody);
        }
        Ok(Self {
            config: config.clone(),
            trust,
            entry: Arc::new(Entry::new(config)),
        })
    }

    /// Pulls for ever.
    async fn run(self, publishing: Arc<Publishing>, clock: Clock, own: OwnPorts, resolver: Box<dyn Resolve>) {
        let Self { config, trust, entry } = self;
        let guard = Guard::new(config.allow.clone());
        let way = Way {
            dialler: Dialler::new(guard, resolver, own),
            trust,
        };
        let mut rota = Rota::new(config.url.len(), seed());
        // Of each URL that fell silent, what came last.
        let mut silent = vec![None; config.url.len()];
        // A URL of the rota is one of the configuration.
        while let Some(url) = config.url.get(rota.at()) {
            let span = tracing::info_span!("pull", stream = %config.stream, from = %url);
            entry.tries(rota.at(), clock.now());
            let (idle, last) = (config.idle.get(), silent[rota.at()].take());
            let mut intake = Intake::new(&publishing, &config.stream, clock, idle, &entry, last);
            let pulling = async {
                match url {
                    SourceUrl::Rtmp(url) => rtmp::pull(&way, url, clock, &mut intake).await,
                    SourceUrl::Http(url) => http::pull(&way, url, &mut intake).await,
                }
            };
            let fault = pulling
                .instrument(span.clone())
                .await
                .err()
                .unwrap_or(Fault::Ended);
            let ending = fault.ending(intake.is_proven());
            // The grace window begins here, before the wait.
            silent[rota.at()] = intake.end(&fault);
            entry.ended(&fault, clock.now());
            let wait = rota.handle_end(ending);
            span.in_scope(|| tell(&fault, rota.is_old_news()));
            tokio::time::sleep(wait).await;
        }
    }
}

/// What fails for ever is told once per URL, not for ever.
fn tell(fault: &Fault, old_news: bool) {
    match (old_news, fault) {
        (true, _) => tracing::debug!(why = %fault, "the pull failed again"),
        (false, Fault::NotTaken(_) | Fault::SentAway) => tracing::info!(why = %fault, "the pull stands by"),
        (false, _) => tracing::warn!(why = %fault, "the pull has failed or ended"),
    }
}

/// Scatters waits; nothing else hangs on it.
fn seed() -> u64 {
    // Without random bytes the process's number does.
    getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()))
}
