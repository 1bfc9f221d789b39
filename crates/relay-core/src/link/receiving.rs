//! One link as its child drives it: greeting, control, groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::child::{Child, Dialled, LinkStatus};
use super::control::{ControlEnd, Inbox, Outbox, close};
use super::lane::{Heard, read_header};
use super::lanes::Lanes;
use super::refusal::Refusal;
use crate::cascade::message::{Hello, MAX_PUSHED, PROTOCOL, Report, StreamDown, Welcome};
use crate::cascade::{LinkCode, Message};

/// How long a parent may take to welcome: a round trip and a lost packet or two.
const GREETING: Duration = Duration::from_secs(5);

/// How often the parent is told how this node fares.
const REPORT: Duration = Duration::from_secs(1);

/// How long the last groups of a stream that has ended are waited for.
const LAST_GROUPS: Duration = Duration::from_secs(5);

/// How often it is looked whether they have come.
const LOOK: Duration = Duration::from_millis(50);

/// Why a link is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    /// The parent said no, or goodbye.
    #[error("{0}")]
    Said(String),
    /// The origin has ended this node's membership.
    #[error("this edge was revoked")]
    Revoked,
    /// The parent broke the protocol.
    #[error("the parent broke the protocol: {0}")]
    Broken(String),
    /// The path, or this end.
    #[error("{0}")]
    Lost(String),
}

/// One link.
pub(super) struct Receiving {
    pub(super) child: Child,
    pub(super) dialled: Dialled,
    pub(super) heard: Arc<Heard>,
    pub(super) welcomed: Arc<AtomicBool>,
}

impl Receiving {
    /// Drives the link until it ends; it is closed then.
    pub(super) async fn run(self) -> LinkEnd {
        let end = match tokio::time::timeout(GREETING, self.greet()).await {
            Ok(Ok((inbox, outbox))) => tokio::select! {
                end = self.hear(inbox, &outbox) => end,
                end = self.take_groups() => end,
                () = self.talk(&outbox) => LinkEnd::Lost("the control stream cannot be written".to_owned()),
                error = self.dialled.connection.closed() => self.why_closed(&error),
            },
            Ok(Err(end)) => end,
            Err(_) => LinkEnd::Lost("the parent did not welcome this node in time".to_owned()),
        };
        let code = match &end {
            LinkEnd::Broken(_) => LinkCode::BadMedia,
            LinkEnd::Said(_) | LinkEnd::Revoked | LinkEnd::Lost(_) => LinkCode::Bye,
        };
        close(&self.dialled.connection, code);
        end
    }

    async fn greet(&self) -> Result<(Inbox, Outbox), LinkEnd> {
        let inner = &self.child.0;
        let opened = self.dialled.connection.open_bi().await;
        let (send, receive) = opened.map_err(|error| self.why_closed(&error))?;
        let outbox = Outbox::start(send);
        let (mut positions, floors) = inner.intake.held();
        if !inner.config.role.has_media() {
            positions.clear();
        }
        let mut hello = Hello {
            protocol: PROTOCOL,
            instance: inner.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: inner.config.role,
            positions: Vec::new(),
            floors: Vec::new(),
            held_parts: 0,
            public: inner.desk.public(),
            capacity: inner.desk.report().capacity,
        };
        let parts = hello.hold(positions, floors);
        outbox.say(Message::Hello(Box::new(hello))).await;
        for part in parts {
            outbox.say(part).await;
        }
        let mut inbox = Inbox::new(receive);
        loop {
            match self.next(&mut inbox).await? {
                Message::Welcome(welcome) => {
                    self.handle_welcome(welcome)?;
                    return Ok((inbox, outbox));
                }
                Message::Bye { reason } => return Err(LinkEnd::Said(reason)),
                _ => {}
            }
        }
    }

    fn handle_welcome(&self, welcome: Welcome) -> Result<(), LinkEnd> {
        let inner = &self.child.0;
        if welcome.protocol != PROTOCOL {
            return Err(LinkEnd::Broken(format!("it speaks version {}", welcome.protocol)));
        }
        if welcome.instance != self.dialled.parent {
            return Err(LinkEnd::Broken("it is not who its certificate says".to_owned()));
        }
        if welcome.hops.contains(&inner.instance) {
            return Err(LinkEnd::Broken("it is this node's own child: a loop".to_owned()));
        }
        tracing::info!(parent = %welcome.instance, version = welcome.version, hops = welcome.hops.len(), "linked to the parent");
        inner.hops.send_replace(welcome.hops);
        inner.counts.links.fetch_add(1, Ordering::Relaxed);
        self.welcomed.store(true, Ordering::Relaxed);
        inner.status.send_replace(LinkStatus::Connected {
            parent: welcome.instance,
        });
        Ok(())
    }

    async fn next(&self, inbox: &mut Inbox) -> Result<Message, LinkEnd> {
        match inbox.next().await {
            Ok(message) => {
                self.heard.note();
                Ok(message)
            }
            Err(ControlEnd::Broken(error)) => Err(LinkEnd::Broken(error.to_string())),
            Err(ControlEnd::Lost(reason)) => Err(self
                .dialled
                .connection
                .close_reason()
                .map_or(LinkEnd::Lost(reason), |error| self.why_closed(&error))),
        }
    }

