//! The desk where edges join and renew, over the tokens and revocations in the state folder.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay_core::clock::Now;
use relay_core::link::join::{Grant, JoinDesk};
use relay_core::link::refusal::Refusal;
use relay_core::tls::{EdgeRequest, InstanceId, LATE_RENEWAL, PoolCa, PoolRoot, SettingsError, late_member};
use relay_core::token::{Address, BookFull, JoinToken, Secret, TokenBook, TokenError, TokenId, TokenRecord};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::state::{State, StateError, random};

/// Revoked edges that are remembered; each for the life of its certificate and the time it may renew late.
pub const MAX_REVOKED: usize = 10_000;

/// Edges that may not come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    edges: Vec<Revoked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Revoked {
    instance: InstanceId,
    /// From when on no certificate of it can be good any more, Unix seconds.
    until: u64,
}

impl Revocations {
    fn contains(&self, instance: InstanceId) -> bool {
        self.edges.iter().any(|r| r.instance == instance)
    }

    fn add(&mut self, instance: InstanceId, until: u64, now_s: u64) -> Result<(), DeskError> {
        self.edges.retain(|r| r.until > now_s && r.instance != instance);
        if self.edges.len() >= MAX_REVOKED {
            return Err(DeskError::TooManyRevoked);
        }
        self.edges.push(Revoked { instance, until });
        Ok(())
    }
}

/// Why an operator's wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There are too many live tokens.
    #[error(transparent)]
    Full(#[from] BookFull),
    /// [`MAX_REVOKED`] edges are revoked.
    #[error("{MAX_REVOKED} edges are revoked already; a new pool would be quicker")]
    TooManyRevoked,
    /// This origin knows no address to put in a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The authority cannot serve as a root.
    #[error(transparent)]
    Root(#[from] SettingsError),
    /// It could not be written down.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Tokens and revocations, with the authority that certifies whom they admit. Each change is on disk before it counts.
#[derive(Debug)]
pub struct Desk {
    ca: Arc<PoolCa>,
    root: PoolRoot,
    state: Arc<State>,
    life: Duration,
    late_renewal: Duration,
    addresses: Vec<Address>,
    book: Mutex<TokenBook>,
    revoked: Mutex<Revocations>,
}

impl Desk {
    /// Opens the desk: certificates live for `life`, tokens name `addresses`.
    ///
    /// # Errors
    /// When the state folder's files are damaged.
    pub fn open(
        state: Arc<State>,
        ca: Arc<PoolCa>,
        life: Duration,
        addresses: Vec<Address>,
    ) -> Result<Self, DeskError> {
        Ok(Self {
            root: PoolRoot::new(ca.certificate().clone())?,
            book: Mutex::new(state.tokens()?),
            revoked: Mutex::new(state.revocations()?),
            ca,
            state,
            life,
            late_renewal: LATE_RENEWAL,
            addresses,
        })
    }

    /// Sets how long after its end a certificate may still be renewed; [`LATE_RENEWAL`] if nobody says.
    #[must_use]
    pub const fn with_late_renewal(mut self, late_renewal: Duration) -> Self {
        self.late_renewal = late_renewal;
        self
    }

    /// Makes a token, good for `ttl` and for `uses` edges.
    ///
    /// # Errors
    /// When there are too many, or it cannot be written down.
    pub fn create(&self, ttl: Duration, uses: u32, now: Now) -> Result<JoinToken, DeskError> {
        let secret = Secret::new(random().map_err(StateError::from)?);
        let mut book = lock(&self.book);
        let id = loop {
            let id = TokenId::new(random().map_err(StateError::from)?);
            if !book.list().iter().any(|t| t.id == id) {
                break id;
            }
        };
        let fingerprint = self.ca.fingerprint();
        let token = JoinToken::new(id, secret.clone(), fingerprint, self.addresses.clone())?;
        let mut next = book.clone();
        next.create(id, &secret, ttl, uses, now)?;
        self.state.save_tokens(&next)?;
        *book = next;
        Ok(token)
    }

    /// All tokens, with those that ended lately.
    pub fn list(&self) -> Vec<TokenRecord> {
        lock(&self.book).list().to_vec()
    }

    /// Ends a token at once. Says whether there was such a one.
    ///
    /// # Errors
    /// When it cannot be written down; the token is live then.
    pub fn revoke(&self, id: TokenId) -> Result<bool, DeskError> {
        let mut book = lock(&self.book);
        let mut next = book.clone();
        let found = next.revoke(id);
        if found {
            self.state.save_tokens(&next)?;
            *book = next;
        }
        Ok(found)
    }

    /// Keeps an edge from renewing; whoever serves links has to ask [`Self::is_revoked`].
    ///
    /// # Errors
    /// When it cannot be written down; the edge is not revoked then.
    pub fn revoke_edge(&self, instance: InstanceId, now: Now) -> Result<(), DeskError> {
        let now_s = now.unix_us / 1_000_000;
        let until = now_s
            .saturating_add(self.life.as_secs())
            .saturating_add(self.late_renewal.as_secs());
        let mut revoked = lock(&self.revoked);
        let mut next = revoked.clone();
        next.add(instance, until, now_s)?;
        self.state.save_revocations(&next)?;
        *revoked = next;
        Ok(())
    }

    /// Whether an edge was revoked.
    pub fn is_revoked(&self, instance: InstanceId) -> bool {
        lock(&self.revoked).contains(instance)
    }

    fn not_revoked(&self, instance: InstanceId) -> Result<(), Refusal> {
        if self.is_revoked(instance) {
            return Err(Refusal::EdgeRevoked);
        }
        Ok(())
    }
}

impl JoinDesk for Desk {
    fn redeem(&self, id: TokenId, secret: &Secret, instance: InstanceId, now: Now) -> Result<(), Refusal> {
        self.not_revoked(instance)?;
        let mut book = lock(&self.book);
        let mut next = book.clone();
        next.redeem(id, secret, instance, now)?;
        // Asking twice changes nothing, and costs no write.
        if next != *book {
            self.state.save_tokens(&next).map_err(|reason| {
                error!(%reason, "an edge cannot join: its use of the token cannot be written down");
                Refusal::OriginFault
            })?;
            *book = next;
        }
        Ok(())
    }

    fn late_member(
        &self,
        expired: &CertificateDer<'_>,
        request: &EdgeRequest,
        now: Now,
    ) -> Option<InstanceId> {
        late_member(expired, request, &self.root, self.late_renewal, now)
    }

    fn renew(&self, instance: InstanceId, _now: Now) -> Result<(), Refusal> {
        self.not_revoked(instance)
    }

    fn sign(&self, request: &EdgeRequest, instance: InstanceId, now: Now) -> Result<Grant, Refusal> {
        let leaf = self.ca.sign_edge(request, instance, self.life, now);
        Ok(Grant {
            leaf: leaf.map_err(|reason| {
                error!(%reason, "an edge cannot join: its certificate cannot be signed");
                Refusal::OriginFault
            })?,
            life: self.life,
            addresses: self.addresses.clone(),
        })
    }
}

/// Nothing panics while these are held; were it so, each holds either the old value or the new one, whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
