//! The budget: what one viewer costs a second, counted.

use super::NOTHING;
use crate::parts::budget;
use crate::results::Measured;
use crate::table::Table;

/// Slots that a shard wakes for in one period.
const SLOTS: f64 = 10.0;

/// System calls that come more seldom than so often a second are left out: a process has some of them for its own life.
const RARE: f64 = 1.0;

pub(super) fn counted(measured: &Measured) -> String {
    let Some(sample) = measured.samples.first() else {
        return NOTHING.to_owned();
    };
    let viewers = sample.setting.viewers as f64;
    let periods = 1_000.0 / f64::from(budget::PERIOD_MS);
    let mut table = Table::new(&[
        "counted by",
        "what",
        "a second",
        "per viewer and second",
        "expected",
    ]);
    let mut row = |by: &str, what: &str, value: f64, expected: &str| {
        table.row(&[
            by.to_owned(),
            what.to_owned(),
            format!("{value:.0}"),
            format!("{:.3}", value / viewers),
            expected.to_owned(),
        ]);
    };
    let per_period = format!("{periods:.0} per viewer: one per period");
    let per_slot = format!("{:.0} a second for all: one per slot", periods * SLOTS);
    let rate = format!(
        "{:.0} per viewer and its framing: the kernel's one copy of each byte, none is ours",
        f64::from(sample.setting.mbit) * 125_000.0
    );
    for (name, value) in &measured.figures {
        if let Some(metric) = name.strip_prefix("metric ") {
            let expected = match metric {
                "sends" => per_period.as_str(),
                "short sends" => "none: who keeps up is never cut short",
                "bytes" => rate.as_str(),
                "turns of the loop" => per_slot.as_str(),
                _ => "",
            };
            row("/metrics", metric, *value, expected);
        } else if let Some(call) = name.strip_prefix(budget::CALL).filter(|_| *value >= RARE) {
            let expected = match call {
                "sendto" | "sendfile" | "sendmsg" => per_period.as_str(),
                "epoll_pwait" | "epoll_pwait2" => per_slot.as_str(),
                "epoll_wait" | "recvfrom" | "read" => "none per viewer: they are the publisher's",
                "pwrite64" => "one per tag and flavour, whatever the number of viewers",
                "brk" | "mmap" | "munmap" | "madvise" => "none per viewer: nothing is allocated",
                _ => "",
            };
            row("strace", &format!("`{call}`"), *value, expected);
        } else if name == budget::SWITCHES {
            row(
                "/proc",
                name,
                *value,
                &format!("{per_slot}, and the runtime's own"),
            );
        } else if name == budget::INSTRUCTIONS {
            row("perf", "instructions in our own code", *value, "");
        }
    }
    table.text()
}
