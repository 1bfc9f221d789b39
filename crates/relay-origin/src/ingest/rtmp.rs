//! Encoders that connect by RTMP: the origin's answer to what the server of RTMP asks.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use relay_core::clock::Now;
use relay_core::flv::TagKind;
use relay_core::serve::ingest::{
    Decision, Ingest, Permit, Publication, PublishRefusal, PublishRequest, Refused,
};
use relay_core::stream::StreamKey;
use relay_core::stream::policy::{Caller, Dismissal};
use tokio_util::sync::CancellationToken;

use super::{Feed, Hold, Publishing};
use crate::access::{Access, Admitted};

/// Lets encoders in who may publish.
pub struct Encoders {
    access: Arc<Access>,
    publishing: Arc<Publishing>,
}

impl Encoders {
    /// Lets in whom `access` allows.
    pub const fn new(access: Arc<Access>, publishing: Arc<Publishing>) -> Self {
        Self { access, publishing }
    }

    async fn admit(&self, request: PublishRequest, now: Now) -> Result<Box<dyn Permit>, Refused> {
        let lease = self.access.check(&request, now)?;
        // While somebody else is asked, those who watch wait for this encoder as they would for its return (R09).
        let hold = self.access.asks().then(|| self.publishing.hold(&request.stream));
        let admitted = self.access.ask(lease, &request).await?;
        Ok(Box::new(Entry {
            publishing: Arc::clone(&self.publishing),
            stream: request.stream,
            peer: request.peer,
            backup: request.backup,
            admitted,
            _hold: hold.flatten(),
        }))
    }
}

impl Ingest for Encoders {
    fn decide(&self, request: PublishRequest, now: Now) -> Decision<'_> {
        Box::pin(async move {
            let (stream, peer) = (request.stream.clone(), request.peer);
            let admitted = self.admit(request, now).await;
            admitted.inspect_err(|refused| {
                self.publishing.count_refusal(refused.why);
                tracing::debug!(%stream, %peer, why = %refused, "publisher refused");
            })
        })
    }
}

/// The word that an encoder may publish.
struct Entry {
    publishing: Arc<Publishing>,
    stream: StreamKey,
    peer: SocketAddr,
    backup: bool,
    admitted: Admitted,
    _hold: Option<Hold>,
}

impl Permit for Entry {
    fn publish(self: Box<Self>, now: Now) -> Result<Box<dyn Publication>, Refused> {
        let Self {
            publishing,
            stream,
            peer,
            backup,
            mut admitted,
            _hold,
        } = *self;
        if admitted
            .lease()
            .is_some_and(|lease| lease.revoked().is_cancelled())
        {
            return Err(PublishRefusal::Denied.into());
        }
        let caller = Caller {
            address: Some(peer.ip()),
            backup,
        };
        match publishing.open_for(&stream, caller, now) {
            Ok(feed) => {
                admitted.begin(now);
                Ok(Box::new(Encoder::new(feed, peer, admitted)))
            }
            Err(why) => {
                tracing::debug!(%stream, %peer, %why, "publisher refused");
                Err(why.into())
            }
        }
    }
}

/// One encoder that has been let in.
struct Encoder {
    feed: Feed,
    admitted: Admitted,
    span: tracing::Span,
}

impl Encoder {
    fn new(feed: Feed, peer: SocketAddr, admitted: Admitted) -> Self {
        let key = admitted.lease().map(|lease| tracing::field::display(lease.id()));
        let span = tracing::info_span!("publisher", stream = %feed.key(), %peer, key);
        span.in_scope(|| tracing::info!("publishing"));
        Self { feed, admitted, span }
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

    fn revoked(&self) -> CancellationToken {
        // Where anybody may publish there is nothing to revoke.
        let lease = self.admitted.lease();
        lease.map_or_else(CancellationToken::new, |lease| lease.revoked().clone())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if self.revoked().is_cancelled() {
            self.admitted.end("revoked");
        } else if self.feed.stopped().is_cancelled() {
            self.admitted.end("stopped");
        }
        self.span.in_scope(|| tracing::info!("publisher gone"));
    }
}
