//! An edge's membership: joining for as long as it takes, then renewing for as long as it runs.
//!
//! A blocked port, an origin that is down or a name that does not resolve yet are waited out, each said once and then
//! once a minute. Only the origin's own word ends it: a token that is unknown, expired, used up or revoked never
//! becomes good again, and a process that ends with a code of its own is seen where one that hopes is not.

use std::fmt;
use std::time::Duration;

use relay_core::clock::{Clock, Now};
use relay_core::link::backoff::Backoff;
use relay_core::link::join::{Asker, JoinError, Joined};
use relay_core::tls::InstanceId;
use relay_core::token::JoinToken;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

/// The first wait after a join that failed, and the longest: an origin that comes back has its edges in ten seconds.
const JOIN_WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The same for renewals, which have half of a certificate's life.
const RENEW_WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// How often a reason that stays the same is said again.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How often it is looked whether a renewal is due. A machine that slept wakes up within this time.
const LOOK: Duration = Duration::from_secs(30);

/// How far this machine's clock may be from the origin's before that is said. Certificates begin an hour back.
const CLOCK_APART_MS: u64 = 60_000;

/// How an edge's membership stands, for `/readyz` and the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It has not joined yet.
    Joining {
        /// Why the last attempt failed, in a sentence.
        trouble: Option<String>,
    },
    /// It has a certificate.
    Member {
        /// Who it is.
        instance: InstanceId,
        /// Why the last renewal failed, in a sentence.
        trouble: Option<String>,
    },
    /// The origin said no, for good.
    Refused {
        /// Its sentence.
        reason: String,
    },
}

impl Membership {
    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Joining { trouble } | Self::Member { trouble, .. } => trouble.as_deref(),
            Self::Refused { reason } => Some(reason),
        }
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joining { .. } => "waiting to join the pool",
            Self::Member { .. } => "joined the pool",
            Self::Refused { .. } => "refused by the pool",
        })?;
        match self.trouble() {
            Some(trouble) => write!(f, ": {trouble}"),
            None => Ok(()),
        }
    }
}

/// Joins and stays a member, and tells others how that stands.
#[derive(Debug)]
pub struct Member {
    asker: Asker,
    clock: Clock,
    status: watch::Sender<Membership>,
    said: Option<(String, Instant)>,
}

impl Member {
    /// One who has not asked yet.
    pub fn new(asker: Asker, clock: Clock) -> Self {
        Self {
            asker,
            clock,
            status: watch::Sender::new(Membership::Joining { trouble: None }),
            said: None,
        }
    }

    /// How the membership stands, from now on.
    pub fn status(&self) -> watch::Receiver<Membership> {
        self.status.subscribe()
    }

    /// Joins, however long it takes. Safe to cancel.
    ///
    /// # Errors
    /// The origin's final no.
    pub async fn join(&mut self, token: &JoinToken) -> Result<Joined, JoinError> {
        let mut backoff = self.backoff(JOIN_WAITS);
        loop {
            match self.asker.join(token).await {
                Ok(joined) => {
                    self.compare_clocks(&joined);
                    let instance = joined.credentials.peer().instance;
                    info!(%instance, "joined the pool");
                    self.status.send_replace(Membership::Member {
                        instance,
                        trouble: None,
                    });
                    return Ok(joined);
                }
                Err(error) if error.is_final() => return Err(self.refused(error)),
                Err(error) => {
                    let trouble = error.to_string();
                    self.say(&trouble, "cannot join the pool yet");
                    self.status.send_replace(Membership::Joining {
                        trouble: Some(trouble),
                    });
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Renews at half of each certificate's life, for ever. Safe to cancel.
    ///
    /// Returns only with the origin's final no.
    pub async fn keep(&mut self, mut joined: Joined) -> JoinError {
        loop {
            self.wait_until_due(joined.renew_after()).await;
            match self.renew(&joined).await {
                Ok(renewed) => joined = renewed,
                Err(error) => return self.refused(error),
            }
        }
    }

    /// One renewal, however long it takes.
    async fn renew(&mut self, joined: &Joined) -> Result<Joined, JoinError> {
        let instance = joined.credentials.peer().instance;
        let mut backoff = self.backoff(RENEW_WAITS);
        loop {
            match self.asker.renew(joined).await {
                Ok(renewed) => {
                    info!(%instance, "renewed the certificate");
                    self.status.send_replace(Membership::Member {
                        instance,
                        trouble: None,
                    });
                    return Ok(renewed);
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    let trouble = error.to_string();
                    self.say(&trouble, "cannot renew the certificate yet");
                    self.status.send_replace(Membership::Member {
                        instance,
                        trouble: Some(trouble),
                    });
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Waits by both clocks: the monotonic one stands still while a machine sleeps, and the wall clock may be set.
    async fn wait_until_due(&self, after: Duration) {
        let begun = self.clock.now();
        while !is_due(begun, self.clock.now(), after) {
            tokio::time::sleep(LOOK.min(after)).await;
        }
    }

    /// Says a reason once, and again after a while or when it changes.
    fn say(&mut self, trouble: &str, what: &'static str) {
        let now = Instant::now();
        let known = self
            .said
            .as_ref()
            .is_some_and(|(said, at)| said == trouble && now.saturating_duration_since(*at) < SAY_AGAIN);
        if !known {
            warn!(reason = trouble, "{what}");
            self.said = Some((trouble.to_owned(), now));
        }
    }

    fn refused(&self, error: JoinError) -> JoinError {
        self.status.send_replace(Membership::Refused {
            reason: error.to_string(),
        });
        error
    }

    fn compare_clocks(&self, joined: &Joined) {
        let ours = self.clock.now().unix_ms();
        let apart_ms = ours.abs_diff(joined.origin_unix_ms);
        if apart_ms > CLOCK_APART_MS {
            let way = if ours < joined.origin_unix_ms {
                "behind"
            } else {
                "ahead of"
            };
            let apart_s = apart_ms / 1000;
            warn!(
                "this machine's clock is {apart_s} s {way} the origin's: set it, or certificates stop fitting"
            );
        }
    }

    /// Scattered by who this edge is, so that a thousand of them do not ask in step.
    fn backoff(&self, (first, cap): (Duration, Duration)) -> Backoff {
        Backoff::new(first, cap, self.asker.key().instance().seed())
    }
}

fn is_due(begun: Now, now: Now, after: Duration) -> bool {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let mono = now.mono_ms.saturating_sub(begun.mono_ms) >= after_ms;
    let wall = now.unix_ms().saturating_sub(begun.unix_ms()) >= after_ms;
    mono || wall
}

#[cfg(test)]
mod tests;
