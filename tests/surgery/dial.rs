//! One visit of a viewer to a server: it connects, asks, follows where it is sent, and takes pictures until they end.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Mutex;
use std::time::Duration;

use bytes::BytesMut;
use relay_core::flv::TagKind;
use relay_tests::flv;
use relay_tests::http::{Dechunker, Head};
use relay_tests::story::lock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::evening::{STREAM, ZONE};
use crate::viewer::Seat;

/// Where servers take viewers: the default of `[http] listen`.
const PORT: u16 = 8080;

/// How often a viewer follows a redirect.
const MAX_REDIRECTS: u32 = 2;

/// How long a player waits for a connection.
const CONNECTING: Duration = Duration::from_secs(5);

/// And for the next byte of anything.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nobody was there.
    NoConnection,
    /// It was told to come again after so many seconds.
    Refused(u64),
    /// It was answered something else than a stream.
    NoStream,
    /// It had pictures, or was about to, and then no more.
    Over,
}

/// Visits a server at its address, from an address of the viewer's own.
pub(crate) async fn visit(from: Ipv4Addr, server: Ipv4Addr, seat: &Mutex<Seat>) -> End {
    let mut to = SocketAddrV4::new(server, PORT);
    let mut host = format!("{ZONE}:{PORT}");
    let mut path = format!("/{STREAM}.flv");
    for _ in 0..=MAX_REDIRECTS {
        let Some((mut socket, head, rest)) = ask(from, to, &host, &path).await else {
            return End::NoConnection;
        };
        match (head.status, head.header("location").and_then(location)) {
            (200, _) => {
                let is_chunked = head.header("transfer-encoding") == Some("chunked");
                take(&mut socket, is_chunked.then(Dechunker::default), &rest, seat).await;
                return End::Over;
            }
            (301 | 302 | 303 | 307 | 308, Some((place, rest))) => {
                lock(seat).redirects += 1;
                (to, host, path) = (place, place.to_string(), rest);
            }
            (503, _) => {
                let after = head.header("retry-after").and_then(|text| text.parse().ok());
                return End::Refused(after.unwrap_or(1));
            }
            _ => return End::NoStream,
        }
    }
    End::NoStream
}

/// Where a redirect leads: an address, as edges have it here, and the path.
fn location(text: &str) -> Option<(SocketAddrV4, String)> {
    let (place, path) = text.strip_prefix("http://")?.split_once('/')?;
    Some((place.parse().ok()?, format!("/{path}")))
}

/// Connects and asks; gives the answer's head, and what came behind it.
async fn ask(
    from: Ipv4Addr,
    to: SocketAddrV4,
    host: &str,
    path: &str,
) -> Option<(TcpStream, Head, BytesMut)> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::from((from, 0))).ok()?;
    let connected = timeout(CONNECTING, socket.connect(to.into())).await;
    let mut socket = connected.ok()?.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: surgery\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut buffer = BytesMut::with_capacity(4 << 10);
    loop {
        if let Some(head) = Head::take(&mut buffer).ok()? {
            return Some((socket, head, buffer));
        }
        let read = timeout(SILENCE, socket.read_buf(&mut buffer)).await;
        if read.ok()?.ok()? == 0 {
            return None;
        }
    }
}

/// Takes the stream until it ends, for whatever reason: to a viewer they are one.
async fn take(socket: &mut TcpStream, mut chunks: Option<Dechunker>, first: &[u8], seat: &Mutex<Seat>) {
    let mut reader = flv::Reader::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut wire = first;
    loop {
        let taken = match &mut chunks {
            Some(chunks) => chunks.push(wire).ok().map(|bytes| reader.push(&bytes)),
            None => Some(reader.push(wire)),
        };
        if !matches!(taken, Some(Ok(()))) {
            return;
        }
        let messages = reader.take_messages();
        let pictures = messages.iter().filter(|message| message.kind == TagKind::Video);
        lock(seat).sees(pictures.map(|message| message.time));
        wire = match timeout(SILENCE, socket.read(&mut buffer)).await {
            Ok(Ok(1..)) if chunks.as_ref().is_some_and(Dechunker::is_ended) => return,
            Ok(Ok(length @ 1..)) => &buffer[..length],
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_names_an_address_and_a_path() {
        let (place, path) = location("http://198.18.2.2:8080/live/operation.flv?hop=1").unwrap();
        assert_eq!(place.to_string(), "198.18.2.2:8080");
        assert_eq!(path, "/live/operation.flv?hop=1");
        assert_eq!(location("/live/operation.flv"), None);
        assert_eq!(location("http://198.18.2.2:8080"), None);
    }
}
