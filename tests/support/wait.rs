//! Waiting for events, never for time to pass.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The longest that a story waits for anything: far above what a loaded machine needs, far below a CI's limit.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition without an event of its own is looked at.
pub const GLANCE: Duration = Duration::from_millis(25);

/// Waits for `event`, at most [`PATIENCE`]; `what` completes the sentence "waited 60 s for …".
///
/// # Errors
/// When it does not come.
pub async fn within<T>(what: impl Display, event: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, event)
        .await
        .with_context(|| format!("waited {} s for {what}", PATIENCE.as_secs()))
}

/// Looks again and again until `glance` sees what it is after, at most [`PATIENCE`].
///
/// # Errors
/// When it does not come.
pub async fn until<T>(what: impl Display, mut glance: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    within(what, async {
        loop {
            if let Some(seen) = glance().await {
                return seen;
            }
            tokio::time::sleep(GLANCE).await;
        }
    })
    .await
}
