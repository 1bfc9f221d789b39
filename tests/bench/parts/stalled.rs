//! Two thousand watch, and a tenth of them never reads.

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{ROUNDS, audience, look};
use crate::sample::{Contender, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// All viewers.
const VIEWERS: u64 = 2_000;

/// One of so many never reads.
pub(crate) const ONE_OF: u64 = 10;

/// The look without stalled viewers.
pub(crate) const WITHOUT: &str = "without";

/// The look with them, at the same server.
pub(crate) const WITH: &str = "with";

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Stalled);
    let setting = Setting::of(lab.viewers(VIEWERS));
    for round in 1..=ROUNDS {
        let seconds = lab.seconds(Part::Stalled);
        let server = Server::start(lab, Contender::Relay, &setting).await?;
        lab.say(&format!("{} viewers, all read, round {round}", setting.viewers));
        let mut without = look(lab, &server, Contender::Relay, &setting, seconds, round).await?;
        WITHOUT.clone_into(&mut without.look);
        let stalled = setting.viewers / ONE_OF;
        lab.say(&format!(
            "{} viewers, {stalled} never read, round {round}",
            setting.viewers
        ));
        let watch = Watch {
            stalled,
            pids: vec![server.pid],
            ..Watch::of(&server.url, setting.viewers, seconds)
        };
        let mut with = audience(lab, &server, Contender::Relay, &setting, &watch, round).await?;
        WITH.clone_into(&mut with.look);
        measured.samples.extend([without, with]);
    }
    Ok(measured)
}
