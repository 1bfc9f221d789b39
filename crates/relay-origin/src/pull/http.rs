//! A pull over HTTP or HTTPS: an FLV that does not end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use relay_core::flv::Reader;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Position, Url};

use super::fault::Fault;
use super::intake::Intake;
use super::{ANSWER_TIME, MAX_REDIRECTS, Way};

/// The longest head of an answer, and what is read ahead of a body that is not taken yet.
const READ_AHEAD: usize = 64 << 10;

/// How a server's log can tell these visits from those of viewers.
const AGENT: &str = concat!("relay-origin/", env!("CARGO_PKG_VERSION"));

/// Takes the stream from there until it ends.
///
/// # Errors
/// Why it ended, if not by its own end.
pub(super) async fn pull(way: &Way, url: &Url, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let Answer { body, _driving } = find(way, url).await?;
    take(body, intake).await
}

/// An answer that has a stream in it. The connection ends with it.
struct Answer {
    body: Incoming,
    _driving: AbortOnDropHandle<()>,
}

/// Asks, and follows where it is sent.
async fn find(way: &Way, url: &Url) -> Result<Answer, Fault> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let (response, driving) = ask(way, &url).await?;
        match response.status() {
            StatusCode::OK => {
                return Ok(Answer {
                    body: response.into_body(),
                    _driving: driving,
                });
            }
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => url = next(&url, &response)?,
            status => return Err(Fault::Status(status.as_u16())),
        }
    }
    Err(Fault::Redirects)
}

/// Where an answer sends us on to. What is there is judged when it is dialled, as everything is.
fn next<T>(from: &Url, response: &Response<T>) -> Result<Url, Fault> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let location = location.ok_or(Fault::BadRedirect("without saying where"))?;
    let mut to = from
        .join(location)
        .map_err(|_| Fault::BadRedirect("to what is no URL"))?;
    match (from.scheme(), to.scheme()) {
        ("https", "http") => return Err(Fault::BadRedirect("from https to http")),
        (_, "http" | "https") => {}
        _ => return Err(Fault::BadRedirect("to another protocol")),
    }
    if to.origin() == from.origin() && to.username().is_empty() && to.password().is_none() {
        // Whoever got them once may have them again, and nobody else. A URL with a host takes both.
        let kept = to
            .set_username(from.username())
            .and_then(|()| to.set_password(from.password()));
        kept.map_err(|()| Fault::BadRedirect("to what is no URL"))?;
    }
    Ok(to)
}

/// Sends a request and waits for the head of its answer.
async fn ask(way: &Way, url: &Url) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Fault> {
    let (Some(host), Some(port)) = (host(url), url.port_or_known_default()) else {
        return Err(Fault::BadRedirect("to no host"));
    };
    let socket = way.dialler.connect(&host, port).await?;
    let asking = async {
        match url.scheme() {
            "https" => {
                let secured = way.trust.secure(&host, socket).await;
                exchange(secured.map_err(Fault::Tls)?, url).await
            }
            _ => exchange(socket, url).await,
        }
    };
    timeout(ANSWER_TIME, asking).await.unwrap_or(Err(Fault::NoAnswer))
}

async fn exchange<S>(socket: S, url: &Url) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    let handshake = builder
        .max_buf_size(READ_AHEAD)
        .handshake(TokioIo::new(socket))
        .await;
    let (mut sender, connection) = handshake.map_err(because)?;
    let driving = AbortOnDropHandle::new(tokio::spawn(async move {
        // What happens to it shows in the answer, or in its body.
        let _ = connection.await;
    }));
    let response = sender.send_request(request(url)?).await.map_err(because)?;
    Ok((response, driving))
}

fn request(url: &Url) -> Result<Request<Empty<Bytes>>, Fault> {
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, authority)
        .header(USER_AGENT, AGENT);
    let request = match credentials(url) {
        Some(credentials) => request.header(AUTHORIZATION, credentials),
        None => request,
    };
    request.body(Empty::new()).map_err(|_| Fault::BadUrl)
}

