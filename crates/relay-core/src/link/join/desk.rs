//! The origin's side of the exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{Connection, ReadToEndError, SendStream};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info};

use super::message::{Answer, Request};
use super::{EXCHANGE_TIME, MAX_MESSAGE};
use crate::clock::{Clock, Now};
use crate::link::refusal::Refusal;
use crate::tls::{EdgeRequest, InstanceId, Leaf, Role, peer};
use crate::token::{Address, Secret, TokenId};

/// Exchanges at once; each is a signature and a write to the state folder. A storm of edges waits a moment.
pub const MAX_JOINS: usize = 64;

/// Whoever decides on members: the origin. Its methods may write to disk; they run where that harms nobody.
pub trait JoinDesk: Send + Sync + 'static {
    /// Admits an instance by a token. Whatever has to survive a crash is written when this returns.
    ///
    /// # Errors
    /// Why not.
    fn redeem(&self, id: TokenId, secret: &Secret, instance: InstanceId, now: Now) -> Result<(), Refusal>;

    /// Who an expired leaf says its bearer is, if it is believed: see `tls::late_member`.
    fn late_member(
        &self,
        expired: &CertificateDer<'_>,
        request: &EdgeRequest,
        now: Now,
    ) -> Option<InstanceId>;

    /// Whether a member may renew.
    ///
    /// # Errors
    /// Why not: it was revoked.
    fn renew(&self, instance: InstanceId, now: Now) -> Result<(), Refusal>;

    /// Certifies one that was admitted.
    ///
    /// # Errors
    /// When the origin cannot.
    fn sign(&self, request: &EdgeRequest, instance: InstanceId, now: Now) -> Result<Grant, Refusal>;
}

/// What a member is given.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its certificate.
    pub leaf: Leaf,
    /// How long that lives.
    pub life: Duration,
    /// Where the origin believes that it can be dialled. An edge goes on dialling where its token led.
    pub addresses: Vec<Address>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinOutcome {
    /// A new member.
    Joined {
        /// Who.
        instance: InstanceId,
        /// By which token.
        token: TokenId,
    },
    /// A member with a new certificate.
    Renewed {
        /// Who.
        instance: InstanceId,
    },
    /// Turned away.
    Refused(Refusal),
    /// The asker went away before it was answered.
    Gone,
}

/// Exchanges by how they ended.
#[derive(Debug, Default)]
pub struct JoinStats {
    joined: AtomicU64,
    renewed: AtomicU64,
    gone: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl JoinStats {
    /// Each outcome's label and count, for a metric.
    pub fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut all = vec![
            ("joined", read(&self.joined)),
            ("renewed", read(&self.renewed)),
            ("gone", read(&self.gone)),
        ];
        let refusals = Refusal::ALL.iter().zip(&self.refused);
        all.extend(
            refusals
                .filter(|(r, _)| **r != Refusal::Done)
                .map(|(r, n)| (r.label(), read(n))),
        );
        all
    }

