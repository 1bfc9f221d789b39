//! Rounds: A B A B A B, so that what the machine does meanwhile falls on all alike.

use anyhow::{Context as _, Result};

use crate::lab::Lab;
use crate::noise::Noise;
use crate::part::Part;
use crate::results::Measured;
use crate::sample::{Contender, Sample, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// Rounds of everything that is compared.
pub(crate) const ROUNDS: u32 = 3;

/// How many rounds of one comparison may be made again, since the floor was late: enough for a neighbour's burst, not for
/// a machine that is too slow.
const MAX_REPEATS: u32 = 2;

/// The floor's p99 by this many periods above what a perfect loop has is the machine's fault, not the floor's.
const LATE_PERIODS: f64 = 0.5;

/// In how many bursts a perfect loop sends a keyframe: one that is a period old at most, and above this rate the rest of it
/// one period later, since a socket does not take it all at once.
const fn bursts(mbit: u32) -> f64 {
    if mbit > 1 { 2.0 } else { 1.0 }
}

/// One thing to measure in each round.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) contender: Contender,
    pub(crate) setting: Setting,
    pub(crate) seconds: u64,
}

/// Measures all trials in turn, in [`ROUNDS`] rounds, into `measured`; a round in which the floor was late is made again.
///
/// A trial that does not deliver what was asked in the first round is not tried again, and told in a note.
///
/// # Errors
/// When a server or an audience fails altogether.
pub(crate) async fn alternate(
    lab: &Lab,
    part: Part,
    trials: &[Trial],
    measured: &mut Measured,
) -> Result<()> {
    let mut trials = trials.to_vec();
    let (mut round, mut repeats) = (1, 0);
    while round <= ROUNDS && !trials.is_empty() {
        let mut samples = Vec::new();
        for trial in &trials {
            match one(lab, trial, round).await {
                Ok(sample) => samples.push(sample),
                // What is wrong with a server of others is no reason to measure nothing.
                Err(error) if Contender::PEERS.contains(&trial.contender) => {
                    let name = trial.contender.name();
                    measured.notes.push(format!("{name} did not run: {error:#}."));
                    lab.say(&format!("{name} did not run: {error:#}"));
                }
                Err(error) => return Err(error),
            }
        }
        if repeats < MAX_REPEATS && samples.iter().any(is_late_floor) {
            lab.say("the floor itself was late: this round is made again");
            repeats += 1;
            continue;
        }
        if round == 1 {
            trials.retain(|trial| !gives_up(part, trial, &samples, measured));
        }
        measured.samples.extend(samples);
        round += 1;
    }
    measured.repeated += repeats;
    Ok(())
}

/// Whether a trial failed so clearly that further rounds would be a waste; its sample stays, to be shown.
fn gives_up(part: Part, trial: &Trial, samples: &[Sample], measured: &mut Measured) -> bool {
    let same = |sample: &&Sample| sample.contender == trial.contender && sample.setting == trial.setting;
    let Some(sample) = samples.iter().find(same) else {
        return true;
    };
    let floor_fails = samples
        .iter()
        .any(|sample| sample.contender == Contender::Floor && !sample.delivers());
    if part == Part::Floor && floor_fails {
        if trial.contender == Contender::Floor {
            measured.notes.push(format!(
                "{}: not even the floor delivers that on one core.",
                describe(&trial.setting)
            ));
        }
        return true;
    }
    let is_peer = Contender::PEERS.contains(&trial.contender);
    if is_peer && !sample.delivers() {
        let delivery = sample.report.delivery;
        measured.notes.push(format!(
            "{} with {} viewers: served {}, delivered {:.0} % of the bytes, {:.0} % of all on time.",
            trial.contender.name(),
            trial.setting.viewers,
            sample.served(),
            delivery.mean * 100.0,
            delivery.on_time * 100.0,
        ));
        return true;
    }
    false
}

/// Starts a server, lets an audience watch, and takes both down.
async fn one(lab: &Lab, trial: &Trial, round: u32) -> Result<Sample> {
    let Trial {
        contender,
        setting,
        seconds,
    } = trial;
    lab.say(&format!(
        "{}, {}, round {round}",
        contender.name(),
        describe(setting)
    ));
    let server = Server::start(lab, *contender, setting)
        .await
        .with_context(|| format!("starting {}", contender.name()))?;
    look(lab, &server, *contender, setting, *seconds, round).await
}

