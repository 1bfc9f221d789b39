//! Capacity: the tables of many streams beside one, and of the steps that a small instance is led up.

use super::cells::{latency, memory, number, percent_on_time, spread};
use super::settings;
use crate::parts::starter;
use crate::results::Measured;
use crate::sample::{Contender, Sample};
use crate::table::Table;

/// A core that is this busy has no room for the work that comes unevenly.
const FULL: f64 = 0.93;

pub(super) fn streams(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "streams",
        "viewers in all",
        "CPU-s/GB, server",
        "CPU-s/GB, with the load tool",
        "latency p50 / p99, ms",
        "on time, %",
    ]);
    for setting in settings(measured) {
        let samples = measured.of(Contender::Relay, |sample| sample.setting == setting);
        table.row(&[
            setting.streams.to_string(),
            setting.viewers.to_string(),
            spread(&samples, 2, Sample::server_per_gb),
            spread(&samples, 2, Sample::both_per_gb),
            latency(&samples),
            percent_on_time(&samples),
        ]);
    }
    table.text()
}

pub(super) fn steps(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers within 5 s",
        "served",
        "closed",
        "on time, %",
        "latency p50 / p99, ms",
        "edge, share of the CPU",
        "RSS + TCP, MB",
        "group's peak, MB",
        "killed",
        "",
    ]);
    for sample in &measured.samples {
        let extra = |name: &str, unit: f64| {
            let value = sample.extra.get(name);
            value.map_or_else(|| "\u{2013}".to_owned(), |value| number((value / unit).round()))
        };
        table.row(&[
            sample.setting.viewers.to_string(),
            sample.served().to_string(),
            sample.report.closed.to_string(),
            percent_on_time(&[sample]),
            latency(&[sample]),
            format!("{:.2}", busy(sample)),
            memory(&[sample]),
            extra(starter::PEAK, 1e6),
            extra(starter::KILLED, 1.0),
            first_limit(sample),
        ]);
    }
    table.text()
}

/// Share of one core that the server took, its own code and the kernel's on its behalf.
fn busy(sample: &Sample) -> f64 {
    sample.process().map_or(f64::NAN, |process| {
        (process.user_seconds + process.system_seconds) / sample.report.seconds
    })
}

/// Why an instance did not serve all of this audience as it should.
fn first_limit(sample: &Sample) -> String {
    if starter::is_served_whole(sample) {
        return String::new();
    }
    let extra = |name: &str| sample.extra.get(name).copied().unwrap_or_default();
    let missing = sample.setting.viewers.saturating_sub(sample.served());
    if extra(starter::KILLED) > 0.0 {
        return "memory: the system killed a process".to_owned();
    }
    if sample.report.load.bottleneck {
        return "the load tool's own core, not the edge".to_owned();
    }
    if busy(sample) >= FULL {
        return "CPU: the core is full".to_owned();
    }
    if extra(starter::TCP_REFUSED) > 0.0 {
        return "TCP memory: sockets were refused more".to_owned();
    }
    if missing > 0 {
        let others = sample
            .report
            .joins
            .iter()
            .filter(|(outcome, _)| *outcome != "served");
        let others: Vec<String> = others
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        return format!("{missing} were not served: {}", others.join(", "));
    }
    "not in time, for no reason that was counted".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Setting;
    use crate::sample::tests::sample;

    #[test]
    fn the_first_limit_is_named() {
        let mut step = sample(Contender::Relay, Setting::of(5_000), 1, 0.5, 50.0);
        assert_eq!(first_limit(&step), "");
        step.report.joins.insert("served".to_owned(), 4_000);
        step.report.joins.insert("refused".to_owned(), 1_000);
        assert_eq!(first_limit(&step), "1000 were not served: 1000 refused");
        step.extra.insert(starter::TCP_REFUSED.to_owned(), 2.0);
        assert!(first_limit(&step).starts_with("TCP memory"));
        step.report.processes[0].system_seconds = 9.9;
        assert!(first_limit(&step).starts_with("CPU"));
        step.extra.insert(starter::KILLED.to_owned(), 1.0);
        assert!(first_limit(&step).starts_with("memory"));
    }
}
