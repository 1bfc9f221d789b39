//! Many streams with few viewers each, beside one stream with as many viewers.

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::rounds::{Trial, alternate};
use crate::sample::{Contender, Setting};

/// Many streams.
const STREAMS: u32 = 200;

/// Viewers in all.
const VIEWERS: u64 = 4_000;

/// Both at one period, so that what is compared is the number of streams alone.
const PERIOD_MS: u32 = 50;

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Streams);
    let viewers = lab.viewers(VIEWERS);
    // A cut audience has as few viewers per stream as the whole one.
    let few = u32::try_from(viewers * u64::from(STREAMS) / VIEWERS).unwrap_or(STREAMS);
    let trials = [1, few.max(2)].map(|streams| Trial {
        contender: Contender::Relay,
        setting: Setting {
            streams,
            period_ms: Some(PERIOD_MS),
            ..Setting::of(viewers)
        },
        seconds: lab.seconds(Part::Streams),
    });
    alternate(lab, Part::Streams, &trials, &mut measured).await?;
    Ok(measured)
}
