//! Two thousand watch, and a tenth of them reads at half the stream's rate.

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{ROUNDS, audience};
use crate::sample::{Contender, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// All viewers; one of so many is slow.
const VIEWERS: u64 = 2_000;
const ONE_OF: u64 = 10;

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Slow);
    let setting = Setting::of(lab.viewers(VIEWERS));
    let slow = setting.viewers / ONE_OF;
    for round in 1..=ROUNDS {
        lab.say(&format!(
            "{} viewers, {slow} at half the rate, round {round}",
            setting.viewers
        ));
        let server = Server::start(lab, Contender::Relay, &setting).await?;
        let watch = Watch {
            slow,
            pids: vec![server.pid],
            ..Watch::of(&server.url, setting.viewers, lab.seconds(Part::Slow))
        };
        let sample = audience(lab, &server, Contender::Relay, &setting, &watch, round).await?;
        measured.samples.push(sample);
    }
    Ok(measured)
}
