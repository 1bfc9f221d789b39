//! Five thousand come within five seconds, while two thousand watch.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::noise::Noise;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{ROUNDS, look};
use crate::sample::{Contender, Sample, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// Those who watch.
const WATCHING: u64 = 2_000;

/// Those who come.
const COMING: u64 = 5_000;

/// Within so many seconds.
const WITHIN: u64 = 5;

/// The look at those who watch, before the storm.
pub(crate) const BEFORE: &str = "before";

/// The look at those who watch, with the storm in it.
pub(crate) const DURING: &str = "during";

/// The look at those who come.
pub(crate) const JOINERS: &str = "joiners";

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Storm);
    let setting = Setting::of(lab.viewers(WATCHING));
    let coming = lab.viewers(COMING);
    for round in 1..=ROUNDS {
        let seconds = lab.seconds(Part::Storm);
        let server = Server::start(lab, Contender::Relay, &setting).await?;
        let viewers = setting.viewers;
        lab.say(&format!("{viewers} watch, before the storm, round {round}"));
        let mut before = look(lab, &server, Contender::Relay, &setting, seconds, round).await?;
        BEFORE.clone_into(&mut before.look);
        lab.say(&format!("{viewers} watch, {coming} come, round {round}"));
        let [during, joiners] = storm(lab, &server, &setting, coming, round).await?;
        measured.samples.extend([before, during, joiners]);
    }
    Ok(measured)
}

/// Two audiences at once: those who watch are measured from before the others come until after.
async fn storm(
    lab: &Lab,
    server: &Server,
    setting: &Setting,
    coming: u64,
    round: u32,
) -> Result<[Sample; 2]> {
    let seconds = lab.seconds(Part::Storm);
    let listening = Noise::listen(&lab.cores());
    let watching = Watch {
        pids: vec![server.pid],
        ..Watch::of(&server.url, setting.viewers, seconds)
    };
    let wait = watching.viewers.div_ceil(watching.ramp) + watching.settle + 1;
    let watching = watching.begin(lab)?;
    tokio::time::sleep(Duration::from_secs(wait)).await;
    // They stay until the others have been measured: that they leave is no part of the storm.
    let joiners = Watch {
        ramp: coming.div_ceil(WITHIN).max(1),
        settle: 0,
        pids: vec![server.pid],
        ..Watch::of(&server.url, coming, (seconds + 1).saturating_sub(WITHIN).max(1))
    };
    let joiners = joiners.begin(lab)?;
    let (watching, joiners) = tokio::try_join!(watching.report(), joiners.report())?;
    let noise = listening.finish();
    let sample = |look: &str, viewers, report| Sample {
        contender: Contender::Relay,
        setting: Setting::of(viewers),
        look: look.to_owned(),
        round,
        server: server.pid,
        report,
        noise: noise.clone(),
        extra: std::collections::BTreeMap::new(),
    };
    Ok([
        sample(DURING, setting.viewers, watching),
        sample(JOINERS, coming, joiners),
    ])
}
