//! What is wrong with a request's head.

use super::request::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::response::Status;

/// What the peer did that is no request. The text is written to be sent back: it holds nothing of the peer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It began a TLS handshake.
    #[error("this port speaks plain HTTP, not TLS: use http:// in the address")]
    Tls,
    /// It began an RTMP handshake.
    #[error("this port speaks HTTP; RTMP has a port of its own")]
    Rtmp,
    /// Its first line is not method, target and version with one space between.
    #[error("the first line is no HTTP request")]
    RequestLine,
    /// It speaks HTTP/2 without being asked, or a version there is not.
    #[error("this port speaks HTTP/1.1 and HTTP/1.0 only")]
    Version,
    /// It takes this server for a proxy.
    #[error("this server is no proxy: CONNECT is not for it")]
    Connect,
    /// The target is neither a path nor an `http` address.
    #[error("the target of the request is neither a path nor an http address")]
    TargetForm,
    /// A control character, one outside ASCII, or the escape of a control character in the target.
    #[error("the target of the request has a character that no address may have")]
    TargetCharacter,
    /// A percent sign without two hexadecimal digits after it in the path.
    #[error("the path of the request has a percent sign without two hexadecimal digits")]
    Percent,
    /// A fragment, which is for the client alone.
    #[error("the target of the request has a fragment (#)")]
    Fragment,
    /// No room in the head for more than the first line.
    #[error("the address is too long: a request's head is at most {MAX_HEAD_BYTES} bytes")]
    TargetTooLong,
    /// The head has no end within the limit.
    #[error("the request's head is too large: at most {MAX_HEAD_BYTES} bytes")]
    HeadTooLarge,
    /// More header lines than the limit.
    #[error("the request has too many headers: at most {MAX_HEADERS}")]
    TooManyHeaders,
    /// A header line that is folded over two, has a character that may not be there, or does not end as lines do.
    #[error("a header line of the request is malformed")]
    Header,
    /// HTTP/1.1 without `Host`.
    #[error("an HTTP/1.1 request names its Host")]
    NoHost,
    /// More than one `Host`.
    #[error("the request names two Hosts")]
    TwoHosts,
    /// A `Host` that is no host and port.
    #[error("the Host of the request is no host name")]
    BadHost,
    /// `Content-Length` and `Transfer-Encoding` together: two opinions of where the request ends.
    #[error("the request has both a Content-Length and a Transfer-Encoding")]
    TwoLengths,
    /// A `Content-Length` that is not one number.
    #[error("the Content-Length of the request is not one number")]
    BadLength,
    /// `Transfer-Encoding` in HTTP/1.0, which has none.
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    Encoding,
    /// A body where none has a meaning.
    #[error("a GET, HEAD or OPTIONS request has no body here")]
    Body,
}

impl HttpError {
    /// The status that says so.
    pub const fn status(self) -> Status {
        match self {
            Self::Version => Status::VersionNotSupported,
            Self::Connect => Status::MethodNotAllowed,
            Self::TargetTooLong => Status::UriTooLong,
            Self::HeadTooLarge | Self::TooManyHeaders => Status::HeadersTooLarge,
            Self::Tls
            | Self::Rtmp
            | Self::RequestLine
            | Self::TargetForm
            | Self::TargetCharacter
            | Self::Percent
            | Self::Fragment
            | Self::Header
            | Self::NoHost
            | Self::TwoHosts
            | Self::BadHost
            | Self::TwoLengths
            | Self::BadLength
            | Self::Encoding
            | Self::Body => Status::BadRequest,
        }
    }
}
