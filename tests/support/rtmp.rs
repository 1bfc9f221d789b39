//! RTMP clients on a socket: the session is the relay's own, without IO; here it is given a socket and the time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use relay_core::clock::Clock;
use relay_core::rtmp::address::Url;
use relay_core::rtmp::client::{Action, Event, Session};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::media::Message;
use crate::random::Random;
use crate::viewer::Eye;
use crate::wait::within;

/// A client's connection.
pub struct Connection {
    socket: TcpStream,
    session: Session,
    clock: Clock,
    input: BytesMut,
    /// The server has asked that the next keyframe come by another connection.
    asked_to_leave: bool,
}

impl Connection {
    /// Dials, and shakes hands as far as the socket's first answer allows.
    ///
    /// # Errors
    /// When the URL is none, or nobody answers.
    pub async fn dial(url: &str, action: Action) -> Result<Self> {
        Self::dial_as(url, action, |session| session).await
    }

    /// Dials as a publisher that announces that it connects anew when it is asked to.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub async fn dial_reconnecting(url: &str) -> Result<Self> {
        Self::dial_as(url, Action::Publish, Session::reconnects).await
    }

    async fn dial_as(url: &str, action: Action, make: impl FnOnce(Session) -> Session) -> Result<Self> {
        let url: Url = url.parse()?;
        let socket = TcpStream::connect(&url.authority).await;
        let socket = socket.with_context(|| format!("dialling {url:?}"))?;
        socket.set_nodelay(true)?;
        let clock = Clock::start();
        let mut random = [0; 32];
        Random::seeded(clock.now().unix_us).fill(&mut random);
        Ok(Self {
            socket,
            session: make(Session::new(url, action, random, clock.now())),
            clock,
            input: BytesMut::with_capacity(64 * 1024),
            asked_to_leave: false,
        })
    }

    /// Whether the server has asked that the next keyframe come by another connection, as far as [`Self::send`] has read.
    pub fn is_asked_to_leave(&self) -> bool {
        self.asked_to_leave
    }

    /// Waits until the server agrees.
    ///
    /// # Errors
    /// With the server's own words when it does not.
    pub async fn started(&mut self) -> Result<()> {
        within("the RTMP server to agree", async {
            loop {
                match self.next_event().await? {
                    Some(Event::Started) => return Ok(()),
                    Some(Event::Refused {
                        code, description, ..
                    }) => bail!("refused: {code}: {description}"),
                    Some(_) => {}
                    None => bail!("the server closed the connection before it agreed"),
                }
            }
        })
        .await?
    }

    /// The next thing that the server did; `None` once it closed the connection.
    ///
    /// # Errors
    /// When the connection breaks, or the server speaks nonsense.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            self.flush().await?;
            if let Some(event) = self.session.poll_event() {
                return Ok(Some(event));
            }
            self.input.clear();
            if self.socket.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
            self.session.handle_input(&self.input, self.clock.now())?;
        }
    }

    /// Sends messages, and reads what the server says meanwhile.
    ///
    /// # Errors
    /// When the connection breaks, or the server ends the publishing.
    pub async fn send(&mut self, messages: &[Message]) -> Result<()> {
        for message in messages {
            self.session
                .send_tag(message.kind, message.time, &message.payload);
        }
        self.flush().await?;
        self.input.resize(64 * 1024, 0);
        let closed = loop {
            match self.socket.try_read(&mut self.input) {
                Ok(0) => break true,
                Ok(length) => self
                    .session
                    .handle_input(&self.input[..length], self.clock.now())?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break false,
                Err(error) => return Err(error.into()),
            }
        };
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Refused {
                    code, description, ..
                } => bail!("the server ends the publishing: {code}: {description}"),
                Event::ReconnectRequested { .. } => self.asked_to_leave = true,
                _ => {}
            }
        }
        // What it said before it closed comes first.
        ensure!(!closed, "the server closed the connection");
        Ok(())
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// When the connection breaks before that.
    pub async fn finish(mut self) -> Result<()> {
        self.session.finish();
        self.flush().await?;
        Ok(self.socket.shutdown().await?)
    }

    /// Makes the connection end without a goodbye when it is dropped: the other side sees a reset, as after `kill -9`.
    ///
    /// # Errors
    /// When the socket is gone already.
    pub fn end_abruptly(&self) -> Result<()> {
        Ok(SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?)
    }

    /// The socket, for who wants no more of RTMP.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    async fn flush(&mut self) -> Result<()> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await?;
        }
        Ok(())
    }
}

/// Plays a URL until its end, each message shown to the eye.
pub(crate) async fn play(eye: &Eye, url: &str) -> Result<()> {
    let mut connection = Connection::dial(url, Action::Play).await?;
    connection.started().await?;
    loop {
        match connection.next_event().await? {
            Some(Event::Tag { kind, time, payload }) => eye.see(&[Message { kind, time, payload }]),
            Some(Event::Refused {
                code, description, ..
            }) => bail!("refused: {code}: {description}"),
            Some(Event::Ended) => return Ok(()),
            Some(Event::Started | Event::ReconnectRequested { .. }) => {}
            None => bail!("the server closed the connection without saying that the stream ended"),
        }
    }
}

/// Where a server sends a player, as the URL of the same stream there; `None` if it plays.
///
/// # Errors
/// With the server's own words when it refuses, and says of no other place.
pub async fn where_play_leads(url: &str) -> Result<Option<String>> {
    let mut connection = Connection::dial(url, Action::Play).await?;
    within("an answer to play", async {
        loop {
            match connection.next_event().await? {
                Some(Event::Started) => return Ok(None),
                Some(Event::Refused {
                    elsewhere: Some(url), ..
                }) => return Ok(Some(format!("{}/{}", url.tc_url(), url.name))),
                Some(Event::Refused { description, .. }) => bail!("refused: {description}"),
                Some(_) => {}
                None => bail!("the connection was closed without a status"),
            }
        }
    })
    .await?
}

/// What a server says to a client that tries to publish and is expected to be refused: the code of its status.
///
/// # Errors
/// When it is not refused.
pub async fn refusal_to_publish(url: &str) -> Result<String> {
    let start = Instant::now();
    let mut connection = Connection::dial(url, Action::Publish).await?;
    let code = within("a refusal", async {
        loop {
            match connection.next_event().await? {
                Some(Event::Refused { code, .. }) => return Ok(code),
                Some(Event::Started) => bail!("the publisher was accepted"),
                Some(_) => {}
                None => bail!("the connection was closed without a status"),
            }
        }
    })
    .await??;
    let closed = within("the close after the refusal", async {
        while let Ok(Some(_)) = connection.next_event().await {}
    });
    closed.await?;
    ensure!(
        start.elapsed() < Duration::from_secs(10),
        "a refusal that took {:?}",
        start.elapsed()
    );
    Ok(code)
}
