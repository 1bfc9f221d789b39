//! An HTTP connection: a live stream leaves for the fan-out, anything else is a page.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::metrics::JoinOutcome;
use super::{Site, pages};
use crate::admission::{self, Verdict};
use crate::fanout::{HandOverError, NewViewer};
use crate::flavour::Flavour;
use crate::hop;
use crate::http::{self, MAX_HEAD_BYTES, Method, RequestHead, Route, Status, Version};
use crate::pool::{Endpoint, Scheme};
use crate::stream::{KeyError, Stream, StreamKey};

/// How long a peer may take to accept a small answer.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// How long a page may take in all: the player's script over a 10 KB/s link is done in half of it.
const PAGE_TIME: Duration = Duration::from_secs(60);

/// For how long what a peer still sends is read after its answer: closing before would reset the connection, and a
/// reset eats answers that were not read yet.
const LINGER_TIME: Duration = Duration::from_secs(1);

pub(super) async fn serve(site: &Site, socket: TcpStream, peer: SocketAddr) {
    let since = Instant::now();
    let result = tokio::select! {
        () = site.stop.cancelled() => return,
        result = Connection { site, socket, peer, since }.run() => result,
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "HTTP connection over");
    }
}

struct Connection<'a> {
    site: &'a Site,
    socket: TcpStream,
    peer: SocketAddr,
    since: Instant,
}

