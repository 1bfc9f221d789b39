//! `relay-origin top`: the running origin and its pool on a terminal, a snapshot a second; elsewhere one, as text.

mod screen;
mod window;

use std::io::{IsTerminal as _, Write, stdout};
use std::time::Duration;

use relay_core::admin::{AdminClient, Overview};
use relay_core::config::{Config, Environment};
use relay_core::signals;
use tokio_util::sync::CancellationToken;

use crate::verbs::{self, VerbError};
use screen::{Style, lines};
use window::Window;

/// How often a new snapshot is shown.
const REFRESH: Duration = Duration::from_secs(1);

/// Shows the running origin until Ctrl-C; where standard output is no terminal, once.
///
/// # Errors
/// When no origin answers, or the output fails.
pub async fn run(config: &Config, environment: &Environment) -> Result<(), VerbError> {
    let client = verbs::client(config, environment);
    let first: Overview = client.get("/api/v1/overview").await?;
    if !stdout().is_terminal() {
        let mut text = lines(&first, Style::plain()).join("\n");
        text.push('\n');
        return Ok(stdout().write_all(text.as_bytes())?);
    }
    let stop = signals::stop_on_signal().map_err(VerbError::System)?;
    watch(&client, first, &stop).await
}

async fn watch(client: &AdminClient, first: Overview, stop: &CancellationToken) -> Result<(), VerbError> {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut window = Window::open(stdout())?;
    let (mut seen, mut trouble) = (first, None::<String>);
    loop {
        let size = window::size();
        let style = Style {
            // The last column stays empty: what is erased behind a full row would be its last character.
            columns: Some(size.0.saturating_sub(1).max(1)),
            rows: Some(size.1.saturating_sub(usize::from(trouble.is_some()))),
            colour,
        };
        let shown = lines(&seen, style);
        let above = trouble.iter().map(|error| screen::trouble(error, style));
        window.show(above.chain(shown))?;
        let next = async {
            tokio::time::sleep(REFRESH).await;
            client.get::<Overview>("/api/v1/overview").await
        };
        match stop.run_until_cancelled(next).await {
            None => return Ok(()),
            Some(Ok(snapshot)) => (seen, trouble) = (snapshot, None),
            // It may be starting again: what was seen last stays, and says that it is old.
            Some(Err(error)) => trouble = Some(error.to_string()),
        }
    }
}
