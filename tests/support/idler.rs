//! Viewers that look at nothing: those who never read, and those who read and throw away.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use relay_core::rtmp::client::{Action, Event};
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::http::split_url;
use crate::rtmp::Connection;

/// What a stalled viewer lets its own kernel hold: little, so that the server's side is what fills.
const RECEIVE_BUFFER: u32 = 8 * 1024;

/// As much as one call throws away.
const GULP: usize = 256 * 1024;

thread_local! {
    /// Where the kernel would put what it throws away, if it did not.
    static WASTE: RefCell<Vec<u8>> = RefCell::new(vec![0; GULP]);
}

/// A viewer that asks for a stream and never reads again.
#[derive(Debug)]
pub struct Idler {
    socket: TcpStream,
}

impl Idler {
    /// Asks for `url` (`http://…` or `rtmp://…`) and stops reading once media comes.
    ///
    /// # Errors
    /// When the stream is not to be had.
    pub async fn watch(url: &str) -> Result<Self> {
        let socket = if url.starts_with("rtmp://") {
            let mut connection = Connection::dial(url, Action::Play).await?;
            connection.started().await?;
            while !matches!(
                connection.next_event().await?.context("closed at once")?,
                Event::Tag { .. }
            ) {}
            connection.into_socket()
        } else {
            let (host, path) = split_url(url)?;
            let address: SocketAddr = host.parse()?;
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
            let mut socket = socket.connect(address).await?;
            socket
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
                .await?;
            let mut start = [0; 12];
            socket.read_exact(&mut start).await?;
            ensure!(
                &start == b"HTTP/1.1 200",
                "answered {}",
                String::from_utf8_lossy(&start)
            );
            socket
        };
        Ok(Self { socket })
    }

    /// From now on reads and throws away, as fast as it comes, at next to no cost: the kernel copies nothing.
    pub fn drink(self) -> Drinker {
        Drinker {
            task: tokio::spawn(async move { drink(&self.socket).await }),
        }
    }
}

/// A viewer that reads and throws away, on a task of its own.
#[derive(Debug)]
pub struct Drinker {
    task: JoinHandle<std::io::Result<u64>>,
}

impl Drinker {
    /// Whether its connection still stands.
    pub fn is_connected(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Drinker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Throws away all that comes until the connection ends; how many bytes it was.
async fn drink(socket: &TcpStream) -> std::io::Result<u64> {
    let mut total = 0;
    loop {
        socket.readable().await?;
        let gulp = || {
            WASTE.with_borrow_mut(|waste| {
                Ok(rustix::net::recv(socket, waste.as_mut_slice(), RecvFlags::TRUNC)?.0)
            })
        };
        match socket.try_io(Interest::READABLE, gulp) {
            Ok(0) => return Ok(total),
            Ok(length) => total += length as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
