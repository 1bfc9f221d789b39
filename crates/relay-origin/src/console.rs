//! `relay-origin console`: a way for a browser of this machine to the running origin's admin socket, until Ctrl-C.

mod forward;
mod guard;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::{TokioIo, TokioTimer};
use relay_core::admin::{AdminClient, Overview};
use relay_core::config::{Config, Environment};
use relay_core::few::serve_few;
use relay_core::limits::{CONSOLE_CONNECTIONS, CONSOLE_HEAD_TIME};
use relay_core::signals;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::verbs::{self, VerbError};
use forward::Forwarder;
use guard::Guard;

/// An open door to the console.
#[derive(Debug)]
pub struct Console {
    listener: TcpListener,
    url: String,
    forwarder: Arc<Forwarder>,
}

impl Console {
    /// Opens it on a loopback address, for whoever has the URL.
    ///
    /// # Errors
    /// When the port is not to be had, or the system has no chance to give.
    pub async fn open(
        client: AdminClient,
        listen: SocketAddr,
        allow_changes: bool,
    ) -> Result<Self, VerbError> {
        let listen_failed = |error| VerbError::Listen {
            address: listen,
            error,
        };
        let listener = TcpListener::bind(listen).await.map_err(listen_failed)?;
        let address = listener.local_addr().map_err(listen_failed)?;
        let guard = Guard::new(allow_changes).map_err(|error| VerbError::System(error.into()))?;
        Ok(Self {
            listener,
            url: format!("http://{address}/{}/", guard.token()),
            forwarder: Arc::new(Forwarder::new(client, guard)),
        })
    }

    /// Where a browser finds it. Who has it, has what it shows.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        serve_few(&self.listener, CONSOLE_CONNECTIONS, &stop, |socket| {
            let forwarder = Arc::clone(&self.forwarder);
            async move {
                let service = hyper::service::service_fn(|request| forwarder.answer(request));
                let serving = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(CONSOLE_HEAD_TIME)
                    .serve_connection(TokioIo::new(socket), service);
                // A browser that closes a tab in the middle of an answer is no failure.
                let _ = serving.await;
            }
        })
        .await;
    }
}

/// Opens the console of the running origin, prints its URL, and serves it until Ctrl-C.
///
/// # Errors
/// When no origin answers, or the port is not to be had.
pub async fn run(
    config: &Config,
    environment: &Environment,
    listen: SocketAddr,
    allow_changes: bool,
    out: &mut impl Write,
) -> Result<(), VerbError> {
    let client = verbs::client(config, environment);
    // A page that says at once that nobody is there is of less use than a sentence here.
    client.get::<Overview>("/api/v1/overview").await?;
    let stop = signals::stop_on_signal().map_err(VerbError::System)?;
    let console = Console::open(client, listen, allow_changes).await?;
    writeln!(out, "{}", console.url())?;
    let may = if allow_changes { "sees and changes" } else { "sees" };
    writeln!(
        out,
        "Open it in a browser on this machine. Whoever has this address {may} what it shows; Ctrl-C ends it."
    )?;
    out.flush()?;
    console.run(stop).await;
    Ok(())
}