    fn count(&self, outcome: JoinOutcome) {
        let counter = match outcome {
            JoinOutcome::Joined { .. } => &self.joined,
            JoinOutcome::Renewed { .. } => &self.renewed,
            JoinOutcome::Gone => &self.gone,
            JoinOutcome::Refused(refusal) => {
                let at = Refusal::ALL.iter().position(|r| *r == refusal);
                // Found: `ALL` holds every one, which its own test goes through.
                &self.refused[at.unwrap_or_default()]
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves all joins of an origin, a bounded number at once.
#[derive(Clone)]
pub struct JoinHall {
    desk: Arc<dyn JoinDesk>,
    clock: Clock,
    seats: Arc<Semaphore>,
    stats: Arc<JoinStats>,
}

impl JoinHall {
    /// A hall before this desk.
    pub fn new(desk: Arc<dyn JoinDesk>, clock: Clock) -> Self {
        Self {
            desk,
            clock,
            seats: Arc::new(Semaphore::new(MAX_JOINS)),
            stats: Arc::default(),
        }
    }

    /// The counters.
    pub fn stats(&self) -> Arc<JoinStats> {
        Arc::clone(&self.stats)
    }

    /// Takes one connection, in a task that ends within [`EXCHANGE_TIME`]; or turns it away when all seats are taken.
    pub fn enter(&self, connection: Connection) {
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            Refusal::Busy.close(&connection);
            self.stats.count(JoinOutcome::Refused(Refusal::Busy));
            return;
        };
        let hall = self.clone();
        tokio::spawn(async move {
            let outcome = serve_join(connection, hall.desk, hall.clock).await;
            hall.stats.count(outcome);
            drop(seat);
        });
    }
}

/// Serves one exchange, and closes the connection.
pub async fn serve_join(connection: Connection, desk: Arc<dyn JoinDesk>, clock: Clock) -> JoinOutcome {
    let end = Instant::now() + EXCHANGE_TIME;
    let exchange = timeout_at(end, exchange(&connection, desk, clock));
    let outcome = match exchange.await {
        Ok(Ok(outcome)) => {
            // The asker closes once it has the answer; closing first could overtake it.
            let _ = timeout_at(end, connection.closed()).await;
            Refusal::Done.close(&connection);
            outcome
        }
        Ok(Err(Some(refusal))) => refuse(&connection, refusal),
        Ok(Err(None)) => JoinOutcome::Gone,
        Err(_) => refuse(&connection, Refusal::TooSlow),
    };
    let remote = connection.remote_address();
    match outcome {
        JoinOutcome::Joined { instance, token } => info!(%instance, %token, %remote, "edge joined"),
        JoinOutcome::Renewed { instance } => debug!(%instance, %remote, "edge renewed"),
        JoinOutcome::Refused(refusal) => debug!(%refusal, %remote, "join refused"),
        JoinOutcome::Gone => debug!(%remote, "asker went away"),
    }
    outcome
}

fn refuse(connection: &Connection, refusal: Refusal) -> JoinOutcome {
    refusal.close(connection);
    JoinOutcome::Refused(refusal)
}

/// The exchange itself; an error of `None` means that the asker is gone.
async fn exchange(
    connection: &Connection,
    desk: Arc<dyn JoinDesk>,
    clock: Clock,
) -> Result<JoinOutcome, Option<Refusal>> {
    let (send, mut receive) = connection.accept_bi().await.map_err(|_| None)?;
    let bytes = receive.read_to_end(MAX_MESSAGE).await.map_err(|e| match e {
        ReadToEndError::TooLong => Some(Refusal::BadRequest),
        ReadToEndError::Read(_) => None,
    })?;
    let shown = peer(connection).filter(|p| p.role == Role::Edge);
    let member = shown.map(|p| p.instance);
    let decided = tokio::task::spawn_blocking(move || decide(&bytes, member, &*desk, clock.now()));
    // A panic at the desk costs this join only.
    let (answer, outcome) = decided.await.map_err(|_| Some(Refusal::OriginFault))??;
    answer_with(send, &answer).await?;
    Ok(outcome)
}

fn decide(
    bytes: &[u8],
    member: Option<InstanceId>,
    desk: &dyn JoinDesk,
    now: Now,
) -> Result<(Answer, JoinOutcome), Refusal> {
    let (request, instance, outcome) = match Request::decode(bytes).map_err(|_| Refusal::BadRequest)? {
        Request::Join {
            token,
            secret,
            request,
        } => {
            let instance = request.instance();
            desk.redeem(token, &secret, instance, now)?;
            (request, instance, JoinOutcome::Joined { instance, token })
        }
        Request::Renew { request, expired } => {
            let late = || desk.late_member(expired.as_ref()?, &request, now);
            let instance = member.or_else(late).ok_or(Refusal::NoCertificate)?;
            desk.renew(instance, now)?;
            (request, instance, JoinOutcome::Renewed { instance })
        }
    };
    let grant = desk.sign(&request, instance, now)?;
    let answer = Answer {
        chain: grant.leaf.chain,
        instance,
        life_s: grant.life.as_secs(),
        unix_ms: now.unix_ms(),
        addresses: grant.addresses,
    };
    Ok((answer, outcome))
}

async fn answer_with(mut send: SendStream, answer: &Answer) -> Result<(), Option<Refusal>> {
    send.write_all(&answer.encode()).await.map_err(|_| None)?;
    send.finish().map_err(|_| None)
}
