//! The bars: what each promises, what was found, and whether it holds.
//!
//! - `contenders`, `trouble`, `capacity`: the bars of each part.
//! - `comparison`, `faults`: what they are made of.

mod capacity;
mod comparison;
mod contenders;
mod faults;
mod trouble;

use crate::part::Part;
use crate::results::{Measured, Results};
use capacity::{starter, streams};
pub(crate) use comparison::median;
use contenders::{floor, judge_ten_thousand, peers};
use faults::followed;
pub(crate) use faults::whole_faults;
use trouble::{judge_slow, judge_stalled, judge_storm};

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) part: Part,
    /// What is promised.
    pub(crate) says: String,
    /// What was found; `None` if it was not measured.
    pub(crate) found: Option<f64>,
    /// The worst that is good.
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
    pub(crate) unit: &'static str,
}

impl Bar {
    fn at_most(
        part: Part,
        says: impl Into<String>,
        limit: f64,
        unit: &'static str,
        found: Option<f64>,
    ) -> Self {
        Self {
            part,
            says: says.into(),
            found,
            limit,
            at_least: false,
            unit,
        }
    }

    fn at_least(
        part: Part,
        says: impl Into<String>,
        limit: f64,
        unit: &'static str,
        found: Option<f64>,
    ) -> Self {
        Self {
            at_least: true,
            ..Self::at_most(part, says, limit, unit, found)
        }
    }

    /// Whether it holds; `None` if it was not measured.
    pub(crate) fn holds(&self) -> Option<bool> {
        let found = self.found?;
        Some(if self.at_least {
            found >= self.limit
        } else {
            found <= self.limit
        })
    }
}

/// Makes the bars of one part.
type Judge = fn(&Measured) -> Vec<Bar>;

/// All bars, in the order of the parts.
pub(crate) fn bars(results: &Results) -> Vec<Bar> {
    let judges: [(Part, Judge); 8] = [
        (Part::Floor, floor),
        (Part::TenThousand, judge_ten_thousand),
        (Part::Peers, peers),
        (Part::Storm, judge_storm),
        (Part::Stalled, judge_stalled),
        (Part::Slow, judge_slow),
        (Part::Streams, streams),
        (Part::Starter, starter),
    ];
    let nothing = Measured::default();
    judges
        .into_iter()
        .flat_map(|(part, judge)| {
            let measured = results.part(part).unwrap_or(&nothing);
            let mut bars = judge(measured);
            bars.push(followed(part, measured));
            bars
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::storm;
    use crate::sample::tests::sample;
    use crate::sample::{Contender, Sample, Setting};

    fn found(bars: &[Bar], says: &str) -> (Option<f64>, Option<bool>) {
        let bar = bars.iter().find(|bar| bar.says.contains(says)).expect(says);
        (bar.found, bar.holds())
    }

    fn with_parts(parts: impl IntoIterator<Item = (Part, Vec<Sample>)>) -> Results {
        let mut results = Results::default();
        for (part, samples) in parts {
            results.insert(
                part,
                Measured {
                    samples,
                    ..Measured::default()
                },
            );
        }
        results
    }

    #[test]
    fn nothing_measured_is_neither_good_nor_bad() {
        let bars = bars(&Results::default());
        assert!(bars.len() >= 20);
        assert!(bars.iter().all(|bar| bar.holds().is_none()));
    }

    #[test]
    fn who_did_not_get_in_counts_whatever_the_others_got() {
        let mut samples = vec![sample(Contender::Relay, Setting::of(10_000), 1, 0.5, 50.0)];
        let says = "10000 viewers: not served";
        let of =
            |samples: &[Sample]| found(&bars(&with_parts([(Part::TenThousand, samples.to_vec())])), says);
        assert_eq!(of(&samples), (Some(0.0), Some(true)));
        samples[0].report.joins.insert("served".to_owned(), 9_990);
        samples[0].report.faults.gaps = 2;
        assert_eq!(of(&samples), (Some(12.0), Some(false)));
        samples[0].report.load.bottleneck = true;
        let bars = bars(&with_parts([(Part::TenThousand, samples)]));
        assert_eq!(
            found(&bars, "ten-thousand: looks in which"),
            (Some(1.0), Some(false))
        );
    }

    #[test]
    fn the_median_of_rounds_is_judged_not_the_best() {
        let setting = || Setting {
            period_ms: Some(50),
            ..Setting::of(1_000)
        };
        let mut samples = Vec::new();
        for (round, ours) in [(1, 0.5), (2, 0.7), (3, 0.8)] {
            samples.push(sample(Contender::Floor, setting(), round, 0.5, 50.0));
            samples.push(sample(Contender::Relay, setting(), round, ours, 50.0));
        }
        let bars = bars(&with_parts([(Part::Floor, samples)]));
        let (found, holds) = found(&bars, "1000 viewers: CPU per GB, times the floor's");
        assert!((found.unwrap_or_default() - 1.4).abs() < 1e-9);
        assert_eq!(holds, Some(false));
    }

    #[test]
    fn a_storm_is_held_against_its_own_round() {
        let look = |name: &str, round, p99| {
            let mut sample = sample(Contender::Relay, Setting::of(10), round, 0.5, p99);
            name.clone_into(&mut sample.look);
            sample
        };
        let samples = vec![
            look(storm::BEFORE, 1, 50.0),
            look(storm::DURING, 1, 80.0),
            look(storm::BEFORE, 2, 90.0),
            look(storm::DURING, 2, 100.0),
            look(storm::BEFORE, 3, 50.0),
            look(storm::DURING, 3, 110.0),
        ];
        let bars = bars(&with_parts([(Part::Storm, samples)]));
        assert_eq!(found(&bars, "above that before"), (Some(30.0), Some(true)));
    }

    #[test]
    fn the_last_whole_step_is_what_an_instance_carries() {
        let step = |viewers, on_time| {
            let mut sample = sample(Contender::Relay, Setting::of(viewers), 1, 0.5, 50.0);
            sample.report.delivery.on_time = on_time;
            sample
        };
        let steps = |steps: Vec<Sample>| bars(&with_parts([(Part::Starter, steps)]));
        let good = steps(vec![step(5_000, 1.0), step(7_500, 0.9)]);
        assert_eq!(found(&good, "viewers served whole"), (Some(5_000.0), Some(true)));
        let bad = steps(vec![step(5_000, 0.9)]);
        assert_eq!(found(&bad, "viewers served whole"), (Some(0.0), Some(false)));
    }
}