/// One plain audience at a server that runs.
///
/// # Errors
/// When the audience fails altogether.
pub(crate) async fn look(
    lab: &Lab,
    server: &Server,
    contender: Contender,
    setting: &Setting,
    seconds: u64,
    round: u32,
) -> Result<Sample> {
    let watch = Watch {
        mbit: setting.mbit,
        streams: setting.streams,
        pids: vec![server.pid],
        ..Watch::of(&server.url, setting.viewers, seconds)
    };
    audience(lab, server, contender, setting, &watch, round).await
}

/// An audience of any kind at a server that runs.
///
/// # Errors
/// When the audience fails altogether.
pub(crate) async fn audience(
    lab: &Lab,
    server: &Server,
    contender: Contender,
    setting: &Setting,
    watch: &Watch,
    round: u32,
) -> Result<Sample> {
    let listening = Noise::listen(&lab.cores());
    let report = watch.run(lab).await?;
    Ok(Sample {
        contender,
        setting: setting.clone(),
        look: String::new(),
        round,
        server: server.pid,
        report,
        noise: listening.finish(),
        extra: std::collections::BTreeMap::new(),
    })
}

/// What is asked, in words.
pub(crate) fn describe(setting: &Setting) -> String {
    let Setting {
        viewers,
        mbit,
        streams,
        ..
    } = setting;
    let streams = match streams {
        1 => String::new(),
        streams => format!(" of {streams} streams"),
    };
    format!(
        "{viewers} viewers{streams}, {mbit} Mbit/s, period {}",
        setting.period()
    )
}

fn is_late_floor(sample: &Sample) -> bool {
    let Some(period) = sample.setting.period_ms.map(f64::from) else {
        return false;
    };
    // One that cannot deliver is late for another reason, which no repetition mends.
    sample.contender == Contender::Floor
        && sample.report.lateness.p99 > (bursts(sample.setting.mbit) + LATE_PERIODS) * period
        && sample.delivers()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;

    fn setting() -> Setting {
        Setting {
            period_ms: Some(50),
            ..Setting::of(1000)
        }
    }

    #[test]
    fn only_a_floor_can_be_a_late_floor() {
        assert!(!is_late_floor(&sample(Contender::Floor, setting(), 1, 0.5, 60.0)));
        assert!(is_late_floor(&sample(Contender::Floor, setting(), 1, 0.5, 76.0)));
        assert!(!is_late_floor(&sample(Contender::Relay, setting(), 1, 0.5, 76.0)));
    }

    #[test]
    fn a_peer_that_does_not_deliver_is_told_and_not_tried_again() {
        let trial = |contender| Trial {
            contender,
            setting: setting(),
            seconds: 1,
        };
        let mut weak = sample(Contender::Xiu, setting(), 1, 5.0, 900.0);
        weak.report.delivery.on_time = 0.4;
        let samples = [weak, sample(Contender::Relay, setting(), 1, 0.5, 50.0)];
        let mut measured = Measured::default();
        assert!(gives_up(
            Part::Peers,
            &trial(Contender::Xiu),
            &samples,
            &mut measured
        ));
        assert!(!gives_up(
            Part::Peers,
            &trial(Contender::Relay),
            &samples,
            &mut measured
        ));
        assert_eq!(measured.notes.len(), 1);
        assert!(
            measured.notes[0].starts_with("xiu with 1000 viewers"),
            "{:?}",
            measured.notes
        );
    }

    #[test]
    fn what_the_floor_cannot_do_is_asked_of_nobody() {
        let trial = |contender| Trial {
            contender,
            setting: setting(),
            seconds: 1,
        };
        let mut floor = sample(Contender::Floor, setting(), 1, 0.5, 50.0);
        floor.report.delivery.mean = 0.8;
        let samples = [floor, sample(Contender::Relay, setting(), 1, 0.5, 50.0)];
        let mut measured = Measured::default();
        for contender in [Contender::Floor, Contender::Relay] {
            assert!(gives_up(Part::Floor, &trial(contender), &samples, &mut measured));
        }
        assert_eq!(measured.notes.len(), 1);
    }
}
