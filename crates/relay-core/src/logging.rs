//! Logs: text for a person at a terminal, JSON for everything else.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat};

/// Sends what happens to standard error, in the form and from the level that `log` says.
///
/// Automatic form means text where standard error is a terminal, in colour unless `NO_COLOR` is set, and a line of JSON per
/// event elsewhere.
///
/// # Errors
/// When the process has a log already.
pub fn start(log: &Log) -> Result<(), TryInitError> {
    let terminal = stderr().is_terminal();
    let text = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // The level was read as a filter when the configuration was: it is one.
    let filter = EnvFilter::try_new(log.level.as_str()).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_timer(SystemTime);
    if text {
        builder.with_ansi(colour).with_target(false).finish().try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .finish()
            .try_init()
    }
}
