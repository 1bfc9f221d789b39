//! What a single value cannot know: ranges, and settings that contradict each other. Each fault names the path of the
//! setting to blame, from which the file's line is found.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Bitrate, ByteSize, Config, Listen, Seconds};
use crate::dns::Zone;

/// A setting that cannot stand as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Keys and indices from the top, joined by dots: `source.1.stream`.
    pub(super) path: String,
    /// The sentence.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// The first fault of a configuration whose values are each valid.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    check_ranges(config)?;
    check_tokens(config)?;
    check_listeners(config)?;
    check_link(config)?;
    check_tracks(config)?;
    check_dns(config)?;
    check_scale_out(config)?;
    check_origin(config)
}

fn check_tracks(config: &Config) -> Result<(), Fault> {
    for (at, tracks) in config.tracks.iter().enumerate() {
        if config.tracks[..at]
            .iter()
            .any(|other| other.stream == tracks.stream)
        {
            let message = format!("another [[tracks]] speaks of {} already", tracks.stream);
            return Err(Fault::new(format!("tracks.{at}.stream"), message));
        }
        if (tracks.audio, tracks.video) == (Some(false), Some(false)) {
            let message = "a stream has sound or pictures, or nobody can watch it";
            return Err(Fault::new(format!("tracks.{at}.video"), message));
        }
    }
    Ok(())
}

fn check_ranges(config: &Config) -> Result<(), Fault> {
    let Config {
        limits,
        link,
        origin,
        fanout,
        viewers,
        metrics,
        ..
    } = config;
    let ms = Seconds::from_millis;
    let s = Seconds::new;
    let hours = |hours: u64| Seconds::new(hours * 3600);
    let size = ByteSize::from_bytes;

    number("limits.max_streams", limits.max_streams, 1..=100_000)?;
    number("limits.max_viewers", limits.max_viewers, 1..=1_000_000)?;
    number("limits.max_handshakes", limits.max_handshakes, 16..=65_536)?;
    number("limits.max_children", limits.max_children, 1..=10_000)?;
    number("limits.max_depth", limits.max_depth, 1..=16)?;
    number("metrics.max_streams", metrics.max_streams, 0..=10_000)?;
    within("limits.handshake_time", limits.handshake_time, ms(500)..=s(60))?;
    within("limits.resume_window", limits.resume_window, s(1)..=s(600))?;
    within("limits.max_lag", limits.max_lag, s(1)..=s(120))?;
    within("limits.max_late", limits.max_late, ms(500)..=s(120))?;
    within("limits.no_progress", limits.no_progress, s(1)..=s(300))?;
    within(
        "limits.publisher_silence",
        limits.publisher_silence,
        s(2)..=hours(1),
    )?;
    if let Some(budget) = limits.log_budget {
        within("limits.log_budget", budget, size(16 << 20)..=size(1 << 40))?;
    }
    within("link.cert_lifetime", link.cert_lifetime, s(60)..=hours(24 * 366))?;
    within("link.late_renewal", link.late_renewal, s(0)..=hours(24 * 366))?;
    within(
        "link.udp_buffer",
        link.udp_buffer,
        size(64 << 10)..=size(256 << 20),
    )?;
    within("link.keep_alive", link.keep_alive, ms(200)..=s(60))?;
    within("link.idle_timeout", link.idle_timeout, s(1)..=s(300))?;
    within("link.silence", link.silence, ms(200)..=s(60))?;
    within("link.backoff_max", link.backoff_max, ms(200)..=s(300))?;
    within("link.initial_rtt", link.initial_rtt, ms(1)..=s(2))?;
    within(
        "link.stream_window",
        link.stream_window,
        size(64 << 10)..=size(1 << 30),
    )?;
    within("link.window", link.window, size(64 << 10)..=size(1 << 30))?;
    within("fanout.period_min", fanout.period_min, ms(5)..=ms(1000))?;
    within("fanout.period_max", fanout.period_max, ms(5)..=ms(1000))?;
    within(
        "fanout.sendfile_from",
        fanout.sendfile_from,
        size(0)..=size(1 << 40),
    )?;
    within(
        "viewers.send_buffer",
        viewers.send_buffer,
        size(8 << 10)..=size(16 << 20),
    )?;
    within("viewers.unsent", viewers.unsent, size(2 << 10)..=size(16 << 20))?;
    within("edge.drain", config.edge.drain, s(0)..=hours(1))?;
    if let Some(capacity) = config.edge.capacity {
        let rate = Bitrate::from_bits;
        within(
            "edge.capacity",
            capacity,
            rate(1_000_000)..=rate(1_000_000_000_000),
        )?;
    }
    within("origin.grace", origin.grace, s(0)..=hours(1))?;
    within("origin.replace_idle", origin.replace_idle, ms(100)..=s(60))
}

fn check_tokens(config: &Config) -> Result<(), Fault> {
    let metrics = &config.metrics;
    if metrics.token.is_some() && metrics.token_file.is_some() {
        return Err(Fault::new(
            "metrics.token_file",
            "token and token_file say the same thing: leave one out",
        ));
    }
    if metrics.is_exposed() {
        let message = format!(
            "others can reach {}, so [metrics] needs a token (or token_file); 127.0.0.1 needs none",
            metrics.listen
        );
        return Err(Fault::new("metrics.listen", message));
    }
    Ok(())
}

