//! Two thousand watch, and a tenth of them never reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lab::Lab;
use crate::noise::Noise;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{ROUNDS, look};
use crate::sample::{Contender, Sample, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// All viewers; one of so many never reads.
const VIEWERS: u64 = 2_000;
const ONE_OF: u64 = 10;

/// The look without stalled viewers.
pub(crate) const WITHOUT: &str = "without";

/// The look with them.
pub(crate) const WITH: &str = "with";

/// Seconds from the last viewer's coming until the last stalled one was closed.
pub(crate) const GONE: &str = "stalled_gone_seconds";

/// How many of the stalled were closed for it.
pub(crate) const CLOSED: &str = "stalled_closed";

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Stalled);
    let setting = Setting::of(lab.viewers(VIEWERS));
    for round in 1..=ROUNDS {
        let seconds = lab.seconds(Part::Stalled);
        let server = Server::start(lab, Contender::Relay, &setting).await?;
        lab.say(&format!("{} viewers, all read, round {round}", setting.viewers));
        let mut without = look(lab, &server, Contender::Relay, &setting, seconds, round).await?;
        WITHOUT.clone_into(&mut without.look);
        let stalled = (setting.viewers / ONE_OF).max(1);
        lab.say(&format!(
            "{} viewers, {stalled} never read, round {round}",
            setting.viewers
        ));
        let with = with_stalled(lab, &server, &setting, stalled, round).await?;
        measured.samples.extend([without, with]);
    }
    Ok(measured)
}

async fn with_stalled(
    lab: &Lab,
    server: &Server,
    setting: &Setting,
    stalled: u64,
    round: u32,
) -> Result<Sample> {
    let watch = Watch {
        stalled,
        pids: vec![server.pid],
        ..Watch::of(&server.url, setting.viewers, lab.seconds(Part::Stalled))
    };
    let listening = Noise::listen(&lab.cores());
    let ramp = watch.viewers as f64 / watch.ramp as f64;
    let closed_before = server.closed_viewers().await?;
    let began = Instant::now();
    let audience = watch.begin(lab)?;
    let mut extra = BTreeMap::new();
    let report = {
        let mut report = std::pin::pin!(audience.report());
        loop {
            tokio::select! {
                report = &mut report => break report?,
                () = tokio::time::sleep(Duration::from_millis(250)) => {
                    // While the page does not answer, nobody counts as gone.
                    let gone = server.closed_viewers().await.unwrap_or_default() - closed_before;
                    if gone > extra.get(CLOSED).copied().unwrap_or_default() {
                        extra.insert(CLOSED.to_owned(), gone);
                        extra.insert(GONE.to_owned(), began.elapsed().as_secs_f64() - ramp);
                    }
                }
            }
        }
    };
    Ok(Sample {
        contender: Contender::Relay,
        setting: setting.clone(),
        look: WITH.to_owned(),
        round,
        server: server.pid,
        report,
        noise: listening.finish(),
        extra,
    })
}
