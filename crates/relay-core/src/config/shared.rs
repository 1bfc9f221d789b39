//! The tables that both programs use.

use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::text::{Text, written_as_text};
use super::{ByteSize, Listen, Seconds, Secret};

/// `[http]`: the port that viewers come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where to listen for HTTP viewers and the watch page. Default `[::]:8080`, both address families.
    pub listen: Listen,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Listen::everywhere(8080),
        }
    }
}

/// `[rtmp]`: the port of encoders and RTMP players.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmp {
    /// Where to listen for RTMP. Default `[::]:1935`, both address families. An edge serves players only.
    pub listen: Listen,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: Listen::everywhere(1935),
        }
    }
}

/// `[link]`: the cascade between origin and edges, over QUIC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Where to listen for children, over UDP. Default `[::]:4433`, both address families.
    pub listen: Listen,
    /// How long an edge's certificate is valid; it is renewed at half of that. Default `24h`. Shorter means that a
    /// stolen key is worth less, and one more small exchange per edge each half life.
    pub cert_lifetime: Seconds,
    /// How long after its end a certificate may still be renewed with proof of its key. Default `7days`: an edge that
    /// was switched off over a long weekend comes back without a new token.
    pub late_renewal: Seconds,
    /// How the link shares a full path: `cubic`, `bbr` or `newreno`. Default `cubic`. bbr keeps less in queues and is
    /// marked experimental by the QUIC library.
    pub congestion: LinkCongestion,
    /// The UDP socket's send and receive buffer to ask for. Default `8MiB`; the kernel clips it to `net.core.rmem_max`
    /// and `wmem_max`, which is warned about at start. Costs that memory only while packets wait.
    pub udp_buffer: ByteSize,
    /// Look for a larger packet size than 1200 bytes on the path. Default `true`; fewer packets for the same bytes.
    /// Set `false` on a path that swallows large packets without a word.
    pub mtu_discovery: bool,
    /// Hand the kernel ten packets at a time. Default `true`; about a third of the CPU. Set `false` if a rate limiter on
    /// the way drops such bursts.
    pub gso: bool,
    /// An idle link sends a sign of life this often. Default `4s`; keeps NATs and firewalls open.
    pub keep_alive: Seconds,
    /// A link without a packet for so long is given up. Default `15s`; at least twice `keep_alive`.
    pub idle_timeout: Seconds,
    /// No byte from the parent for so long, and a child dials a second connection beside the first. Default `2s`. Shorter
    /// heals sooner and dials more often on a poor path.
    pub silence: Seconds,
    /// The longest wait between two attempts to reach the parent; attempts begin at 100 ms and never end. Default `5s`.
    pub backoff_max: Seconds,
    /// The first guess at a path's round-trip time. Default `50ms`; only the first packets of a link depend on it.
    pub initial_rtt: Seconds,
    /// How much of one group may be under way before the receiver has taken it. Default `16MiB`; a bound on memory per
    /// group that waits, and with the round-trip time on the speed of one stream.
    pub stream_window: ByteSize,
    /// The same for a whole link. Default `32MiB`; a bound on memory per link.
    pub window: ByteSize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            listen: Listen::everywhere(4433),
            cert_lifetime: Seconds::new(24 * 3600),
            late_renewal: Seconds::new(7 * 24 * 3600),
            congestion: LinkCongestion::Cubic,
            udp_buffer: ByteSize::from_bytes(8 << 20),
            mtu_discovery: true,
            gso: true,
            keep_alive: Seconds::new(4),
            idle_timeout: Seconds::new(15),
            silence: Seconds::new(2),
            backoff_max: Seconds::new(5),
            initial_rtt: Seconds::from_millis(50),
            stream_window: ByteSize::from_bytes(16 << 20),
            window: ByteSize::from_bytes(32 << 20),
        }
    }
}

/// The congestion control of the cascade's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkCongestion {
    /// CUBIC, the default.
    Cubic,
    /// BBR, experimental in the library.
    Bbr,
    /// New Reno.
    NewReno,
}

/// `[metrics]`: the listener for machines that watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where `/metrics`, `/healthz` and `/readyz` are served. Default `127.0.0.1:9935`; `RELAY_METRICS_LISTEN` overrides it.
    /// An address that others can reach needs a token.
    pub listen: Listen,
    /// The bearer token that `/metrics` asks for; the two health paths answer without. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file that holds the token, instead of `token`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// How many streams get metrics under their own name; the rest are summed as `other`. Default `200`; each costs
    /// about ten lines per scrape.
    pub max_streams: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: Listen::loopback(9935),
            token: None,
            token_file: None,
            max_streams: 200,
        }
    }
}

/// `[admin]`: the operator's API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The unix socket of the admin API, mode 0600. Default: `admin.sock` in `RUNTIME_DIRECTORY` if systemd gives one, else
    /// in the origin's state folder; an edge without `RUNTIME_DIRECTORY` has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

