//! Ours beside the servers that package registries carry, each with its own defaults.

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::peer;
use crate::results::Measured;
use crate::rounds::{Trial, alternate};
use crate::sample::{Contender, Setting};

/// The audiences.
const AUDIENCES: [u64; 3] = [500, 1_000, 2_000];

/// The floor's period, and the relay's. With so few viewers the relay would take a shorter one by itself, for less latency
/// and more work; those that it is beside here let viewers wait for longer than this.
const PERIOD_MS: u32 = 100;

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Peers);
    let mut contenders = vec![Contender::Floor, Contender::Relay, Contender::RelayRtmp];
    for peer in Contender::PEERS {
        if peer::is_there(&lab.tools, peer) {
            contenders.push(peer);
        } else {
            let name = peer.name();
            measured
                .notes
                .push(format!("{name}: not installed; `scripts/peers` says why."));
        }
    }
    measured.notes.push(format!(
        "The relay and the floor have a fixed period of {PERIOD_MS} ms here; by itself the relay takes a shorter one for so few \
         viewers, with less latency and more work per GB."
    ));
    for viewers in lab.audiences(&AUDIENCES) {
        let trials: Vec<Trial> = contenders
            .iter()
            .map(|contender| Trial {
                contender: *contender,
                setting: Setting {
                    period_ms: (!Contender::PEERS.contains(contender)).then_some(PERIOD_MS),
                    ..Setting::of(viewers)
                },
                seconds: lab.seconds(Part::Peers),
            })
            .collect();
        alternate(lab, Part::Peers, &trials, &mut measured).await?;
    }
    Ok(measured)
}
