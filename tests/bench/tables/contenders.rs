//! Contenders: the tables of the parts where ours stands beside the bare send loop and the servers of others.

use super::cells::{latency, memory, percent_on_time, quotient, spread};
use super::settings;
use crate::results::Measured;
use crate::sample::{Contender, Sample};
use crate::table::Table;

pub(super) fn against_floor(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "Mbit/s",
        "period",
        "",
        "CPU-s/GB, server",
        "\u{f7} floor",
        "CPU-s/GB, with the load tool",
        "\u{f7} floor",
        "latency p50 / p99, ms",
        "on time, %",
        "RSS + TCP, MB",
        "own code, % of core",
    ]);
    for setting in settings(measured) {
        let same_load = |sample: &Sample| {
            (sample.setting.viewers, sample.setting.mbit) == (setting.viewers, setting.mbit)
        };
        for contender in [Contender::Floor, Contender::Relay] {
            let samples = measured.of(contender, |sample| sample.setting == setting);
            if samples.is_empty() {
                continue;
            }
            // The floor at the same period, or where ours chose its own, the floor at its fixed one.
            let floor = measured.of(Contender::Floor, |sample| {
                let is_comparable = setting.period_ms.is_none() || sample.setting == setting;
                same_load(sample) && is_comparable
            });
            let against = |figure| match contender {
                Contender::Floor => String::new(),
                _ => quotient(&samples, &floor, figure),
            };
            table.row(&[
                setting.viewers.to_string(),
                setting.mbit.to_string(),
                setting.period(),
                contender.name().to_owned(),
                spread(&samples, 2, Sample::server_per_gb),
                against(Sample::server_per_gb),
                spread(&samples, 2, Sample::both_per_gb),
                against(Sample::both_per_gb),
                latency(&samples),
                percent_on_time(&samples),
                memory(&samples),
                spread(&samples, 1, |sample| sample.user_share() * 100.0),
            ]);
        }
    }
    table.text()
}

pub(super) fn peers(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "",
        "CPU-s/GB, server",
        "\u{f7} relay",
        "CPU-s/GB, with the load tool",
        "\u{f7} relay",
        "latency p50 / p99, ms",
        "delivered, %",
        "on time, %",
        "RSS, MB",
    ]);
    let mut contenders = vec![Contender::Floor, Contender::Relay, Contender::RelayRtmp];
    contenders.extend(Contender::PEERS);
    for viewers in measured.audiences() {
        for contender in &contenders {
            let of = |contender| measured.of(contender, |sample| sample.setting.viewers == viewers);
            let samples = of(*contender);
            if samples.is_empty() {
                continue;
            }
            let ours = if contender.is_rtmp() {
                Contender::RelayRtmp
            } else {
                Contender::Relay
            };
            let against = |figure| {
                if ours == *contender {
                    return String::new();
                }
                quotient(&samples, &of(ours), figure)
            };
            table.row(&[
                viewers.to_string(),
                contender.name().to_owned(),
                spread(&samples, 2, Sample::server_per_gb),
                against(Sample::server_per_gb),
                spread(&samples, 2, Sample::both_per_gb),
                against(Sample::both_per_gb),
                latency(&samples),
                spread(&samples, 1, |sample| sample.report.delivery.mean * 100.0),
                percent_on_time(&samples),
                spread(&samples, 0, Sample::rss_mb),
            ]);
        }
    }
    table.text()
}
