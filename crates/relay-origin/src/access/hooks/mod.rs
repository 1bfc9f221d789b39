//! The operator's service that has a say in who publishes: asked before a publisher is let in, told when it is gone.
//!
//! Only the publisher's own connection waits for an answer; nothing of its stream is touched meanwhile, and whatever
//! the service does, media and viewers go on.
//!
//! - [`message`]: what is said; [`signature`]: how the service knows who says it; [`post`]: how it gets there.
//! - [`memory`]: what holds while it does not answer.
//! - [`told`]: a publisher that the service knows of, and its farewell.

pub mod memory;
pub mod message;
pub mod post;
pub mod signature;
pub mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_core::clock::Clock;
use relay_core::config::{self, HookUrl, Secret, StreamPattern};
use relay_core::link::backoff::Backoff;
use relay_core::serve::chance;
use relay_core::serve::ingest::Refused;
use tokio::sync::{Semaphore, mpsc};
use tracing::{debug, info, warn};

use super::metrics::{AccessMetrics, Decision, Event, Outcome};
use memory::Memory;
use message::{End, Message, Visit};
use post::{PostError, Poster, Reply, Signed, TrustError};
use told::{Notice, Told};

pub use told::Teller;

/// Publishers about whom the service is asked at a time: more than begin in one moment, and few enough for a small service. One
/// more waits for as long as an attempt may take.
pub const MAX_ASKED: usize = 16;

/// Ends of publishers that wait to be told: a thousand encoders lost at once, at half a KB each.
pub const MAX_NOTICES: usize = 1024;

/// The wait before the first repetition, and the longest one; each is scattered between half of it and the whole.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The most characters of the service's words that an encoder and the log are shown.
const MAX_SAID: usize = 200;

/// Asks and tells the service.
pub struct Hooks {
    on_publish: Option<HookUrl>,
    on_unpublish: Option<HookUrl>,
    secret: Secret,
    retries: u32,
    patience: Duration,
    fail_open: Vec<StreamPattern>,
    memory: Mutex<Memory>,
    places: Semaphore,
    poster: Poster,
    notices: mpsc::Sender<Notice>,
    clock: Clock,
    metrics: AccessMetrics,
}

/// What the service answered.
enum Answer {
    /// 2xx.
    Yes,
    /// 4xx, with its words.
    No(String),
}

impl Hooks {
    /// As configured; `None` if nobody is asked or told. The teller is to be run.
    ///
    /// # Errors
    /// There is no way to know the service over TLS.
    pub fn new(
        config: &config::Hooks,
        clock: Clock,
        metrics: AccessMetrics,
    ) -> Result<Option<(Arc<Self>, Teller)>, TrustError> {
        // A configuration with hooks has a secret.
        let Some(secret) = config.secret.clone().filter(|_| config.is_used()) else {
            return Ok(None);
        };
        let urls = [&config.on_publish, &config.on_unpublish];
        let https = urls.into_iter().flatten().any(HookUrl::is_https);
        let patience = config.timeout.get();
        let (notices, waiting) = mpsc::channel(MAX_NOTICES);
        let hooks = Arc::new(Self {
            on_publish: config.on_publish.clone(),
            on_unpublish: config.on_unpublish.clone(),
            secret,
            retries: config.retries,
            patience,
            fail_open: config.fail_open.clone(),
            memory: Mutex::new(Memory::new(config.remember.get())),
            places: Semaphore::new(MAX_ASKED),
            poster: Poster::new(patience, https, config.ca.as_deref())?,
            notices,
            clock,
            metrics,
        });
        let teller = Teller::new(Arc::clone(&hooks), waiting);
        Ok(Some((hooks, teller)))
    }

    /// Whether a publisher has to wait for an answer.
    pub const fn asks(&self) -> bool {
        self.on_publish.is_some()
    }

    /// Asks whether a publisher is let in, and waits for the answer. What comes of it is told to the service when it is dropped.
    ///
    /// # Errors
    /// It is turned away, in words for the encoder.
    pub async fn on_publish(self: &Arc<Self>, visit: Visit) -> Result<Told, Refused> {
        let mut told = Told::new(Arc::clone(self), visit);
        let Some(url) = &self.on_publish else {
            told.owe();
            return Ok(told);
        };
        let begun = self.clock.now();
        let answer = self.ask(url, &mut told).await;
        let now = self.clock.now();
        let (decision, result) = match answer {
            Ok(Answer::Yes) => {
                told.owe();
                self.memory().allow(told.visit().likeness(), now);
                (Decision::Allowed, Ok(told))
            }
            Ok(Answer::No(said)) => {
                told.owe_nothing();
                self.memory().deny(&told.visit().likeness());
                info!(stream = %told.visit().stream, peer = %told.visit().peer, %said, "the hook turns a publisher away");
                (Decision::Denied, Err(Refused::denied(said)))
            }
            Err(error) => self.without_answer(told, &error),
        };
        let waited = now.mono_ms.saturating_sub(begun.mono_ms);
        self.metrics
            .decided(decision, Duration::from_millis(waited).as_secs_f64());
        result
    }

