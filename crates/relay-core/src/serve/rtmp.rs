//! An RTMP connection: a publisher stays here, a player leaves for the fan-out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Site;
use super::ingest::{Publication, PublishRefusal, PublishRequest};
use super::metrics::JoinOutcome;
use super::play::Play;
use crate::admission::Verdict;
use crate::codec;
use crate::fanout::{HandOverError, NewViewer};
use crate::flavour::Flavour;
use crate::hop;
use crate::pool::{Endpoint, Scheme};
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

/// What the peer turned out to want.
enum Wish {
    Publish {
        app: String,
        name: String,
        secret: Option<String>,
    },
    Play {
        app: String,
        name: String,
        hops: u8,
    },
}

pub(super) async fn serve(site: &Site, socket: TcpStream, peer: SocketAddr) {
    let since = Instant::now();
    let served = async {
        let mut connection = Connection::new(site, socket, peer)?;
        let wish = tokio::time::timeout(site.limits.request_time, connection.wish()).await;
        match wish.map_err(|_| Over::TooSlow)?? {
            Wish::Publish { app, name, secret } => connection.publish(&app, &name, secret).await,
            Wish::Play { app, name, hops } => connection.play(&app, &name, hops, since).await,
        }
    };
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
    socket: TcpStream,
    peer: SocketAddr,
    session: Session,
    buffer: BytesMut,
    /// How much is read at a time.
    read_size: usize,
}

impl<'a> Connection<'a> {
    fn new(site: &'a Site, socket: TcpStream, peer: SocketAddr) -> Result<Self, Over> {
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
        self.buffer.clear();
        self.buffer.reserve(self.read_size);
        if self.socket.read_buf(&mut self.buffer).await? == 0 {
            return Err(Over::Closed);
        }
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
        Ok(())
    }

    /// Goes on until the peer says what it wants.
    async fn wish(&mut self) -> Result<Wish, Over> {
        loop {
            self.flush().await?;
            while let Some(event) = self.session.poll_event() {
                match event {
                    Event::Publish {
                        app, name, secret, ..
                    } => return Ok(Wish::Publish { app, name, secret }),
                    Event::Play { app, name, hops, .. } => return Ok(Wish::Play { app, name, hops }),
                    Event::Closed => return Err(Over::Closed),
                    _ => {}
                }
            }
            self.read().await?;
        }
    }

    // ---- publishing ----

    async fn publish(&mut self, app: &str, name: &str, secret: Option<String>) -> Result<(), Over> {
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
            peer: self.peer,
        };
        let decided = match &self.site.ingest {
            Some(ingest) => ingest.publish(request, self.site.clock.now()),
            None => Err(PublishRefusal::NotHere),
        };
        match decided {
            Ok(publication) => {
                self.session.accept_publish()?;
                if let Some(peer) = self.session.capabilities() {
                    tracing::debug!(peer = %self.peer, video = %peer.video, audio = %peer.audio, "enhanced RTMP is announced");
                }
                self.feed(publication).await
            }
            Err(refusal) => {
                let (code, reason) = match refusal {
                    PublishRefusal::Busy => ("NetStream.Publish.BadName", "busy"),
                    PublishRefusal::Denied => ("NetStream.Publish.Denied", "denied"),
                    PublishRefusal::NotHere => ("NetStream.Publish.Denied", "not_here"),
                    PublishRefusal::Full => ("NetStream.Publish.Denied", "full"),
                };
                self.refuse_publish(code, reason, &refusal.to_string()).await
            }
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
        let stopped = publication.stopped();
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
                    let why = "the stream was taken over, or closed by the operator";
                    return self.refuse_publish("NetStream.Publish.BadName", "stopped", why).await;
                }
                () = site.farewell.said(), if present.is_some() && !leaving => {
                    self.session.request_reconnect(None, "this server is about to end");
                    leaving = true;
                }
                read = tokio::time::timeout(idle, self.read()) => read.map_err(|_| Over::TooSlow)??,
            }
        }
    }

    // ---- playing ----

    async fn play(mut self, app: &str, name: &str, hops: u8, since: Instant) -> Result<(), Over> {
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
            JoinOutcome::Full => PLAY_FAILED,
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
