//! What a server of RTMP asks of whoever owns the streams: may this one publish, and here are its tags.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::clock::Now;
use crate::flv::TagKind;
use crate::stream::StreamKey;
use crate::stream::policy::Dismissal;

/// A `publish` command, as far as policy needs it.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The stream it wants to publish.
    pub stream: StreamKey,
    /// The secret that came with it: `?key=…` on the stream name or the app. Never logged.
    pub secret: Option<String>,
    /// It says that it is the backup of another encoder: `backup=1` on the stream name or the app (R12).
    pub backup: bool,
    /// The encoder's address.
    pub peer: SocketAddr,
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

/// Whoever decides on publishers: the origin. An edge has none.
pub trait Ingest: Send + Sync {
    /// Decides on a publisher, at once and without waiting for anything.
    ///
    /// # Errors
    /// The reason that the encoder is told.
    fn publish(&self, request: PublishRequest, now: Now) -> Result<Box<dyn Publication>, PublishRefusal>;
}

/// One accepted publisher. Dropping it means that the connection is gone; the grace window starts then.
pub trait Publication: Send {
    /// Takes one message as the encoder stamped it: `time` is the 32-bit RTMP time, not yet unwrapped or rebased.
    fn handle_tag(&mut self, kind: TagKind, time: u32, payload: Bytes, now: Now);

    /// The publisher said that it is done (`FCUnpublish`, `deleteStream`): still granted the grace window, since
    /// encoders say so on a mere reconnect too.
    fn handle_unpublish(&mut self, now: Now);

    /// Cancelled when this publisher has to go: replaced, kicked, key revoked, drain.
    fn stopped(&self) -> CancellationToken;

    /// Why it has to go, once it has.
    fn dismissal(&self) -> Option<Dismissal>;
}
