//! The edge's side of the exchange.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, ReadToEndError, TransportErrorCode};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::message::{Answer, Request};
use super::{DIAL_TIME, EXCHANGE_TIME, MAX_MESSAGE};
use crate::link::dial::{DialError, dial};
use crate::link::quic::{self, QuicConfig};
use crate::link::refusal::Refusal;
use crate::tls::{self, Credentials, NodeKey, NodeName, PinFault, PinnedVerifier, PoolRoot, Role};
use crate::token::{Address, JoinToken};

/// The shortest and the longest life that an origin's answer is taken at its word for; a renewal each half minute at
/// most, and one a month at least.
const LIFE_S: std::ops::RangeInclusive<u64> = 60..=60 * 24 * 3600;

/// The TLS alert for a certificate that has run out (RFC 8446, 6.2).
const CERTIFICATE_EXPIRED: u8 = 45;

/// Why an edge is not (or no longer) a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The origin said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody was reached.
    #[error("{0}")]
    Dial(#[from] DialError),
    /// Somebody was reached, who is not the origin of the token.
    #[error("the server at {address} {fault}")]
    Unbelieved {
        /// Who was called.
        address: Address,
        /// Why it was not believed.
        fault: PinFault,
    },
    /// The connection ended before the answer.
    #[error("lost {address} before it answered: {reason}")]
    Lost {
        /// Who was called.
        address: Address,
        /// How it ended.
        reason: ConnectionError,
    },
    /// The answer did not come in time.
    #[error("{address} took the request, but did not answer it in time")]
    NoAnswer {
        /// Who was called.
        address: Address,
    },
    /// The answer makes no sense.
    #[error("{address} answered what is no answer: {reason}")]
    BadAnswer {
        /// Who answered.
        address: Address,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// This machine cannot do its part, such as giving randomness.
    #[error("cannot ask: {0}")]
    Local(String),
}

/// What an edge is once it has joined.
#[derive(Clone, Debug)]
pub struct Joined {
    /// What it shows on its links.
    pub credentials: Arc<Credentials>,
    /// Whom it believes.
    pub root: PoolRoot,
    /// Where its origin is.
    pub addresses: Vec<Address>,
    /// How long its certificate lives from now.
    pub life: Duration,
    /// The origin's clock when it answered, Unix milliseconds.
    pub origin_unix_ms: u64,
}

/// One edge's asking: its key, and the port it asks from. The key stays the same from attempt to attempt, so that an
/// answer that was lost costs a token no second use.
#[derive(Debug)]
pub struct Asker {
    endpoint: Endpoint,
    quic: QuicConfig,
    key: NodeKey,
}

impl JoinError {
    /// Whether trying again is pointless.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_final())
    }

    /// Whether the other end said that our certificate has run out.
    fn is_expiry(&self) -> bool {
        let (Self::Lost { reason, .. } | Self::Dial(DialError::Handshake { reason, .. })) = self else {
            return false;
        };
        matches!(reason, ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::crypto(CERTIFICATE_EXPIRED))
    }
}

impl Joined {
    /// When to renew: at half of the life, so that the other half is left for trying again.
    pub fn renew_after(&self) -> Duration {
        self.life / 2
    }
}

impl Asker {
    /// An asker with a key of its own, dialling from `endpoint`.
    pub const fn new(endpoint: Endpoint, quic: QuicConfig, key: NodeKey) -> Self {
        Self { endpoint, quic, key }
    }

