//! What the kernel grants against what the configuration wants: each difference a sentence with the value to set.

use super::{Facts, TcpMemory};
use crate::config::{ByteSize, Config};
use crate::limits::RESERVED_FILES;

/// What a viewer holds in the kernel: its socket, and what waits in it at 2.5 Mbit/s.
const VIEWER_TCP_BYTES: u64 = 20_000;

/// TCP may be given half of a machine's memory, not more: the streams' logs and the programs need the rest.
const TCP_MEMORY_SHARE: u64 = 2;

/// What was found, for a person who compares machines.
pub(super) fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = vec![facts.open_files.raised().to_string()];
    if let Some(tcp) = facts.tcp_memory {
        lines.push(format!(
            "{} for all TCP sockets together: about {} viewers",
            megabytes(tcp.bytes()),
            viewers(tcp.bytes())
        ));
    }
    if let Some(names) = &facts.congestion_available {
        lines.push(format!("TCP congestion control: {}", names.join(", ")));
    }
    lines
}

/// What is not as it is wanted.
pub(super) fn warnings(config: &Config, facts: &Facts) -> Vec<String> {
    let wanted = config.link.udp_buffer;
    [
        buffer("net.core.rmem_max", facts.rmem_max, wanted),
        buffer("net.core.wmem_max", facts.wmem_max, wanted),
        files(config, facts),
        tcp_memory(config, facts),
        congestion(config, facts),
        slow_start(facts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn buffer(setting: &str, granted: Option<u64>, wanted: ByteSize) -> Option<String> {
    let granted = granted.filter(|granted| *granted < wanted.bytes())?;
    Some(format!(
        "{setting} is {granted}, less than [link] udp_buffer ({wanted}): bursts between nodes are lost on a busy \
         machine; set {setting} = {}",
        wanted.bytes()
    ))
}

fn files(config: &Config, facts: &Facts) -> Option<String> {
    let wanted = config.limits.max_viewers;
    let files = facts.open_files.raised();
    if files.viewers() >= wanted.into() {
        return None;
    }
    let needed = u64::from(wanted) + RESERVED_FILES;
    Some(format!(
        "nofile allows {files}, less than [limits] max_viewers ({wanted}); set LimitNOFILE={needed} in the unit, or \
         `ulimit -Hn {needed}` before the start"
    ))
}

fn tcp_memory(config: &Config, facts: &Facts) -> Option<String> {
    let tcp = facts.tcp_memory?;
    let wanted = u64::from(config.limits.max_viewers) * VIEWER_TCP_BYTES;
    if tcp.bytes() >= wanted {
        return None;
    }
    let sentence = format!(
        "net.ipv4.tcp_mem gives all TCP sockets together {}: beyond about {} viewers the kernel drops their data, and \
         every viewer stutters, not only the newest; [limits] max_viewers is {}",
        megabytes(tcp.bytes()),
        viewers(tcp.bytes()),
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
            viewers(room)
        )
    } else {
        format!("{sentence}; set max_viewers = {}", viewers(tcp.bytes()).max(1))
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

fn slow_start(facts: &Facts) -> Option<String> {
    facts.slow_start_after_idle?.then(|| {
        "net.ipv4.tcp_slow_start_after_idle is 1: a viewer's connection slows down after each pause of the stream; set \
         net.ipv4.tcp_slow_start_after_idle = 0"
            .to_owned()
    })
}

const fn viewers(bytes: u64) -> u64 {
    bytes / VIEWER_TCP_BYTES
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
