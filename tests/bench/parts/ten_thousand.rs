//! Ten thousand viewers on one core, at the relay's own period, beside the bare send loop.

use anyhow::Result;

use super::floor::LONG_PERIOD_MS;
use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{Trial, alternate};
use crate::sample::{Contender, Setting};

/// The audience.
pub(crate) const VIEWERS: u64 = 10_000;

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::TenThousand);
    let seconds = lab.seconds(Part::TenThousand);
    let setting = Setting::of(lab.viewers(VIEWERS));
    let trials = [
        Trial {
            contender: Contender::Floor,
            setting: Setting {
                period_ms: Some(LONG_PERIOD_MS),
                ..setting.clone()
            },
            // As long as the relay's: a full core is late now and then, and who is looked at for longer shows it more.
            seconds,
        },
        Trial {
            contender: Contender::Relay,
            setting,
            seconds,
        },
    ];
    alternate(lab, Part::TenThousand, &trials, &mut measured).await?;
    Ok(measured)
}
