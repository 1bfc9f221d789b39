//! What the kernel grants against what the configuration wants: each difference a sentence with the value to set.

use super::{Facts, TcpMemory, settings};
use crate::capacity::Demand;
use crate::config::Config;
use crate::limits::RESERVED_FILES;

/// TCP may be given half of a machine's memory, not more: the streams' logs and the programs need the rest.
const TCP_MEMORY_SHARE: u64 = 2;

/// What was found, for a person who compares machines.
pub(super) fn lines(config: &Config, facts: &Facts) -> Vec<String> {
    let mut lines = vec![facts.open_files.raised().to_string()];
    lines.extend(settings::line(config, facts));
    if let Some(tcp) = facts.tcp_memory {
        lines.push(format!(
            "{} for all TCP sockets together: about {} viewers of {}",
            megabytes(tcp.bytes()),
            viewers(config, tcp.bytes()),
            config.origin.stream_rate.spoken()
        ));
    }
    if let Some(names) = &facts.congestion_available {
        lines.push(format!("TCP congestion control: {}", names.join(", ")));
    }
    lines
}

/// What is not as it is wanted.
pub(super) fn warnings(config: &Config, facts: &Facts) -> Vec<String> {
    let others = [
        files(config, facts),
        tcp_memory(config, facts),
        congestion(config, facts),
    ];
    settings::warnings(config, facts)
        .into_iter()
        .chain(others.into_iter().flatten())
        .collect()
}

fn files(config: &Config, facts: &Facts) -> Option<String> {
    let wanted = config.limits.max_viewers;
    let files = facts.open_files.raised();
    let others = config.limits.max_handshakes;
    if files.viewers_beside(others) >= wanted.into() {
        return None;
    }
    let needed = u64::from(wanted) + u64::from(others) + RESERVED_FILES;
    Some(format!(
        "nofile allows {files}, less than [limits] max_viewers ({wanted}); set LimitNOFILE={needed} in the unit, or \
         `ulimit -Hn {needed}` before the start"
    ))
}

fn tcp_memory(config: &Config, facts: &Facts) -> Option<String> {
    let tcp = facts.tcp_memory?;
    let wanted = u64::from(config.limits.max_viewers) * viewer_bytes(config);
    if tcp.bytes() >= wanted {
        return None;
    }
    let sentence = format!(
        "net.ipv4.tcp_mem gives all TCP sockets together {}: beyond about {} viewers the kernel drops their data, and \
         every viewer stutters, not only the newest; [limits] max_viewers is {}",
        megabytes(tcp.bytes()),
        viewers(config, tcp.bytes()),
        config.limits.max_viewers
    );
    let room = facts.memory / TCP_MEMORY_SHARE;
    Some(if wanted <= room {
        format!(
            "{sentence}; set net.ipv4.tcp_mem = {}",
            three_numbers(wanted, tcp)
        )
    } else if room > tcp.bytes() {
        format!(
            "{sentence}; set net.ipv4.tcp_mem = {} (half of this machine's memory) and max_viewers = {}",
            three_numbers(room, tcp),
            viewers(config, room)
        )
    } else {
        format!(
            "{sentence}; set max_viewers = {}",
            viewers(config, tcp.bytes()).max(1)
        )
    })
}

/// The three numbers of `tcp_mem` for a bound in bytes, in the proportions that the kernel itself takes: 3 to 4 to 6.
fn three_numbers(bytes: u64, tcp: TcpMemory) -> String {
    let max = bytes.div_ceil(tcp.page_bytes.max(1));
    format!("\"{} {} {max}\"", max / 2, max / 3 * 2)
}

fn congestion(config: &Config, facts: &Facts) -> Option<String> {
    let wanted = config.viewers.congestion.name()?;
    let lacks = |names: &Option<Vec<String>>| {
        let names = names.as_ref()?;
        (!names.iter().any(|name| name == wanted)).then(|| names.join(" "))
    };
    if let Some(available) = lacks(&facts.congestion_available) {
        return Some(format!(
            "[viewers] congestion is {wanted}, which is not among net.ipv4.tcp_available_congestion_control \
             ({available}); run `modprobe tcp_{wanted}`, or set congestion = \"system\""
        ));
    }
    let allowed = lacks(&facts.congestion_allowed)?;
    Some(format!(
        "[viewers] congestion is {wanted}, which only root may choose here; set \
         net.ipv4.tcp_allowed_congestion_control = \"{allowed} {wanted}\", or congestion = \"system\""
    ))
}

fn viewers(config: &Config, bytes: u64) -> u64 {
    bytes / viewer_bytes(config)
}

/// What a viewer holds in the kernel, as the capacity is worked out too; never 0.
fn viewer_bytes(config: &Config) -> u64 {
    Demand::expected(config).tcp_bytes() as u64
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
