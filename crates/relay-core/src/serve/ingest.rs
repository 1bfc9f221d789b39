//! What a server of RTMP asks of whoever owns the streams: may this one publish, and here are its tags.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::clock::Now;
use crate::flv::TagKind;
use crate::stream::StreamKey;
use crate::stream::policy::Dismissal;

/// A `publish` command, as far as policy needs it.
#[derive(Clone)]
pub struct PublishRequest {
    /// The stream it wants to publish.
    pub stream: StreamKey,
    /// The secret that came with it: `?key=…` on the stream name or the app. Never logged.
    pub secret: Option<String>,
    /// It says that it is the backup of another encoder: `backup=1` on the stream name or the app (R12).
    pub backup: bool,
    /// The query that came with the stream name, or else with the app, secret and all. Never logged.
    pub query: Option<String>,
    /// The encoder's address.
    pub peer: SocketAddr,
    /// Whether it came over TLS.
    pub encrypted: bool,
}

/// Shows no secret, so that no log does.
impl fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRequest")
            .field("stream", &self.stream)
            .field("peer", &self.peer)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// Why a publisher is turned away; each is told to the encoder as an `onStatus` error before the close (R03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefusal {
    /// Another publisher is sending on this name: `NetStream.Publish.BadName`.
    #[error("the stream is being published by another encoder")]
    Busy,
    /// Another publisher has taken this one's place and is sending (R02): `NetStream.Publish.BadName`.
    #[error("another encoder has taken over this stream; this one is refused while that one sends")]
    TakenOver,
    /// The key is wrong or missing: `NetStream.Publish.Denied`.
    #[error("the publish key is wrong")]
    Denied,
    /// This node takes no publishers (an edge), or has no room for one more stream.
    #[error("this server takes no publishers")]
    NotHere,
    /// No room for one more stream.
    #[error("this server has no room for one more stream")]
    Full,
}

/// A publisher is turned away: for which reason, and in which words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct Refused {
    /// The reason.
    pub why: PublishRefusal,
    /// What the encoder is told.
    pub said: String,
}

impl Refused {
    /// Not let in, with the words for it.
    pub fn denied(said: impl Into<String>) -> Self {
        Self {
            why: PublishRefusal::Denied,
            said: said.into(),
        }
    }
}

impl From<PublishRefusal> for Refused {
    fn from(why: PublishRefusal) -> Self {
        Self {
            why,
            said: why.to_string(),
        }
    }
}

/// A decision under way. It may take seconds, where somebody else is asked. To drop it says that the encoder has left.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Permit>, Refused>> + Send + 'a>>;

/// Whoever decides on publishers: the origin. An edge has none.
pub trait Ingest: Send + Sync {
    /// Decides whether one may publish. Nothing of the stream is touched before the [`Permit`] is used; the encoder's
    /// connection waits, and nobody else.
    fn decide(&self, request: PublishRequest, now: Now) -> Decision<'_>;
}

/// The word that one may publish.
pub trait Permit: Send {
    /// Takes the stream, at once and without waiting for anything.
    ///
    /// # Errors
    /// The reason that the encoder is told.
    fn publish(self: Box<Self>, now: Now) -> Result<Box<dyn Publication>, Refused>;
}

/// One accepted publisher. Dropping it means that the connection is gone; the grace window starts then.
pub trait Publication: Send {
    /// Takes one message as the encoder stamped it: `time` is the 32-bit RTMP time, not yet unwrapped or rebased.
    fn handle_tag(&mut self, kind: TagKind, time: u32, payload: Bytes, now: Now);

    /// The publisher said that it is done (`FCUnpublish`, `deleteStream`): still granted the grace window, since
    /// encoders say so on a mere reconnect too.
    fn handle_unpublish(&mut self, now: Now);

    /// Cancelled when this publisher has to go: replaced, kicked, drain.
    fn stopped(&self) -> CancellationToken;

    /// Why it has to go, once it has.
    fn dismissal(&self) -> Option<Dismissal>;

    /// Cancelled when what let this publisher in holds no more: its key is revoked.
    fn revoked(&self) -> CancellationToken;
}
