//! Capacity: the bars of how many streams are carried as cheaply as one, and how many viewers by a small instance.

use super::Bar;
use super::comparison::dearer;
use crate::part::Part;
use crate::parts::starter::{KILLED, is_served_whole};
use crate::results::Measured;
use crate::sample::Sample;

pub(super) fn streams(measured: &Measured) -> Vec<Bar> {
    let (one, many): (Vec<&Sample>, Vec<&Sample>) = measured
        .samples
        .iter()
        .partition(|sample| sample.setting.streams == 1);
    vec![Bar::at_most(
        Part::Streams,
        "200 streams with 20 viewers each: CPU per GB, times that of 1 stream with 4000",
        1.3,
        "\u{d7}",
        dearer(&many, &one),
    )]
}

pub(super) fn starter(measured: &Measured) -> Vec<Bar> {
    let served = measured.samples.iter().filter(|sample| is_served_whole(sample));
    let most = served.map(|sample| sample.setting.viewers).max();
    let was_measured = !measured.samples.is_empty();
    let killed: f64 = measured
        .samples
        .iter()
        .filter_map(|sample| sample.extra.get(KILLED))
        .sum();
    vec![
        Bar::at_least(
            Part::Starter,
            "1 CPU, 900 MB: viewers served whole",
            5_000.0,
            "",
            was_measured.then(|| most.unwrap_or_default() as f64),
        ),
        Bar::at_most(
            Part::Starter,
            "1 CPU, 900 MB: processes killed",
            0.0,
            "",
            was_measured.then_some(killed),
        ),
    ]
}
