//! `relay-load`: publishes a synthetic stream, watches it with thousands of viewers, and says how well it was served.

use std::process::ExitCode;

use argh::FromArgs;
use relay_core::exit::Exit;
use relay_core::signals;
use relay_load::watch;

/// Publishes a synthetic stream, watches it with thousands of viewers, and says how well it was served.
#[derive(Debug, FromArgs)]
struct Cli {
    /// what to do
    #[argh(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
enum Verb {
    /// Watch.
    Watch(watch::Verb),
}

fn main() -> ExitCode {
    let Cli {
        verb: Verb::Watch(verb),
    } = argh::from_env();
    // Signals are waited for beside the thread that watches, which has no time for them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let stop = runtime.and_then(|runtime| {
        let stop = runtime.block_on(async { signals::stop_on_signal() })?;
        Ok((stop, runtime))
    });
    let (stop, _runtime) = match stop {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("relay-load: cannot start: {error}");
            return Exit::OsError.into();
        }
    };
    match watch::run(&verb, &|| stop.is_cancelled()) {
        Ok(report) => {
            println!("{}", watch::in_words(&report));
            ExitCode::from(u8::from(!report.complaints.is_empty()))
        }
        Err(error) => {
            eprintln!("relay-load: {error}");
            error.exit().into()
        }
    }
}
