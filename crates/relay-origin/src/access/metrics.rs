//! What is counted of who may publish.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use super::denial::KeyDenial;

/// Keys and hooks, counted.
#[derive(Clone, Debug)]
pub struct AccessMetrics {
    denials: IntCounterVec,
    attempts: IntCounterVec,
    decisions: IntCounterVec,
    seconds: Histogram,
    lost: IntCounter,
}

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Asked before a publisher is let in.
    Publish,
    /// Told when it is gone.
    Unpublish,
}

/// What came of an attempt to reach a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Ok,
    /// 4xx.
    Denied,
    /// Anything else, or nothing.
    Failed,
}

/// How it was decided on a publisher about whom a hook was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By the hook: let in.
    Allowed,
    /// By the hook: turned away.
    Denied,
    /// Without it: let in, since it let the same one in before.
    Remembered,
    /// Without it: let in, since `fail_open` says so.
    FailOpen,
    /// Without it: turned away.
    FailClosed,
}

impl Event {
    const ALL: [Self; 2] = [Self::Publish, Self::Unpublish];

    const fn label(self) -> &'static str {
        match self {
            Self::Publish => "on_publish",
            Self::Unpublish => "on_unpublish",
        }
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Denied, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

impl Decision {
    const ALL: [Self; 5] = [
        Self::Allowed,
        Self::Denied,
        Self::Remembered,
        Self::FailOpen,
        Self::FailClosed,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Remembered => "remembered",
            Self::FailOpen => "fail_open",
            Self::FailClosed => "fail_closed",
        }
    }
}

impl AccessMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in the registry.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            denials: counters(
                "relay_publish_key_denials_total",
                "Publishers turned away for their key, by reason.",
                &["reason"],
            )?,
            attempts: counters(
                "relay_hook_attempts_total",
                "Requests to hooks, by hook and by what came of them.",
                &["hook", "outcome"],
            )?,
            decisions: counters(
                "relay_hook_decisions_total",
                "Publishers about whom a hook was asked, by how it was decided.",
                &["decision"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "relay_hook_decision_seconds",
                    "How long publishers waited for the decision, retries included.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            )?,
            lost: IntCounter::new(
                "relay_hook_lost_total",
                "Ends of publishers that the hook was not told of, since it did not answer or too many waited.",
            )?,
        };
        for denial in KeyDenial::ALL {
            metrics.denials.with_label_values(&[denial.label()]);
        }
        for event in Event::ALL {
            for outcome in Outcome::ALL {
                metrics
                    .attempts
                    .with_label_values(&[event.label(), outcome.label()]);
            }
        }
        for decision in Decision::ALL {
            metrics.decisions.with_label_values(&[decision.label()]);
        }
        for counters in [&metrics.denials, &metrics.attempts, &metrics.decisions] {
            registry.register(Box::new(counters.clone()))?;
        }
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.lost.clone()))?;
        Ok(metrics)
    }

    pub(super) fn denied(&self, why: KeyDenial) {
        self.denials.with_label_values(&[why.label()]).inc();
    }

    pub(super) fn attempted(&self, event: Event, outcome: Outcome) {
        let labels = [event.label(), outcome.label()];
        self.attempts.with_label_values(&labels).inc();
    }

    pub(super) fn decided(&self, decision: Decision, seconds: f64) {
        self.decisions.with_label_values(&[decision.label()]).inc();
        self.seconds.observe(seconds);
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }
}
