//! A publisher of known footage over RTMP, which writes down all that it sends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use relay_core::rtmp::client::Action;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::footage::Footage;
use crate::ledger::Ledger;
use crate::media::Message;
use crate::rtmp::Connection;
use crate::wait::within;

/// How soon an encoder that lost its server dials again.
const REDIAL: Duration = Duration::from_millis(250);

/// A publisher, on a task of its own.
pub struct Encoder {
    task: JoinHandle<Result<()>>,
    farewell: Option<oneshot::Sender<Farewell>>,
    sent: watch::Receiver<usize>,
}

/// How an encoder leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// With the commands that say so.
    Polite,
    /// As when it is killed.
    Abrupt,
}

/// The task's side of an encoder.
struct Control {
    stop: oneshot::Receiver<Farewell>,
    told: watch::Sender<usize>,
}

impl Encoder {
    /// Begins to publish in real time; returns once the server agreed.
    ///
    /// # Errors
    /// When it does not agree.
    pub async fn publish(url: &str, footage: Footage, ledger: &Ledger) -> Result<Self> {
        Self::publish_at(1, url, footage, ledger).await
    }

    /// Begins to publish at a multiple of real time.
    ///
    /// # Errors
    /// When the server does not agree.
    pub async fn publish_at(speed: u32, url: &str, footage: Footage, ledger: &Ledger) -> Result<Self> {
        let connection = begin(url).await?;
        let ledger = ledger.clone();
        Ok(Self::run(async move |mut control| {
            ledger.begin_session();
            send_all(connection, footage, speed, &ledger, &mut control).await
        }))
    }

    /// Publishes in real time, and whenever the server goes away begins again with the footage that `footage` gives
    /// for the number of the attempt, until it is stopped.
    pub fn persist(url: &str, footage: impl Fn(u64) -> Footage + Send + 'static, ledger: &Ledger) -> Self {
        let (url, ledger) = (url.to_owned(), ledger.clone());
        Self::run(async move |mut control| {
            for attempt in 1.. {
                let connection = loop {
                    match begin(&url).await {
                        Ok(connection) => break connection,
                        Err(_) => tokio::time::sleep(REDIAL).await,
                    }
                };
                ledger.begin_session();
                let ended = send_all(connection, footage(attempt), 1, &ledger, &mut control).await;
                if ended.is_ok() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn run<F: Future<Output = Result<()>> + Send + 'static>(body: impl FnOnce(Control) -> F) -> Self {
        let (farewell, stop) = oneshot::channel();
        let (told, sent) = watch::channel(0);
        let task = tokio::spawn(body(Control { stop, told }));
        Self {
            task,
            farewell: Some(farewell),
            sent,
        }
    }

    /// How many messages it sent.
    pub fn sent(&self) -> usize {
        *self.sent.borrow()
    }

    /// Waits until it sent so many more messages.
    ///
    /// # Errors
    /// When it ended before.
    pub async fn sends(&mut self, more: usize) -> Result<()> {
        let goal = self.sent() + more;
        let event = self.sent.wait_for(|sent| *sent >= goal);
        within("the encoder to send more", event)
            .await?
            .context("the encoder ended")?;
        Ok(())
    }

    /// Ends it as `kill -9` would: the connection is reset.
    ///
    /// # Errors
    /// When it had ended before, with the reason.
    pub async fn kill(self) -> Result<()> {
        self.leave(Farewell::Abrupt).await
    }

    /// Ends it with the commands that say so.
    ///
    /// # Errors
    /// When it had ended before, with the reason.
    pub async fn finish(self) -> Result<()> {
        self.leave(Farewell::Polite).await
    }

    async fn leave(mut self, how: Farewell) -> Result<()> {
        if let Some(farewell) = self.farewell.take() {
            // If it ended before, the task says why.
            let _ = farewell.send(how);
        }
        within("the encoder to end", &mut self.task).await??
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn begin(url: &str) -> Result<Connection> {
    let mut connection = Connection::dial(url, Action::Publish).await?;
    connection.started().await?;
    Ok(connection)
}

async fn send_all(
    mut connection: Connection,
    footage: Footage,
    speed: u32,
    ledger: &Ledger,
    control: &mut Control,
) -> Result<()> {
    let start = Instant::now();
    let mut footage = footage.peekable();
    while let Some(next) = footage.peek() {
        let due = start + Duration::from_millis(next.time.into()) / speed;
        tokio::select! {
            biased;
            // A sender that was dropped is an encoder that was dropped: abrupt.
            how = &mut control.stop => return leave(connection, how.unwrap_or(Farewell::Abrupt)).await,
            () = tokio::time::sleep_until(due) => {}
        }
        let elapsed = start.elapsed() * speed;
        let is_due = |message: &Message| Duration::from_millis(message.time.into()) <= elapsed;
        let mut batch = Vec::new();
        while let Some(message) = footage.next_if(is_due) {
            ledger.note(&message);
            batch.push(message);
        }
        connection.send(&batch).await?;
        control.told.send_modify(|sent| *sent += batch.len());
    }
    leave(connection, Farewell::Polite).await
}

async fn leave(connection: Connection, how: Farewell) -> Result<()> {
    match how {
        Farewell::Polite => connection.finish().await,
        Farewell::Abrupt => connection.end_abruptly(),
    }
}
