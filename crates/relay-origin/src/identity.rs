//! What the origin shows on its links: a key that lives in memory, certified by its own authority.

use std::sync::Arc;
use std::time::Duration;

use relay_core::clock::Now;
use relay_core::tls::{CaError, Credentials, IdentityError, InstanceId, NodeKey, PoolCa};

/// The origin's key and certificate.
#[derive(Debug)]
pub struct OriginIdentity {
    key: NodeKey,
    ca: Arc<PoolCa>,
    life: Duration,
    credentials: Arc<Credentials>,
}

/// Why the origin could not certify itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfSignError {
    /// The authority could not sign.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// What it signed does not fit; a fault of ours.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl OriginIdentity {
    /// A new key, certified for `life`, under the instance that the state folder keeps.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn new(
        ca: Arc<PoolCa>,
        instance: InstanceId,
        life: Duration,
        now: Now,
    ) -> Result<Self, SelfSignError> {
        let key = NodeKey::generate()?;
        let leaf = ca.sign_origin(&key, instance, life, now)?;
        let credentials = Credentials::new(&key, leaf.chain)?;
        Ok(Self {
            key,
            ca,
            life,
            credentials,
        })
    }

    /// What to give to endpoints; renewals show through it.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    /// How long to wait before each [`Self::renew`].
    pub fn renew_after(&self) -> Duration {
        self.life / 2
    }

    /// Certifies the key anew.
    ///
    /// # Errors
    /// When the machine gives no randomness; the former certificate stays.
    pub fn renew(&self, now: Now) -> Result<(), SelfSignError> {
        let instance = self.credentials.peer().instance;
        let leaf = self.ca.sign_origin(&self.key, instance, self.life, now)?;
        Ok(self.credentials.renew(&self.key, leaf.chain)?)
    }
}
