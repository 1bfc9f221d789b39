//! Those who stay at edges: how many there may be, and where they are.

use std::sync::Arc;

use relay_core::cascade::Instance;
use relay_core::clock::Clock;
use relay_core::pool::{Endpoint, Finding};
use relay_core::stream::Stream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::Prober;
use super::blame::Blame;
use super::fault::Fault;
use super::post::{Noticed, Post};
use super::visit::{Stayed, Visit};

/// What all of them together may take of the origin's line, on its receiving side, in bytes a second: 20 Mbit/s, the streams of
/// eight edges of 2.5 Mbit/s. In a larger pool edges take turns.
const BYTES_PER_SECOND: u64 = 2_500_000;

/// At most so many at a time: each costs a descriptor, and a look at a log ten times a second.
const MAX_STAYS: usize = 32;

/// Gaps that may wait to be heard of: each of those who stay notices one a second at most.
const MAX_NOTICED: usize = 2 * MAX_STAYS;

/// What came of a stay, and where it was.
type Report = (Instance, Endpoint, Stayed);

/// Those who stay at edges.
pub(super) struct Stays {
    running: JoinSet<Report>,
    places: Vec<(Instance, AbortHandle)>,
    noticed: mpsc::Receiver<Noticed>,
    told: mpsc::Sender<Noticed>,
    blame: Blame,
}

/// Something that one of them came home with.
pub(super) enum Word {
    /// There was a gap.
    Gap(Noticed),
    /// The stay is over.
    Home(Result<Report, JoinError>),
}

impl Stays {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        let (told, noticed) = mpsc::channel(MAX_NOTICED);
        Self {
            running: JoinSet::new(),
            places: Vec::new(),
            noticed,
            told,
            blame: Blame::default(),
        }
    }

    /// What one of them says next. Safe to cancel.
    pub(super) async fn next(&mut self) -> Word {
        tokio::select! {
            Some(gap) = self.noticed.recv() => Word::Gap(gap),
            Some(home) = self.running.join_next() => Word::Home(home),
            else => std::future::pending().await,
        }
    }

    /// How many more may go who take so many bytes a second each.
    fn room(&self, rate: u64) -> usize {
        let fit = BYTES_PER_SECOND / rate.max(1);
        let fit = usize::try_from(fit).unwrap_or(MAX_STAYS).clamp(1, MAX_STAYS);
        fit.saturating_sub(self.running.len())
    }

    /// The edges where a stay is over, once each time.
    fn left(&mut self) -> Vec<Instance> {
        let places = std::mem::take(&mut self.places);
        let (over, on) = places.into_iter().partition(|(_, stay)| stay.is_finished());
        self.places = on;
        let over: Vec<(Instance, AbortHandle)> = over;
        over.into_iter().map(|(edge, _)| edge).collect()
    }

    /// How many edges are watched.
    fn edges(&self) -> usize {
        let mut edges: Vec<&Instance> = self.places.iter().map(|(edge, _)| edge).collect();
        edges.sort_unstable();
        edges.dedup();
        edges.len()
    }

    fn begin(&mut self, edge: Instance, endpoint: Endpoint, stream: Arc<Stream>, clock: Clock) {
        let post = Post::new((edge.clone(), endpoint.clone()), self.told.clone(), clock);
        let visit = Visit::new(endpoint.clone(), Some(stream), clock);
        let place = edge.clone();
        let stay = self
            .running
            .spawn(async move { (edge, endpoint, visit.stay(post).await) });
        self.places.push((place, stay));
    }
}

impl Prober {
    /// Sends somebody wherever one should stay for a while, calls home who is at an edge that lets its viewers go, and tells the
    /// pool of gaps that are the edges' own.
    pub(super) fn look_after_stays(&mut self, streams: &[Arc<Stream>]) {
        for (edge, stay) in &self.stays.places {
            if !self.pool.is_worth_watching(edge) {
                stay.abort();
            }
        }
        for edge in self.stays.left() {
            self.pool.watched(&edge);
        }
        // Whichever it will be: the one that takes most, once that is known. Without any there is nothing to watch.
        let rates = streams.iter().map(|stream| stream.peak_bytes_per_second());
        if let Some(rate) = rates.max().filter(|rate| *rate > 0) {
            let room = self.stays.room(rate);
            for (edge, endpoint) in self.pool.to_watch(room, rate.saturating_mul(8)) {
                match self.next_of(streams) {
                    Some(stream) => self.stays.begin(edge, endpoint, stream, self.clock),
                    None => self.pool.watched(&edge),
                }
            }
        }
        let watched = self.stays.edges();
        for (edge, endpoint) in self.stays.blame.judge(watched, self.clock.now().mono_ms) {
            self.tell(&edge, &endpoint, Fault::Stalls.into());
        }
    }

    /// Hears one who stays somewhere.
    pub(super) fn hear_of_stay(&mut self, word: Word) {
        match word {
            Word::Gap((edge, endpoint)) => {
                tracing::debug!(%edge, %endpoint, "a gap of more than a second");
                self.stays.blame.noticed(edge, endpoint, self.clock.now().mono_ms);
            }
            Word::Home(Ok((edge, endpoint, stayed))) => {
                self.metrics.stayed(stayed.worst_gap);
                if let Some(lie) = stayed.lie {
                    self.tell(&edge, &endpoint, lie);
                }
            }
            Word::Home(Err(error)) if error.is_cancelled() => {}
            Word::Home(Err(panic)) => tracing::error!(%panic, "a probe failed"),
        }
    }

    fn tell(&self, edge: &Instance, endpoint: &Endpoint, finding: Finding) {
        self.metrics.found(&finding);
        self.pool.probed(edge, endpoint, finding);
    }
}
