//! A publisher that the service knows of. Each one of whom it may have heard is said to be gone, once, whatever became of it.

use std::sync::Arc;
use std::time::Duration;

use relay_core::clock::Now;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Hooks;
use super::message::{End, Visit};

/// Ends that are told at a time; the others wait.
const MAX_UNDER_WAY: usize = 8;

/// How long the last ends are told for when the origin itself ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The word that a publisher is gone, on its way.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) visit: Visit,
    pub(super) end: End,
}

/// A publisher of whom the service may know. When this is dropped, the service is told that it is gone.
pub struct Told {
    hooks: Arc<Hooks>,
    visit: Visit,
    owed: bool,
    since: Option<Now>,
    reason: &'static str,
}

impl Told {
    pub(super) const fn new(hooks: Arc<Hooks>, visit: Visit) -> Self {
        Self {
            hooks,
            visit,
            owed: false,
            since: None,
            reason: "refused",
        }
    }

    /// Whom it is about.
    pub(super) const fn visit(&self) -> &Visit {
        &self.visit
    }

    /// The service may know of it, and so will be told of its end. Says whether that was so before.
    pub(super) const fn owe(&mut self) -> bool {
        std::mem::replace(&mut self.owed, true)
    }

    /// The service does not know of it, or has turned it away itself.
    pub(super) const fn owe_nothing(&mut self) {
        self.owed = false;
    }

    /// It publishes from now on.
    pub const fn begin(&mut self, now: Now) {
        self.since = Some(now);
        self.reason = "gone";
    }

    /// Says why it goes.
    pub const fn end(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let hooks = &self.hooks;
        if !self.owed || hooks.on_unpublish.is_none() {
            return;
        }
        let now = hooks.clock.now();
        let lasted = self
            .since
            .map_or(0, |since| now.mono_ms.saturating_sub(since.mono_ms));
        let end = End {
            reason: self.reason,
            seconds: Duration::from_millis(lasted).as_secs_f64(),
        };
        let notice = Notice {
            visit: self.visit.clone(),
            end,
        };
        match hooks.notices.try_send(notice) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(notice) | mpsc::error::TrySendError::Closed(notice)) => {
                hooks.lost(&notice.visit);
            }
        }
    }
}

/// Tells the service of ends, one after the other, a few at a time.
pub struct Teller {
    hooks: Arc<Hooks>,
    notices: mpsc::Receiver<Notice>,
}

impl Teller {
    pub(super) const fn new(hooks: Arc<Hooks>, notices: mpsc::Receiver<Notice>) -> Self {
        Self { hooks, notices }
    }

    /// Tells until `stop`, and then, for a moment, what is left. Stop it when all publishers are gone.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(notice) = self.notices.recv(), if under_way.len() < MAX_UNDER_WAY => self.spawn(&mut under_way, notice),
                Some(_) = under_way.join_next() => {}
            }
        }
        self.notices.close();
        let last_words = async {
            while let Some(notice) = self.notices.recv().await {
                if under_way.len() >= MAX_UNDER_WAY {
                    under_way.join_next().await;
                }
                self.spawn(&mut under_way, notice);
            }
            while under_way.join_next().await.is_some() {}
        };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            tracing::warn!("the hook was not told of the last publishers that are gone");
        }
    }

    fn spawn(&self, under_way: &mut JoinSet<()>, notice: Notice) {
        let hooks = Arc::clone(&self.hooks);
        under_way.spawn(async move { hooks.tell(notice).await });
    }
}
