//! An RTMP connection: a publisher stays here, a player leaves for the fan-out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Site;
use super::ingest::{Publication, PublishRefusal, PublishRequest};
use super::line::Line;
use super::listen;
use super::metrics::{JoinOutcome, PublisherEnd};
use super::play::Play;
use crate::admission::Verdict;
use crate::codec;
use crate::fanout::{HandOverError, NewViewer};
use crate::flavour::Flavour;
use crate::hop;
use crate::pool::{Endpoint, Scheme};
use crate::rtmp::address::is_backup;
use crate::rtmp::command::{PLAY_FAILED, PLAY_NOT_FOUND};
use crate::rtmp::server::{Config, Event, Session};
use crate::stream::{Stream, StreamKey};

/// Input read at a time from an encoder: enough for its burst.
const READ_BUFFER: usize = 16 << 10;

/// The same from a stranger: more than a `connect`, and little of the 64 KB that one may take here.
const STRANGER_READ: usize = 4 << 10;

/// How long a peer may take to accept our replies, which are small.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// Why a connection is over, for the log.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer took too long")]
    TooSlow,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Protocol(#[from] crate::rtmp::RtmpError),
    #[error("the system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error("refused")]
    Refused,
    #[error("this server is about to end")]
    Leaving,
    #[error("done")]
    Done,
}

/// How a publisher's connection ended, for who counts (R11).
fn how_it_ended(fed: &Result<(), Over>) -> PublisherEnd {
    match fed {
        Ok(()) | Err(Over::Done | Over::Closed) => PublisherEnd::Closed,
        Err(Over::Refused | Over::Leaving) => PublisherEnd::LetGo,
        Err(Over::Protocol(_) | Over::Random(_)) => PublisherEnd::Protocol,
        Err(Over::TooSlow) => PublisherEnd::TimedOut,
        Err(Over::Io(error)) => PublisherEnd::of(error),
    }
}

/// What the peer turned out to want.
enum Wish {
    Publish {
        app: String,
        name: String,
        secret: Option<String>,
        query: Option<String>,
    },
    Play {
        app: String,
        name: String,
        hops: u8,
    },
}

/// Serves a connection in the clear.
pub(super) async fn serve(site: &Site, socket: TcpStream, peer: SocketAddr) {
    end(site, peer, converse(site, Line::Plain(socket), peer)).await;
}

/// Serves a connection over TLS, whose handshake has as long as a request.
pub(super) async fn serve_tls(site: &Site, acceptor: TlsAcceptor, socket: TcpStream, peer: SocketAddr) {
    let served = async {
        let shaken = tokio::time::timeout(site.limits.request_time, acceptor.accept(socket)).await;
        let stream = shaken.map_err(|_| Over::TooSlow)??;
        converse(site, Line::Tls(Box::new(stream)), peer).await
    };
    end(site, peer, served).await;
}

/// Follows a connection from its first byte of RTMP to its end, or to its leave for the fan-out.
async fn converse(site: &Site, line: Line, peer: SocketAddr) -> Result<(), Over> {
    let since = Instant::now();
    let mut connection = Connection::new(site, line, peer)?;
    let wish = tokio::time::timeout(site.limits.request_time, connection.wish()).await;
    match wish.map_err(|_| Over::TooSlow)?? {
        Wish::Publish {
            app,
            name,
            secret,
            query,
        } => connection.publish(&app, &name, secret, query).await,
        Wish::Play { app, name, hops } => connection.play(&app, &name, hops, since).await,
    }
}

/// Counts and logs how a connection ends; with the site at the latest.
async fn end(site: &Site, peer: SocketAddr, served: impl Future<Output = Result<(), Over>>) {
    let result = tokio::select! {
        () = site.stop.cancelled() => return,
        result = served => result,
    };
    if let Err(over) = result {
        if let Over::Protocol(error) = &over {
            site.metrics.rtmp_error(error.reason());
        }
        let outcome = match &over {
            Over::Protocol(_) => Some(JoinOutcome::BadRequest),
            Over::Closed | Over::TooSlow | Over::Io(_) => Some(JoinOutcome::Gone),
            _ => None,
        };
        if let Some(outcome) = outcome {
            site.metrics.joined(outcome);
        }
        tracing::debug!(%peer, reason = %over, "RTMP connection over");
    }
}

