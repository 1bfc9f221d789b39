//! Where viewers and publishers come in, on origin and edge alike.
//!
//! Tokio accepts, parses and admits; a viewer then leaves for the [`crate::fanout`] with its bare socket, a publisher stays and
//! feeds an [`ingest::Publication`].

mod admit;
mod http;
pub mod ingest;
pub(crate) mod listen;
mod metrics;
pub(crate) mod pages;
mod play;
mod rtmp;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use relay_web::Assets;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use admit::{Decisions, Doorman, Elsewhere, chance};
pub use listen::{BindError, ListenConfig, Listener};
pub use metrics::{JoinOutcome, ServeMetrics};

use crate::clock::Clock;
use crate::fanout::Fanout;
use crate::stream::{Hub, Stream, TRACK_WAIT_MS};
use ingest::Ingest;

/// Limits of the accepting side.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections per listener that are being parsed, admitted or fed by an encoder: all that are not viewers yet. Each
    /// listener has its own, so that publishers, who keep theirs, cannot shut out who comes by HTTP.
    pub max_connections: usize,
    /// How long a request, or a handshake up to `publish` or `play`, may take in all (slow senders, B9).
    pub request_time: Duration,
    /// How long a viewer of a stream that has no start point yet is held before it is told to come again.
    pub start_wait: Duration,
    /// How long a publisher may be silent before its connection is closed.
    pub publisher_idle: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            request_time: Duration::from_secs(5),
            start_wait: Duration::from_secs(5),
            publisher_idle: Duration::from_secs(30),
        }
    }
}

/// What a node serves, and with what: shared by all its connections.
pub struct Site {
    /// The streams.
    pub hub: Arc<Hub>,
    /// Who sends to viewers.
    pub fanout: Arc<Fanout>,
    /// The time.
    pub clock: Clock,
    /// Who decides on publishers; none on an edge.
    pub ingest: Option<Arc<dyn Ingest>>,
    /// Who decides on viewers.
    pub doorman: Arc<Doorman>,
    /// Player page and script.
    pub assets: Assets,
    /// Who may read streams from pages of theirs: `Access-Control-Allow-Origin`.
    pub cors: String,
    /// Who may put the player into a page of theirs: a CSP `frame-ancestors` value.
    pub frame_ancestors: String,
    /// Limits of the accepting side.
    pub limits: ServeLimits,
    /// What is counted.
    pub metrics: ServeMetrics,
    /// Ends all of it.
    pub stop: CancellationToken,
}

impl Site {
    /// Serves HTTP viewers and pages from `listener` until the site stops.
    pub async fn serve_http(self: Arc<Self>, listener: Listener) {
        self.accept(listener, |site, socket, peer| async move {
            http::serve(&site, socket, peer).await
        })
        .await;
    }

    /// Serves RTMP publishers and players from `listener` until the site stops.
    pub async fn serve_rtmp(self: Arc<Self>, listener: Listener) {
        self.accept(listener, |site, socket, peer| async move {
            rtmp::serve(&site, socket, peer).await
        })
        .await;
    }

    async fn accept<F, T>(self: Arc<Self>, listener: Listener, serve: F)
    where
        F: Fn(Arc<Self>, TcpStream, SocketAddr) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.limits.max_connections));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = listener.accept(&places, &self.metrics) => accepted,
            };
            let (socket, peer, place) = accepted;
            let serving = serve(Arc::clone(&self), socket, peer);
            tasks.spawn(async move {
                serving.await;
                drop(place);
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Waits until `stream` has a start point; false if it ends or takes too long.
    async fn start_point(&self, stream: &Stream) -> bool {
        let mut changes = stream.watch();
        let ready = async {
            loop {
                changes.borrow_and_update();
                if stream.ended() {
                    return false;
                }
                if stream.newest_start().is_some() {
                    return true;
                }
                if changes.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(self.limits.start_wait, ready)
            .await
            .unwrap_or(false)
    }

    /// Waits until it is known which tracks `stream` has, for as long as that may take and no longer: a FLV's first bytes
    /// say it, and cannot be taken back (R37). Most streams have said it before anybody asks.
    async fn know_tracks(&self, stream: &Stream) {
        let mut changes = stream.watch();
        let known =
            async { while !stream.knows_tracks() && !stream.ended() && changes.changed().await.is_ok() {} };
        let patience = self.limits.start_wait.min(Duration::from_millis(TRACK_WAIT_MS));
        // Either way what is known by then is what is said.
        let _ = tokio::time::timeout(patience, known).await;
    }
}