    /// Why the connection is closed, in words: the peer's own where it gave a code.
    fn why_closed(&self, error: &quinn::ConnectionError) -> LinkEnd {
        if let Some(refusal) = Refusal::of(error) {
            if refusal == Refusal::EdgeRevoked {
                return LinkEnd::Revoked;
            }
            return LinkEnd::Said(format!("the parent refused the link: {refusal}"));
        }
        if let quinn::ConnectionError::ApplicationClosed(closed) = error
            && let Some(code) = LinkCode::from_number(closed.error_code.into_inner())
        {
            return LinkEnd::Said(format!("the parent closed the link: {code}"));
        }
        LinkEnd::Lost(error.to_string())
    }

    // ---- control ----

    async fn hear(&self, mut inbox: Inbox, outbox: &Outbox) -> LinkEnd {
        let inner = &self.child.0;
        // A stream that comes back before its end was told is announced twice: seldom enough for a count to do.
        let mut announced = 0;
        loop {
            let message = match self.next(&mut inbox).await {
                Ok(message) => message,
                Err(end) => return end,
            };
            match message {
                Message::Ping { nonce } => outbox.mention(Message::Pong { nonce }),
                Message::Hops { hops } if hops.contains(&inner.instance) => {
                    return LinkEnd::Broken("it became this node's own child: a loop".to_owned());
                }
                Message::Hops { hops } => {
                    inner.hops.send_replace(hops);
                }
                Message::StreamUp { .. } => {
                    announced += 1;
                    if announced > MAX_PUSHED {
                        return LinkEnd::Broken("it announces more streams than any node has".to_owned());
                    }
                }
                Message::StreamDown(down) => {
                    announced = announced.saturating_sub(1);
                    if let Err(end) = self.handle_stream_down(down) {
                        return end;
                    }
                }
                Message::Newest(newest) => inner.intake.compare(&newest),
                Message::Pool(view) => inner.desk.pool(view),
                Message::Policy(policy) => inner.desk.policy(policy),
                Message::Known { instance, member } => inner.asks.answer(&instance, member),
                Message::Bye { reason } => {
                    return LinkEnd::Said(format!("the parent says goodbye: {reason}"));
                }
                _ => {}
            }
        }
    }

    /// Ends a stream, at once if all of it is here.
    fn handle_stream_down(&self, down: StreamDown) -> Result<(), LinkEnd> {
        let inner = &self.child.0;
        if inner.intake.has_reached(&down.stream, down.end) {
            if inner.intake.end(&down.stream, down.end) {
                tracing::info!(stream = %down.stream, reason = down.reason, "the stream has ended");
            }
            return Ok(());
        }
        let place = Arc::clone(&inner.endings).try_acquire_owned();
        let place = place.map_err(|_| LinkEnd::Broken("it ends one stream again and again".to_owned()))?;
        let child = self.child.clone();
        // On its own, since the link may end first; it is over within seconds.
        tokio::spawn(async move { end_stream(&child, down, place).await });
        Ok(())
    }

    /// Reports, and asks what is to be asked.
    async fn talk(&self, outbox: &Outbox) {
        let inner = &self.child.0;
        let mut report = inner.clock.every(REPORT);
        for ask in inner.asks.open() {
            outbox.mention(ask);
        }
        loop {
            tokio::select! {
                _ = report.tick() => outbox.mention(Message::Report(self.report())),
                () = inner.asks.asked.notified() => for ask in inner.asks.open() {
                    outbox.mention(ask);
                },
            }
        }
    }

    /// How this node fares, what its links brought included.
    fn report(&self) -> Report {
        let inner = &self.child.0;
        Report {
            hash_mismatches: inner.intake.counts.hash_mismatches.load(Ordering::Relaxed),
            lag_ms: inner.intake.worst_lag_ms(),
            ..inner.desk.report()
        }
    }

    // ---- groups ----

    /// Takes groups as they are opened: their headers at once, the rest lane by lane.
    async fn take_groups(&self) -> LinkEnd {
        let mut headers = JoinSet::new();
        let mut lanes = Lanes::new(Arc::clone(&self.child.0.intake), Arc::clone(&self.heard));
        loop {
            tokio::select! {
                accepted = self.dialled.connection.accept_uni() => match accepted {
                    Ok(stream) => {
                        let heard = Arc::clone(&self.heard);
                        headers.spawn(async move { read_header(stream, &heard).await });
                    }
                    Err(error) => return self.why_closed(&error),
                },
                Some(read) = headers.join_next() => match read {
                    Ok(Ok(Some(incoming))) => if let Err(error) = lanes.sort(incoming).await {
                        return LinkEnd::Broken(error.to_string());
                    },
                    Ok(Ok(None)) | Err(_) => {}
                    Ok(Err(error)) => return LinkEnd::Broken(error.to_string()),
                },
                error = lanes.broken() => return LinkEnd::Broken(error.to_string()),
            }
        }
    }
}

/// Ends a stream once all of it is there: the message overtakes the last groups. The place is given back at the end.
async fn end_stream(child: &Child, down: StreamDown, _place: OwnedSemaphorePermit) {
    let intake = &child.0.intake;
    let arrived = async {
        while !intake.has_reached(&down.stream, down.end) {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(LAST_GROUPS, arrived).await.is_err() {
        tracing::warn!(stream = %down.stream, "the end of a stream did not arrive whole");
    }
    tracing::info!(stream = %down.stream, reason = down.reason, "the stream has ended");
    intake.end(&down.stream, down.end);
}
