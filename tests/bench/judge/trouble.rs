//! Trouble: the bars of the parts where viewers come all at once, never read, or read too slowly.

use super::Bar;
use super::comparison::{difference, median};
use super::faults::{nothing_amiss, whole_faults};
use crate::part::Part;
use crate::parts::{stalled, storm};
use crate::results::Measured;
use crate::sample::Sample;

pub(super) fn judge_storm(measured: &Measured) -> Vec<Bar> {
    let joiners = measured.look(storm::JOINERS);
    let p999 = |sample: &Sample| sample.report.lateness.p999;
    let bar = |says: &str, limit, found| Bar::at_most(Part::Storm, says, limit, "ms", found);
    vec![
        bar(
            "5000 come in 5 s: first byte, p99",
            300.0,
            median(&joiners, |sample| sample.report.first_byte.p99),
        ),
        bar(
            "5000 come in 5 s: first keyframe, p99",
            500.0,
            median(&joiners, |sample| sample.report.first_keyframe.p99),
        ),
        bar(
            "5000 come in 5 s: p99.9 lateness of those who watch, above that before",
            50.0,
            difference(&measured.look(storm::DURING), &measured.look(storm::BEFORE), p999),
        ),
        nothing_amiss(Part::Storm, "5000 come in 5 s", &joiners),
        nothing_amiss(Part::Storm, "2000 watch meanwhile", &measured.look(storm::DURING)),
    ]
}

pub(super) fn judge_stalled(measured: &Measured) -> Vec<Bar> {
    let (with, without) = (measured.look(stalled::WITH), measured.look(stalled::WITHOUT));
    let memory = |sample: &Sample| sample.rss_mb() + sample.tcp_mb();
    let p999 = |sample: &Sample| sample.report.lateness.p999;
    let closed = |sample: &Sample| {
        let stalled = sample.setting.viewers / stalled::ONE_OF;
        sample.report.stalled_closed as f64 / stalled as f64
    };
    let bar = |says: &str, limit, unit, found| Bar::at_most(Part::Stalled, says, limit, unit, found);
    vec![
        bar(
            "200 of 2000 never read: memory above that without",
            40.0,
            "MB",
            difference(&with, &without, memory),
        ),
        bar(
            "200 of 2000 never read: p99.9 lateness of the others, above that without",
            50.0,
            "ms",
            difference(&with, &without, p999),
        ),
        bar(
            "200 of 2000 never read: seconds until the last of them is gone",
            30.0,
            "s",
            median(&with, |sample| {
                let after = sample.report.stalled_closed_after;
                if after.count > 0 {
                    after.max / 1e3
                } else {
                    f64::NAN
                }
            }),
        ),
        Bar::at_least(
            Part::Stalled,
            "200 of 2000 never read: share of them that is gone then",
            100.0,
            "%",
            median(&with, |sample| closed(sample) * 100.0),
        ),
        nothing_amiss(Part::Stalled, "200 of 2000 never read: the others", &with),
    ]
}

pub(super) fn judge_slow(measured: &Measured) -> Vec<Bar> {
    let all: Vec<&Sample> = measured.samples.iter().collect();
    // What must never happen must not happen in any round.
    let worst = |count: fn(&Sample) -> u64| all.iter().map(|sample| count(sample) as f64).reduce(f64::max);
    let says = |what: &str| format!("200 of 2000 at half the rate, 2 min: {what}");
    vec![
        Bar::at_least(
            Part::Slow,
            says("skips"),
            1.0,
            "",
            median(&all, |sample| sample.report.slow.skips as f64),
        ),
        Bar::at_most(
            Part::Slow,
            says("viewers closed, slow ones and others"),
            0.0,
            "",
            worst(|sample| sample.report.slow_closed + sample.report.closed),
        ),
        Bar::at_most(
            Part::Slow,
            says("records not whole, doubled, or lost without a skip"),
            0.0,
            "",
            worst(whole_faults),
        ),
    ]
}
