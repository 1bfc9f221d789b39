//! Who may publish: whoever has a key for the stream, if the operator's own service has nothing against it.
//!
//! - [`keyring`]: the keys and what each is good for; [`book`]: what is kept of them; [`url`]: what encoders are given.
//! - [`hooks`]: the service that is asked and told.
//! - [`denial`], [`complaints`], [`metrics`]: why somebody is turned away, and what is said and counted of it.
//!
//! A wrong key costs its sender a connection and us a hash: nothing is remembered of it, and nobody is shut out for it, since the
//! encoder with the right key may share an address with the one that has the wrong one.

pub mod book;
pub mod complaints;
pub mod denial;
pub mod hooks;
pub mod keyring;
pub mod metrics;
pub mod url;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;
use relay_core::clock::{Clock, Now};
use relay_core::config::{Config, PublishPolicy};
use relay_core::serve::ingest::{PublishRequest, Refused};
use relay_core::stream::StreamKey;

pub use book::KeyBook;
pub use hooks::Teller;
pub use keyring::{KeyWish, Keyring, Lease};
pub use url::Door;

use crate::state::{PublishKey, State, StateError};
use complaints::Complaints;
use denial::KeyDenial;
use hooks::Hooks;
use hooks::message::Visit;
use hooks::post::TrustError;
use hooks::told::Told;
use metrics::AccessMetrics;

/// Why it cannot be decided on publishers.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The keys.
    #[error(transparent)]
    State(#[from] StateError),
    /// The hooks.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A metric's name is taken: a mistake of ours.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Decides on publishers.
pub struct Access {
    policy: PublishPolicy,
    default: PublishKey,
    keys: Keyring,
    hooks: Option<Arc<Hooks>>,
    complaints: Mutex<Complaints>,
    metrics: AccessMetrics,
}

/// A publisher that has been let in. Dropping it says that it is gone.
pub struct Admitted {
    lease: Option<Lease>,
    told: Option<Told>,
}

impl Access {
    /// As the configuration says, over the state folder's keys. The teller, if there is one, is to be run.
    ///
    /// # Errors
    /// The folder's files are damaged, or an https service cannot be known.
    pub fn open(
        config: &Config,
        state: Arc<State>,
        clock: Clock,
        registry: &Registry,
    ) -> Result<(Self, Option<Teller>), AccessError> {
        let metrics = AccessMetrics::register(registry)?;
        let default = state.publish_key()?;
        let keys = Keyring::open(state, &default, &config.publish_key)?;
        let hooks = Hooks::new(&config.hooks, clock, metrics.clone())?;
        let (hooks, teller) = hooks.unzip();
        let access = Self {
            policy: config.origin.publish,
            default,
            keys,
            hooks,
            complaints: Mutex::default(),
            metrics,
        };
        Ok((access, teller))
    }

    /// The keys.
    pub const fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Whether what a publisher showed lets it in, at once. No lease where anybody may publish.
    ///
    /// # Errors
    /// Why not, in words for the encoder.
    pub fn check(&self, request: &PublishRequest, now: Now) -> Result<Option<Lease>, Refused> {
        if self.policy == PublishPolicy::Open {
            return Ok(None);
        }
        let PublishRequest {
            stream, secret, peer, ..
        } = request;
        let checked = self.keys.check(secret.as_deref(), stream, peer.ip(), now);
        checked.map(Some).map_err(|why| {
            self.complain(request, why, now);
            Refused::denied(why.to_string())
        })
    }

    /// Whether a publisher whose key is right has to wait for somebody else's word.
    pub fn asks(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks.asks())
    }

    /// Asks whoever else has a say, and waits for the answer.
    ///
    /// # Errors
    /// Why it is not let in, in words for the encoder.
    pub async fn ask(&self, lease: Option<Lease>, request: &PublishRequest) -> Result<Admitted, Refused> {
        let Some(hooks) = &self.hooks else {
            return Ok(Admitted { lease, told: None });
        };
        let key = lease.as_ref().map(|lease| lease.id().clone());
        let visit = Visit::new(request, key).map_err(|error| {
            tracing::error!(%error, "a publisher cannot be let in: the system gave no random bytes");
            Refused::denied("this server has a fault")
        })?;
        let revoked = async {
            match &lease {
                Some(lease) => lease.revoked().cancelled().await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            told = hooks.on_publish(visit) => Some(told?),
            () = revoked => return Err(Refused::denied(KeyDenial::Revoked.to_string())),
        };
        Ok(Admitted { lease, told })
    }

    /// The URL to publish `stream` with at a door, with the default key; `None` if that was revoked.
    pub fn publish_url(&self, door: Door<'_>, stream: &StreamKey, now: Now) -> Option<String> {
        match self.policy {
            PublishPolicy::Open => Some(door.url(stream, None)),
            PublishPolicy::Key if self.keys.default_is_live(now) => {
                Some(door.url(stream, Some(self.default.expose())))
            }
            PublishPolicy::Key => None,
        }
    }

    fn complain(&self, request: &PublishRequest, why: KeyDenial, now: Now) {
        self.metrics.denied(why);
        let (stream, peer) = (&request.stream, request.peer);
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match complaints.one_more(now) {
            Some(0) => tracing::warn!(%stream, %peer, %why, "a publisher is turned away for its key"),
            Some(others) => tracing::warn!(
                %stream, %peer, %why, others, "publishers are turned away for their keys, this one and others before it"
            ),
            None => tracing::debug!(%stream, %peer, %why, "a publisher is turned away for its key"),
        }
    }
}

impl Admitted {
    /// The key that let it in; none where anybody may publish.
    pub const fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// It publishes from now on.
    pub const fn begin(&mut self, now: Now) {
        if let Some(told) = &mut self.told {
            told.begin(now);
        }
    }

    /// Says why it goes, if that is not its own doing.
    pub const fn end(&mut self, reason: &'static str) {
        if let Some(told) = &mut self.told {
            told.end(reason);
        }
    }
}
