//! A small pool on loopback for tests: an origin's door and desk, and edges with certificates.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::Endpoint;
use rustls_pki_types::CertificateDer;

use super::door::{Arrival, Door, DoorStats};
use super::join::{Grant, JoinDesk, JoinHall, JoinStats};
use super::quic::{self, QuicConfig};
use super::refusal::Refusal;
use crate::clock::{Clock, Now};
use crate::tls::{
    self, Credentials, EdgeRequest, InstanceId, JOIN_ALPN, LEAF_LIFE, LINK_ALPN, NodeKey, PoolCa, PoolRoot,
};
use crate::token::{Address, JoinToken, Secret, TokenBook, TokenId};

/// An authority with a book of tokens that lives in memory.
pub(crate) struct Desk {
    pub(crate) ca: PoolCa,
    pub(crate) book: Mutex<TokenBook>,
    pub(crate) revoked: Mutex<Vec<InstanceId>>,
    made: AtomicU64,
}

impl Desk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            ca: PoolCa::create(now()).unwrap(),
            book: Mutex::default(),
            revoked: Mutex::default(),
            made: AtomicU64::new(1),
        })
    }

    pub(crate) fn root(&self) -> PoolRoot {
        PoolRoot::new(self.ca.certificate().clone()).unwrap()
    }

    /// A token for an origin at `address`, made at `now`.
    pub(crate) fn token(&self, address: &Address, ttl: Duration, uses: u32, now: Now) -> JoinToken {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        let id = TokenId::new(u32::try_from(n).unwrap().to_be_bytes());
        let secret = Secret::new([u8::try_from(n).unwrap(); 16]);
        let mut book = self.book.lock().unwrap();
        book.create(id, &secret, ttl, uses, now).unwrap();
        JoinToken::new(id, secret, self.ca.fingerprint(), vec![address.clone()]).unwrap()
    }

    /// An edge's credentials, as a join at `now` would give.
    pub(crate) fn edge(&self, now: Now) -> Arc<Credentials> {
        let key = NodeKey::generate().unwrap();
        let request = EdgeRequest::from_der(&key.request().unwrap()).unwrap();
        let leaf = self.ca.sign_edge(&request, key.instance(), LEAF_LIFE, now);
        Credentials::new(&key, leaf.unwrap().chain).unwrap()
    }

    /// The origin's own credentials.
    pub(crate) fn origin(&self, now: Now) -> Arc<Credentials> {
        let key = NodeKey::generate().unwrap();
        let leaf = self
            .ca
            .sign_origin(&key, InstanceId::new([0xaa; 16]), LEAF_LIFE, now);
        Credentials::new(&key, leaf.unwrap().chain).unwrap()
    }
}

impl JoinDesk for Desk {
    fn redeem(&self, id: TokenId, secret: &Secret, instance: InstanceId, now: Now) -> Result<(), Refusal> {
        Ok(self.book.lock().unwrap().redeem(id, secret, instance, now)?)
    }

    fn late_member(
        &self,
        expired: &CertificateDer<'_>,
        request: &EdgeRequest,
        now: Now,
    ) -> Option<InstanceId> {
        tls::late_member(expired, request, &self.root(), tls::LATE_RENEWAL, now)
    }

    fn renew(&self, instance: InstanceId, _now: Now) -> Result<(), Refusal> {
        match self.revoked.lock().unwrap().contains(&instance) {
            true => Err(Refusal::EdgeRevoked),
            false => Ok(()),
        }
    }

    fn sign(&self, request: &EdgeRequest, instance: InstanceId, now: Now) -> Result<Grant, Refusal> {
        let leaf = self.ca.sign_edge(request, instance, LEAF_LIFE, now);
        Ok(Grant {
            leaf: leaf.map_err(|_| Refusal::OriginFault)?,
            life: LEAF_LIFE,
            addresses: Vec::new(),
        })
    }
}

/// A node with a door, on a port of loopback.
pub(crate) struct Node {
    pub(crate) desk: Arc<Desk>,
    pub(crate) address: Address,
    pub(crate) stats: Arc<DoorStats>,
    pub(crate) joins: Arc<JoinStats>,
    pub(crate) links: tokio::sync::mpsc::Receiver<Arrival>,
    pub(crate) endpoint: Endpoint,
}

impl Node {
    /// Serves `desk`'s pool with these credentials; links come out of `links`, joins are served.
    pub(crate) fn start(desk: Arc<Desk>, credentials: Arc<Credentials>) -> Self {
        let quic = QuicConfig::default();
        let tls = tls::server(credentials, &desk.root(), &[LINK_ALPN, JOIN_ALPN]).unwrap();
        let server = quic::server_config(tls, &quic).unwrap();
        let port = quic::bind("127.0.0.1:0".parse().unwrap(), Some(server), &quic).unwrap();
        let address = port.endpoint.local_addr().unwrap().to_string().parse().unwrap();
        let mut door = Door::new(port.endpoint.clone(), quic, 64);
        let hall = JoinHall::new(Arc::clone(&desk) as Arc<dyn JoinDesk>, Clock::start());
        let (stats, joins) = (door.stats(), hall.stats());
        let (send, links) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(arrival) = door.next().await {
                match arrival {
                    Arrival::Join(connection) => hall.enter(connection),
                    link @ Arrival::Link { .. } => {
                        if send.send(link).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self {
            desk,
            address,
            stats,
            joins,
            links,
            endpoint: port.endpoint,
        }
    }

    /// An origin of a new pool.
    pub(crate) fn origin() -> Self {
        let desk = Desk::new();
        let credentials = desk.origin(now());
        Self::start(desk, credentials)
    }
}

/// An endpoint to dial from.
pub(crate) fn dialler() -> Endpoint {
    let port = quic::bind("127.0.0.1:0".parse().unwrap(), None, &QuicConfig::default());
    port.unwrap().endpoint
}

pub(crate) fn now() -> Now {
    Clock::start().now()
}

/// A moment some hours ago.
pub(crate) fn hours_ago(hours: u64) -> Now {
    let now = now();
    Now {
        unix_us: now.unix_us - hours * 3_600_000_000,
        ..now
    }
}
