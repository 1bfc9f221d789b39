//! A server of FLV over HTTP or HTTPS that nobody of ours wrote, but a story: it answers each path as it is told to.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use relay_core::flv::{Tag, encode_into, file_header};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::footage::Footage;
use crate::ports::free_port;
use crate::story::lock;

/// A request's head is small.
const MAX_HEAD: usize = 8 * 1024;

/// A request, as far as stories look at it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Such as `/live/camera.flv?token=…`.
    pub target: String,
    /// The value of `Authorization`, or nothing.
    pub authorization: String,
}

/// What to answer.
pub enum Reply {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// Nothing, the connection open.
    Silence,
    /// A stream in real time, in chunks of any size, until so much of it was sent.
    Stream(Footage, Duration),
    /// A stream that stalls after so much of it, its connection open.
    Stall(Footage, Duration),
}

impl Reply {
    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }

    /// An error without a body.
    pub fn status(status: u16) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server.
pub struct Broadcaster {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Broadcaster {
    /// Listens at an address of this machine, a free port, and answers by the script; over TLS, if there are settings for it.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn open(
        address: impl Into<IpAddr>,
        tls: Option<ServerConfig>,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let address = SocketAddr::new(address.into(), free_port());
        let listener = TcpListener::bind(address)
            .await
            .context("opening the broadcaster's port")?;
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&asked), Arc::new(script)));
        Ok(Self { address, asked, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Script>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (tls, asked, script) = (tls.clone(), Arc::clone(&asked), Arc::clone(&script));
        connections.spawn(async move {
            // A client that goes away is its own business; the story looks at that from the other side.
            let _ = answer(socket, tls, &asked, &*script).await;
        });
    }
}

async fn answer(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    asked: &Mutex<Vec<Asked>>,
    script: &Script,
) -> Result<()> {
    match tls {
        Some(tls) => converse(tls.accept(socket).await?, asked, script).await,
        None => converse(socket, asked, script).await,
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    asked: &Mutex<Vec<Asked>>,
    script: &Script,
) -> Result<()> {
    let request = read_request(&mut socket).await?;
    lock(asked).push(request.clone());
    match script(&request) {
        Reply::Bytes(bytes) => socket.write_all(&bytes).await?,
        Reply::Stream(footage, length) => {
            send(&mut socket, footage, length).await?;
            socket.write_all(b"0\r\n\r\n").await?;
        }
        Reply::Stall(footage, length) => {
            send(&mut socket, footage, length).await?;
            hear_out(&mut socket).await?;
        }
        Reply::Silence => hear_out(&mut socket).await?,
    }
    Ok(socket.shutdown().await?)
}

/// Stays until the other side has had enough.
async fn hear_out<S: AsyncRead + Unpin>(socket: &mut S) -> Result<()> {
    let mut bytes = BytesMut::with_capacity(64);
    while socket.read_buf(&mut bytes).await? > 0 {
        bytes.clear();
    }
    Ok(())
}

async fn read_request<S: AsyncRead + Unpin>(socket: &mut S) -> Result<Asked> {
    let mut bytes = BytesMut::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        ensure!(bytes.len() <= MAX_HEAD, "a request of more than {MAX_HEAD} bytes");
        ensure!(
            socket.read_buf(&mut bytes).await? > 0,
            "closed within the request"
        );
    }
    let head = std::str::from_utf8(&bytes)?;
    let target = head.split(' ').nth(1).context("a request has a target")?;
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.trim().to_owned())
    });
    Ok(Asked {
        target: target.to_owned(),
        authorization: authorization.unwrap_or_default(),
    })
}

/// Sends a stream in real time; its chunks begin and end anywhere in its tags.
async fn send<S: AsyncWrite + Unpin>(socket: &mut S, footage: Footage, length: Duration) -> Result<()> {
    socket
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let started = Instant::now();
    let mut waiting = file_header(true, true).to_vec();
    for message in footage {
        let due = Duration::from_millis(message.time.into());
        if due > length {
            break;
        }
        tokio::time::sleep_until(started + due).await;
        let tag = Tag {
            kind: message.kind,
            time: message.time.into(),
            payload: message.payload,
        };
        encode_into(&mut waiting, &tag);
        // What is left over goes with the next.
        let chunk = waiting.len() - waiting.len() / 3;
        send_chunk(socket, &waiting[..chunk]).await?;
        waiting.drain(..chunk);
    }
    send_chunk(socket, &waiting).await
}

async fn send_chunk<S: AsyncWrite + Unpin>(socket: &mut S, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    socket.write_all(&chunk).await?;
    Ok(socket.flush().await?)
}
