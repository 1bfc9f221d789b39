//! The bars: what each promises, what was found, and whether it holds.

use relay_load::report::Faults;

use crate::figures::{Spread, ratio};
use crate::part::Part;
use crate::parts::starter::{KILLED, is_served_whole};
use crate::parts::{stalled, storm, ten_thousand};
use crate::results::{Measured, Results};
use crate::sample::{Contender, Sample};

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

/// The median of a figure over rounds.
pub(crate) fn median(samples: &[&Sample], figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    Spread::of(samples.iter().map(|sample| figure(sample))).map(|spread| spread.median)
}

/// How much dearer one server is than another per delivered byte: by its process alone and together with the load tool,
/// whichever is worse. A bar on CPU holds only if it holds for both.
pub(crate) fn dearer(ours: &[&Sample], theirs: &[&Sample]) -> Option<f64> {
    let by = |figure: fn(&Sample) -> f64| ratio(median(ours, figure)?, median(theirs, figure)?);
    Some(by(Sample::server_per_gb)?.max(by(Sample::both_per_gb)?))
}

/// The median, over rounds, of a difference between two samples of one round.
fn difference(more: &[&Sample], less: &[&Sample], figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    let of_round = |sample: &&Sample| less.iter().find(|other| other.round == sample.round);
    let pairs = more
        .iter()
        .filter_map(|sample| Some((*sample, *of_round(sample)?)));
    let differences = pairs.map(|(more, less)| figure(more) - figure(less));
    Spread::of(differences).map(|spread| spread.median)
}

const SMALL: u64 = 100;
const THOUSAND: u64 = 1_000;

fn floor(measured: &Measured) -> Vec<Bar> {
    let mut bars = Vec::new();
    for viewers in [THOUSAND, 4_000, ten_thousand::VIEWERS] {
        let here = |sample: &Sample| sample.setting.viewers == viewers && sample.setting.mbit == 1;
        // Against a floor that does not carry the load itself there is nothing to be held.
        let floor = measured.of(Contender::Floor, |sample| here(sample) && sample.delivers());
        let ours = measured.of(Contender::Relay, here);
        bars.push(Bar::at_most(
            Part::Floor,
            format!("{viewers} viewers: CPU per GB, times the floor's at the same period"),
            1.15,
            "\u{d7}",
            dearer(&ours, &floor),
        ));
        // Less delivered is another load; it would flatter.
        if !floor.is_empty() {
            bars.push(nothing_amiss(Part::Floor, &format!("{viewers} viewers"), &ours));
        }
    }
    // At the period that both were measured at.
    let at = |viewers: u64| {
        measured.of(Contender::Relay, |sample| {
            let setting = &sample.setting;
            setting.viewers == viewers && setting.mbit == 1 && setting.period_ms == Some(100)
        })
    };
    let cost = |viewers| median(&at(viewers), Sample::server_per_gb);
    let small_to_large = cost(SMALL).zip(cost(ten_thousand::VIEWERS));
    bars.push(Bar::at_most(
        Part::Floor,
        "100 viewers: the server's CPU per GB, times that of 10000 at the same period",
        1.3,
        "\u{d7}",
        small_to_large.and_then(|(small, large)| ratio(small, large)),
    ));
    bars
}

