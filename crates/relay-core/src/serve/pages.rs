//! Everything over HTTP that is no stream: the index, the player page, its script, the list of streams.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use relay_web::Assets;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Site;
use crate::cascade::message::Offer;

/// One stream in the list that the index page shows.
#[derive(Debug, Serialize)]
struct StreamEntry {
    stream: String,
    live: bool,
    viewers: u64,
}

/// The pool, as players read it.
#[derive(Debug, Serialize)]
struct Pool {
    nodes: Vec<PoolNode>,
}

/// One way to a node.
#[derive(Debug, Serialize)]
struct PoolNode {
    /// Where it is: a stream is at this URL and its own path.
    http: String,
    /// What the node has left, in bits per second: the weight to draw it with.
    room: u64,
}

/// Serves one request on `socket`, of which `input` has been read already.
///
/// One and no more: a connection that is kept could ask for a stream next, and that one must come in by the front door.
pub(super) async fn serve(site: &Site, socket: TcpStream, input: Bytes) -> io::Result<()> {
    let (read, write) = socket.into_split();
    let stream = tokio::io::join(io::Cursor::new(input).chain(read), write);
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let response = answer(site, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(site.limits.request_time)
        .serve_connection(TokioIo::new(stream), service);
    serving.await.map_err(io::Error::other)
}

fn answer(site: &Site, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "pages take GET and HEAD\n");
    }
    match request.uri().path() {
        "/api/streams" => streams(site),
        "/pool.json" => pool(site),
        path => {
            let fence = relay_web::security_headers(&site.frame_ancestors);
            asset(&site.assets, path, request.headers(), fence).unwrap_or_else(|| {
                plain(
                    StatusCode::NOT_FOUND,
                    "there is nothing here; streams are at /app/name.flv\n",
                )
            })
        }
    }
}

/// A page or a part of one, with the headers that fence it in. Browsers keep it and ask whether it has changed, so that a reload
/// costs a small uplink nothing.
pub(crate) fn asset(
    assets: &Assets,
    path: &str,
    request: &HeaderMap,
    fence: Vec<(&'static str, String)>,
) -> Option<Response<Full<Bytes>>> {
    let says = |name, what: &str| {
        request
            .get_all(name)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.contains(what)))
    };
    let asset = assets.get(path, says(header::ACCEPT_ENCODING, "gzip"))?;
    let mut response = match says(header::IF_NONE_MATCH, &asset.etag) {
        true => respond(StatusCode::NOT_MODIFIED, asset.content_type, Bytes::new()),
        false => respond(StatusCode::OK, asset.content_type, asset.body),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(header::ETAG, HeaderValue::from_str(&asset.etag).ok()?);
    if asset.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in fence {
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(&value).ok()?,
        );
    }
    Some(response)
}

fn streams(site: &Site) -> Response<Full<Bytes>> {
    let list: Vec<StreamEntry> = site
        .hub
        .list()
        .iter()
        .map(|stream| StreamEntry {
            stream: stream.key().to_string(),
            live: stream.state().playable,
            viewers: stream.viewer_count(),
        })
        .collect();
    json(&list)
}

/// The nodes that serve viewers, for players. Pages that may read streams may read it, too.
fn pool(site: &Site) -> Response<Full<Bytes>> {
    let view = site.doorman.view();
    let node = |offer: &Offer| {
        let urls = offer.public.iter().filter(|url| url.starts_with("http://"));
        let room = offer.headroom;
        urls.map(|url| PoolNode {
            http: url.clone(),
            room,
        })
        .collect::<Vec<_>>()
    };
    let nodes: Vec<PoolNode> = view.offers.iter().flat_map(node).collect();
    let mut response = json(&Pool { nodes });
    if let Ok(origin) = HeaderValue::from_str(&site.cors)
        && !site.cors.is_empty()
    {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => respond(StatusCode::OK, "application/json", body.into()),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(
        status,
        "text/plain; charset=utf-8",
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