impl Connection<'_> {
    async fn run(mut self) -> io::Result<()> {
        let mut input = BytesMut::with_capacity(1024);
        let reading = read_head(&mut self.socket, &mut input);
        let head = match tokio::time::timeout(self.site.limits.request_time, reading).await {
            Ok(Ok(head)) => head,
            Ok(Err(ReadError::Http(error))) => {
                self.site.metrics.joined(JoinOutcome::BadRequest);
                return self
                    .answer_error(error.status(), &error.to_string(), Method::Other)
                    .await;
            }
            Ok(Err(ReadError::Io(error))) => {
                self.site.metrics.joined(JoinOutcome::Gone);
                return Err(error);
            }
            Err(_) => {
                self.site.metrics.joined(JoinOutcome::Gone);
                // Browsers open connections that they may need: to one that said nothing there is nothing to say.
                if input.is_empty() {
                    return Ok(());
                }
                return self
                    .answer_error(Status::RequestTimeout, "the request took too long", Method::Other)
                    .await;
            }
        };
        let Some(head) = head else {
            self.site.metrics.joined(JoinOutcome::Gone);
            return Ok(());
        };
        let key = match Route::of(&head) {
            Route::Live { key } => Ok(key),
            Route::NotFound(error) => Err(error),
            Route::Other => {
                let serving = pages::serve(self.site, self.socket, input.freeze());
                return tokio::time::timeout(PAGE_TIME, serving)
                    .await
                    .map_err(|_| io::ErrorKind::TimedOut)?;
            }
        };
        self.live(&head, key).await
    }

    async fn live(mut self, head: &RequestHead, key: Result<StreamKey, KeyError>) -> io::Result<()> {
        let method = head.method();
        match method {
            // Whatever the name: a browser shows a page's script no error whose preflight failed.
            Method::Options => return self.answer(http::preflight_response(&self.site.cors)).await,
            Method::Get | Method::Head => {}
            Method::Other => {
                let why = "a stream takes GET, HEAD and OPTIONS";
                return self.answer_error(Status::MethodNotAllowed, why, method).await;
            }
        }
        let found = match key {
            Ok(key) => self.playable(&key).await,
            Err(error) => {
                let why = format!("there can be no such stream: {error}");
                Err((JoinOutcome::NotFound, why))
            }
        };
        let stream = match found {
            Ok(stream) => stream,
            Err((outcome, why)) => return self.refuse(outcome, &why, method).await,
        };
        let response = http::live_head(head.version(), &self.site.cors);
        match self
            .site
            .doorman
            .decide(&stream, Scheme::Http, hop::count(head.query()))
        {
            Verdict::Serve if method == Method::Head => return self.answer(response).await,
            Verdict::Serve => self.site.know_tracks(&stream).await,
            Verdict::Elsewhere(endpoint) => return self.send_on(&endpoint, head).await,
            Verdict::Refuse(refusal) => {
                return self.refuse(JoinOutcome::Full, refusal.sentence(), method).await;
            }
        }
        let flavour = match head.version() {
            Version::Http10 => Flavour::FlvBare,
            Version::Http11 => Flavour::Flv,
        };
        // The socket goes with the viewer; a copy of it stays for the answer to a refusal.
        let socket = self.socket.into_std()?;
        let spare = socket.try_clone();
        let viewer = NewViewer {
            socket: socket.into(),
            peer: self.peer,
            stream,
            flavour,
            head: response,
            dialogue: None,
        };
        match self.site.fanout.hand_over(viewer) {
            Ok(id) => {
                self.site.metrics.joined(JoinOutcome::Served);
                self.site.metrics.join_took(self.since.elapsed().as_secs_f64());
                tracing::debug!(peer = %self.peer, viewer = id, flavour = flavour.name(), "HTTP viewer");
                Ok(())
            }
            Err(error) => {
                self.socket = TcpStream::from_std(spare?)?;
                let why = match error {
                    HandOverError::Stopping => "this server is shutting down".to_owned(),
                    other => other.to_string(),
                };
                self.refuse(JoinOutcome::Full, &why, method).await
            }
        }
    }

    /// The stream, once one can join it; or what to say instead.
    async fn playable(&self, key: &StreamKey) -> Result<Arc<Stream>, (JoinOutcome, String)> {
        let here = self.site.hub.get(key).filter(|stream| !stream.ended());
        let Some(stream) = here else {
            let why = format!("there is no stream {key} here; is it being published?");
            return Err((JoinOutcome::NotFound, why));
        };
        if self.site.start_point(&stream).await {
            return Ok(stream);
        }
        Err(if stream.ended() {
            (JoinOutcome::NotFound, format!("the stream {key} has just ended"))
        } else {
            let why = format!("the stream {key} has no keyframe yet; try again in a moment");
            (JoinOutcome::NotReady, why)
        })
    }

    /// Sends one who asked for a stream to where it is served.
    async fn send_on(mut self, endpoint: &Endpoint, head: &RequestHead) -> io::Result<()> {
        self.site.metrics.joined(JoinOutcome::Redirected);
        let location = format!("{endpoint}{}?{}", head.path(), hop::with_one_more(head.query()));
        self.answer(http::redirect_response(&location, head.method(), &self.site.cors))
            .await
    }

    /// Turns away one who asked for a stream.
    async fn refuse(mut self, outcome: JoinOutcome, why: &str, method: Method) -> io::Result<()> {
        self.site.metrics.joined(outcome);
        let status = match outcome {
            JoinOutcome::NotFound => Status::NotFound,
            _ => Status::Unavailable,
        };
        let retry_after = match outcome {
            JoinOutcome::Full => admission::RETRY_AFTER_SECONDS,
            _ => http::RETRY_AFTER_SECONDS,
        };
        self.answer(http::refusal_response(
            status,
            why,
            retry_after,
            method,
            &self.site.cors,
        ))
        .await
    }

    async fn answer_error(&mut self, status: Status, why: &str, method: Method) -> io::Result<()> {
        self.answer(http::error_response(status, why, method, &self.site.cors))
            .await
    }

    /// Writes a whole answer, says that it was all, and reads on for a moment so that a reset does not eat it.
    async fn answer(&mut self, bytes: Bytes) -> io::Result<()> {
        let goodbye = async {
            self.socket.write_all(&bytes).await?;
            self.socket.shutdown().await
        };
        tokio::time::timeout(WRITE_TIME, goodbye)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        let mut rest = [0; 1024];
        let drained = async { while self.socket.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
        // The end, an error or the time: either way the answer had its chance.
        let _ = tokio::time::timeout(LINGER_TIME, drained).await;
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    Http(http::HttpError),
}

/// Reads up to the end of the request's head, which stays in `input`; `None` if the peer left before its first byte.
///
/// The head is read anew only when a line has ended, so that one who sends it byte by byte gets no more work done than
/// another.
async fn read_head(socket: &mut TcpStream, input: &mut BytesMut) -> Result<Option<RequestHead>, ReadError> {
    loop {
        let before = input.len();
        if socket.read_buf(input).await.map_err(ReadError::Io)? == 0 {
            return if input.is_empty() {
                Ok(None)
            } else {
                Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()))
            };
        }
        // The first byte tells a wrong protocol, which may have no lines.
        if before > 0 && input.len() < MAX_HEAD_BYTES && !input[before..].contains(&b'\n') {
            continue;
        }
        if let Some((head, _)) = RequestHead::parse(input).map_err(ReadError::Http)? {
            return Ok(Some(head));
        }
    }
}

#[cfg(test)]
mod tests;
