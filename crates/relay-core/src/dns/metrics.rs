//! What the name server counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::answer::Code;
use super::limit::Verdict;
use super::reply::{Reply, Transport};

/// Why something was left without an answer; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A packet that is no question.
    NoQuestion,
    /// An answer that the kernel would not take.
    Unsent,
    /// A connection more than there is room for.
    Full,
    /// A connection more than its network may have.
    NetworkFull,
    /// A connection that was too slow, or sent what is no query.
    BadConnection,
}

impl Dropped {
    const ALL: [Self; 5] = [
        Self::NoQuestion,
        Self::Unsent,
        Self::Full,
        Self::NetworkFull,
        Self::BadConnection,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::NoQuestion => "no_question",
            Self::Unsent => "unsent",
            Self::Full => "connections_full",
            Self::NetworkFull => "network_full",
            Self::BadConnection => "bad_connection",
        }
    }
}

/// The name server's metrics.
#[derive(Clone, Debug)]
pub(super) struct DnsMetrics {
    queries: IntCounterVec,
    answers: IntCounterVec,
    limited: IntCounterVec,
    dropped: IntCounterVec,
    truncated: IntCounter,
    fallbacks: IntCounter,
    short: IntCounter,
    udp_bytes: IntCounterVec,
}

impl DnsMetrics {
    /// Makes and registers them.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter =
            |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            queries: counter(
                "relay_dns_queries_total",
                "DNS queries that came in, by transport.",
                "transport",
            )?,
            answers: counter(
                "relay_dns_answers_total",
                "DNS answers, by how they turned out.",
                "code",
            )?,
            limited: counter(
                "relay_dns_limited_total",
                "DNS queries over their network's limit ([dns] rate_limit), by what they got.",
                "verdict",
            )?,
            dropped: counter(
                "relay_dns_dropped_total",
                "DNS packets and connections left without an answer, by reason.",
                "reason",
            )?,
            truncated: IntCounter::new(
                "relay_dns_truncated_total",
                "DNS answers that only said to come by TCP.",
            )?,
            fallbacks: IntCounter::new(
                "relay_dns_fallback_total",
                "DNS queries while the pool had nobody to offer.",
            )?,
            short: IntCounter::new(
                "relay_dns_short_total",
                "DNS answers for which the pool had fewer addresses than [dns] at_least.",
            )?,
            udp_bytes: counter(
                "relay_dns_udp_bytes_total",
                "Bytes of DNS over UDP, by direction: out over in is what an abuser would gain.",
                "direction",
            )?,
        };
        metrics.begin();
        for family in [
            &metrics.queries,
            &metrics.answers,
            &metrics.limited,
            &metrics.dropped,
            &metrics.udp_bytes,
        ] {
            registry.register(Box::new(family.clone()))?;
        }
        registry.register(Box::new(metrics.truncated.clone()))?;
        registry.register(Box::new(metrics.fallbacks.clone()))?;
        registry.register(Box::new(metrics.short.clone()))?;
        Ok(metrics)
    }

    /// Each label is there from the start, so that the first one that counts is seen as a rise.
    fn begin(&self) {
        let begin = |family: &IntCounterVec, labels: &[&str]| {
            for label in labels {
                family.with_label_values(&[label]).inc_by(0);
            }
        };
        begin(
            &self.queries,
            &[Transport::Udp, Transport::Tcp].map(Transport::name),
        );
        begin(&self.answers, &Code::ALL.map(Code::name));
        begin(&self.dropped, &Dropped::ALL.map(Dropped::name));
        begin(&self.limited, &["truncated", "dropped"]);
        begin(&self.udp_bytes, &["in", "out"]);
    }

    pub(super) fn came(&self, transport: Transport, bytes: usize) {
        self.queries.with_label_values(&[transport.name()]).inc();
        if transport == Transport::Udp {
            self.udp_bytes.with_label_values(&["in"]).inc_by(bytes as u64);
        }
    }

    pub(super) fn judged(&self, verdict: Verdict) {
        let label = match verdict {
            Verdict::Answer => return,
            Verdict::Truncate => "truncated",
            Verdict::Drop => "dropped",
        };
        self.limited.with_label_values(&[label]).inc();
    }

    pub(super) fn replied(&self, transport: Transport, reply: &Reply, pool_is_empty: bool) {
        if let Some(code) = reply.code {
            self.answers.with_label_values(&[code.name()]).inc();
        }
        if reply.truncated {
            self.truncated.inc();
        }
        if pool_is_empty {
            self.fallbacks.inc();
        }
        if reply.is_short {
            self.short.inc();
        }
        if transport == Transport::Udp {
            self.udp_bytes
                .with_label_values(&["out"])
                .inc_by(reply.bytes.len() as u64);
        }
    }

    pub(super) fn dropped(&self, reason: Dropped) {
        self.dropped.with_label_values(&[reason.name()]).inc();
    }
}
