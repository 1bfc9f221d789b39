//! HTTP heads.

use bytes::Bytes;

use crate::stream::StreamKey;

/// Methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// others
    Other,
}

/// Versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0
    Http10,
    /// 1.1
    Http11,
}

/// A request head.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// method
    pub method: Method,
    /// path
    pub path: String,
    /// version
    pub version: Version,
}

/// Errors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Bad.
    #[error("this is no HTTP request")]
    Bad,
}

impl HttpError {
    /// Status.
    pub fn status(&self) -> u16 {
        400
    }
}

impl RequestHead {
    /// Parses.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, HttpError> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(input) {
            Ok(httparse::Status::Complete(len)) => {
                let method = match request.method.unwrap_or_default() {
                    "GET" => Method::Get,
                    "HEAD" => Method::Head,
                    "OPTIONS" => Method::Options,
                    _ => Method::Other,
                };
                let version = if request.version == Some(0) {
                    Version::Http10
                } else {
                    Version::Http11
                };
                Ok(Some((
                    Self {
                        method,
                        path: request.path.unwrap_or_default().to_owned(),
                        version,
                    },
                    len,
                )))
            }
            Ok(httparse::Status::Partial) if input.len() < 16384 => Ok(None),
            _ => Err(HttpError::Bad),
        }
    }
}

/// Route.
pub enum Route {
    /// live
    Live {
        /// key
        key: StreamKey,
    },
    /// other
    Other,
}

impl Route {
    /// Of.
    pub fn of(head: &RequestHead) -> Self {
        let path = head.path.split('?').next().unwrap_or_default();
        match path
            .trim_start_matches('/')
            .strip_suffix(".flv")
            .and_then(|key| key.parse().ok())
        {
            Some(key) => Self::Live { key },
            None => Self::Other,
        }
    }
}

/// Live head.
pub fn live_head(version: Version) -> Bytes {
    match version {
        Version::Http10 => Bytes::from_static(b"HTTP/1.0 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n"),
        Version::Http11 => Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nTransfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n"),
    }
}

/// Preflight.
pub fn preflight_response() -> Bytes {
    Bytes::from_static(b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
}

/// Error.
pub fn error_response(status: u16, why: &str, _retry: Option<u32>) -> Bytes {
    format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}\n",
        why.len() + 1
    )
    .into()
}