/// User and password of a URL, as a header's value (RFC 7617).
fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The host as one dials it: an IPv6 address without brackets.
fn host(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

fn because(error: hyper::Error) -> Fault {
    match error.is_parse() {
        true => Fault::NoHttp(error),
        false => Fault::Broken(std::io::Error::other(error)),
    }
}

/// Takes a body to its end.
async fn take(mut body: Incoming, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let mut reader = Reader::new();
    intake.answered();
    while let Some(frame) = intake.wait(body.frame()).await? {
        let frame = frame.map_err(because)?;
        let Some(bytes) = frame.data_ref() else { continue };
        intake.count(bytes.len());
        reader.push(bytes);
        while let Some(tag) = reader.poll_tag()? {
            intake.handle_tag(tag)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_on(from: &str, location: Option<&str>) -> Result<Url, Fault> {
        let mut response = Response::builder().status(302);
        if let Some(location) = location {
            response = response.header(LOCATION, location);
        }
        next(&from.parse().unwrap(), &response.body(()).unwrap())
    }

    #[test]
    fn a_redirect_leads_where_it_says() {
        for (from, location, to) in [
            ("http://h/a/b.flv?x=1", "c.flv", "http://h/a/c.flv"),
            ("http://h/a/b.flv", "/c.flv?y=2", "http://h/c.flv?y=2"),
            ("http://h/a/b.flv", "//e/c.flv", "http://e/c.flv"),
            ("http://h/b.flv", "https://e:8443/c.flv", "https://e:8443/c.flv"),
            ("https://h/b.flv", "//e/c.flv", "https://e/c.flv"),
            // Credentials stay with the host that they are for.
            ("http://u:p@h/b.flv", "/c.flv", "http://u:p@h/c.flv"),
            ("http://u:p@h/b.flv", "http://h/c.flv", "http://u:p@h/c.flv"),
            ("http://u:p@h/b.flv", "http://v:q@h/c.flv", "http://v:q@h/c.flv"),
            ("http://u:p@h/b.flv", "http://e/c.flv", "http://e/c.flv"),
            ("http://u:p@h/b.flv", "http://h:81/c.flv", "http://h:81/c.flv"),
            ("http://u:p@h/b.flv", "https://h/c.flv", "https://h/c.flv"),
        ] {
            let found = sent_on(from, Some(location)).unwrap();
            assert_eq!(found.as_str(), to, "{from} and {location}");
        }
    }

    #[test]
    fn a_redirect_that_may_not_be_followed_is_refused() {
        for (from, location, why) in [
            ("https://h/b.flv", Some("http://h/c.flv"), "from https to http"),
            (
                "http://h/b.flv",
                Some("file:///etc/passwd"),
                "to another protocol",
            ),
            ("http://h/b.flv", Some("rtmp://h/a/b"), "to another protocol"),
            ("http://h/b.flv", Some("http://"), "to what is no URL"),
            ("http://h/b.flv", None, "without saying where"),
        ] {
            let fault = sent_on(from, location).unwrap_err();
            assert_eq!(fault.to_string(), format!("redirected {why}"));
        }
    }

    #[test]
    fn a_request_says_what_the_url_says() {
        let request = request(&"http://us%40er:p%3Aw@[::1]:81/a/b.flv?t=1#x".parse().unwrap()).unwrap();
        assert_eq!(request.uri(), "/a/b.flv?t=1");
        assert_eq!(request.headers()[HOST], "[::1]:81");
        let credentials = &request.headers()[AUTHORIZATION];
        assert_eq!(credentials, &format!("Basic {}", STANDARD.encode("us@er:p:w")));
        assert!(credentials.is_sensitive());
        let plain = super::request(&"https://h/b.flv".parse().unwrap()).unwrap();
        assert_eq!(plain.headers()[HOST], "h");
        assert!(!plain.headers().contains_key(AUTHORIZATION));
        assert_eq!(host(&"http://[::1]/".parse().unwrap()).as_deref(), Some("::1"));
        // The reader of URLs knows all the ways to write an IPv4 address.
        assert_eq!(
            host(&"http://0x7f.1/".parse().unwrap()).as_deref(),
            Some("127.0.0.1")
        );
    }
}
