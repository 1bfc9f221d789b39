//! Where viewers of the floor come in: a listener with the options of a server's, and the reading of requests.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use relay_core::http::{MAX_HEAD_BYTES, Method, RequestHead, Status, Version, error_response};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::FloorError;
use super::rounds::Joiner;

/// Connections that the kernel queues for us, as for the relay.
const BACKLOG: i32 = 4096;

/// What a socket may hold, asked of the kernel, which doubles it: the relay's default.
const SEND_BUFFER: usize = 64 << 10;

/// Unsent bytes above which a socket counts as full: the relay's default.
const UNSENT: u32 = 16 << 10;

/// Requests being read at once; one more waits to be accepted.
const MAX_REQUESTS: usize = 1024;

/// How long a request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long to pause when there is no descriptor left.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Listens on `address`. Congestion control is set before, since a socket accepted under a pacing algorithm keeps a timer
/// per burst even if switched later.
pub(super) fn listen(address: SocketAddr, congestion: &str) -> Result<(SocketAddr, TcpListener), FloorError> {
    let failed = |error| FloorError::Listen { address, error };
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(failed)?;
    socket
        .set_tcp_congestion(congestion.as_bytes())
        .map_err(|error| FloorError::Congestion {
            name: congestion.to_owned(),
            error,
        })?;
    let bound = || -> io::Result<(SocketAddr, TcpListener)> {
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        Ok((listener.local_addr()?, listener))
    };
    bound().map_err(failed)
}

/// Takes viewers in.
pub(super) struct Door {
    requests: Arc<Semaphore>,
    usher: Arc<Usher>,
}

/// Reads a request and hands its socket on.
struct Usher {
    streams: usize,
    seats: usize,
    joins: mpsc::Sender<Joiner>,
    watching: Arc<AtomicUsize>,
}

impl Door {
    pub(super) fn new(
        streams: usize,
        seats: usize,
        joins: mpsc::Sender<Joiner>,
        watching: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            usher: Arc::new(Usher {
                streams,
                seats,
                joins,
                watching,
            }),
        }
    }

    /// Accepts for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.requests).acquire_owned().await else {
                // The semaphore is never closed.
                return;
            };
            // When there is no descriptor left, the next try fails at once, and for ever; and where a connection was gone
            // before it was accepted, the pause is a small price.
            let Ok((socket, _)) = listener.accept().await else {
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            };
            let usher = Arc::clone(&self.usher);
            tokio::spawn(async move {
                // A viewer that does not say in time what it wants, or leaves, is nobody's loss.
                let _ = tokio::time::timeout(REQUEST_TIME, usher.receive(socket)).await;
                drop(place);
            });
        }
    }
}

impl Usher {
    async fn receive(&self, mut socket: TcpStream) -> io::Result<()> {
        let head = match read_head(&mut socket).await? {
            Ok(head) => head,
            Err(answer) => return socket.write_all(&answer).await,
        };
        let refusal = if head.method() != Method::Get {
            Some((Status::MethodNotAllowed, "the floor answers GET only"))
        } else if head.version() != Version::Http11 {
            Some((Status::VersionNotSupported, "the floor speaks HTTP/1.1 only"))
        } else if !self.take_seat() {
            Some((
                Status::Unavailable,
                "the floor has no descriptor left for a viewer",
            ))
        } else {
            None
        };
        if let Some((status, why)) = refusal {
            let answer = error_response(status, why, head.method(), "");
            return socket.write_all(&answer).await;
        }
        if let Err(error) = self.hand_over(socket, stream_of(head.path(), self.streams)).await {
            self.watching.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        Ok(())
    }

    fn take_seat(&self) -> bool {
        let taken = self.watching.fetch_add(1, Ordering::Relaxed);
        if taken >= self.seats {
            self.watching.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    async fn hand_over(&self, socket: TcpStream, stream: usize) -> io::Result<()> {
        let options = SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_notsent_lowat(UNSENT)?;
        let socket: OwnedFd = socket.into_std()?.into();
        let joiner = Joiner { socket, stream };
        let sent = self.joins.send(joiner).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Reads up to the end of a request's head; in the place of one that is none, the answer to it.
async fn read_head(socket: &mut TcpStream) -> io::Result<Result<RequestHead, Bytes>> {
    let mut input = BytesMut::with_capacity(1024);
    while input.len() < MAX_HEAD_BYTES {
        if socket.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match RequestHead::parse(&input) {
            Ok(Some((head, _))) => return Ok(Ok(head)),
            Ok(None) => {}
            Err(error) => return Ok(Err(refusal(&error.to_string()))),
        }
    }
    // Not reached: the parser waits for no more than so many bytes.
    Ok(Err(refusal("the request is too long")))
}

fn refusal(why: &str) -> Bytes {
    error_response(Status::BadRequest, why, Method::Get, "")
}

/// The number that a path ends with, before its suffix, within the number of streams there are; the first without one.
fn stream_of(path: &str, streams: usize) -> usize {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default();
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number: usize = name[digits..].parse().unwrap_or_default();
    number.checked_rem(streams).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_with_its_streams_number() {
        for (path, stream) in [
            ("/live/cam0.flv", 0),
            ("/live/cam7.flv", 7),
            ("/live/cam12.flv", 2),
            ("/live/cam", 0),
            ("/7", 7),
            ("/", 0),
            ("/live9/cam.x8.flv", 0),
            ("/cam99999999999999999999", 0),
        ] {
            assert_eq!(stream_of(path, 10), stream, "{path}");
        }
    }

    #[tokio::test]
    async fn a_congestion_control_that_is_none_is_named() {
        let error = listen("127.0.0.1:0".parse().unwrap(), "no-such-thing").unwrap_err();
        assert!(error.to_string().contains("no-such-thing"), "{error}");
    }
    #[tokio::test]
    async fn one_viewer_too_many_is_told_so() {
        let (address, listener) = listen("127.0.0.1:0".parse().unwrap(), "cubic").unwrap();
        let (joins, mut joiners) = mpsc::channel(4);
        let watching = Arc::new(AtomicUsize::new(0));
        let door = Door::new(20, 1, joins, Arc::clone(&watching));
        let serving = tokio::spawn(door.serve(listener));
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let request = b"GET /live/cam12.flv HTTP/1.1\r\nHost: floor\r\n\r\n";
            // Cut in two, as a network may.
            socket.write_all(&request[..20]).await.unwrap();
            socket.write_all(&request[20..]).await.unwrap();
            if sockets.is_empty() {
                assert_eq!(joiners.recv().await.map(|joiner| joiner.stream), Some(12));
            }
            sockets.push(socket);
        }
        let mut said = String::new();
        sockets[1].read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
        assert_eq!(watching.load(Ordering::Relaxed), 1);
        serving.abort();
    }
}
