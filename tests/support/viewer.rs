//! A viewer that checks all it gets and never dials twice.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::checker::{Checker, Report};
use crate::flv;
use crate::http::{Dechunker, Head, split_url};
use crate::ledger::Ledger;
use crate::rtmp;
use crate::story::lock;
use crate::wait::within;

/// How a viewer takes the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// FLV over HTTP/1.1, chunked.
    Http11,
    /// FLV over HTTP/1.0, ended by the close.
    Http10,
    /// RTMP play.
    Rtmp,
}

type Shared = Arc<std::sync::Mutex<Checker>>;

/// One viewer, on a task of its own.
pub struct Viewer {
    checker: Shared,
    seen: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Viewer {
    /// Dials `url` (`http://…/app/name.flv` or `rtmp://…/app/name`) and checks what comes, against the ledger if there is one.
    pub fn watch(flavour: Flavour, url: &str, ledger: Option<&Ledger>) -> Self {
        let checker = Checker::new(ledger.cloned(), Instant::now());
        let checker = Arc::new(std::sync::Mutex::new(checker));
        let (told, seen) = watch::channel(0);
        let eye = Eye {
            checker: Arc::clone(&checker),
            told,
        };
        let url = url.to_owned();
        let task = tokio::spawn(async move {
            let how = match flavour {
                Flavour::Http11 => watch_http(&eye, &url, "1.1").await,
                Flavour::Http10 => watch_http(&eye, &url, "1.0").await,
                Flavour::Rtmp => rtmp::play(&eye, &url).await,
            };
            let how = how.map_or_else(|error| format!("{error:#}"), |()| "the stream's end".to_owned());
            lock(&eye.checker).end(how);
            eye.told.send_modify(|seen| *seen += 1);
        });
        Self { checker, seen, task }
    }

    /// What it noticed so far.
    pub fn report(&self) -> Report {
        lock(&self.checker).report().clone()
    }

    /// Looks at the report in place, without a copy.
    pub fn ask<T>(&self, question: impl FnOnce(&Report) -> T) -> T {
        question(lock(&self.checker).report())
    }

    /// Waits until the report is as wished. A connection that ended before that is an error, since nothing more comes.
    ///
    /// # Errors
    /// When the connection ended, or the limit passed.
    pub async fn until(&mut self, what: &str, wished: impl Fn(&Report) -> bool) -> Result<()> {
        let event = async {
            loop {
                self.seen.borrow_and_update();
                let ended = self.ask(|report| (wished(report), report.ended.clone()));
                match ended {
                    (true, _) => return Ok(()),
                    (false, Some(how)) => bail!("the viewer's connection ended ({how}) before {what}"),
                    (false, None) => {}
                }
                // The task that held the sender ended: look once more, then say how.
                if self.seen.changed().await.is_err() && self.ask(|report| report.ended.is_none()) {
                    bail!("the viewer was stopped before {what}");
                }
            }
        };
        let waited = within(what, event).await;
        waited.with_context(|| format!("so far: {}", self.ask(summary)))?
    }

    /// Waits for `more` media messages from now on.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn gets(&mut self, more: usize) -> Result<()> {
        let target = self.ask(|report| report.media) + more;
        self.until(&format!("{more} more messages"), |report| report.media >= target)
            .await
    }

    /// All is well: connected since the start, nothing wrong in what came.
    ///
    /// # Errors
    /// When it is not.
    pub fn is_content(&self) -> Result<()> {
        self.ask(|report| {
            ensure!(report.fault_count == 0, "{}", report.complaint());
            ensure!(report.ended.is_none(), "its connection ended: {:?}", report.ended);
            if let Some((audio, video)) = report.promised {
                ensure!(
                    (audio || report.audio == 0) && (video || report.video == 0),
                    "the FLV header promised audio {audio} and video {video}, {}",
                    summary(report)
                );
            }
            Ok(())
        })
    }

    /// As [`Self::is_content`], and it was never moved forward: no gap in all it got.
    ///
    /// # Errors
    /// When there is anything to complain of.
    pub fn missed_nothing(&self) -> Result<()> {
        self.is_content()?;
        let jumps = self.ask(|report| report.jumps.clone());
        ensure!(jumps.is_empty(), "messages are missing: {jumps:?}");
        Ok(())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the reading task holds of a viewer.
pub(crate) struct Eye {
    checker: Shared,
    told: watch::Sender<usize>,
}

impl Eye {
    /// Takes messages that came together.
    pub(crate) fn see(&self, messages: &[crate::media::Message]) {
        let now = Instant::now();
        let mut checker = lock(&self.checker);
        for message in messages {
            checker.see(message, now);
        }
        self.told.send_modify(|seen| *seen += messages.len());
    }

    fn promise(&self, promised: Option<(bool, bool)>) {
        lock(&self.checker).promise(promised);
    }
}

fn summary(report: &Report) -> String {
    format!(
        "{} pictures ({} keys), {} sounds, {} scripts, {} jumps, {} faults",
        report.video,
        report.keyframes,
        report.audio,
        report.script,
        report.jumps.len(),
        report.fault_count
    )
}

async fn watch_http(eye: &Eye, url: &str, version: &str) -> Result<()> {
    let (host, path) = split_url(url)?;
    let mut socket = TcpStream::connect(host)
        .await
        .with_context(|| format!("dialling {host}"))?;
    let request = format!("GET {path} HTTP/{version}\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = BytesMut::with_capacity(64 * 1024);
    let head = loop {
        ensure!(socket.read_buf(&mut bytes).await? > 0, "closed within the head");
        if let Some(head) = Head::take(&mut bytes)? {
            break head;
        }
    };
    let mut chunks = check_head(&head, version)?.then(Dechunker::default);
    let mut reader = flv::Reader::default();
    loop {
        let content = match &mut chunks {
            Some(chunks) => chunks.push(&bytes)?,
            None => bytes.to_vec(),
        };
        reader.push(&content)?;
        eye.promise(reader.promised());
        eye.see(&reader.take_messages());
        bytes.clear();
        if chunks.as_ref().is_some_and(Dechunker::is_ended) {
            ensure!(reader.is_at_boundary(), "the last chunk came within a tag");
            return Ok(());
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            ensure!(chunks.is_none(), "closed without a last chunk");
            ensure!(reader.is_at_boundary(), "closed within a tag");
            return Ok(());
        }
    }
}

/// Checks the head of a live stream; whether it is chunked.
fn check_head(head: &Head, version: &str) -> Result<bool> {
    ensure!(head.status == 200, "status {}", head.status);
    ensure!(
        head.header("content-type") == Some("video/x-flv"),
        "not announced as FLV: {head:?}"
    );
    ensure!(
        head.header("cache-control") == Some("no-store"),
        "may be cached: {head:?}"
    );
    ensure!(
        head.header("x-accel-buffering") == Some("no"),
        "may be buffered by a proxy: {head:?}"
    );
    ensure!(
        head.header("content-length").is_none(),
        "a live stream has no length: {head:?}"
    );
    let chunked = head.header("transfer-encoding") == Some("chunked");
    ensure!(chunked == (version == "1.1"), "HTTP/{version}, but {head:?}");
    Ok(chunked)
}
