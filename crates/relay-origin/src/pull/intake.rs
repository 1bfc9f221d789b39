//! What comes of a pull goes into its stream, and tells whether it still comes.

use std::future::Future;
use std::time::Duration;

use relay_core::clock::{Clock, Now};
use relay_core::flv::RawTag;
use relay_core::stream::StreamKey;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::FIRST_TAG_TIME;
use super::board::Entry;
use super::echo::{Echo, is_media};
use super::fault::Fault;
use super::rota::PROVEN;
use crate::ingest::{Feed, Publishing};

/// So many bytes are a sign of life as a tag is: a large picture on a slow line takes its time. Pings are less.
const LIFE_BYTES: usize = 1024;

/// What one attempt brings in. The stream here is opened by its first tag, so that a server that has none takes nobody's place.
/// Dropping it means that the publisher is gone; the grace window starts then.
pub(super) struct Intake<'a> {
    publishing: &'a Publishing,
    stream: &'a StreamKey,
    clock: Clock,
    idle: Duration,
    entry: &'a Entry,
    feed: Option<Feed>,
    /// Until it is known that what comes is no echo.
    echo: Option<Echo>,
    /// The last picture or sound.
    last: Option<RawTag>,
    /// Cancelled when this publisher has to go; never before there is a feed.
    stopped: CancellationToken,
    first_tag: Option<Instant>,
    /// Until then something has to come.
    deadline: Option<Instant>,
    bytes: usize,
}

impl<'a> Intake<'a> {
    /// Nothing has come yet. If this server fell silent before, `last` is what came last.
    pub(super) fn new(
        publishing: &'a Publishing,
        stream: &'a StreamKey,
        clock: Clock,
        idle: Duration,
        entry: &'a Entry,
        last: Option<RawTag>,
    ) -> Self {
        Self {
            publishing,
            stream,
            clock,
            idle,
            entry,
            feed: None,
            echo: last.map(Echo::of),
            last: None,
            stopped: CancellationToken::new(),
            first_tag: None,
            deadline: None,
            bytes: 0,
        }
    }

    /// The server says that it will send; from now on it has to.
    pub(super) fn answered(&mut self) {
        self.deadline
            .get_or_insert_with(|| Instant::now() + FIRST_TAG_TIME);
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    /// When it does not come in time, or this publisher has to go.
    pub(super) async fn wait<T>(&self, next: impl Future<Output = T>) -> Result<T, Fault> {
        let late = match self.first_tag {
            Some(_) => Fault::Idle,
            None => Fault::NoMedia,
        };
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + FIRST_TAG_TIME);
        tokio::select! {
            () = self.stopped.cancelled() => Err(Fault::SentAway),
            next = timeout_at(deadline, next) => next.map_err(|_| late),
        }
    }

    /// Counts bytes as they come, whole tags or not.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.first_tag.is_some() && self.bytes >= LIFE_BYTES {
            self.lives();
        }
    }

    /// Takes a tag.
    ///
    /// # Errors
    /// When it is the first, and the stream has another publisher or no room.
    pub(super) fn handle_tag(&mut self, tag: RawTag) -> Result<(), Fault> {
        let now = self.clock.now();
        let Some(echo) = &mut self.echo else {
            return self.feed(tag, now);
        };
        let Some(held) = echo.handle_tag(tag, now) else {
            return Ok(());
        };
        self.echo = None;
        held.into_iter().try_for_each(|tag| self.feed(tag, now))
    }

    fn feed(&mut self, tag: RawTag, now: Now) -> Result<(), Fault> {
        if self.feed.is_none() {
            let feed = self.publishing.open(self.stream, now).map_err(Fault::NotTaken)?;
            self.stopped = feed.stopped();
            self.feed = Some(feed);
            self.first_tag = Some(Instant::now());
            self.entry.flows(now);
            tracing::info!("the pulled stream comes");
        }
        if let Some(feed) = &self.feed {
            feed.handle_tag(tag.kind, tag.time, tag.payload.clone(), now);
        }
        if is_media(&tag) {
            self.last = Some(tag);
        }
        self.lives();
        Ok(())
    }

    /// Whether the stream came for so long that its server has proved to be good.
    pub(super) fn is_proven(&self) -> bool {
        self.first_tag.is_some_and(|first| first.elapsed() >= PROVEN)
    }

    /// The attempt is over. Gives what to know a stream by that has not gone on, where its server only fell silent.
    pub(super) fn end(self, fault: &Fault) -> Option<RawTag> {
        match (self.echo, fault) {
            (Some(echo), _) => Some(echo.into_last()),
            (None, Fault::Idle) => self.last,
            (None, _) => None,
        }
    }

    fn lives(&mut self) {
        self.bytes = 0;
        self.deadline = Some(Instant::now() + self.idle);
    }
}
