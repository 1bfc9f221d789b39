//! Passes requests on to the admin socket, and answers back.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    self, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, REFRESH,
};
use hyper::{Request, Response, StatusCode, Uri};
use relay_core::admin::AdminClient;
use relay_core::command_line::complain;
use relay_core::config::Program;

use super::guard::{Denied, Guard};

/// Headers that belong to one connection, and the name by which this machine was reached: the other side gets its own.
const OF_ONE_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// What a browser gets: the origin's answer as it comes, or a sentence of ours.
type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Between a browser and the origin.
#[derive(Debug)]
pub(super) struct Forwarder {
    client: AdminClient,
    guard: Guard,
    /// Whether the origin did not answer last, which is said once.
    missing: AtomicBool,
}

impl Forwarder {
    pub(super) const fn new(client: AdminClient, guard: Guard) -> Self {
        Self {
            client,
            guard,
            missing: AtomicBool::new(false),
        }
    }

    /// The answer to a request; there always is one.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let target = match self.target(&request) {
            Ok(target) => target,
            Err(denied) => return Ok(denial(denied)),
        };
        let is_page = target.path() == "/";
        let answered = self.client.forward(onward(request, target)).await;
        let was_missing = self.missing.swap(answered.is_err(), Ordering::Relaxed);
        Ok(match answered {
            Ok(answer) => {
                if was_missing {
                    complain(Program::Origin, "the origin answers again");
                }
                back(answer)
            }
            Err(error) => {
                if !was_missing {
                    complain(Program::Origin, format_args!("{error}; trying on"));
                }
                let mut answer = sentence(StatusCode::BAD_GATEWAY, &error.to_string());
                if is_page {
                    // A page that is there comes back by itself; one that is not yet is asked for again.
                    answer
                        .headers_mut()
                        .insert(REFRESH, HeaderValue::from_static("2"));
                }
                answer
            }
        })
    }

    /// What to ask the origin for.
    fn target(&self, request: &Request<Incoming>) -> Result<Uri, Denied> {
        let uri = request.uri();
        // A whole URL is for proxies, which this is none.
        let target = uri
            .path_and_query()
            .filter(|_| uri.authority().is_none())
            .ok_or(Denied::NoToken)?;
        // A name that is no text is not ours either.
        let hosts = request.headers().get_all(HOST).into_iter();
        let hosts: Vec<&str> = hosts.map(|host| host.to_str().unwrap_or_default()).collect();
        let asked = self.guard.admits(request.method(), &hosts, target.as_str())?;
        asked.parse().map_err(|_| Denied::NoToken)
    }
}

/// The request as the origin gets it.
fn onward(request: Request<Incoming>, target: Uri) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    head.uri = target;
    strip(&mut head.headers);
    head.headers.insert(HOST, HeaderValue::from_static("admin"));
    Request::from_parts(head, body)
}

/// The answer as the browser gets it.
fn back(answer: Response<Incoming>) -> Answer {
    let mut answer = answer.map(Either::Left);
    strip(answer.headers_mut());
    answer
}

fn strip(headers: &mut HeaderMap) {
    for name in &OF_ONE_CONNECTION {
        headers.remove(name);
    }
}

fn denial(denied: Denied) -> Answer {
    let mut answer = match denied {
        Denied::OnlyLooks => sentence(StatusCode::METHOD_NOT_ALLOWED, &denied.to_string()),
        _ => sentence(StatusCode::FORBIDDEN, &denied.to_string()),
    };
    if denied == Denied::OnlyLooks {
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
    }
    answer
}

fn sentence(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
