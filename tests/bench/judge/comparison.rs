//! A comparison: figures of one server over its rounds, held against those of another.

use crate::figures::{Spread, ratio};
use crate::sample::Sample;

/// The median of a figure over rounds.
pub(crate) fn median(samples: &[&Sample], figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    Spread::of(samples.iter().map(|sample| figure(sample))).map(|spread| spread.median)
}

/// How much dearer one server is than another per delivered byte: by its process alone and together with the load tool,
/// whichever is worse. A bar on CPU holds only if it holds for both.
pub(super) fn dearer(ours: &[&Sample], theirs: &[&Sample]) -> Option<f64> {
    let by = |figure: fn(&Sample) -> f64| ratio(median(ours, figure)?, median(theirs, figure)?);
    Some(by(Sample::server_per_gb)?.max(by(Sample::both_per_gb)?))
}

/// The median, over rounds, of a difference between two samples of one round.
pub(super) fn difference(more: &[&Sample], less: &[&Sample], figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    let of_round = |sample: &&Sample| less.iter().find(|other| other.round == sample.round);
    let pairs = more
        .iter()
        .filter_map(|sample| Some((*sample, *of_round(sample)?)));
    let differences = pairs.map(|(more, less)| figure(more) - figure(less));
    Spread::of(differences).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;
    use crate::sample::{Contender, Setting};

    #[test]
    fn the_worse_of_process_and_machine_counts() {
        let ours = sample(Contender::Relay, Setting::of(10), 1, 0.5, 50.0);
        let floor = sample(Contender::Floor, Setting::of(10), 1, 0.5, 50.0);
        let mut hidden = ours.clone();
        hidden.report.load.busy = 0.09;
        assert_eq!(dearer(&[&ours], &[&floor]), Some(1.0));
        assert_eq!(dearer(&[&hidden], &[&floor]), Some(2.0));
        assert_eq!(dearer(&[&ours], &[]), None);
    }
}
