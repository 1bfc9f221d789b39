//! An evening takes its course.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use relay_core::command_line::say;
use relay_tests::story::Stage;
use tokio::time::{Instant, sleep_until};

use crate::NAME;
use crate::crowd::Crowd;
use crate::evening::{Evening, Event};
use crate::ground::Ground;
use crate::pool::Pool;
use crate::report::Run;
use crate::second::Second;
use crate::wires::Wires;

/// How often it is looked whether something is due, within a second.
const GLANCES: u32 = 10;

/// From the start of all to the first viewer: a moment of rest.
const REST: Duration = Duration::from_secs(1);

/// Plays an evening, and shows a line each second.
///
/// # Errors
/// When a machine does not start, or ends though nobody killed it.
pub(crate) async fn play(evening: &Evening, _ground: &Ground, stage: &Stage, programs: &Path) -> Result<Run> {
    let mut pool = Pool::start(evening, stage, programs).await?;
    let begin = Instant::now() + REST;
    let mut crowd = Crowd::gather(evening, &pool.way(), begin);
    let mut seconds = Vec::new();
    say(NAME, Second::HEAD);
    sleep_until(begin).await;
    let (mut then, mut wires) = (Instant::now(), Wires::look()?);
    for at in 0..evening.seconds {
        let mut events: Vec<Event> = evening
            .events
            .iter()
            .filter(|(due, _)| *due == at)
            .map(|(_, event)| *event)
            .collect();
        events.iter().try_for_each(|event| pool.happens(*event))?;
        for glance in 1..=GLANCES {
            sleep_until(begin + Duration::from_secs(at) + Duration::from_secs(1) * glance / GLANCES).await;
            pool.encoder.look_after()?;
            events.extend(pool.happens_by_itself()?);
        }
        pool.is_well()?;
        let (now, seen) = (Instant::now(), Wires::look()?);
        let length = now - then;
        let count = crowd.end_second(now, length);
        let mbit = |place| seen.mbit_since(&wires, place, length.as_secs_f64());
        let second = Second::new(at, count, mbit, events);
        say(NAME, second.line());
        seconds.push(second);
        (then, wires) = (now, seen);
    }
    let mut run = Run::of(evening, &crowd, seconds);
    run.encoder_returns = pool.encoder.returns;
    // The operation is over: the crowd goes home, and then the machines.
    drop(crowd);
    run.ended_well = pool.goes_home().await?;
    Ok(run)
}
