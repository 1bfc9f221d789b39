//! The head of a request.

use std::fmt;

use super::error::HttpError;
use super::target::{Target, is_authority};

/// The largest head. Browsers with many cookies send 4 KB; whoever sends more than 16 is refused before it costs more.
pub const MAX_HEAD_BYTES: usize = 16 << 10;

/// The most header lines. Browsers send some 15, and proxies in between add a few each.
pub const MAX_HEADERS: usize = 64;

/// Empty lines before the request. RFC 9112 asks for patience with one, after a body that was longer than it said.
pub const MAX_EMPTY_LINES: usize = 2;

/// The methods that anything here tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// Any other; methods are case-sensitive, so `get` is one.
    Other,
}

/// The versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunks, a body ends with its connection.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The head of a request; valid if it exists.
///
/// Feed [`RequestHead::parse`] all that has come so far until it gives a head or an error.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    method: Method,
    version: Version,
    target: Target,
    headers: Vec<(Box<str>, Box<[u8]>)>,
}

impl RequestHead {
    /// Reads a head from the beginning of a connection: it and how many bytes it takes, or `None` if more have to come.
    ///
    /// What is decided for some bytes stays so whatever follows them, and nobody waits for more than
    /// [`MAX_HEAD_BYTES`]. Lines may end in LF alone.
    ///
    /// # Errors
    /// What the peer did wrong; the connection is over after it.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, HttpError> {
        // Neither byte can begin a request; both begin what is sent to a wrong port most often.
        match input.first() {
            Some(0x16) => return Err(HttpError::Tls),
            Some(0x03) => return Err(HttpError::Rtmp),
            _ => {}
        }
        let input = &input[..input.len().min(MAX_HEAD_BYTES)];
        let line = after_empty_lines(input)?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(input) {
            Ok(httparse::Status::Complete(length)) => Ok(Some((Self::checked(&request)?, length))),
            Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => Ok(None),
            Ok(httparse::Status::Partial) if request.version.is_none() => Err(HttpError::TargetTooLong),
            Ok(httparse::Status::Partial) => Err(HttpError::HeadTooLarge),
            Err(httparse::Error::TooManyHeaders) => Err(HttpError::TooManyHeaders),
            Err(httparse::Error::Version) if names_http(line) => Err(HttpError::Version),
            Err(_) if request.version.is_some() => Err(HttpError::Header),
            Err(_) => Err(HttpError::RequestLine),
        }
    }

    fn checked(request: &httparse::Request<'_, '_>) -> Result<Self, HttpError> {
        // A complete request has them all.
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Err(HttpError::RequestLine);
        };
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            "CONNECT" => return Err(HttpError::Connect),
            _ => Method::Other,
        };
        let version = if version == 0 {
            Version::Http10
        } else {
            Version::Http11
        };
        let target = Target::parse(target, method)?;
        check_host(request.headers, version)?;
        check_body(request.headers, method, version)?;
        let headers = request.headers.iter();
        Ok(Self {
            method,
            version,
            target,
            headers: headers.map(|h| (h.name.into(), h.value.into())).collect(),
        })
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The path, without the query. It begins with a slash, but for the `*` of OPTIONS; characters that need no
    /// percent-escape have none, all others that came with one still do.
    pub fn path(&self) -> &str {
        &self.target.path
    }

    /// What came after the first question mark, as it came. It may hold a viewer's secret.
    pub fn query(&self) -> Option<&str> {
        self.target.query.as_deref()
    }

    /// The first header of that name, in whatever case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// Shows neither query nor header values, which may be secrets.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

fn after_empty_lines(input: &[u8]) -> Result<&[u8], HttpError> {
    let mut rest = input;
    let mut count = 0;
    while let Some(next) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
        rest = next;
        count += 1;
        if count > MAX_EMPTY_LINES {
            return Err(HttpError::RequestLine);
        }
    }
    Ok(rest)
}

/// Whether the third word of a line that has a bad version is of HTTP all the same.
fn names_http(line: &[u8]) -> bool {
    line.splitn(3, |&b| b == b' ')
        .nth(2)
        .is_some_and(|version| version.starts_with(b"HTTP/"))
}

/// One `Host` in HTTP/1.1, at most one in HTTP/1.0. An empty one is a request that knows no host.
fn check_host(headers: &[httparse::Header<'_>], version: Version) -> Result<(), HttpError> {
    let mut hosts = values(headers, "host");
    let Some(host) = hosts.next() else {
        return match version {
            Version::Http10 => Ok(()),
            Version::Http11 => Err(HttpError::NoHost),
        };
    };
    if hosts.next().is_some() {
        return Err(HttpError::TwoHosts);
    }
    match std::str::from_utf8(host) {
        Ok(host) if is_authority(host) => Ok(()),
        _ => Err(HttpError::BadHost),
    }
}

/// A request whose end could be read in two ways is refused, whatever its method: what is in front of this server may
/// have read it in the other. A body is refused where it has no meaning; that of other methods is for whoever answers
/// them. A length of 0 is no body.
fn check_body(headers: &[httparse::Header<'_>], method: Method, version: Version) -> Result<(), HttpError> {
    let mut lengths = values(headers, "content-length");
    let length = lengths.next();
    let encoded = values(headers, "transfer-encoding").next().is_some();
    if encoded && length.is_some() {
        return Err(HttpError::TwoLengths);
    }
    if encoded && version == Version::Http10 {
        return Err(HttpError::Encoding);
    }
    if lengths.next().is_some() || !length.is_none_or(is_number) {
        return Err(HttpError::BadLength);
    }
    let body = encoded || length.is_some_and(|digits| digits.iter().any(|&b| b != b'0'));
    if body && method != Method::Other {
        return Err(HttpError::Body);
    }
    Ok(())
}

/// Digits that fit a length: no sign, no list, no 2^64.
fn is_number(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u64>().is_ok())
}

fn values<'a>(headers: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
    named.map(|h| h.value)
}
