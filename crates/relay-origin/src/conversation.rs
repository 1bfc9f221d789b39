//! An RTMP client's session on a socket of its own: what a pull and a visit of the probe have in common.

use std::io;

use bytes::BytesMut;
use relay_core::clock::Now;
use relay_core::rtmp::RtmpError;
use relay_core::rtmp::client::{Event, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A session, its socket, and what was read last.
pub(crate) struct Conversation {
    session: Session,
    socket: TcpStream,
    input: BytesMut,
    /// Bytes read at a time.
    at_once: usize,
}

impl Conversation {
    /// A session that has not said a word yet, on a socket that is connected.
    pub(crate) fn new(session: Session, socket: TcpStream, at_once: usize) -> Self {
        Self {
            session,
            socket,
            input: BytesMut::with_capacity(at_once),
            at_once,
        }
    }

    /// The next thing that came of what was read.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// Writes what is to be said, and reads once: how many bytes, 0 at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn exchange(&mut self) -> io::Result<usize> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes).await?;
        }
        self.input.clear();
        self.input.reserve(self.at_once);
        self.socket.read_buf(&mut self.input).await
    }

    /// Takes what was read.
    ///
    /// # Errors
    /// The server broke the protocol or a limit.
    pub(crate) fn take(&mut self, now: Now) -> Result<(), RtmpError> {
        self.session.handle_input(&self.input, now)
    }
}
