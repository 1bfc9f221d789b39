//! Ours beside the bare send loop, at the same fixed period.

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{Trial, alternate};
use crate::sample::{Contender, Setting};

/// The period of all but the largest audience.
const PERIOD_MS: u32 = 50;

/// The period of ten thousand: at half of it one core is full.
pub(crate) const LONG_PERIOD_MS: u32 = 100;

/// From here on the long period is used.
const LARGE: u64 = 10_000;

/// The audiences; of 4 Mbit/s ten thousand are more than the kernel itself delivers from one core.
const AUDIENCES: [(u32, &[u64]); 2] = [(1, &[100, 1_000, 4_000, 10_000]), (4, &[100, 1_000, 4_000])];

/// Who takes turns.
const BOTH: [Contender; 2] = [Contender::Floor, Contender::Relay];

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Floor);
    for (mbit, audiences) in AUDIENCES {
        for viewers in lab.audiences(audiences) {
            let period = if viewers >= LARGE {
                LONG_PERIOD_MS
            } else {
                PERIOD_MS
            };
            compare(lab, &BOTH, viewers, mbit, period, &mut measured).await?;
        }
    }
    // What a small audience costs per byte at the long period, for the comparison with the largest; and what it costs the
    // floor, which wakes the same processor from its sleep as often.
    let few = lab.viewers(100);
    compare(lab, &BOTH, few, 1, LONG_PERIOD_MS, &mut measured).await?;
    let many = 10_000;
    measured.notes.push(format!(
        "{many} viewers, 4 Mbit/s: left out, for 5 GB a second are more than one core delivers at the floor's cost."
    ));
    Ok(measured)
}

async fn compare(
    lab: &Lab,
    contenders: &[Contender],
    viewers: u64,
    mbit: u32,
    period_ms: u32,
    measured: &mut Measured,
) -> Result<()> {
    let trials: Vec<Trial> = contenders
        .iter()
        .map(|contender| Trial {
            contender: *contender,
            setting: Setting {
                mbit,
                period_ms: Some(period_ms),
                ..Setting::of(viewers)
            },
            seconds: lab.seconds(Part::Floor),
        })
        .collect();
    alternate(lab, Part::Floor, &trials, measured).await
}
