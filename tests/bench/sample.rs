//! A sample: one server, one audience, one round.

use std::collections::BTreeMap;

use relay_load::report::{ProcessUse, Report};
use serde::{Deserialize, Serialize};

use crate::noise::Noise;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// relay-origin, watched over HTTP-FLV.
    Relay,
    /// relay-origin, watched over RTMP.
    RelayRtmp,
    /// The bare send loop.
    Floor,
    /// nginx with libnginx-mod-rtmp, watched over RTMP: it has no HTTP-FLV.
    Nginx,
    /// node-media-server, watched over HTTP-FLV.
    NodeMediaServer,
    /// xiu, watched over HTTP-FLV.
    Xiu,
}

impl Contender {
    /// The servers of others.
    pub(crate) const PEERS: [Self; 3] = [Self::Nginx, Self::NodeMediaServer, Self::Xiu];

    /// As tables and lines of progress call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::RelayRtmp => "relay, RTMP",
            Self::Floor => "floor",
            Self::Nginx => "nginx-rtmp",
            Self::NodeMediaServer => "node-media-server",
            Self::Xiu => "xiu",
        }
    }

    /// Whether its viewers come over RTMP.
    pub(crate) const fn is_rtmp(self) -> bool {
        matches!(self, Self::RelayRtmp | Self::Nginx)
    }
}

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// Those who watch, all streams together.
    pub(crate) viewers: u64,
    /// Of one stream, in Mbit/s.
    pub(crate) mbit: u32,
    /// The fixed period in milliseconds; `None` where the server chooses.
    pub(crate) period_ms: Option<u32>,
    /// How many streams the viewers are spread over.
    pub(crate) streams: u32,
}

impl Setting {
    /// One stream of 1 Mbit/s at the server's own period.
    pub(crate) const fn of(viewers: u64) -> Self {
        Self {
            viewers,
            mbit: 1,
            period_ms: None,
            streams: 1,
        }
    }

    /// The period as tables show it.
    pub(crate) fn period(&self) -> String {
        self.period_ms
            .map_or_else(|| "adaptive".to_owned(), |ms| format!("{ms} ms"))
    }
}

/// What was found of one server with one audience in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) contender: Contender,
    pub(crate) setting: Setting,
    /// Which of several looks in one round it is, such as `before` and `during`; empty where there is one.
    #[serde(default)]
    pub(crate) look: String,
    /// From 1.
    pub(crate) round: u32,
    /// The process that served.
    pub(crate) server: u32,
    pub(crate) report: Report,
    pub(crate) noise: Noise,
    /// Figures that only this part has, by name.
    #[serde(default)]
    pub(crate) extra: BTreeMap<String, f64>,
}

impl Sample {
    /// Delivered, in units of 10^9 bytes.
    pub(crate) fn gigabytes(&self) -> f64 {
        self.report.bytes as f64 / 1e9
    }

    /// What the serving process took.
    pub(crate) fn process(&self) -> Option<&ProcessUse> {
        self.report
            .processes
            .iter()
            .find(|process| process.pid == self.server)
    }

    /// CPU seconds of the serving process per delivered GB; no number where nothing was delivered.
    pub(crate) fn server_per_gb(&self) -> f64 {
        let process = self.process();
        let seconds = process.map_or(f64::NAN, |process| process.user_seconds + process.system_seconds);
        seconds / self.gigabytes()
    }

    /// CPU seconds per delivered GB of server and load tool together: the kernel does the network's work in whichever of
    /// the two it finds running. Not what the system says that its cores were busy, which it samples a hundred times
    /// a second: loops that sleep until a tick of the clock are hardly ever seen by it.
    pub(crate) fn both_per_gb(&self) -> f64 {
        let load = self.report.load.busy * self.report.seconds;
        self.server_per_gb() + load / self.gigabytes()
    }

    /// Share of one core that the server's own code took.
    pub(crate) fn user_share(&self) -> f64 {
        self.process()
            .map_or(f64::NAN, |process| process.user_seconds / self.report.seconds)
    }

    /// Largest resident memory of the server, in MB.
    pub(crate) fn rss_mb(&self) -> f64 {
        self.process()
            .map_or(f64::NAN, |process| process.rss_bytes as f64 / 1e6)
    }

    /// Memory of all TCP sockets, the viewers' own ends too, in MB.
    pub(crate) fn tcp_mb(&self) -> f64 {
        self.report.tcp_memory_bytes as f64 / 1e6
    }

    /// Viewers that were served.
    pub(crate) fn served(&self) -> u64 {
        self.report.joins.get("served").copied().unwrap_or_default()
    }

    /// Whether the server did what was asked: viewers as expected, nearly all bytes, nearly all in time.
    pub(crate) fn delivers(&self) -> bool {
        let delivery = self.report.delivery;
        delivery.mean >= ENOUGH
            && delivery.on_time >= ENOUGH
            && self.served() + 1 > self.setting.viewers
            && self.report.source_stalled_seconds == 0
    }
}

/// A server that delivers less than this does not carry the load: its CPU per byte is that of another, smaller load.
const ENOUGH: f64 = 0.98;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A sample with the figures that judges look at: CPU seconds of the server per GB, and p99 lateness in ms.
    pub(crate) fn sample(contender: Contender, setting: Setting, round: u32, cpu: f64, p99: f64) -> Sample {
        let mut report = Report {
            bytes: 1_000_000_000,
            seconds: 10.0,
            viewers: setting.viewers,
            ..Report::default()
        };
        report.joins.insert("served".to_owned(), setting.viewers);
        report.delivery.mean = 1.0;
        report.delivery.on_time = 1.0;
        report.load.busy = 0.02;
        report.lateness.p99 = p99;
        report.lateness.p999 = p99 + 1.0;
        report.processes.push(ProcessUse {
            pid: 7,
            name: "server".to_owned(),
            user_seconds: 0.1 * cpu,
            system_seconds: 0.9 * cpu,
            rss_bytes: 10_000_000,
        });
        Sample {
            contender,
            setting,
            look: String::new(),
            round,
            server: 7,
            report,
            noise: Noise::default(),
            extra: BTreeMap::new(),
        }
    }

    #[test]
    fn cpu_is_that_of_the_server_and_of_both() {
        let mut sample = sample(Contender::Relay, Setting::of(10), 1, 0.5, 60.0);
        sample.report.processes.insert(0, ProcessUse::default());
        assert!((sample.server_per_gb() - 0.5).abs() < 1e-9);
        assert!((sample.both_per_gb() - 0.7).abs() < 1e-9);
        assert!((sample.user_share() - 0.005).abs() < 1e-9);
        sample.server = 9;
        assert!(sample.server_per_gb().is_nan());
    }

    #[test]
    fn who_loses_viewers_or_bytes_does_not_deliver() {
        let whole = sample(Contender::Relay, Setting::of(10), 1, 0.5, 60.0);
        assert!(whole.delivers());
        let mut late = whole.clone();
        late.report.delivery.on_time = 0.9;
        assert!(!late.delivers());
        let mut lonely = whole;
        lonely.report.joins.insert("served".to_owned(), 9);
        assert!(!lonely.delivers());
    }
}
