//! A publisher's connection: the relay's own RTMP client, which knows no sockets, with a socket and the time.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use relay_core::clock::Clock;
use relay_core::flv::Tag;
use relay_core::rtmp::address::Url;
use relay_core::rtmp::client::{Action, Event, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::PublishError;

/// How long a server may take to agree, and to take what it is sent: by then a live stream is past saving.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take to close after the goodbye. It has nothing to say any more.
const GOODBYE: Duration = Duration::from_secs(1);

/// Input read at a time: servers send a publisher little.
const INPUT_BYTES: usize = 4096;

/// A connection on which the server agreed.
pub(super) struct Connection {
    url: Url,
    socket: TcpStream,
    session: Session,
    clock: Clock,
    input: BytesMut,
    /// What the session said and the socket has not taken yet.
    output: Bytes,
    started: bool,
}

impl Connection {
    /// Dials, shakes hands, asks to publish and waits for the server to agree.
    pub(super) async fn open(url: Url) -> Result<Self, PublishError> {
        let opening = async {
            let mut connection = Self::dial(&url).await?;
            while !connection.started {
                connection.turn().await?;
            }
            Ok(connection)
        };
        let opened = timeout(PATIENCE, opening).await;
        opened.unwrap_or_else(|_| {
            Err(PublishError::Silent {
                url: url.clone(),
                seconds: PATIENCE.as_secs(),
            })
        })
    }

    async fn dial(url: &Url) -> Result<Self, PublishError> {
        let unreachable = |error| PublishError::Unreachable {
            url: url.clone(),
            error,
        };
        let socket = TcpStream::connect(&url.authority).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| PublishError::Start(error.into()))?;
        let clock = Clock::start();
        Ok(Self {
            url: url.clone(),
            socket,
            session: Session::new(url.clone(), Action::Publish, random, clock.now()),
            clock,
            input: BytesMut::with_capacity(INPUT_BYTES),
            output: Bytes::new(),
            started: false,
        })
    }

    /// Adds a tag to what is to be sent.
    pub(super) fn put(&mut self, tag: &Tag) {
        // RTMP's time wraps.
        self.session.send_tag(tag.kind, tag.time as u32, &tag.payload);
    }

    /// Sends all there is to send, and hears what the server says meanwhile.
    pub(super) async fn flush(&mut self) -> Result<(), PublishError> {
        let sending = async {
            while self.has_output() {
                self.turn().await?;
            }
            Ok(())
        };
        let sent = timeout(PATIENCE, sending).await;
        sent.unwrap_or_else(|_| {
            Err(PublishError::Stalled {
                url: self.url.clone(),
                seconds: PATIENCE.as_secs(),
            })
        })
    }

    /// Hears what the server says, until that is an error; may be dropped at any time, and nothing is lost.
    pub(super) async fn listen(&mut self) -> Result<(), PublishError> {
        loop {
            self.turn().await?;
        }
    }

    /// Says that all is sent, and closes.
    pub(super) async fn finish(mut self) -> Result<(), PublishError> {
        self.session.finish();
        self.flush().await?;
        let url = &self.url;
        let lost = |error| PublishError::Lost {
            url: url.clone(),
            error,
        };
        self.socket.shutdown().await.map_err(lost)?;
        // To close with unread input would reset the connection, and might take the last tags with it.
        let closing = async {
            while self
                .socket
                .read_buf(&mut self.input)
                .await
                .is_ok_and(|count| count > 0)
            {}
        };
        // The end, an error or the time: either way all was said.
        let _ = timeout(GOODBYE, closing).await;
        Ok(())
    }

    /// Whether there is something to send, which is fetched if need be.
    fn has_output(&mut self) -> bool {
        if self.output.is_empty() {
            self.output = self.session.poll_output().unwrap_or_default();
        }
        !self.output.is_empty()
    }

    /// Moves bytes in one direction, whichever goes first.
    async fn turn(&mut self) -> Result<(), PublishError> {
        let writes = self.has_output();
        let (mut reader, mut writer) = self.socket.split();
        let moved = tokio::select! {
            // First what the server says: after a refusal it takes no more, and the words tell more than a broken pipe.
            biased;
            read = reader.read_buf(&mut self.input) => read.map(Some),
            wrote = writer.write(&self.output), if writes => wrote.map(|count| {
                self.output.advance(count);
                None
            }),
        };
        match moved {
            Ok(None) => Ok(()),
            Ok(Some(0)) => Err(PublishError::Closed {
                url: self.url.clone(),
            }),
            Ok(Some(_)) => self.handle_input(),
            Err(error) => Err(PublishError::Lost {
                url: self.url.clone(),
                error,
            }),
        }
    }

    fn handle_input(&mut self) -> Result<(), PublishError> {
        let handled = self.session.handle_input(&self.input, self.clock.now());
        self.input.clear();
        // A refusal comes before the close, and says more than what is wrong behind it.
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Started => self.started = true,
                Event::Refused {
                    code, description, ..
                } => {
                    return Err(PublishError::Refused {
                        url: self.url.clone(),
                        code,
                        description,
                    });
                }
                // It never announces that it connects anew.
                Event::Tag { .. } | Event::Ended | Event::ReconnectRequested { .. } => {}
            }
        }
        handled.map_err(|error| PublishError::Broken {
            url: self.url.clone(),
            error,
        })
    }
}
