//! Takes what comes to the link port, and decides after the *completed* handshake, by protocol, what it is: a link of
//! a verified member, a join, or nothing we talk to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connecting, Connection, Endpoint, Incoming};
use tokio::task::JoinSet;
use tracing::debug;

use super::quic::{QuicConfig, admit};
use super::refusal::Refusal;
use crate::tls::{JOIN_ALPN, LINK_ALPN, Peer, peer};

/// Handshakes going on at once; each costs some 30 KB and a signature. More are not answered, which costs an honest
/// dialler one resent packet.
pub const MAX_HALF_OPEN: usize = 256;

/// From here on a source has to prove its address first (QUIC Retry), so that a flood with forged ones ends here.
const RETRY_FROM: usize = MAX_HALF_OPEN / 4;

/// Connections at once, those included that have failed and are remembered for three times the path's round trip, as QUIC wants
/// it (RFC 9000, 10.2): each holds some 35 KB, and under a flood that trip is long. Beyond the links that a pool needs
/// they are all strangers'.
pub const MAX_OPEN: usize = 1024;

/// A handshake takes no longer than this, even with a third of its packets lost.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// What came through the door.
#[derive(Debug)]
pub enum Arrival {
    /// A member of the pool: its certificate was verified, its windows are open.
    Link {
        /// Its connection.
        connection: Connection,
        /// Who it is.
        peer: Peer,
    },
    /// One who wants to join or to renew; proved nothing yet, unless it showed a certificate.
    Join(Connection),
}

/// What came, counted.
#[derive(Debug, Default)]
pub struct DoorStats {
    /// Links of verified members.
    pub links: AtomicU64,
    /// Connections for a join or a renewal.
    pub joins: AtomicU64,
    /// Links without a certificate.
    pub no_certificate: AtomicU64,
    /// Handshakes that failed: a bad certificate, another protocol, or gone.
    pub failed: AtomicU64,
    /// Handshakes that took longer than they may.
    pub too_slow: AtomicU64,
    /// First packets not answered, since [`MAX_HALF_OPEN`] handshakes were going on.
    pub not_answered: AtomicU64,
    /// Sources that had to prove their address.
    pub retried: AtomicU64,
    /// Sources that were refused, since there were [`MAX_OPEN`] connections besides the links.
    pub refused: AtomicU64,
}

impl DoorStats {
    /// Each of them with its name, as a label.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        [
            ("link", &self.links),
            ("join", &self.joins),
            ("no_certificate", &self.no_certificate),
            ("failed", &self.failed),
            ("too_slow", &self.too_slow),
            ("not_answered", &self.not_answered),
            ("retried", &self.retried),
            ("refused", &self.refused),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// The accepting side of a link port.
#[derive(Debug)]
pub struct Door {
    endpoint: Endpoint,
    quic: QuicConfig,
    handshakes: JoinSet<Result<Arrival, Turned>>,
    max_open: usize,
    stats: Arc<DoorStats>,
}

/// Why a handshake led to nothing.
#[derive(Clone, Copy, Debug)]
enum Turned {
    NoCertificate,
    Failed,
    TooSlow,
}

impl Door {
    /// The door of an endpoint that was bound with a server side; it has room for so many links, and for [`MAX_OPEN`]
    /// connections of strangers besides.
    pub fn new(endpoint: Endpoint, quic: QuicConfig, max_links: usize) -> Self {
        Self {
            endpoint,
            quic,
            handshakes: JoinSet::new(),
            max_open: max_links + MAX_OPEN,
            stats: Arc::default(),
        }
    }

    /// The counters.
    pub fn stats(&self) -> Arc<DoorStats> {
        Arc::clone(&self.stats)
    }

    /// The next arrival; `None` once the endpoint is closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<Arrival> {
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => self.begin(incoming?),
                Some(done) = self.handshakes.join_next() => {
                    if let Some(arrival) = self.count(done.unwrap_or(Err(Turned::Failed))) {
                        return Some(arrival);
                    }
                }
            }
        }
    }

    /// Goes into a handshake, if there is room.
    fn begin(&mut self, incoming: Incoming) {
        let crowded = self.endpoint.open_connections() >= self.max_open;
        if self.handshakes.len() >= MAX_HALF_OPEN {
            one_more(&self.stats.not_answered);
            incoming.ignore();
        } else if (crowded || self.handshakes.len() >= RETRY_FROM) && incoming.may_retry() {
            one_more(&self.stats.retried);
            // Cannot fail: `may_retry` said so.
            let _ = incoming.retry();
        } else if crowded {
            // Its address is proved: it hears no, and can ask again at once.
            one_more(&self.stats.refused);
            incoming.refuse();
        } else {
            let remote = incoming.remote_address();
            match incoming.accept() {
                Ok(connecting) => {
                    self.handshakes
                        .spawn(handshake(connecting, remote, self.quic.clone()));
                }
                Err(error) => {
                    debug!(%remote, %error, "handshake failed");
                    one_more(&self.stats.failed);
                }
            }
        }
    }

    fn count(&self, done: Result<Arrival, Turned>) -> Option<Arrival> {
        one_more(match &done {
            Ok(Arrival::Link { .. }) => &self.stats.links,
            Ok(Arrival::Join(_)) => &self.stats.joins,
            Err(Turned::NoCertificate) => &self.stats.no_certificate,
            Err(Turned::Failed) => &self.stats.failed,
            Err(Turned::TooSlow) => &self.stats.too_slow,
        });
        done.ok()
    }
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Waits for the whole handshake, so that the certificate, if any, is verified, and nothing was sent before.
async fn handshake(connecting: Connecting, remote: SocketAddr, quic: QuicConfig) -> Result<Arrival, Turned> {
    let Ok(done) = tokio::time::timeout(HANDSHAKE_TIME, connecting).await else {
        debug!(%remote, "handshake took too long");
        return Err(Turned::TooSlow);
    };
    let connection = done.map_err(|error| {
        debug!(%remote, %error, "handshake failed");
        Turned::Failed
    })?;
    match protocol(&connection).as_deref() {
        Some(LINK_ALPN) => {}
        Some(JOIN_ALPN) => return Ok(Arrival::Join(connection)),
        // TLS agrees on no other protocol; were it so, the connection ends by being dropped.
        _ => return Err(Turned::Failed),
    }
    let Some(peer) = peer(&connection) else {
        debug!(%remote, "link without a certificate");
        Refusal::NoCertificate.close(&connection);
        return Err(Turned::NoCertificate);
    };
    admit(&connection, &quic);
    Ok(Arrival::Link { connection, peer })
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    data.downcast_ref::<HandshakeData>()?.protocol.clone()
}

#[cfg(test)]
mod tests;