struct Connection<'a> {
    site: &'a Site,
    socket: Line,
    peer: SocketAddr,
    session: Session,
    buffer: BytesMut,
    /// How much is read at a time.
    read_size: usize,
}

impl<'a> Connection<'a> {
    fn new(site: &'a Site, socket: Line, peer: SocketAddr) -> Result<Self, Over> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let config = Config {
            publisher_memory: site.limits.publisher_memory,
            reconnects: site.ingest.is_some(),
            ..Config::default()
        };
        let session = Session::new(config, random);
        Ok(Self {
            site,
            socket,
            peer,
            session,
            buffer: BytesMut::new(),
            read_size: STRANGER_READ,
        })
    }

    /// Reads once and feeds the session.
    async fn read(&mut self) -> Result<(), Over> {
        self.receive().await?;
        self.take().await
    }

    /// Reads once.
    async fn receive(&mut self) -> Result<(), Over> {
        self.buffer.clear();
        self.buffer.reserve(self.read_size);
        match self.socket.read_buf(&mut self.buffer).await? {
            0 => Err(Over::Closed),
            _ => Ok(()),
        }
    }

    /// Feeds the session what was read.
    async fn take(&mut self) -> Result<(), Over> {
        let result = self.session.handle_input(&self.buffer, self.site.clock.now());
        if result.is_err() {
            // What the session has to say about it, if anything, is worth one try.
            let _ = self.flush().await;
        }
        Ok(result?)
    }

    async fn flush(&mut self) -> Result<(), Over> {
        while let Some(bytes) = self.session.poll_output() {
            let written = tokio::time::timeout(WRITE_TIME, self.socket.write_all(&bytes)).await;
            written.map_err(|_| Over::TooSlow)??;
        }
        // What TLS has taken may not be on its way yet.
        let flushed = tokio::time::timeout(WRITE_TIME, self.socket.flush()).await;
        Ok(flushed.map_err(|_| Over::TooSlow)??)
    }

    /// Goes on until the peer says what it wants.
    async fn wish(&mut self) -> Result<Wish, Over> {
        loop {
            self.flush().await?;
            while let Some(event) = self.session.poll_event() {
                match event {
                    Event::Publish {
                        app,
                        name,
                        query,
                        secret,
                    } => {
                        return Ok(Wish::Publish {
                            app,
                            name,
                            secret,
                            query,
                        });
                    }
                    Event::Play { app, name, hops, .. } => return Ok(Wish::Play { app, name, hops }),
                    Event::Closed => return Err(Over::Closed),
                    _ => {}
                }
            }
            self.read().await?;
        }
    }

    // ---- publishing ----

    async fn publish(
        &mut self,
        app: &str,
        name: &str,
        secret: Option<String>,
        query: Option<String>,
    ) -> Result<(), Over> {
        if self.site.farewell.is_said() {
            // No status: encoders give up on some of them, and are to try again.
            return Err(Over::Leaving);
        }
        let Ok(stream) = StreamKey::new(app, name) else {
            return self
                .refuse_publish(
                    "NetStream.Publish.BadName",
                    "bad_name",
                    "no such stream name is possible",
                )
                .await;
        };
        let request = PublishRequest {
            stream,
            secret,
            backup: query.as_deref().is_some_and(is_backup),
            query,
            peer: self.peer,
            encrypted: self.socket.is_encrypted(),
        };
        let site = self.site;
        let decided = match &site.ingest {
            Some(ingest) => self.wait_for(ingest.decide(request, site.clock.now())).await?,
            None => Err(PublishRefusal::NotHere.into()),
        };
        // Only now does the encoder hear that it publishes (R03, R09).
        match decided.and_then(|permit| permit.publish(site.clock.now())) {
            Ok(publication) => {
                self.session.accept_publish()?;
                if let Some(peer) = self.session.capabilities() {
                    tracing::debug!(peer = %self.peer, video = %peer.video, audio = %peer.audio, "enhanced RTMP is announced");
                }
                listen::watch_publisher(self.socket.socket());
                let fed = self.feed(publication).await;
                self.site.metrics.publisher_ended(how_it_ended(&fed));
                fed
            }
            Err(refused) => {
                let (code, reason) = match refused.why {
                    PublishRefusal::Busy => ("NetStream.Publish.BadName", "busy"),
                    PublishRefusal::TakenOver => ("NetStream.Publish.BadName", "taken_over"),
                    PublishRefusal::Denied => ("NetStream.Publish.Denied", "denied"),
                    PublishRefusal::NotHere => ("NetStream.Publish.Denied", "not_here"),
                    PublishRefusal::Full => ("NetStream.Publish.Denied", "full"),
                };
                self.refuse_publish(code, reason, &refused.said).await
            }
        }
    }

    /// Waits for a decision, unless the encoder leaves first. What it sends meanwhile is read as far as the session holds
    /// it; the rest waits in the kernel.
    async fn wait_for<T>(&mut self, decision: impl Future<Output = T>) -> Result<T, Over> {
        tokio::pin!(decision);
        loop {
            let may_read = self.session.may_hold(READ_BUFFER);
            tokio::select! {
                biased;
                decided = &mut decision => return Ok(decided),
                received = self.receive(), if may_read => received?,
            }
            self.take().await?;
        }
    }

    /// An error status that the encoder sees, and only then the close (R03).
    async fn refuse_publish(&mut self, code: &str, reason: &str, why: &str) -> Result<(), Over> {
        self.site.metrics.publish_refused(reason);
        self.session.refuse_publish(code, why);
        self.flush().await?;
        self.close().await;
        Err(Over::Refused)
    }

    async fn feed(&mut self, mut publication: Box<dyn Publication>) -> Result<(), Over> {
        let (stopped, revoked) = (publication.stopped(), publication.revoked());
        let site = self.site;
        self.read_size = READ_BUFFER;
        // Held to the end: one that can be asked to connect anew is waited for.
        let present = self.session.can_reconnect().then(|| site.farewell.enter());
        let mut leaving = false;
        loop {
            while let Some(event) = self.session.poll_event() {
                let now = self.site.clock.now();
                match event {
                    // It was asked to leave, and this group comes by the next connection.
                    Event::Tag { kind, payload, .. }
                        if leaving && codec::classify(kind, &payload).keyframe =>
                    {
                        self.close().await;
                        return Err(Over::Leaving);
                    }
                    Event::Tag { kind, time, payload } => publication.handle_tag(kind, time, payload, now),
                    Event::Unpublish => publication.handle_unpublish(now),
                    Event::Closed => return Err(Over::Done),
                    // The same connection publishes again, which encoders don't do: it is asked to come anew.
                    Event::Publish { .. } | Event::Play { .. } => {
                        return self
                            .refuse_publish("NetStream.Publish.BadName", "again", "connect anew")
                            .await;
                    }
                    Event::Pause(_) | Event::StopPlay => {}
                }
            }
            while let Some(quirk) = self.session.poll_quirk() {
                site.metrics.quirk(quirk);
                tracing::info!(peer = %self.peer, %quirk, "an encoder's oddity is taken");
            }
            self.flush().await?;
            let idle = self.site.limits.publisher_idle;
            tokio::select! {
                () = stopped.cancelled() => {
                    let why = publication.dismissal().map_or_else(String::new, |why| why.to_string());
                    return self.refuse_publish("NetStream.Publish.BadName", "stopped", &why).await;
                }
                () = site.farewell.said(), if present.is_some() && !leaving => {
                    self.session.request_reconnect(None, "this server is about to end");
                    leaving = true;
                }
                () = revoked.cancelled() => {
                    // The stream is free at once, whatever time the goodbye takes.
                    drop(publication);
                    let why = "the publish key was revoked";
                    return self.refuse_publish("NetStream.Publish.Denied", "revoked", why).await;
                }
                read = tokio::time::timeout(idle, self.read()) => read.map_err(|_| Over::TooSlow)??,
            }
        }
    }

    // ---- playing ----

    async fn play(mut self, app: &str, name: &str, hops: u8, since: Instant) -> Result<(), Over> {
        if self.socket.is_encrypted() {
            // The fan-out sends everybody the same bytes, which TLS rules out.
            let why = "this port takes publishers only: play by rtmp:// or http://";
            return self.refuse_play(JoinOutcome::BadRequest, why).await;
        }
        let doorman = &self.site.doorman;
        let there = |endpoint: Endpoint| format!("{endpoint}/{app}?{}", hop::mark(hops.saturating_add(1)));
        let Ok(key) = StreamKey::new(app, name) else {
            return self
                .refuse_play(JoinOutcome::NotFound, "there can be no such stream")
                .await;
        };
        let stream = match self.playable(&key).await {
            Ok(stream) => stream,
            Err((outcome, why)) => match doorman.meanwhile(Scheme::Rtmp, self.peer, hops) {
                Some(endpoint) => return self.send_on(&there(endpoint)).await,
                None => return self.refuse_play(outcome, why).await,
            },
        };
        match doorman.decide(&stream, Scheme::Rtmp, self.peer, hops) {
            Verdict::Serve => {}
            Verdict::Elsewhere(endpoint) => return self.send_on(&there(endpoint)).await,
            Verdict::Refuse(refusal) => return self.refuse_play(JoinOutcome::Full, refusal.sentence()).await,
        }
        self.session.accept_play()?;
        let mut head = BytesMut::new();
        while let Some(bytes) = self.session.poll_output() {
            head.extend_from_slice(&bytes);
        }
        let Self {
            site,
            socket,
            peer,
            session,
            ..
        } = self;
        // One over TLS was refused above.
        let Line::Plain(socket) = socket else {
            return Err(Over::Refused);
        };
        let viewer = NewViewer {
            socket: socket.into_std()?.into(),
            peer,
            stream,
            flavour: Flavour::Rtmp,
            head: Bytes::from(head),
            dialogue: Some(Box::new(Play(session))),
        };
        let outcome = match site.fanout.hand_over(viewer) {
            Ok(id) => {
                tracing::debug!(%peer, viewer = id, "RTMP viewer");
                site.metrics.join_took(since.elapsed().as_secs_f64());
                JoinOutcome::Served
            }
            Err(HandOverError::Full(_) | HandOverError::Stopping | HandOverError::Memory(_)) => {
                JoinOutcome::Full
            }
        };
        site.metrics.joined(outcome);
        Ok(())
    }

    /// The stream, once one can join it; or what to say instead.
    async fn playable(&self, key: &StreamKey) -> Result<Arc<Stream>, (JoinOutcome, &'static str)> {
        let Some(stream) = self.site.hub.get(key) else {
            return Err((JoinOutcome::NotFound, "there is no such stream here"));
        };
        match self.site.start_point(&stream).await {
            true => Ok(stream),
            false => Err((JoinOutcome::NotReady, "the stream has not begun yet")),
        }
    }

    /// Sends a viewer to where the stream is served. Players that do not know how to follow say that they were rejected (R82).
    async fn send_on(&mut self, tc_url: &str) -> Result<(), Over> {
        self.site.metrics.joined(JoinOutcome::Redirected);
        self.session.redirect_play(tc_url);
        self.flush().await?;
        self.close().await;
        Err(Over::Refused)
    }

    async fn refuse_play(&mut self, outcome: JoinOutcome, why: &str) -> Result<(), Over> {
        self.site.metrics.joined(outcome);
        // Players take both for the end; who comes to see whether this node works tells them apart.
        let code = match outcome {
            JoinOutcome::Full | JoinOutcome::BadRequest => PLAY_FAILED,
            _ => PLAY_NOT_FOUND,
        };
        self.session.refuse_play(code, why);
        self.flush().await?;
        self.close().await;
        Err(Over::Refused)
    }

    /// Says that we are done and reads on for a moment: closing at once would reset the connection, and the peer would
    /// never see why.
    async fn close(&mut self) {
        let goodbye = async {
            self.socket.shutdown().await?;
            loop {
                self.buffer.clear();
                if self.socket.read_buf(&mut self.buffer).await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        // Whether it ends by the peer's close, an error or the time makes no difference.
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}
