//! A visit over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER, SERVER, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use relay_core::stream::Stream;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::fault::Fault;
use super::jury::Witness;
use super::visit::{Answer, Progress, Visit, mark};

/// What is read ahead of a body that is not taken yet, and the longest head.
const READ_AHEAD: usize = 64 << 10;

/// How the logs of whatever stands before an edge can tell these visits from those of people.
const AGENT: &str = concat!("relay-probe/", env!("CARGO_PKG_VERSION"));

/// Watches the stream; or looks whether a relay answers, where there is none.
///
/// # Errors
/// What is wrong there.
pub(super) async fn visit(
    visit: &Visit,
    socket: TcpStream,
    progress: &mut Progress,
) -> Result<Answer, Fault> {
    let host = visit.endpoint.authority();
    match &visit.stream {
        None => {
            let (response, _driving) = ask(socket, &host, "/api/streams".to_owned()).await?;
            is_relay(&response).then_some(Answer::Fine).ok_or(Fault::NoRelay)
        }
        Some(stream) => {
            let path = format!("/{}.flv?{}", stream.key(), mark());
            let (response, _driving) = ask(socket, &host, path).await?;
            match response.status() {
                StatusCode::OK if content_type(&response) == "video/x-flv" => {
                    watch(stream, response.into_body(), progress).await
                }
                StatusCode::NOT_FOUND => Ok(Answer::Lacks),
                _ if is_turned_away(&response) => Ok(Answer::Fine),
                status if status.is_client_error() || status.is_server_error() => Err(Fault::Refuses),
                _ => Err(Fault::NoRelay),
            }
        }
    }
}

/// Sends a request and waits for the head of its answer. The connection ends with the handle.
async fn ask(
    socket: TcpStream,
    host: &str,
    path: String,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Fault> {
    let mut builder = http1::Builder::new();
    let handshake = builder
        .max_buf_size(READ_AHEAD)
        .handshake(TokioIo::new(socket))
        .await;
    let (mut sender, connection) = handshake.map_err(|_| Fault::Broken)?;
    let driving = AbortOnDropHandle::new(tokio::spawn(async move {
        // What happens to it shows in the answer.
        let _ = connection.await;
    }));
    let request = Request::get(path).header(HOST, host).header(USER_AGENT, AGENT);
    // A stream's name is made of what may stand in a path, and an endpoint's host in a header.
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| Fault::Broken)?;
    match sender.send_request(request).await {
        Ok(response) => Ok((response, driving)),
        Err(error) if error.is_parse() => Err(Fault::NoRelay),
        Err(_) => Err(Fault::Broken),
    }
}

async fn watch(stream: &Arc<Stream>, mut body: Incoming, progress: &mut Progress) -> Result<Answer, Fault> {
    let mut witness = Witness::new(Arc::clone(stream));
    while let Some(Some(frame)) = progress.listen(&witness.jury, body.frame()).await {
        // A connection that breaks is a stream that ends: what came before counts.
        let Ok(frame) = frame else { break };
        if let Some(bytes) = frame.data_ref() {
            witness.push(bytes)?;
        }
    }
    witness.jury.verdict().map(|()| Answer::Fine)
}

fn content_type<T>(response: &Response<T>) -> &str {
    let value = response.headers().get(CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the list of streams came back. A proxy before an edge may have put its own name on it.
fn is_relay<T>(response: &Response<T>) -> bool {
    response.status() == StatusCode::OK && content_type(response) == "application/json"
}

/// Whether a relay turned us away as it turns viewers away where all is well: it is full or drains, or knows a better place. It is
/// known by its name, or, behind a proxy, by what only a relay adds.
fn is_turned_away<T>(response: &Response<T>) -> bool {
    let says = |name, what: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(what))
    };
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            says(SERVER, "relay") || response.headers().contains_key(RETRY_AFTER)
        }
        status if status.is_redirection() => says(SERVER, "relay") || says(LOCATION, "hop="),
        _ => false,
    }
}