/// Two listeners on one port: the second could not be bound.
fn check_listeners(config: &Config) -> Result<(), Fault> {
    let dns = config.dns.zone.as_ref().map(|_| ("dns", config.dns.listen));
    let tcp = [
        ("rtmp", config.rtmp.listen),
        ("http", config.http.listen),
        ("metrics", config.metrics.listen),
    ];
    let udp = [("link", config.link.listen)];
    check_apart(tcp.into_iter().chain(dns))?;
    check_apart(udp.into_iter().chain(dns))
}

fn check_apart<'a>(listeners: impl Iterator<Item = (&'a str, Listen)>) -> Result<(), Fault> {
    let mut taken: Vec<(&str, Listen)> = Vec::new();
    for (table, listen) in listeners {
        if let Some((other, _)) = taken.iter().find(|(_, taken)| taken.collides(listen)) {
            let message = format!("[{other}] listens on port {} already", listen.port());
            return Err(Fault::new(format!("{table}.listen"), message));
        }
        taken.push((table, listen));
    }
    Ok(())
}

fn check_link(config: &Config) -> Result<(), Fault> {
    let link = &config.link;
    if link.idle_timeout.get() < link.keep_alive.get() * 2 {
        let message = format!(
            "an idle link would be given up between two signs of life: at least twice keep_alive ({})",
            link.keep_alive
        );
        return Err(Fault::new("link.idle_timeout", message));
    }
    if link.window < link.stream_window {
        let message = format!(
            "a whole link may not have less under way than one group of it ({})",
            link.stream_window
        );
        return Err(Fault::new("link.window", message));
    }
    Ok(())
}

fn check_dns(config: &Config) -> Result<(), Fault> {
    let dns = &config.dns;
    let s = Seconds::new;
    within("dns.ttl", dns.ttl, s(1)..=s(3600))?;
    if !dns.ttl.millis().is_multiple_of(1000) {
        return Err(Fault::new("dns.ttl", "DNS counts in whole seconds"));
    }
    number("dns.answers", dns.answers, 1..=8)?;
    number("dns.rate_limit", dns.rate_limit, 0..=1_000_000)?;
    match Zone::of(dns) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::new(error.key(), error.to_string())),
    }
}

/// Whether the program is there is looked at by whoever runs it: an edge may read this file, too.
fn check_scale_out(config: &Config) -> Result<(), Fault> {
    let scale = &config.scale_out;
    let (s, hours) = (Seconds::new, |hours: u64| Seconds::new(hours * 3600));
    number("scale_out.from", scale.from, 1..=100)?;
    number("scale_out.max_edges", scale.max_edges, 1..=10_000)?;
    within("scale_out.cooldown", scale.cooldown, s(1)..=hours(24))?;
    within("scale_out.time_limit", scale.time_limit, s(1)..=hours(1))?;
    let command = &scale.command;
    if let Some(program) = command.first()
        && !Path::new(program).is_absolute()
    {
        let message = "a program is named by its absolute path, such as \"/usr/local/bin/start-edge\"; no shell looks for it";
        return Err(Fault::new("scale_out.command.0", message));
    }
    match command.iter().position(|word| word.contains('\0')) {
        Some(at) => Err(Fault::new(
            format!("scale_out.command.{at}"),
            "no program takes an argument with a zero byte",
        )),
        None => Ok(()),
    }
}

fn check_origin(config: &Config) -> Result<(), Fault> {
    let origin = &config.origin;
    if origin.stream_rate.bits() == 0 {
        return Err(Fault::new(
            "origin.stream_rate",
            "a stream needs more than nothing",
        ));
    }
    if origin.uplink.is_some_and(|uplink| uplink < origin.stream_rate) {
        let message = format!(
            "the uplink carries not even one stream of {} (stream_rate)",
            origin.stream_rate.spoken()
        );
        return Err(Fault::new("origin.uplink", message));
    }
    for (at, source) in config.source.iter().enumerate() {
        if config.source[..at]
            .iter()
            .any(|other| other.stream == source.stream)
        {
            let message = format!("another [[source]] plays on {} already", source.stream);
            return Err(Fault::new(format!("source.{at}.stream"), message));
        }
    }
    for (at, push) in config.push.iter().enumerate() {
        if config.push[..at].contains(push) {
            let message = format!("another [[push]] dials {} already", push.edge);
            return Err(Fault::new(format!("push.{at}.edge"), message));
        }
    }
    Ok(())
}

fn number(path: &str, value: u32, range: RangeInclusive<u32>) -> Result<(), Fault> {
    within(path, value, range)
}

fn within<T: PartialOrd + std::fmt::Display>(
    path: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Fault> {
    if range.contains(&value) {
        return Ok(());
    }
    let key = path.rsplit('.').next().unwrap_or(path);
    Err(Fault::new(
        path,
        format!("{key} lies between {} and {}", range.start(), range.end()),
    ))
}

/// Finds the place of a setting in the file: of its value, else of the table that it would stand in.
pub(super) fn locate(text: &str, path: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let mut steps = path.split('.');
    let first = table.get_ref().get(steps.next()?)?;
    let (mut value, mut span) = (first.get_ref(), first.span());
    for step in steps {
        let next = match value {
            DeValue::Table(table) => table.get(step),
            DeValue::Array(array) => step.parse::<usize>().ok().and_then(|at| array.get(at)),
            _ => None,
        };
        let Some(next) = next else { break };
        (value, span) = (next.get_ref(), next.span());
    }
    Some(span)
}