    /// The key to which all certificates are made.
    pub const fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Exchanges a token for a certificate, trying its addresses in turn.
    ///
    /// # Errors
    /// Why not. The origin's word counts more than anything else that went wrong.
    pub async fn join(&self, token: &JoinToken) -> Result<Joined, JoinError> {
        let mut told: Option<JoinError> = None;
        let limit = share(token.addresses());
        for address in token.addresses() {
            match self.join_at(token, address, limit).await {
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    if !matches!(error, JoinError::Dial(_)) || told.is_none() {
                        told = Some(error);
                    }
                }
                joined => return joined,
            }
        }
        // Unreachable: a token names at least one address.
        Err(told.unwrap_or_else(|| JoinError::Local("the token names no address".to_owned())))
    }

    async fn join_at(
        &self,
        token: &JoinToken,
        address: &Address,
        limit: Duration,
    ) -> Result<Joined, JoinError> {
        let verifier = PinnedVerifier::new(token.ca_sha256);
        let tls = tls::join_client(Arc::clone(&verifier)).map_err(local)?;
        let connection = self.dial(tls, address, limit).await;
        let connection = connection.map_err(|error| match verifier.fault() {
            Some(fault) => JoinError::Unbelieved {
                address: address.clone(),
                fault,
            },
            None => error,
        })?;
        let csr = self.key.request().map_err(local)?;
        let request = Request::encode_join(token.id, &token.secret, &csr);
        let answer = exchange(&connection, address, &request).await?;
        let bad = |reason| JoinError::BadAnswer {
            address: address.clone(),
            reason,
        };
        let pinned = |c: &&_| Sha256::digest(c).as_slice() == token.ca_sha256;
        let root = answer.chain.iter().find(pinned);
        let root = root.ok_or_else(|| bad("it lacks the pool's authority"))?.clone();
        let root = PoolRoot::new(root).map_err(|_| bad("the pool's authority cannot be read"))?;
        let life = life_of(&answer).ok_or_else(|| bad("the certificate's life is absurd"))?;
        let credentials = Credentials::new(&self.key, answer.chain)
            .map_err(|_| bad("the certificate is not for this edge's key"))?;
        let (us, instance) = (credentials.peer(), self.key.instance());
        if us.role != Role::Edge || us.instance != instance || answer.instance != instance {
            return Err(bad("the certificate is not for this edge"));
        }
        Ok(Joined {
            credentials,
            root,
            // Those that led here: what the origin believes of itself may be an address behind a NAT.
            addresses: token.addresses().to_vec(),
            life,
            origin_unix_ms: answer.unix_ms,
        })
    }

    /// Exchanges the present certificate for a fresh one, and shows that from now on. Says what changed. One that ran out
    /// can still be renewed for some days.
    ///
    /// # Errors
    /// Why not; the present one stays.
    pub async fn renew(&self, member: &Joined) -> Result<Joined, JoinError> {
        let mut told = None;
        let limit = share(&member.addresses);
        for address in &member.addresses {
            match self.renew_at(member, address, limit).await {
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    told.get_or_insert(error);
                }
                renewed => return renewed,
            }
        }
        Err(told.unwrap_or_else(|| JoinError::Local("the origin has no address".to_owned())))
    }

    async fn renew_at(
        &self,
        member: &Joined,
        address: &Address,
        limit: Duration,
    ) -> Result<Joined, JoinError> {
        let answer = match self.ask_to_renew(member, address, limit).await {
            Err(error) if error.is_expiry() => self.ask_late(member, address, limit).await?,
            other => other?,
        };
        let bad = |reason| JoinError::BadAnswer {
            address: address.clone(),
            reason,
        };
        let life = life_of(&answer).ok_or_else(|| bad("the certificate's life is absurd"))?;
        let swapped = member.credentials.renew(&self.key, answer.chain);
        swapped.map_err(|_| bad("the certificate is not for this edge"))?;
        Ok(Joined {
            // As at the join: those that are known to lead there.
            life,
            origin_unix_ms: answer.unix_ms,
            ..member.clone()
        })
    }

    async fn ask_to_renew(
        &self,
        member: &Joined,
        address: &Address,
        limit: Duration,
    ) -> Result<Answer, JoinError> {
        let tls = tls::renew_client(Arc::clone(&member.credentials), &member.root).map_err(local)?;
        let connection = self.dial(tls, address, limit).await?;
        let csr = self.key.request().map_err(local)?;
        exchange(&connection, address, &Request::encode_renew(&csr, None)).await
    }

    /// The same with a certificate that ran out. Which of the two it is, the origin's clock decides, not ours.
    async fn ask_late(
        &self,
        member: &Joined,
        address: &Address,
        limit: Duration,
    ) -> Result<Answer, JoinError> {
        let tls = tls::late_client(&member.root).map_err(local)?;
        let connection = self.dial(tls, address, limit).await?;
        let csr = self.key.request().map_err(local)?;
        let chain = member.credentials.chain();
        exchange(&connection, address, &Request::encode_renew(&csr, chain.first())).await
    }

    async fn dial(
        &self,
        tls: rustls::ClientConfig,
        address: &Address,
        limit: Duration,
    ) -> Result<Connection, JoinError> {
        let config = quic::client_config(tls, &self.quic).map_err(local)?;
        let name = NodeName::Origin.server_name();
        Ok(dial(&self.endpoint, &config, address, &name, limit).await?)
    }
}

/// Sends the request and waits for the answer. The handshake's end is not yet a welcome: a server that does not like
/// our certificate says so after it.
async fn exchange(connection: &Connection, address: &Address, request: &[u8]) -> Result<Answer, JoinError> {
    let bytes = timeout(EXCHANGE_TIME, send_and_read(connection, request)).await;
    let answer = match bytes {
        Err(_) => Err(JoinError::NoAnswer {
            address: address.clone(),
        }),
        Ok(Err(None)) => Err(JoinError::BadAnswer {
            address: address.clone(),
            reason: "it is too long, or was broken off",
        }),
        Ok(Err(Some(reason))) => Err(Refusal::of(&reason).map_or_else(
            || JoinError::Lost {
                address: address.clone(),
                reason,
            },
            JoinError::Refused,
        )),
        Ok(Ok(bytes)) => Answer::decode(&bytes).map_err(|_| JoinError::BadAnswer {
            address: address.clone(),
            reason: "it is malformed",
        }),
    };
    Refusal::Done.close(connection);
    answer
}

/// An error of `None` is about the stream alone, the connection being well.
async fn send_and_read(connection: &Connection, request: &[u8]) -> Result<Vec<u8>, Option<ConnectionError>> {
    let ended = || connection.close_reason();
    let (mut send, mut receive) = connection.open_bi().await.map_err(Some)?;
    // A refusal may come before all is sent: then the reason is the connection's end, not this write's.
    if send.write_all(request).await.is_err() || send.finish().is_err() {
        return Err(ended());
    }
    let read = receive.read_to_end(MAX_MESSAGE).await;
    read.map_err(|error| match error {
        ReadToEndError::TooLong => None,
        ReadToEndError::Read(_) => ended(),
    })
}

fn life_of(answer: &Answer) -> Option<Duration> {
    LIFE_S
        .contains(&answer.life_s)
        .then(|| Duration::from_secs(answer.life_s))
}

/// Each address's part of [`DIAL_TIME`].
fn share(addresses: &[Address]) -> Duration {
    DIAL_TIME / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX)
}

fn local(error: impl std::fmt::Display) -> JoinError {
    JoinError::Local(error.to_string())
}
