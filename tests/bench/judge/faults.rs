//! Faults: what may not happen in any part.

use relay_load::report::Faults;

use super::Bar;
use crate::part::Part;
use crate::results::Measured;
use crate::sample::Sample;

/// Everyone got in, nobody was closed, and nothing was wrong with what they got: figures over those who got in say nothing of
/// the others.
pub(super) fn nothing_amiss(part: Part, whom: &str, samples: &[&Sample]) -> Bar {
    let says = format!("{whom}: not served, closed, or given something broken");
    let worst = samples.iter().map(|sample| amiss(sample)).max();
    Bar::at_most(part, says, 0.0, "", worst.map(|count| count as f64))
}

fn amiss(sample: &Sample) -> u64 {
    let report = &sample.report;
    let served: u64 = ["served", "slow_served", "stalled_served"]
        .iter()
        .filter_map(|outcome| report.joins.get(*outcome))
        .sum();
    sample.setting.viewers.saturating_sub(served) + report.closed + report.slow_closed + whole_faults(sample)
}

/// A look that the load tool itself could not follow says nothing of the server.
pub(super) fn followed(part: Part, measured: &Measured) -> Bar {
    let samples = &measured.samples;
    let lost = samples.iter().filter(|sample| sample.report.load.bottleneck);
    Bar::at_most(
        part,
        format!(
            "{}: looks in which the load tool itself was the limit",
            part.name()
        ),
        0.0,
        "",
        (!samples.is_empty()).then(|| lost.count() as f64),
    )
}

/// Everything that may not happen to media, slow viewer or not.
pub(crate) fn whole_faults(sample: &Sample) -> u64 {
    let of = |faults: Faults| faults.corrupt + faults.gaps + faults.duplicates + faults.backwards;
    of(sample.report.faults) + of(sample.report.slow)
}
