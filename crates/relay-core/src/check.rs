//! What `check` says: the ports to open, what the uplink carries, and what this machine's kernel would clip.
//!
//! [`report`] is a pure function of the configuration and the machine's [`Facts`], so that each sentence is tested.

mod facts;
mod kernel;
mod nic;
mod settings;

use std::fmt;

pub use facts::{Facts, TcpMemory};
pub use nic::Nic;

use crate::capacity::{Demand, Stated, judge};
use crate::config::{Bitrate, Config, Listen, Program, PublishPolicy, Source};
use crate::dns::Zone;

/// The part of an uplink, in hundredths, that edges may fill: QUIC paces itself, so that little headroom is enough.
const UPLINK_FOR_EDGES: u64 = 95;

/// The same for viewers who come to the origin itself: many TCP connections are burstier.
pub(crate) const UPLINK_FOR_VIEWERS: u64 = 85;

/// What a stream takes on the wire, in hundredths of its own rate: headers of packets, frames and chunks.
pub(crate) const WIRE_SHARE: u64 = 105;

/// What `check` found, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    sections: Vec<Section>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    title: &'static str,
    lines: Vec<String>,
}

impl Report {
    /// How many things are not as they are wanted. The program runs all the same.
    pub fn warnings(&self) -> usize {
        self.warnings.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in self.sections.iter().filter(|section| !section.lines.is_empty()) {
            writeln!(f, "{}:", section.title)?;
            for line in &section.lines {
                writeln!(f, "  {line}")?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        match self.warnings() {
            0 => f.write_str("the configuration is valid; nothing to warn of"),
            1 => f.write_str("the configuration is valid; 1 warning"),
            more => write!(f, "the configuration is valid; {more} warnings"),
        }
    }
}

/// What a valid configuration means for `program` on a machine of which `facts` are known.
pub fn report(config: &Config, program: Program, facts: &Facts) -> Report {
    let own = match program {
        Program::Origin => vec![
            section("uplink", vec![uplink(config)]),
            section("publishers", publishers(config)),
            section("sources", sources(config)),
            section("dials", dials(config)),
            section("starts edges", scale_out(config)),
        ],
        Program::Edge => vec![
            section("media", vec![parent(config)]),
            section("capacity", vec![capacity(config, facts)]),
        ],
    };
    let mut sections = vec![
        section("ports to open", ports(config, program)),
        section("for this machine only", private(config)),
    ];
    sections.extend(own);
    sections.push(section("records for the zone above", delegation(config)));
    sections.push(section("this machine", kernel::lines(config, facts)));
    let mut warnings = kernel::warnings(config, facts);
    warnings.extend(lone_nameserver(config));
    if program == Program::Origin {
        warnings.extend(blind_scale_out(config, facts));
    }
    Report { sections, warnings }
}

const fn section(title: &'static str, lines: Vec<String>) -> Section {
    Section { title, lines }
}

fn ports(config: &Config, program: Program) -> Vec<String> {
    let (rtmp, link) = match program {
        Program::Origin => ("encoders and RTMP players", "edges"),
        Program::Edge => (
            "RTMP players",
            "edges that have this one as their parent; else leave it shut",
        ),
    };
    let mut lines: Vec<String> = doors(config)
        .into_iter()
        .zip([rtmp, "HTTP viewers and the watch page", link])
        .filter(|((_, _, listen), _)| !listen.is_loopback())
        .map(|((transport, table, listen), whom)| {
            format!(
                "{transport} {}: {whom} ([{table}] listen = \"{listen}\")",
                port(listen)
            )
        })
        .collect();
    let rtmps = config.rtmps.files().map(|_| config.rtmps.listen);
    if let Some(listen) = rtmps.filter(|listen| program == Program::Origin && !listen.is_loopback()) {
        lines.push(format!(
            "TCP {}: encoders over TLS ([rtmps] listen = \"{listen}\")",
            port(listen)
        ));
    }
    if let Some(listen) = name_server(config).filter(|listen| !listen.is_loopback()) {
        lines.push(format!(
            "UDP and TCP {}: resolvers of viewers ([dns] listen = \"{listen}\")",
            port(listen)
        ));
    }
    if !config.metrics.listen.is_loopback() {
        lines.push(format!(
            "TCP {}: metrics, for your scraper alone ([metrics] listen = \"{}\")",
            port(config.metrics.listen),
            config.metrics.listen
        ));
    }
    lines
}

fn private(config: &Config) -> Vec<String> {
    doors(config)
        .into_iter()
        .chain([("TCP", "metrics", config.metrics.listen)])
        .chain(name_server(config).map(|listen| ("UDP and TCP", "dns", listen)))
        .filter(|(_, _, listen)| listen.is_loopback())
        .map(|(transport, table, listen)| {
            format!("{transport} {}: [{table}] listen = \"{listen}\"", port(listen))
        })
        .collect()
}

const fn doors(config: &Config) -> [(&'static str, &'static str, Listen); 3] {
    [
        ("TCP", "rtmp", config.rtmp.listen),
        ("TCP", "http", config.http.listen),
        ("UDP", "link", config.link.listen),
    ]
}

/// Where the name server listens, if there is one.
fn name_server(config: &Config) -> Option<Listen> {
    config.dns.zone.as_ref().map(|_| config.dns.listen)
}

/// What to put into the zone above, so that viewers' resolvers come here.
fn delegation(config: &Config) -> Vec<String> {
    // A valid configuration has a valid zone or none.
    let zone = Zone::of(&config.dns).ok().flatten();
    zone.map(|zone| zone.delegation()).unwrap_or_default()
}

fn lone_nameserver(config: &Config) -> Option<String> {
    let alone = config.dns.zone.is_some() && config.dns.nameservers.len() == 1;
    alone.then(|| {
        "[dns] nameservers has one entry: while its machine is away nobody finds the streams; let an edge answer, too".to_owned()
    })
}

fn port(listen: Listen) -> String {
    match listen.port() {
        0 => "port of the system's choice".to_owned(),
        port => port.to_string(),
    }
}

fn uplink(config: &Config) -> String {
    let rate = config.origin.stream_rate;
    let Some(uplink) = config.origin.uplink else {
        return format!(
            "not stated: set uplink in [origin], such as uplink = \"100Mbit\", to see how many edges it carries at {}",
            rate.spoken()
        );
    };
    format!(
        "{} at {}: about {} or {}",
        uplink.spoken(),
        rate.spoken(),
        counted(carried(uplink, rate, UPLINK_FOR_EDGES), "edge"),
        counted(carried(uplink, rate, UPLINK_FOR_VIEWERS), "direct viewer")
    )
}

/// How many copies of a stream fit into so many hundredths of the uplink.
fn carried(uplink: Bitrate, rate: Bitrate, share: u64) -> u64 {
    let copies = u128::from(uplink.bits()) * u128::from(share)
        / (u128::from(rate.bits()) * u128::from(WIRE_SHARE)).max(1);
    u64::try_from(copies).unwrap_or(u64::MAX)
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn publishers(config: &Config) -> Vec<String> {
    let who = match config.origin.publish {
        PublishPolicy::Key => {
            "whoever has a publish key; `relay-origin publish-url live/camera` shows the default one"
        }
        PublishPolicy::Open => "anybody who reaches the RTMP port ([origin] publish = \"open\")",
    };
    let keys = config.publish_key.len();
    let keys = (keys > 0).then(|| format!("{} of the file ([[publish_key]])", counted(keys as u64, "key")));
    let hook = config.hooks.on_publish.as_ref();
    let hook = hook.map(|url| format!("if {url:?} lets them in ([hooks] on_publish)"));
    let tls = config.rtmps.files().map(|(cert, _)| {
        format!(
            "over TLS, too, with the certificate in {} ([rtmps])",
            cert.display()
        )
    });
    let more = [keys, hook, tls].into_iter().flatten();
    std::iter::once(who.to_owned()).chain(more).collect()
}

fn sources(config: &Config) -> Vec<String> {
    let line = |source: &Source| match source {
        Source::Clip(clip) => {
            let often = if clip.repeat { "again and again" } else { "once" };
            format!("{} plays {} {often}", clip.stream, clip.file.display())
        }
        Source::Pull(pull) => {
            let urls: Vec<String> = pull.url.iter().map(ToString::to_string).collect();
            format!("{} is pulled from {}", pull.stream, urls.join(", else from "))
        }
    };
    config.source.iter().map(line).collect()
}

fn dials(config: &Config) -> Vec<String> {
    let line = |push: &crate::config::Push| format!("the edge at UDP {} ([[push]])", push.edge);
    config.push.iter().map(line).collect()
}

/// How edges are started.
fn scale_out(config: &Config) -> Vec<String> {
    let scale = &config.scale_out;
    let Some(program) = scale.command.first() else {
        return Vec::new();
    };
    vec![format!(
        "{program}, when {} % of what edges can send is given away, one each {} at most, up to {}; with a join token for one edge in its environment ([scale_out])",
        scale.from,
        scale.cooldown,
        counted(scale.max_edges.into(), "edge"),
    )]
}

fn blind_scale_out(config: &Config, facts: &Facts) -> Option<String> {
    let is_blind = config.origin.uplink.is_none() && facts.nic.is_none();
    (is_blind && !config.scale_out.command.is_empty()).then(|| {
        "[scale_out] never starts the first edge, since nobody knows what this machine can send: set uplink in [origin]".to_owned()
    })
}

fn parent(config: &Config) -> String {
    match &config.edge.parent {
        Some(parent) => {
            format!("comes from {parent} ([edge] parent); the join goes to the origin that the token names")
        }
        None => "comes from the origin that the join token names".to_owned(),
    }
}

/// What can be said of an edge's capacity without measuring.
fn capacity(config: &Config, facts: &Facts) -> String {
    let verdict = judge(
        facts,
        &Stated::of(config, Program::Edge),
        None,
        &Demand::expected(config),
    );
    format!("{verdict} (what the CPU carries, `relay-edge measure` finds out)")
}

#[cfg(test)]
mod tests;
