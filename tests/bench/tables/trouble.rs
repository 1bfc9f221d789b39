//! Trouble: the tables of the parts where viewers come all at once, never read, or read too slowly.

use super::cells::{latency, memory, number, percent_on_time, spread};
use crate::judge::whole_faults;
use crate::results::Measured;
use crate::sample::Sample;
use crate::table::Table;

pub(super) fn looks(measured: &Measured, looks: &[(&str, &str)]) -> String {
    let mut table = Table::new(&[
        "",
        "viewers",
        "latency p50 / p99, ms",
        "p99.9, ms",
        "first byte p99, ms",
        "first keyframe p99, ms",
        "on time, %",
        "RSS + TCP, MB",
    ]);
    for (look, name) in looks {
        let samples = measured.look(look);
        let viewers = samples.first().map_or(0, |sample| sample.setting.viewers);
        table.row(&[
            (*name).to_owned(),
            viewers.to_string(),
            latency(&samples),
            spread(&samples, 0, |sample| sample.report.lateness.p999),
            spread(&samples, 0, |sample| sample.report.first_byte.p99),
            spread(&samples, 0, |sample| sample.report.first_keyframe.p99),
            percent_on_time(&samples),
            memory(&samples),
        ]);
    }
    let gone: Vec<&Sample> = measured
        .samples
        .iter()
        .filter(|sample| sample.report.stalled_closed_after.count > 0)
        .collect();
    if gone.is_empty() {
        return table.text();
    }
    let seconds = spread(&gone, 0, |sample| sample.report.stalled_closed_after.max / 1e3);
    format!(
        "{}\nThe last stalled viewer was closed {seconds} s after its request.\n",
        table.text()
    )
}

pub(super) fn slow_viewers(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "seconds",
        "skips of the slow",
        "slow ones closed",
        "others closed",
        "records not whole, doubled or lost",
        "latency p50 / p99 of the others, ms",
    ]);
    for sample in &measured.samples {
        let report = &sample.report;
        table.row(&[
            sample.setting.viewers.to_string(),
            number(report.seconds.round()),
            report.slow.skips.to_string(),
            report.slow_closed.to_string(),
            report.closed.to_string(),
            whole_faults(sample).to_string(),
            latency(&[sample]),
        ]);
    }
    table.text()
}
