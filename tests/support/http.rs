//! HTTP as a plain client speaks it: whole small answers, and the endless one of a live stream, taken apart by hand
//! so that the framing itself is under test.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::wait::within;

/// A larger head than ours is a fault.
const MAX_HEAD: usize = 16 * 1024;

/// A larger chunk-size line than this is a fault.
const MAX_SIZE_LINE: usize = 16;

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status line's first word.
    pub version: String,
    /// Such as 200.
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value; names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Reads a head from the front of `buffer` if it is whole.
    ///
    /// # Errors
    /// When it is no HTTP.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Self>> {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            ensure!(buffer.len() <= MAX_HEAD, "a head of more than {MAX_HEAD} bytes");
            return Ok(None);
        };
        let head = buffer.split_to(end + 4);
        let head = std::str::from_utf8(&head[..end]).context("a head that is no text")?;
        let mut lines = head.split("\r\n");
        let mut status_line = lines.next().unwrap_or_default().splitn(3, ' ');
        let version = status_line.next().unwrap_or_default().to_owned();
        ensure!(
            version.starts_with("HTTP/1."),
            "an answer that begins with {version:?}"
        );
        let status = status_line.next().unwrap_or_default();
        let headers = lines.map(|line| {
            let (name, value) = line
                .split_once(':')
                .with_context(|| format!("header line {line:?}"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Some(Self {
            version,
            status: status.parse().with_context(|| format!("status {status:?}"))?,
            headers: headers.collect::<Result<_>>()?,
        }))
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks `GET url` and reads the whole answer.
///
/// # Errors
/// When nobody answers, or not in HTTP, or not to the end.
pub async fn get(url: &str) -> Result<Answer> {
    ask("GET", url, "").await
}

/// Asks with any method and further header lines, each ended by CRLF.
///
/// # Errors
/// When nobody answers, or not in HTTP, or not to the end.
pub async fn ask(method: &str, url: &str, lines: &str) -> Result<Answer> {
    let (host, path) = split_url(url)?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n");
    let answer = async {
        let socket = TcpStream::connect(host).await?;
        exchange(socket, method, &request).await
    };
    let answer = within(format!("an answer to {method} {url}"), answer).await?;
    answer.with_context(|| format!("{method} {url}"))
}

/// Asks `GET path` on a Unix socket and reads the whole answer.
///
/// # Errors
/// As for [`ask`].
pub async fn get_by_socket(socket: &Path, path: &str) -> Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    let answer = async {
        let socket = UnixStream::connect(socket).await?;
        exchange(socket, "GET", &request).await
    };
    let answer = within(format!("an answer to GET {path}"), answer).await?;
    answer.with_context(|| format!("GET {path} on {}", socket.display()))
}

async fn exchange(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    request: &str,
) -> Result<Answer> {
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = BytesMut::new();
    while socket.read_buf(&mut bytes).await? > 0 {}
    let head = Head::take(&mut bytes)?.context("the answer ended within its head")?;
    if method == "HEAD" || head.header("transfer-encoding") != Some("chunked") {
        let body = bytes.to_vec();
        return Ok(Answer { head, body });
    }
    let mut chunks = Dechunker::default();
    let body = chunks.push(&bytes)?;
    ensure!(chunks.is_ended(), "the answer ended within its chunks");
    Ok(Answer { head, body })
}

/// `http://host:port/path` as (`host:port`, `/path`).
///
/// # Errors
/// When it is no such URL.
pub fn split_url(url: &str) -> Result<(&str, &str)> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("{url} is no http URL"))?;
    let slash = rest.find('/').with_context(|| format!("{url} has no path"))?;
    Ok(rest.split_at(slash))
}

/// Takes chunked bytes as they come and gives what is in them.
#[derive(Debug, Default)]
pub struct Dechunker {
    buffer: BytesMut,
    next: Next,
}

/// What the next bytes of a chunked body are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Size,
    Content(usize),
    ContentEnd,
    /// The empty line after the last chunk: ours has no trailers.
    BodyEnd,
    Nothing,
}

impl Dechunker {
    /// Takes the next bytes and gives the content among them.
    ///
    /// # Errors
    /// When the framing is broken, or goes on after the last chunk.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        let mut content = Vec::with_capacity(bytes.len());
        while let Some(next) = self.step(&mut content)? {
            self.next = next;
        }
        let after_end = self.next == Next::Nothing && !self.buffer.is_empty();
        ensure!(!after_end, "{} bytes after the last chunk", self.buffer.len());
        Ok(content)
    }

    /// Whether the last chunk was seen.
    pub fn is_ended(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Takes one piece from the buffer; `None` if it is not whole yet.
    fn step(&mut self, content: &mut Vec<u8>) -> Result<Option<Next>> {
        match self.next {
            Next::Size => Ok(self.take_size()?.map(|size| match size {
                0 => Next::BodyEnd,
                size => Next::Content(size),
            })),
            Next::Content(rest) if self.buffer.is_empty() && rest > 0 => Ok(None),
            Next::Content(rest) => {
                let ready = rest.min(self.buffer.len());
                content.extend_from_slice(&self.buffer.split_to(ready));
                Ok(Some(match rest - ready {
                    0 => Next::ContentEnd,
                    rest => Next::Content(rest),
                }))
            }
            Next::ContentEnd => Ok(self.take_line_end()?.then_some(Next::Size)),
            Next::BodyEnd => Ok(self.take_line_end()?.then_some(Next::Nothing)),
            Next::Nothing => Ok(None),
        }
    }

    fn take_size(&mut self) -> Result<Option<usize>> {
        let Some(end) = self
            .buffer
            .windows(2)
            .take(MAX_SIZE_LINE)
            .position(|window| window == b"\r\n")
        else {
            ensure!(self.buffer.len() <= MAX_SIZE_LINE, "a chunk size without an end");
            return Ok(None);
        };
        let line = self.buffer.split_to(end + 2);
        let size = std::str::from_utf8(&line[..end]).context("a chunk size that is no text")?;
        let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk size {size:?}"))?;
        Ok(Some(size))
    }

    fn take_line_end(&mut self) -> Result<bool> {
        match self.buffer.get(..2) {
            None => Ok(false),
            Some(b"\r\n") => {
                self.buffer.advance(2);
                Ok(true)
            }
            Some(other) => bail!("a chunk ends with {other:02x?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_apart_at_every_split() {
        let bytes = b"5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        for split in 0..=bytes.len() {
            let mut chunks = Dechunker::default();
            let mut content = chunks.push(&bytes[..split]).unwrap();
            content.extend(chunks.push(&bytes[split..]).unwrap());
            assert_eq!(content, b"hello0123456789abcdef", "split at {split}");
            assert!(chunks.is_ended());
        }
    }

    #[test]
    fn broken_chunks_are_noticed() {
        assert!(Dechunker::default().push(b"5\r\nhelloXX").is_err());
        assert!(Dechunker::default().push(b"g\r\n").is_err());
        assert!(Dechunker::default().push(b"0\r\n\r\nmore").is_err());
    }
}
