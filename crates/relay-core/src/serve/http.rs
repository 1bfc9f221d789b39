//! An HTTP connection: a live stream leaves for the fan-out, anything else is a page.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::metrics::JoinOutcome;
use super::{Site, pages};
use crate::fanout::{HandOverError, NewViewer};
use crate::flavour::Flavour;
use crate::http::{self, Method, RequestHead, Route};
use crate::stream::StreamKey;

/// How long a peer may take to accept a small answer.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// After how many seconds one who was refused may ask again: the time of a keyframe or two.
const RETRY_AFTER: u32 = 2;

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
        let read = tokio::time::timeout(
            self.site.limits.request_time,
            read_head(&mut self.socket, &mut input),
        )
        .await;
        let head = match read {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) => {
                self.site.metrics.joined(JoinOutcome::Gone);
                return Ok(());
            }
            Ok(Err(ReadError::Io(error))) => {
                self.site.metrics.joined(JoinOutcome::Gone);
                return Err(error);
            }
            Ok(Err(ReadError::Http(error))) => {
                self.site.metrics.joined(JoinOutcome::BadRequest);
                return self
                    .answer(http::error_response(error.status(), &error.to_string(), None))
                    .await;
            }
            Err(_) => {
                self.site.metrics.joined(JoinOutcome::Gone);
                return self
                    .answer(http::error_response(408, "the request took too long", None))
                    .await;
            }
        };
        match Route::of(&head) {
            Route::Live { key } => self.live(&head, key).await,
            Route::Other => pages::serve(self.site, self.socket, input.freeze()).await,
        }
    }

    async fn live(mut self, head: &RequestHead, key: StreamKey) -> io::Result<()> {
        match head.method {
            Method::Options => return self.answer(http::preflight_response()).await,
            Method::Get | Method::Head => {}
            Method::Other => {
                return self
                    .answer(http::error_response(
                        405,
                        "a stream takes GET, HEAD and OPTIONS",
                        None,
                    ))
                    .await;
            }
        }
        let Some(stream) = self.site.hub.get(&key) else {
            let why = format!("there is no stream {key} here; is it being published?");
            return self.refuse(JoinOutcome::NotFound, 404, &why).await;
        };
        if head.method == Method::Head {
            return self.answer(http::live_head(head.version)).await;
        }
        if !self.site.start_point(&stream).await {
            let why = format!("the stream {key} has no keyframe yet; try again in a moment");
            return self.refuse(JoinOutcome::NotReady, 503, &why).await;
        }
        let flavour = if head.version == http::Version::Http10 {
            Flavour::FlvBare
        } else {
            Flavour::Flv
        };
        // The socket goes with the viewer; a copy of it stays for the answer to a refusal.
        let socket = self.socket.into_std()?;
        let spare = socket.try_clone();
        let viewer = NewViewer {
            socket: socket.into(),
            peer: self.peer,
            stream,
            flavour,
            head: http::live_head(head.version),
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
                self.refuse(JoinOutcome::Full, 503, &why).await
            }
        }
    }

    async fn refuse(mut self, outcome: JoinOutcome, status: u16, why: &str) -> io::Result<()> {
        self.site.metrics.joined(outcome);
        let retry = (status == 503).then_some(RETRY_AFTER);
        self.answer(http::error_response(status, why, retry)).await
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
        let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    Http(http::HttpError),
}

/// Reads up to the end of the request's head, which stays in `input`; `None` if the peer left before its first byte.
async fn read_head(socket: &mut TcpStream, input: &mut BytesMut) -> Result<Option<RequestHead>, ReadError> {
    loop {
        if let Some((head, _)) = RequestHead::parse(input).map_err(ReadError::Http)? {
            return Ok(Some(head));
        }
        if socket.read_buf(input).await.map_err(ReadError::Io)? == 0 {
            return if input.is_empty() {
                Ok(None)
            } else {
                Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()))
            };
        }
    }
}