    async fn ask(&self, url: &HookUrl, told: &mut Told) -> Result<Answer, PostError> {
        let place = tokio::time::timeout(self.patience, self.places.acquire()).await;
        let _place = place.map_err(|_| PostError::Crowded)?;
        let mut backoff = self.backoff();
        let mut attempt = 1;
        loop {
            // Who leaves from here on may be known to the service.
            let owed = told.owe();
            let result = self
                .attempt(url, Event::Publish, &told.visit().arrival(attempt))
                .await;
            match result {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if !owed && !error.may_be_heard() {
                        told.owe_nothing();
                    }
                    if attempt > self.retries {
                        return Err(error);
                    }
                    debug!(stream = %told.visit().stream, %error, attempt, "the hook does not answer");
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
            attempt += 1;
        }
    }

    /// No attempt was answered: what was before holds, then what the configuration says.
    fn without_answer(&self, told: Told, error: &PostError) -> (Decision, Result<Told, Refused>) {
        let visit = told.visit();
        let remembered = self.memory().allows(&visit.likeness(), self.clock.now());
        let open = self
            .fail_open
            .iter()
            .any(|pattern| pattern.matches(&visit.stream));
        let decision = match (remembered, open) {
            (true, _) => Decision::Remembered,
            (false, true) => Decision::FailOpen,
            (false, false) => Decision::FailClosed,
        };
        let (stream, peer) = (&visit.stream, &visit.peer);
        match decision {
            Decision::FailClosed => {
                warn!(%stream, %peer, reason = %error, "a publisher is turned away: the hook does not answer");
                let said = "whoever decides on publishers does not answer; try again";
                (decision, Err(Refused::denied(said)))
            }
            _ => {
                let why = if remembered {
                    "it was let in before"
                } else {
                    "[hooks] fail_open"
                };
                warn!(%stream, %peer, reason = %error, why, "a publisher is let in though the hook does not answer");
                let mut told = told;
                told.owe();
                (decision, Ok(told))
            }
        }
    }

    /// Tells the service that a publisher is gone, as often as it takes.
    async fn tell(&self, notice: Notice) {
        let Some(url) = &self.on_unpublish else { return };
        let (visit, end): (&Visit, End) = (&notice.visit, notice.end);
        let mut backoff = self.backoff();
        for attempt in 1..=self.retries + 1 {
            if attempt > 1 {
                tokio::time::sleep(backoff.next_wait()).await;
            }
            let message = visit.departure(attempt, end);
            match self.attempt(url, Event::Unpublish, &message).await {
                // Whatever it thinks of it, it has heard it.
                Ok(_) => return,
                Err(error) => debug!(stream = %visit.stream, %error, attempt, "the hook does not answer"),
            }
        }
        self.lost(visit);
    }

    /// The service will not hear of an end.
    fn lost(&self, visit: &Visit) {
        self.metrics.lost();
        warn!(stream = %visit.stream, id = %visit.id, "the hook was not told that a publisher is gone");
    }

    async fn attempt(&self, url: &HookUrl, event: Event, message: &Message<'_>) -> Result<Answer, PostError> {
        // A struct of texts and numbers can always be written.
        let body = serde_json::to_vec(message).unwrap_or_default();
        let time_s = self.clock.now().unix_us / 1_000_000;
        let signed = Signed {
            signature: signature::sign(self.secret.expose(), time_s, &body),
            body: body.into(),
        };
        let answer = self.poster.post(url, signed).await.and_then(judge);
        let outcome = match &answer {
            Ok(Answer::Yes) => Outcome::Ok,
            Ok(Answer::No(_)) => Outcome::Denied,
            Err(_) => Outcome::Failed,
        };
        self.metrics.attempted(event, outcome);
        answer
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(BACKOFF.0, BACKOFF.1, chance())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // Each change is one insert or removal, whatever panicked beside it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 2xx is yes, 4xx is no but where it says "later", and all else is no answer.
fn judge(reply: Reply) -> Result<Answer, PostError> {
    match reply.status.as_u16() {
        200..300 => Ok(Answer::Yes),
        // Request Timeout, Too Early, Too Many Requests.
        408 | 425 | 429 => Err(PostError::NoAnswer(reply.status)),
        400..500 => Ok(Answer::No(words(&reply.body))),
        _ => Err(PostError::NoAnswer(reply.status)),
    }
}

/// What the service says of its no: `reason` of a JSON body, or the first line of a text, as far as it can be shown.
fn words(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let said = match &json {
        Some(json) => json.get("reason").and_then(serde_json::Value::as_str),
        None => body.lines().next(),
    };
    let plain = said.unwrap_or_default().chars().filter(|c| !c.is_control());
    let plain: String = plain.take(MAX_SAID).collect();
    match plain.trim() {
        // A page for people is no sentence for an encoder.
        "" => "publishing is not allowed".to_owned(),
        page if page.starts_with('<') => "publishing is not allowed".to_owned(),
        said => said.to_owned(),
    }
}

#[cfg(test)]
mod tests;
