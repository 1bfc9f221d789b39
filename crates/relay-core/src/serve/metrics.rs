//! What the accepting side counts.

use std::io;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::rtmp::server::Quirk;

/// What became of one who asked for a stream; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinOutcome {
    /// Handed to the fan-out.
    Served,
    /// No such stream here.
    NotFound,
    /// The stream has no start point yet.
    NotReady,
    /// This node is full or has no memory.
    Full,
    /// Sent to another node.
    Redirected,
    /// The connection ended or took too long before it asked for anything.
    Gone,
    /// What it said was no request.
    BadRequest,
}

impl JoinOutcome {
    const ALL: [Self; 7] = [
        Self::Served,
        Self::NotFound,
        Self::NotReady,
        Self::Full,
        Self::Redirected,
        Self::Gone,
        Self::BadRequest,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::NotFound => "not_found",
            Self::NotReady => "not_ready",
            Self::Full => "full",
            Self::Redirected => "redirected",
            Self::Gone => "gone",
            Self::BadRequest => "bad_request",
        }
    }
}

/// How the connection of a publisher that had been let in ended; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublisherEnd {
    /// The encoder closed it.
    Closed,
    /// It was reset: the encoder died, or something between did it.
    Reset,
    /// Nothing came back from its address any more: its network changed, or a NAT on the way forgot it (R11).
    TimedOut,
    /// What it said was no RTMP.
    Protocol,
    /// We let it go.
    LetGo,
}

impl PublisherEnd {
    const ALL: [Self; 5] = [
        Self::Closed,
        Self::Reset,
        Self::TimedOut,
        Self::Protocol,
        Self::LetGo,
    ];

    /// What an error of its socket means.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Reset,
            // The kernel says which hop gave up, or that it has waited for long enough.
            _ => Self::TimedOut,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Protocol => "protocol",
            Self::LetGo => "let_go",
        }
    }
}

/// The accepting side's metrics.
#[derive(Clone, Debug)]
pub struct ServeMetrics {
    connections: IntCounterVec,
    accept_failures: IntCounterVec,
    accept_waits: IntCounterVec,
    joins: IntCounterVec,
    publish_refusals: IntCounterVec,
    faults: IntCounterVec,
    rtmp_errors: IntCounterVec,
    quirks: IntCounterVec,
    publisher_ends: IntCounterVec,
    join_seconds: Histogram,
}

impl ServeMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken in the registry.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter =
            |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            connections: counter(
                "relay_connections_total",
                "Connections accepted, by listener.",
                "listener",
            )?,
            accept_failures: counter(
                "relay_accept_failures_total",
                "Accepts that failed, most often for want of descriptors, by listener.",
                "listener",
            )?,
            accept_waits: counter(
                "relay_accept_waits_total",
                "Connections that had to wait, since as many as [limits] max_handshakes allows were no viewers yet, by listener.",
                "listener",
            )?,
            joins: counter(
                "relay_joins_total",
                "Those who asked for a stream, by outcome.",
                "outcome",
            )?,
            publish_refusals: counter(
                "relay_publish_refusals_total",
                "Publishers turned away, by reason.",
                "reason",
            )?,
            faults: counter(
                "relay_connection_faults_total",
                "Connections that a fault of this program ended, by listener: each is worth a report.",
                "listener",
            )?,
            rtmp_errors: counter(
                "relay_rtmp_errors_total",
                "RTMP connections closed since the peer broke the protocol or a limit, by reason.",
                "reason",
            )?,
            quirks: counter(
                "relay_publisher_quirks_total",
                "Publishers that do what they should not and are served all the same, by what they do.",
                "quirk",
            )?,
            publisher_ends: counter(
                "relay_publisher_ends_total",
                "Publishers whose connection is over, by how it ended.",
                "how",
            )?,
            join_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "relay_join_seconds",
                    "From a viewer's connection to its hand-over with the first bytes of media.",
                )
                .buckets(vec![
                    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                ]),
            )?,
        };
        for outcome in JoinOutcome::ALL {
            metrics.joins.with_label_values(&[outcome.name()]);
        }
        for quirk in Quirk::ALL {
            metrics.quirks.with_label_values(&[quirk.name()]);
        }
        for end in PublisherEnd::ALL {
            metrics.publisher_ends.with_label_values(&[end.name()]);
        }
        for counter in [
            &metrics.connections,
            &metrics.accept_failures,
            &metrics.accept_waits,
            &metrics.joins,
            &metrics.publish_refusals,
            &metrics.faults,
            &metrics.rtmp_errors,
            &metrics.quirks,
            &metrics.publisher_ends,
        ] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(metrics.join_seconds.clone()))?;
        Ok(metrics)
    }

    pub(super) fn accepted(&self, listener: &str) {
        self.connections.with_label_values(&[listener]).inc();
    }

    pub(super) fn failed(&self, listener: &str) {
        self.faults.with_label_values(&[listener]).inc();
    }

    #[cfg(test)]
    pub(super) fn faults(&self, listener: &str) -> u64 {
        self.faults.with_label_values(&[listener]).get()
    }

    pub(super) fn waited(&self, listener: &str) {
        self.accept_waits.with_label_values(&[listener]).inc();
    }

    pub(super) fn accept_failed(&self, listener: &str) {
        self.accept_failures.with_label_values(&[listener]).inc();
    }

    /// What became of those who asked for a stream, since the start: each outcome, and how often.
    pub fn joins(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |name| self.joins.with_label_values(&[name]).get();
        JoinOutcome::ALL
            .map(JoinOutcome::name)
            .into_iter()
            .map(move |name| (name, count(name)))
    }

    pub(super) fn joined(&self, outcome: JoinOutcome) {
        self.joins.with_label_values(&[outcome.name()]).inc();
    }

    pub(super) fn publish_refused(&self, reason: &str) {
        self.publish_refusals.with_label_values(&[reason]).inc();
    }

    pub(super) fn rtmp_error(&self, reason: &str) {
        self.rtmp_errors.with_label_values(&[reason]).inc();
    }

    pub(super) fn quirk(&self, quirk: Quirk) {
        self.quirks.with_label_values(&[quirk.name()]).inc();
    }

    pub(super) fn publisher_ended(&self, how: PublisherEnd) {
        self.publisher_ends.with_label_values(&[how.name()]).inc();
    }

    pub(super) fn join_took(&self, seconds: f64) {
        self.join_seconds.observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// R11: a publisher whose network has changed is told from one that died.
    #[test]
    fn an_end_is_told_by_its_error() {
        for (errno, end) in [
            (Errno::CONNRESET, PublisherEnd::Reset),
            (Errno::PIPE, PublisherEnd::Reset),
            (Errno::TIMEDOUT, PublisherEnd::TimedOut),
            (Errno::HOSTUNREACH, PublisherEnd::TimedOut),
            (Errno::NETUNREACH, PublisherEnd::TimedOut),
        ] {
            assert_eq!(PublisherEnd::of(&errno.into()), end, "{errno}");
        }
    }
}
