//! Encoders that connect by RTMP: the origin's answer to what the server of RTMP asks.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use relay_core::clock::Now;
use relay_core::flv::TagKind;
use relay_core::serve::ingest::{Ingest, Publication, PublishRefusal, PublishRequest};
use relay_core::stream::policy::{Caller, Dismissal};
use tokio_util::sync::CancellationToken;

use super::{Feed, Publishing};
use crate::access::Access;

/// Lets encoders in who may publish.
pub struct Encoders {
    access: Access,
    publishing: Arc<Publishing>,
}

impl Encoders {
    /// Lets in whom `access` allows.
    pub const fn new(access: Access, publishing: Arc<Publishing>) -> Self {
        Self { access, publishing }
    }
}

impl Ingest for Encoders {
    fn publish(&self, request: PublishRequest, now: Now) -> Result<Box<dyn Publication>, PublishRefusal> {
        let PublishRequest {
            stream,
            secret,
            backup,
            peer,
        } = request;
        let caller = Caller {
            address: Some(peer.ip()),
            backup,
        };
        let opened = if self.access.allows(secret.as_deref()) {
            self.publishing.open_for(&stream, caller, now)
        } else {
            self.publishing.count_refusal(PublishRefusal::Denied);
            Err(PublishRefusal::Denied)
        };
        match opened {
            Ok(feed) => Ok(Box::new(Encoder::new(feed, peer))),
            Err(why) => {
                tracing::debug!(%stream, %peer, %why, "publisher refused");
                Err(why)
            }
        }
    }
}

/// One encoder that has been let in.
struct Encoder {
    feed: Feed,
    span: tracing::Span,
}

impl Encoder {
    fn new(feed: Feed, peer: SocketAddr) -> Self {
        let span = tracing::info_span!("publisher", stream = %feed.key(), %peer);
        span.in_scope(|| tracing::info!("publishing"));
        Self { feed, span }
    }
}

impl Publication for Encoder {
    fn handle_tag(&mut self, kind: TagKind, time: u32, payload: Bytes, now: Now) {
        let _in_span = self.span.enter();
        self.feed.handle_tag(kind, time, payload, now);
    }

    fn handle_unpublish(&mut self, now: Now) {
        self.span.in_scope(|| tracing::info!("unpublished"));
        self.feed.handle_gone(now);
    }

    fn stopped(&self) -> CancellationToken {
        self.feed.stopped()
    }

    fn dismissal(&self) -> Option<Dismissal> {
        self.feed.dismissal()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.span.in_scope(|| tracing::info!("publisher gone"));
    }
}
