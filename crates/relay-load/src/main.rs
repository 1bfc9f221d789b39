//! `relay-load`: publishes a synthetic stream, watches it with thousands of viewers, and says how well it was served.

use std::process::ExitCode;

use relay_core::command_line::{complain, parse, say};
use relay_core::exit::Exit;
use relay_core::signals;
use relay_load::cli::{Cli, Verb};
use relay_load::{NAME, floor, publish, watch};

fn main() -> ExitCode {
    let cli: Cli = match parse(NAME) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    if cli.version {
        return say(NAME, concat!("relay-load ", env!("CARGO_PKG_VERSION"))).into();
    }
    match act(cli.verb) {
        Ok(exit) => exit.into(),
        Err((exit, error)) => {
            // Each error is a whole sentence, its cause in it.
            complain(NAME, error);
            exit.into()
        }
    }
}

fn act(verb: Option<Verb>) -> Result<Exit, (Exit, anyhow::Error)> {
    match verb {
        None => Err((
            Exit::Usage,
            anyhow::anyhow!("say what to do; `{NAME} --help` explains"),
        )),
        Some(Verb::Publish(verb)) => publish::run(&verb).map_err(|error| (error.exit(), error.into())),
        Some(Verb::Floor(verb)) => floor::run(&verb).map_err(|error| (error.exit(), error.into())),
        Some(Verb::Watch(verb)) => watch(&verb),
    }
}

/// Watches, and prints what was found; the verdict is the exit code.
fn watch(verb: &watch::Verb) -> Result<Exit, (Exit, anyhow::Error)> {
    // Signals are waited for beside the thread that watches, which has no time for them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| (Exit::OsError, error.into()))?;
    let stop = runtime
        .block_on(async { signals::stop_on_signal() })
        .map_err(|error| (Exit::OsError, error.into()))?;
    let report = watch::run(verb, &|| stop.is_cancelled()).map_err(|error| (error.exit(), error.into()))?;
    let printed = say(NAME, watch::in_words(&report));
    Ok(match printed {
        Exit::Ok if !report.complaints.is_empty() => Exit::Unmet,
        other => other,
    })
}