/// `[log]`: what is written to standard error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `auto` (text on a terminal, JSON otherwise), `text` or `json`. Default `auto`.
    pub format: LogFormat,
    /// The least important level to write: `error`, `warn`, `info`, `debug` or `trace`, and per module if need be, as in
    /// `info,relay_core::link=debug`. Default `info`; `RELAY_LOG` overrides it.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which lines are logged: a level, and levels per module, as `tracing` writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// The directives as written; known to be valid.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Text for LogLevel {
    const EXPECTED: &'static str = "a log level such as \"info\"";

    fn read(text: &str) -> Result<Self, String> {
        let known = |level: &str| {
            ["off", "error", "warn", "info", "debug", "trace"]
                .iter()
                .any(|name| name.eq_ignore_ascii_case(level))
        };
        let good = |part: &str| match part.split_once('=') {
            Some((module, level)) => !module.trim().is_empty() && known(level.trim()),
            None => known(part.trim()),
        };
        if !text.split(',').all(good) || tracing_subscriber::EnvFilter::try_new(text).is_err() {
            return Err(
                "a log level is error, warn, info, debug or trace, and per module as in \
                        \"info,relay_core::link=debug\""
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(LogLevel);

/// `[fanout]`: the threads that feed viewers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fanout {
    /// How many shards, one thread each. Default: one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<NonZeroU16>,
    /// How often each viewer gets what is new while there are few. Default `20ms`. Half of it is added to the latency on
    /// average; CPU per viewer grows as it shrinks.
    pub period_min: Seconds,
    /// The same when a thread is 60 % busy; in between the period grows with the work. Default `100ms`. No more than
    /// `period_min` is a period that never changes.
    pub period_max: Seconds,
    /// Bursts of this size or more go out by `sendfile`, which lends the log's pages to the socket; smaller ones by
    /// `send`, which copies. Default `48KiB`, where the one becomes cheaper than the other; `relay-edge measure` says
    /// where that is on this machine.
    pub sendfile_from: ByteSize,
}

impl Default for Fanout {
    fn default() -> Self {
        Self {
            shards: None,
            period_min: Seconds::from_millis(20),
            period_max: Seconds::from_millis(100),
            sendfile_from: ByteSize::from_bytes(48 << 10),
        }
    }
}

/// `[viewers]`: how viewers are served, whatever the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Viewers {
    /// `Access-Control-Allow-Origin`: which pages' scripts may fetch a stream. Default `*`, any. One origin such as
    /// `https://www.example.org` restricts browsers to it; other programs do not ask.
    pub cors: HeaderText,
    /// Which pages may frame the watch page: the sources of CSP `frame-ancestors`. Default `*`, any.
    pub frame_ancestors: HeaderText,
    /// TCP congestion control of viewers' connections, set on the listener. Default `cubic`; `system` leaves the kernel's
    /// choice. `bbr` nearly doubles the CPU per viewer.
    pub congestion: TcpCongestion,
    /// The socket send buffer to ask for per viewer; the kernel doubles it. Default `64KiB`. Larger lets far viewers have
    /// more rate, and a stalled one hold more memory.
    pub send_buffer: ByteSize,
    /// Unsent bytes in a viewer's socket above which it counts as not ready. Default `16KiB`. Smaller keeps viewers nearer
    /// to the live edge and wakes the fan-out more often.
    pub unsent: ByteSize,
}

impl Default for Viewers {
    fn default() -> Self {
        Self {
            cors: HeaderText("*".to_owned()),
            frame_ancestors: HeaderText("*".to_owned()),
            congestion: TcpCongestion("cubic".to_owned()),
            send_buffer: ByteSize::from_bytes(64 << 10),
            unsent: ByteSize::from_bytes(16 << 10),
        }
    }
}

/// A text that goes into a response header as it stands: printable ASCII, no comma or semicolon that would start
/// another value or directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(String);

impl HeaderText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for HeaderText {
    const EXPECTED: &'static str = "\"*\" or an origin such as \"https://www.example.org\"";

    fn read(text: &str) -> Result<Self, String> {
        let good = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b',' && b != b';';
        if text.trim().is_empty() || text.len() > 1024 || !text.bytes().all(good) {
            return Err("write \"*\" or an origin such as \"https://www.example.org\"".to_owned());
        }
        Ok(Self(text.trim().to_owned()))
    }
}

impl std::fmt::Display for HeaderText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(HeaderText);

/// The name of a TCP congestion control, as the kernel lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCongestion(String);

impl TcpCongestion {
    /// The name to set on the listener; `None` leaves the kernel's choice.
    pub fn name(&self) -> Option<&str> {
        (self.0 != "system").then_some(&*self.0)
    }
}

impl Text for TcpCongestion {
    const EXPECTED: &'static str = "a congestion control such as \"cubic\", or \"system\"";

    fn read(text: &str) -> Result<Self, String> {
        // TCP_CA_NAME_MAX of the kernel is 16, its end mark included.
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > 15 || !text.bytes().all(good) {
            return Err(
                "write a congestion control's name such as \"cubic\", or \"system\" for the kernel's choice"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for TcpCongestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(TcpCongestion);
