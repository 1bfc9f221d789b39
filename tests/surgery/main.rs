//! The surgery: the evening of 2012 again, in about three minutes. A heart operation is streamed from one server with an uplink
//! of 100 Mbit/s, and a crowd comes that needs several times that. Once as it was, once with the pool.
//!
//! - [`ground`], [`machine`], [`wires`]: the network, in namespaces of its own; the machines in it; what their wires carry.
//! - [`evening`]: who comes when, and what happens; [`pool`], [`cloud`], [`encoder`]: whom it happens to; [`run`]: it takes its course.
//! - [`crowd`], [`viewer`], [`dial`], [`picture`]: the viewers; [`resolver`]: whom they ask for the way.
//! - [`second`], [`report`], [`judge`], [`words`], [`plot`]: what is kept of it, and what becomes of that.

mod cloud;
mod crowd;
mod dial;
mod encoder;
mod evening;
mod ground;
mod judge;
mod machine;
mod picture;
mod plot;
mod pool;
mod report;
mod resolver;
mod run;
mod second;
mod viewer;
mod wires;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use argh::FromArgs;
use relay_core::command_line::{complain, say};
use relay_core::exit::Exit;
use relay_tests::story::{Stage, profile_dir, target_dir};
use tokio::signal::unix::{SignalKind, signal};

use evening::Evening;
use ground::Ground;
use report::Report;

/// The program's name, for what it prints.
const NAME: &str = "surgery";

/// The fewest viewers that overload the uplink of 100 Mbit/s at 2.5 Mbit/s each, with what a wave needs beyond.
const FEWEST_VIEWERS: usize = 60;

/// More are not needed to tell the story, and would measure the machine that it is told on.
const MOST_VIEWERS: usize = 2000;

/// Replays the evening of 2012 in network namespaces: a crowd, and one server with 100 Mbit/s; then the same with the pool.
#[derive(FromArgs)]
struct Cli {
    /// how many viewers come to each of the two evenings (default 200: five times the uplink)
    #[argh(option, default = "200")]
    viewers: usize,
}

fn main() -> ExitCode {
    let cli: Cli = argh::from_env();
    if !(FEWEST_VIEWERS..=MOST_VIEWERS).contains(&cli.viewers) {
        complain(
            NAME,
            format_args!("a crowd is {FEWEST_VIEWERS} to {MOST_VIEWERS} viewers"),
        );
        return Exit::Usage.into();
    }
    if let Err(why) = ground::is_possible() {
        complain(NAME, why);
        return Exit::NoPermission.into();
    }
    match act(&cli) {
        Ok(true) => Exit::Ok.into(),
        Ok(false) => Exit::Unmet.into(),
        Err(error) => {
            complain(NAME, format_args!("it cannot go on: {error:#}"));
            Exit::OsError.into()
        }
    }
}

/// Whether all bars hold.
fn act(cli: &Cli) -> Result<bool> {
    ground::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let folder = target_dir()?.join("surgery");
    let found = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Whatever happens, all that was started ends when the evening is dropped: each process by its own number.
        tokio::select! {
            report = both(cli, &folder) => report,
            _ = interrupt.recv() => anyhow::bail!("it was interrupted"),
            _ = terminate.recv() => anyhow::bail!("it was told to end"),
        }
    });
    let report = found?;
    let bars = judge::bars(&report);
    let text = words::report(&report, &bars);
    publish(&folder, &report, &text)?;
    say(NAME, format_args!("\n{text}"));
    Ok(bars.iter().all(judge::Bar::holds))
}

/// Both evenings, one after the other, each with machines of its own. What the programs said stays until the next time.
async fn both(cli: &Cli, folder: &Path) -> Result<Report> {
    let stage = Stage::in_folder(NAME, folder.join("stage"))?;
    let programs = profile_dir()?;
    let mut runs = Vec::new();
    for evening in [Evening::plain(cli.viewers), Evening::pool(cli.viewers)] {
        say(NAME, format_args!("\n{}", evening.title));
        let ground = Ground::lay()?;
        let run = run::play(&evening, &ground, &stage, &programs);
        runs.push(run.await.with_context(|| evening.name.to_owned())?);
    }

    let [plain, pool] = <[_; 2]>::try_from(runs).ok().context("there are two evenings")?;
    let build = programs.file_name().unwrap_or_default().to_string_lossy();
    Ok(Report::new(&build, plain, pool))
}

fn publish(folder: &Path, report: &Report, text: &str) -> Result<()> {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    std::fs::write(file("report.json"), serde_json::to_string_pretty(report)? + "\n")?;
    std::fs::write(file("report.txt"), text)?;
    plot::draw(report, &file("evening.svg"))
}
