//! This edge as the pool sees it: what it says of itself, and what it does with what it is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay_core::cascade::message::{Policy, Report, View};
use relay_core::fanout::Fanout;
use relay_core::link::child::ChildDesk;
use relay_core::node::Capacity;
use relay_core::pool::Endpoint;
use relay_core::serve::Doorman;

use crate::others::Others;

/// What an edge tells of itself, and what it does with what it is told.
#[derive(Clone)]
pub struct Presence {
    /// Where viewers reach it.
    pub public: Vec<Endpoint>,
    /// Where its metrics are.
    pub metrics: String,
    /// Who sends to its viewers.
    pub fanout: Arc<Fanout>,
    /// Who decides on them.
    pub doorman: Arc<Doorman>,
    /// What it can send.
    pub capacity: Capacity,
    /// The other nodes.
    pub others: Others,
    /// Whether it takes nobody new.
    pub draining: Arc<AtomicBool>,
    /// What the origin wanted of it last.
    pub told: Arc<Mutex<Policy>>,
}

impl Presence {
    /// From now on it takes nobody new, and says so in its reports.
    pub fn close_doors(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.doorman.set_draining(true);
    }

    /// It takes nobody new, and lets those who are there go, spread over `window`.
    pub fn drain(&self, window: Duration) {
        self.close_doors();
        self.fanout.drain(Some(window));
    }

    /// How many of its public endpoints the origin has given up on.
    pub fn unreachable(&self) -> usize {
        self.told().unreachable.len()
    }

    fn told(&self) -> MutexGuard<'_, Policy> {
        // Replaced whole, so it is true whatever happened to whoever held it.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle_drain(&self, seconds: Option<u32>) {
        match seconds {
            Some(seconds) => {
                tracing::info!(seconds, "the origin wants this edge to drain");
                self.drain(Duration::from_secs(seconds.into()));
            }
            None => {
                tracing::info!("the origin wants this edge to take viewers");
                self.draining.store(false, Ordering::Relaxed);
                self.doorman.set_draining(false);
                self.fanout.drain(None);
            }
        }
    }
}

/// Says what is new of the endpoints at which the origin has given up on this edge: each once.
fn say_unreachable(before: &[String], now: &[String]) {
    for trouble in now.iter().filter(|trouble| !before.contains(trouble)) {
        tracing::warn!(
            "viewers cannot reach this edge at {trouble}; open that port, or set [edge] public to where they can"
        );
    }
    if now.is_empty() && !before.is_empty() {
        tracing::info!("the origin has no more to say against this edge's public endpoints");
    }
}

impl ChildDesk for Presence {
    fn public(&self) -> Vec<String> {
        self.public.iter().map(Endpoint::to_string).collect()
    }

    fn report(&self) -> Report {
        Report {
            viewers: u32::try_from(self.fanout.viewers()).unwrap_or(u32::MAX),
            egress_bytes: self.capacity.sent_bytes(),
            capacity: self.capacity.bits(),
            committed: Some(self.doorman.committed()),
            full: self.doorman.is_full(),
            draining: self.draining.load(Ordering::Relaxed),
            metrics: Some(self.metrics.clone()),
            ..Report::default()
        }
    }

    fn pool(&self, view: View) {
        self.others.learn(view);
    }

    fn policy(&self, policy: Policy) {
        let before = std::mem::replace(&mut *self.told(), policy.clone());
        // It is told whole each time: what has not changed must not undo what this edge has begun by itself since.
        if policy.drain_seconds != before.drain_seconds {
            self.handle_drain(policy.drain_seconds);
        }
        say_unreachable(&before.unreachable, &policy.unreachable);
    }
}
