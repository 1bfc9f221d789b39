//! Ctrl-C and SIGTERM: the first asks a program to end, the second ends it at once.

use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM; a second one ends the process then and there, as the shell
/// would have. Call it within a tokio runtime.
///
/// # Errors
/// When the system lets nobody listen to signals.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        let number = tokio::select! { _ = interrupt.recv() => 2, _ = terminate.recv() => 15 };
        tracing::info!(signal = number, "shutting down; a second signal ends it at once");
        told.cancel();
        let number = tokio::select! { _ = interrupt.recv() => 2, _ = terminate.recv() => 15 };
        std::process::exit(128 + number);
    });
    Ok(stop)
}

/// SIGHUP as the word to read files again. On a terminal it stays what it is there: the terminal is gone, and the program goes, too.
#[derive(Debug)]
pub struct HangUps(Option<Signal>);

impl HangUps {
    /// Listens from now on. Call it within a tokio runtime.
    ///
    /// # Errors
    /// When the system lets nobody listen to signals.
    pub fn listen() -> io::Result<Self> {
        let at_terminal = io::stderr().is_terminal();
        let signal = (!at_terminal).then(|| signal(SignalKind::hangup()));
        Ok(Self(signal.transpose()?))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let heard = match &mut self.0 {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if heard.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
