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

/// The floor's period: what the relay's latency is held against.
const FLOOR_PERIOD_MS: u32 = 50;

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
    for viewers in lab.audiences(&AUDIENCES) {
        let trials: Vec<Trial> = contenders
            .iter()
            .map(|contender| Trial {
                contender: *contender,
                setting: Setting {
                    period_ms: (*contender == Contender::Floor).then_some(FLOOR_PERIOD_MS),
                    ..Setting::of(viewers)
                },
                seconds: lab.seconds(Part::Peers),
            })
            .collect();
        alternate(lab, Part::Peers, &trials, &mut measured).await?;
    }
    Ok(measured)
}
