//! `relay-edge`: joins a pool by its token, takes its streams, serves viewers.

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use relay_core::command_line::{complain, parse, say};
use relay_core::config::{Config, Environment, Program};
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;
use relay_core::token::JoinToken;
use relay_core::{check, logging, signals};
use relay_edge::cli::{Cli, Verb};
use relay_edge::edge::Edge;
use relay_edge::measure::measure;

fn main() -> ExitCode {
    let cli: Cli = match parse(Program::Edge) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    if cli.version {
        return say(Program::Edge, concat!("relay-edge ", env!("CARGO_PKG_VERSION"))).into();
    }
    match act(cli) {
        Ok(exit) => exit.into(),
        Err((exit, error)) => {
            // Each error is a whole sentence, its cause in it.
            complain(Program::Edge, error);
            exit.into()
        }
    }
}

type Failure = (Exit, anyhow::Error);

fn act(cli: Cli) -> Result<Exit, Failure> {
    let environment = Environment::process();
    let load =
        |path: Option<&Path>| Config::load(path, &environment).map_err(|error| (Exit::Config, error.into()));
    let (path, join) = match cli.verb {
        None => (cli.config, cli.join),
        Some(Verb::Run(run)) => (run.config.or(cli.config), run.join.or(cli.join)),
        Some(Verb::Check(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            let report = check::report(&config, Program::Edge, &check::Facts::read());
            return Ok(say(Program::Edge, report));
        }
        Some(Verb::Measure(verb)) => {
            let config = load(verb.config.as_deref().or(cli.config.as_deref()))?;
            let found = measure(&config, &verb)
                .map_err(|error| (Exit::OsError, anyhow!("cannot measure: {error}")))?;
            return Ok(say(Program::Edge, found));
        }
    };
    run(&load(path.as_deref())?, &environment, join.as_deref())
}

fn run(config: &Config, environment: &Environment, join: Option<&str>) -> Result<Exit, Failure> {
    let token = config
        .join_text(join, environment)
        .map_err(|error| (Exit::Config, error.into()))?;
    let token = token
        .parse::<JoinToken>()
        .map_err(|error| (Exit::Config, anyhow!("the join token is no good: {error}")))?;
    logging::start(&config.log).map_err(|error| (Exit::Software, error.into()))?;
    OpenFiles::raise()
        .enough()
        .map_err(|error| (Exit::OsError, error.into()))?;
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| (Exit::OsError, anyhow!("cannot start: {error}")))?;
    runtime.block_on(async {
        let stop = signals::stop_on_signal().map_err(|error| (Exit::OsError, error.into()))?;
        let edge = Edge::bind(config, environment, token)
            .await
            .map_err(|error| (error.exit(), error.into()))?;
        edge.run(stop)
            .await
            .map_err(|error| (error.exit(), error.into()))?;
        Ok(Exit::Ok)
    })
}
