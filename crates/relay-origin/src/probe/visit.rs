//! One look at one endpoint of an edge.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use relay_core::admission::MAX_HOPS;
use relay_core::clock::Clock;
use relay_core::hop;
use relay_core::pool::{Endpoint, Finding, Scheme};
use relay_core::stream::Stream;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::fault::Fault;
use super::jury::Jury;
use super::post::{Post, STAY};
use super::{http, rtmp};

/// How long a connection may take to come about, the look-up of a name included.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// How long all of it may take: what a viewer bears.
const WHOLE_TIME: Duration = Duration::from_secs(3);

/// How soon one who does not have the stream yet is asked again: an edge that has just linked has it in a moment.
const AGAIN: Duration = Duration::from_millis(100);

/// How long more is listened for after the first frame. What is held from the start point on comes at once.
const LISTEN_TIME: Duration = Duration::from_millis(500);

/// A visit that is about to begin.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) endpoint: Endpoint,
    /// What is watched. Without a live stream it is enough that a relay answers.
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) clock: Clock,
    /// How long all of it may take.
    pub(super) patience: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visited {
    pub(super) finding: Finding,
    /// From the dialling to the first frame, where one came and all was well.
    pub(super) first_frame: Option<Duration>,
}

/// What an endpoint does about one who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It plays the stream, and the right one; or it turns us away as a relay that works does: there is no room, or it drains.
    Fine,
    /// It does not have the stream.
    Lacks,
}

/// How far a visit has come.
#[derive(Debug)]
pub(super) struct Progress {
    dialled: Instant,
    pub(super) stage: Stage,
    first_frame: Option<Duration>,
    /// Who stays, if anybody does.
    post: Option<Post>,
}

/// What came of a stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stayed {
    /// A lie, if there was one. Whether there is anybody at all, shorter visits find out.
    pub(super) lie: Option<Finding>,
    /// The longest gap.
    pub(super) worst_gap: Duration,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connection,
    Answer,
    Frame,
}

impl Visit {
    /// A visit to `endpoint` in order to watch `stream`.
    pub(super) const fn new(endpoint: Endpoint, stream: Option<Arc<Stream>>, clock: Clock) -> Self {
        Self {
            endpoint,
            stream,
            clock,
            patience: WHOLE_TIME,
        }
    }

    /// Goes there.
    pub(super) async fn pay(&self) -> Visited {
        let mut progress = Progress::new(None);
        let mut lacks = false;
        let visited = tokio::time::timeout(self.patience, self.go(&mut progress, &mut lacks)).await;
        let result = visited.unwrap_or_else(|_| self.too_late(progress.stage, lacks));
        match result {
            Ok(()) => Visited {
                finding: Finding::Good,
                first_frame: progress.first_frame,
            },
            Err(fault) => {
                tracing::debug!(endpoint = %self.endpoint, stream = ?self.stream.as_ref().map(|s| s.key()), %fault, "a probe failed");
                Visited {
                    finding: fault.into(),
                    first_frame: None,
                }
            }
        }
    }

    /// Goes there, and stays.
    pub(super) async fn stay(&self, post: Post) -> Stayed {
        let mut progress = Progress::new(Some(post));
        let mut lacks = false;
        let stayed = tokio::time::timeout(self.patience + STAY, self.go(&mut progress, &mut lacks)).await;
        let fault = stayed.ok().and_then(Result::err);
        Stayed {
            lie: fault.filter(|fault| fault.is_a_lie()).map(Finding::from),
            worst_gap: progress.post.map(|post| post.worst_gap()).unwrap_or_default(),
        }
    }

    /// Asks until there is an answer that counts.
    async fn go(&self, progress: &mut Progress, lacks: &mut bool) -> Result<(), Fault> {
        loop {
            progress.dialled = Instant::now();
            progress.stage = Stage::Connection;
            let socket = self.connect().await?;
            progress.stage = Stage::Answer;
            if let Some(post) = &mut progress.post {
                post.asks(progress.dialled.elapsed());
            }
            let answer = match self.endpoint.scheme() {
                Scheme::Http => http::visit(self, socket, progress).await?,
                Scheme::Rtmp => rtmp::visit(self, socket, progress).await?,
            };
            // A stream that has ended here meanwhile need not be there.
            if answer == Answer::Fine || self.has_ended() {
                return Ok(());
            }
            *lacks = true;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn connect(&self) -> Result<TcpStream, Fault> {
        let connecting = async {
            let authority = self.endpoint.authority();
            let mut addresses = tokio::net::lookup_host(authority)
                .await
                .map_err(|_| Fault::NoName)?
                .peekable();
            addresses.peek().ok_or(Fault::NoName)?;
            let mut fault = Fault::NoName;
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(socket) => return Ok(socket),
                    Err(error) => fault = why_not(&error),
                }
            }
            Err(fault)
        };
        let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
        connected.unwrap_or(Err(Fault::NoConnection))
    }

    fn has_ended(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ended())
    }

    fn too_late(&self, stage: Stage, lacks: bool) -> Result<(), Fault> {
        match stage {
            _ if self.has_ended() => Ok(()),
            _ if lacks => Err(Fault::Lacks),
            Stage::Connection => Err(Fault::NoConnection),
            Stage::Answer => Err(Fault::Silent),
            Stage::Frame => Err(Fault::NoFrame),
        }
    }
}

impl Progress {
    fn new(post: Option<Post>) -> Self {
        Self {
            dialled: Instant::now(),
            stage: Stage::Connection,
            first_frame: None,
            post,
        }
    }

    /// What comes next from a stream that plays; `None` once it has been listened to for long enough.
    pub(super) async fn listen<T>(&mut self, jury: &Jury, next: impl Future<Output = T>) -> Option<T> {
        self.stage = Stage::Frame;
        if let Some(post) = &mut self.post {
            return post.listen(jury, next).await;
        }
        if jury.has_enough() {
            return None;
        }
        if !jury.has_frame() {
            return Some(next.await);
        }
        let first = *self.first_frame.get_or_insert_with(|| self.dialled.elapsed());
        tokio::time::timeout_at(self.dialled + first + LISTEN_TIME, next)
            .await
            .ok()
    }
}

/// The mark of one who has been sent on as often as anybody is: whoever has room serves them.
pub(super) fn mark() -> String {
    hop::mark(MAX_HOPS)
}

fn why_not(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::Refused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Fault::NoRoute,
        io::ErrorKind::AddrNotAvailable => Fault::NoRoute,
        _ => Fault::NoConnection,
    }
}
