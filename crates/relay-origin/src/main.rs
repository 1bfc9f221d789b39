//! `relay-origin`: takes live streams from encoders, pushes them to edges, serves viewers.

use std::io::{IsTerminal as _, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use relay_core::admin::KeyRequest;
use relay_core::clock::Clock;
use relay_core::command_line::{complain, has_left, parse, say};
use relay_core::config::{Config, Environment, Program};
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;
use relay_core::{check, signals};
use relay_origin::cli::{Cli, EdgeVerb, KeyVerb, TokenVerb, Verb};
use relay_origin::origin::Origin;
use relay_origin::{console, rtmps, top, verbs};

/// Which stream the greeting's examples name.
const EXAMPLE_STREAM: &str = "live/camera";

fn main() -> ExitCode {
    let cli: Cli = match parse(Program::Origin) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    if cli.version {
        return say(
            Program::Origin,
            concat!("relay-origin ", env!("CARGO_PKG_VERSION")),
        )
        .into();
    }
    match act(cli) {
        Ok(exit) => exit.into(),
        Err((exit, error)) => {
            // Each error is a whole sentence, its cause in it.
            complain(Program::Origin, error);
            exit.into()
        }
    }
}

type Failure = (Exit, anyhow::Error);

fn act(cli: Cli) -> Result<Exit, Failure> {
    let environment = Environment::process();
    let load = |path: Option<&Path>| {
        Config::load(path, &environment).map_err(|error| (Exit::Config, anyhow::Error::from(error)))
    };
    let runtime = || {
        OpenFiles::raise()
            .enough()
            .map_err(|error| (Exit::OsError, anyhow::Error::from(error)))?;
        tokio::runtime::Runtime::new().map_err(|error| (Exit::OsError, anyhow!("cannot start: {error}")))
    };
    let done = |result: Result<(), verbs::VerbError>| match result {
        Ok(()) => Ok(Exit::Ok),
        Err(verbs::VerbError::Output(error)) if has_left(&error) => Ok(Exit::Ok),
        Err(error) => Err((error.exit(), error.into())),
    };
    let mut out = stdout();
    match cli.verb {
        None => run(&load(cli.config.as_deref())?, &environment, &runtime()?),
        Some(Verb::Run(verb)) => run(
            &load(verb.config.or(cli.config).as_deref())?,
            &environment,
            &runtime()?,
        ),
        Some(Verb::Check(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            let hook = config.scale_out.program();
            hook.map_err(|error| (Exit::Config, error.into()))?;
            let certificate = rtmps::check(&config, Clock::start().now());
            certificate.map_err(|error| (Exit::IoError, error.into()))?;
            Ok(say(
                Program::Origin,
                check::report(&config, Program::Origin, &check::Facts::read()),
            ))
        }
        Some(Verb::Streams(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            done(runtime()?.block_on(verbs::streams(&config, &environment, &mut out)))
        }
        Some(Verb::Kick(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            done(runtime()?.block_on(verbs::kick(&config, &environment, &verb.whom, &mut out)))
        }
        Some(Verb::Edges(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            done(runtime()?.block_on(verbs::edges(&config, &environment, &mut out)))
        }
        Some(Verb::Edge(edge)) => {
            let outer = edge.config.or(cli.config);
            let runtime = runtime()?;
            match edge.verb {
                EdgeVerb::Drain(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    let drained = verbs::drain_edge(&config, &environment, &verb.id, !verb.undo, &mut out);
                    done(runtime.block_on(drained))
                }
                EdgeVerb::Revoke(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    done(runtime.block_on(verbs::revoke_edge(&config, &environment, &verb.id, &mut out)))
                }
            }
        }
        Some(Verb::Console(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            let opened = console::run(&config, &environment, verb.listen, verb.allow_changes, &mut out);
            done(runtime()?.block_on(opened))
        }
        Some(Verb::Top(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            done(runtime()?.block_on(top::run(&config, &environment)))
        }
        Some(Verb::PublishUrl(verb)) => {
            let config = load(verb.config.or(cli.config).as_deref())?;
            let (stream, tls) = (&verb.stream, verb.rtmps);
            done(verbs::keys::publish_url(
                &config,
                &environment,
                stream,
                tls,
                &mut out,
            ))
        }
        Some(Verb::Key(key)) => {
            let outer = key.config.or(cli.config);
            let runtime = runtime()?;
            match key.verb {
                KeyVerb::Add(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    let wish = KeyRequest {
                        id: verb.id.map(|id| id.to_string()),
                        stream: verb.stream.to_string(),
                        from: verb.from.iter().map(ToString::to_string).collect(),
                        ttl_seconds: verb.ttl.map(|ttl| ttl.as_secs()),
                    };
                    let made = verbs::keys::add(&config, &environment, wish, verb.rtmps, &mut out);
                    done(runtime.block_on(made))
                }
                KeyVerb::List(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    done(runtime.block_on(verbs::keys::list(&config, &environment, &mut out)))
                }
                KeyVerb::Revoke(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    let revoked = verbs::keys::revoke(&config, &environment, &verb.id, &mut out);
                    done(runtime.block_on(revoked))
                }
            }
        }
        Some(Verb::Token(token)) => {
            let outer = token.config.or(cli.config);
            let runtime = runtime()?;
            match token.verb {
                TokenVerb::Create(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    let made = verbs::create_token(&config, &environment, verb.ttl, verb.uses, &mut out);
                    done(runtime.block_on(made))
                }
                TokenVerb::List(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    done(runtime.block_on(verbs::list_tokens(&config, &environment, &mut out)))
                }
                TokenVerb::Revoke(verb) => {
                    let config = load(verb.config.or(outer).as_deref())?;
                    done(runtime.block_on(verbs::revoke_token(&config, &environment, &verb.id, &mut out)))
                }
            }
        }
    }
}

fn run(
    config: &Config,
    environment: &Environment,
    runtime: &tokio::runtime::Runtime,
) -> Result<Exit, Failure> {
    relay_core::logging::start(&config.log).map_err(|error| (Exit::Software, error.into()))?;
    runtime.block_on(async {
        let stop = signals::stop_on_signal().map_err(|error| (Exit::OsError, error.into()))?;
        let origin = Origin::bind(config, environment)
            .await
            .map_err(|error| (error.exit(), error.into()))?;
        if stdout().is_terminal() && stderr().is_terminal() {
            let stream = EXAMPLE_STREAM
                .parse()
                .map_err(|error| (Exit::Software, anyhow::Error::from(error)))?;
            // A terminal that is gone is a hang-up, which ends the program by itself.
            say(Program::Origin, origin.greeting(&stream));
        } else {
            tracing::info!("`relay-origin publish-url app/name` shows where to publish");
        }
        origin.run(stop).await;
        Ok(Exit::Ok)
    })
}
