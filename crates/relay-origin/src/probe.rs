//! The probe: the origin watches each edge as a viewer would, through its public endpoints, and the pool sends viewers only
//! to those where that went well.
//!
//! - [`Prober`]: the task that goes wherever the pool wants somebody to look.
//! - `visit`: one look at one endpoint; `http` and `rtmp`: how one asks there; `fault`: what may be wrong.
//! - `jury`: whether what comes from there is what the origin sent.
//! - `stays`: those who stay for a while; `post`: one of them; `rhythm`: whether the stream comes evenly; `blame`: and whose fault it is
//!   if not.
//!
//! An edge names its endpoints itself, so a member can have the origin connect to any address; what is asked there is a stream's
//! name and no more.

mod blame;
mod fault;
mod http;
mod jury;
mod metrics;
mod post;
mod rhythm;
mod rtmp;
mod stays;
#[cfg(test)]
mod tests;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use relay_core::cascade::Instance;
use relay_core::clock::Clock;
use relay_core::pool::Endpoint;
use relay_core::stream::{Hub, Stream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::metrics::ProbeMetrics;
use self::stays::Stays;
use self::visit::{Visit, Visited};
use crate::pool::Pool;

/// How often the pool is asked where to go: a newcomer waits no longer for its first viewer's sake.
const LOOK: Duration = Duration::from_millis(100);

/// Visits at a time. Most take as long as half a second of the stream, so that a hundred edges are seen every two seconds; of
/// more each is seen less often. Each costs a descriptor, and what `visit` lets it read of memory.
const MAX_VISITS: usize = 64;

/// Goes to the edges' public endpoints.
pub struct Prober {
    pool: Arc<Pool>,
    hub: Arc<Hub>,
    clock: Clock,
    metrics: ProbeMetrics,
    stays: Stays,
    /// How many visits there were: streams take turns by it.
    turn: usize,
}

/// What came of a visit, and whose endpoint it was.
type Report = (Instance, Endpoint, Visited);

impl Prober {
    /// One who compares with the streams in `hub`.
    ///
    /// # Errors
    /// When a metric's name is taken.
    pub fn new(
        pool: Arc<Pool>,
        hub: Arc<Hub>,
        clock: Clock,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let metrics = ProbeMetrics::register(registry, &pool)?;
        Ok(Self {
            pool,
            hub,
            clock,
            metrics,
            stays: Stays::new(),
            turn: 0,
        })
    }

    /// Goes wherever the pool wants somebody to look, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = self.clock.every(LOOK);
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    let mut streams = self.hub.list();
                    streams.retain(|stream| stream.state().playable);
                    self.send_out(&streams, &mut visits);
                    self.look_after_stays(&streams);
                }
                Some(done) = visits.join_next() => self.hear(done),
                word = self.stays.next() => self.hear_of_stay(word),
            }
        }
    }

    fn send_out(&mut self, streams: &[Arc<Stream>], visits: &mut JoinSet<Report>) {
        let due = self.pool.to_probe(MAX_VISITS - visits.len().min(MAX_VISITS));
        for (edge, endpoint) in due {
            let stream = self.next_of(streams);
            let visit = Visit::new(endpoint.clone(), stream, self.clock);
            visits.spawn(async move { (edge, endpoint, visit.pay().await) });
        }
    }

    /// The stream whose turn it is.
    fn next_of(&mut self, streams: &[Arc<Stream>]) -> Option<Arc<Stream>> {
        self.turn = self.turn.wrapping_add(1);
        let index = self.turn.checked_rem(streams.len())?;
        streams.get(index).cloned()
    }

    fn hear(&self, done: Result<Report, JoinError>) {
        match done {
            Ok((edge, endpoint, visited)) => {
                self.metrics.note(&visited);
                self.pool.probed(&edge, &endpoint, visited.finding);
            }
            Err(panic) => tracing::error!(%panic, "a probe failed"),
        }
    }
}
