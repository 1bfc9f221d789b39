//! The parts: what each starts, lets watch, and notes down.

pub(crate) mod budget;
mod floor;
mod peers;
mod slow;
pub(crate) mod stalled;
pub(crate) mod starter;
pub(crate) mod storm;
mod streams;
pub(crate) mod ten_thousand;

use anyhow::Result;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;

/// Measures a part.
///
/// # Errors
/// When something of it does not run at all; a figure that is not as wished is no error here.
pub(crate) async fn measure(lab: &Lab, part: Part) -> Result<Measured> {
    match part {
        Part::Floor => floor::measure(lab).await,
        Part::TenThousand => ten_thousand::measure(lab).await,
        Part::Peers => peers::measure(lab).await,
        Part::Storm => storm::measure(lab).await,
        Part::Stalled => stalled::measure(lab).await,
        Part::Slow => slow::measure(lab).await,
        Part::Streams => streams::measure(lab).await,
        Part::Budget => budget::measure(lab).await,
        Part::Starter => starter::measure(lab).await,
    }
}