fn judge_ten_thousand(measured: &Measured) -> Vec<Bar> {
    let here = |sample: &Sample| sample.setting.viewers >= ten_thousand::VIEWERS;
    let ours = measured.of(Contender::Relay, here);
    let floor = measured.of(Contender::Floor, here);
    let late = |samples: &[&Sample]| median(samples, |sample| sample.report.lateness.p99);
    let bar = |says: &str, limit, unit, found| Bar::at_most(Part::TenThousand, says, limit, unit, found);
    vec![
        Bar::at_least(
            Part::TenThousand,
            "10000 viewers: bytes on time, of all together",
            99.5,
            "%",
            median(&ours, |sample| sample.report.delivery.on_time * 100.0),
        ),
        Bar::at_least(
            Part::TenThousand,
            "10000 viewers: bytes on time, of the worst-served viewer",
            99.5,
            "%",
            median(&ours, |sample| sample.report.delivery.on_time_min * 100.0),
        ),
        nothing_amiss(Part::TenThousand, "10000 viewers", &ours),
        bar(
            "10000 viewers: p99 latency above the floor's",
            60.0,
            "ms",
            late(&ours).zip(late(&floor)).map(|(ours, floor)| ours - floor),
        ),
        bar(
            "10000 viewers: resident memory",
            64.0,
            "MB",
            median(&ours, Sample::rss_mb),
        ),
        bar(
            "10000 viewers: resident and TCP memory",
            600.0,
            "MB",
            median(&ours, |sample| sample.rss_mb() + sample.tcp_mb()),
        ),
        bar(
            "10000 viewers: share of the core in our own code",
            5.0,
            "%",
            median(&ours, |sample| sample.user_share() * 100.0),
        ),
    ]
}

fn peers(measured: &Measured) -> Vec<Bar> {
    let of = |contender| measured.of(contender, |sample| sample.setting.viewers == THOUSAND);
    let late = |contender| median(&of(contender), |sample| sample.report.lateness.p99);
    let mut bars = vec![Bar::at_most(
        Part::Peers,
        "1000 viewers: p99 latency above the floor's",
        30.0,
        "ms",
        late(Contender::Relay)
            .zip(late(Contender::Floor))
            .map(|(ours, floor)| ours - floor),
    )];
    let carries = |sample: &Sample| sample.setting.viewers == THOUSAND && sample.delivers();
    for peer in Contender::PEERS {
        // One that is not installed, or does not carry the load, has no cost per byte to be held against; a note says so.
        let theirs = measured.of(peer, carries);
        if theirs.is_empty() {
            continue;
        }
        // Each is met on its own ground.
        let ours = if peer.is_rtmp() {
            Contender::RelayRtmp
        } else {
            Contender::Relay
        };
        bars.push(Bar::at_most(
            Part::Peers,
            format!("1000 viewers: CPU per GB, times that of {}", peer.name()),
            0.5,
            "\u{d7}",
            dearer(&of(ours), &theirs),
        ));
    }
    bars
}

/// Everyone got in, nobody was closed, and nothing was wrong with what they got: figures over those who got in say nothing of
/// the others.
fn nothing_amiss(part: Part, whom: &str, samples: &[&Sample]) -> Bar {
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
fn followed(part: Part, measured: &Measured) -> Bar {
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

fn judge_storm(measured: &Measured) -> Vec<Bar> {
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

fn judge_stalled(measured: &Measured) -> Vec<Bar> {
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

fn judge_slow(measured: &Measured) -> Vec<Bar> {
    let all: Vec<&Sample> = measured.samples.iter().collect();
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
            median(&all, |sample| {
                (sample.report.slow_closed + sample.report.closed) as f64
            }),
        ),
        Bar::at_most(
            Part::Slow,
            says("records not whole, doubled, or lost without a skip"),
            0.0,
            "",
            median(&all, |sample| whole_faults(sample) as f64),
        ),
    ]
}

/// Everything that may not happen to media, slow viewer or not.
pub(crate) fn whole_faults(sample: &Sample) -> u64 {
    let of = |faults: Faults| faults.corrupt + faults.gaps + faults.duplicates + faults.backwards;
    of(sample.report.faults) + of(sample.report.slow)
}

fn streams(measured: &Measured) -> Vec<Bar> {
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

fn starter(measured: &Measured) -> Vec<Bar> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Setting;
    use crate::sample::tests::sample;

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
    fn the_worse_of_process_and_machine_counts() {
        let ours = sample(Contender::Relay, Setting::of(10), 1, 0.5, 50.0);
        let floor = sample(Contender::Floor, Setting::of(10), 1, 0.5, 50.0);
        let mut hidden = ours.clone();
        hidden.report.load.busy = 0.09;
        assert_eq!(dearer(&[&ours], &[&floor]), Some(1.0));
        assert_eq!(dearer(&[&hidden], &[&floor]), Some(2.0));
        assert_eq!(dearer(&[&ours], &[]), None);
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
