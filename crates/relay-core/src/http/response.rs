//! The beginning of an answer, and answers that are nothing but a beginning.

use std::fmt::Write;

use bytes::Bytes;

use super::request::{Method, Version};

/// After how many seconds one who was refused with 503 may ask again: the time of a keyframe or two.
pub const RETRY_AFTER_SECONDS: u32 = 2;

/// For how many seconds a browser may remember a preflight. Chromium forgets after 7200 whatever it is told.
const PREFLIGHT_SECONDS: u32 = 7200;

/// What a stream may be asked with.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// Headers that players put on a request by script: those that ask for a preflight.
const REQUEST_HEADERS: &str = "Authorization, Cache-Control, Pragma, Range";

/// The statuses of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 400
    BadRequest,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408
    RequestTimeout,
    /// 414
    UriTooLong,
    /// 431
    HeadersTooLarge,
    /// 500
    Internal,
    /// 503
    Unavailable,
    /// 505
    VersionNotSupported,
}

impl Status {
    /// The number.
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::UriTooLong => 414,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::VersionNotSupported => 505,
        }
    }

    /// The phrase after the number.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::UriTooLong => "URI Too Long",
            Self::HeadersTooLarge => "Request Header Fields Too Large",
            Self::Internal => "Internal Server Error",
            Self::Unavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// The head of a live stream, for GET and HEAD alike: in chunks for HTTP/1.1, up to the connection's end for HTTP/1.0.
///
/// `cors` is the origin whose pages may read it, `*` for any, empty for none. Proxies are told to keep nothing and
/// to hold nothing back (R71).
pub fn live_head(version: Version, cors: &str) -> Bytes {
    let mut head = match version {
        Version::Http10 => Head::new("HTTP/1.0 200 OK"),
        Version::Http11 => Head::new("HTTP/1.1 200 OK"),
    };
    head.line("Content-Type", "video/x-flv");
    if version == Version::Http11 {
        head.line("Transfer-Encoding", "chunked");
    }
    head.line("Accept-Ranges", "none");
    head.line("X-Accel-Buffering", "no");
    head.cors(cors);
    head.end()
}

/// The answer to OPTIONS: what a stream may be asked with, and from which pages.
pub fn preflight_response(cors: &str) -> Bytes {
    let mut head = Head::new("HTTP/1.1 204 No Content");
    head.line("Allow", METHODS);
    if head.cors(cors) {
        head.line("Access-Control-Allow-Methods", METHODS);
        head.line("Access-Control-Allow-Headers", REQUEST_HEADERS);
        head.line("Access-Control-Max-Age", PREFLIGHT_SECONDS);
    }
    head.end()
}

/// Sends a viewer to `location`, for this once: where the stream is served now changes from one moment to the next. Pages
/// that may read streams may follow.
pub fn redirect_response(location: &str, method: Method, cors: &str) -> Bytes {
    let mut head = Head::new("HTTP/1.1 302 Found");
    let text = "this stream is served elsewhere";
    head.line("Location", location);
    head.line("Content-Type", "text/plain; charset=utf-8");
    head.line("Content-Length", text.len() + 1);
    head.cors(cors);
    head.end_with(if method == Method::Head { None } else { Some(text) })
}

/// An error with its reason in a body of plain text, which the answer to HEAD only announces.
///
/// 405 comes with `Allow`, 503 with `Retry-After`. Pages that may read streams may read the reason too.
pub fn error_response(status: Status, why: &str, method: Method, cors: &str) -> Bytes {
    refusal_response(status, why, RETRY_AFTER_SECONDS, method, cors)
}

/// The same, where one who is refused with 503 may come again after so many seconds.
pub fn refusal_response(status: Status, why: &str, retry_after: u32, method: Method, cors: &str) -> Bytes {
    let mut head = Head::new(format_args!("HTTP/1.1 {} {}", status.code(), status.reason()));
    head.line("Content-Type", "text/plain; charset=utf-8");
    head.line("Content-Length", why.len() + 1);
    if status == Status::MethodNotAllowed {
        head.line("Allow", METHODS);
    }
    if status == Status::Unavailable {
        head.line("Retry-After", retry_after);
    }
    if head.cors(cors) && status == Status::Unavailable {
        head.line("Access-Control-Expose-Headers", "Retry-After");
    }
    head.end_with(if method == Method::Head { None } else { Some(why) })
}

/// A head in the making: what each answer of this server has is put in here.
struct Head(String);

impl Head {
    fn new(status_line: impl std::fmt::Display) -> Self {
        let mut head = Self(String::with_capacity(512));
        // Writing to a String cannot fail, here and below.
        let _ = write!(head.0, "{status_line}\r\n");
        head.line("Server", "relay");
        head.line("Connection", "close");
        head.line("Cache-Control", "no-store");
        head.line("X-Content-Type-Options", "nosniff");
        head
    }

    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = write!(self.0, "{name}: {value}\r\n");
    }

    /// Lets pages of `origin` read the answer; false if it is nobody's. A value that would break out of its line is
    /// nobody's: the configuration has none, but this is the last place to look.
    fn cors(&mut self, origin: &str) -> bool {
        if origin.is_empty() || !origin.bytes().all(|b| b.is_ascii_graphic()) {
            return false;
        }
        self.line("Access-Control-Allow-Origin", origin);
        if origin != "*" {
            self.line("Vary", "Origin");
        }
        true
    }

    fn end(self) -> Bytes {
        self.end_with(None)
    }

    fn end_with(mut self, text: Option<&str>) -> Bytes {
        self.0.push_str("\r\n");
        if let Some(text) = text {
            self.0.push_str(text);
            self.0.push('\n');
        }
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an answer as a client does: status, headers with names in small letters, body.
    fn read(answer: &Bytes) -> (u16, Vec<(String, String)>, String) {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(answer).unwrap() else {
            panic!("no end of the head: {answer:?}");
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = response.headers.iter();
        let headers = headers.map(|h| (h.name.to_ascii_lowercase(), text(h.value)));
        (response.code.unwrap(), headers.collect(), text(&answer[length..]))
    }

    fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = headers.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} is there once");
        value
    }

    fn all(cors: &str) -> Vec<Bytes> {
        vec![
            live_head(Version::Http10, cors),
            live_head(Version::Http11, cors),
            preflight_response(cors),
            error_response(Status::Unavailable, "full", Method::Get, cors),
            redirect_response("http://e/live/cam.flv?hop=1", Method::Get, cors),
        ]
    }

    #[test]
    fn a_live_head_is_chunked_in_1_1_and_ends_with_the_connection_in_1_0() {
        let (code, headers, body) = read(&live_head(Version::Http11, "*"));
        assert_eq!((code, body.as_str()), (200, ""));
        assert_eq!(header(&headers, "transfer-encoding"), Some("chunked"));
        let old = live_head(Version::Http10, "*");
        assert!(old.starts_with(b"HTTP/1.0 200 OK\r\n"));
        let (_, old, _) = read(&old);
        assert_eq!(header(&old, "transfer-encoding"), None);
        for headers in [headers, old] {
            assert_eq!(header(&headers, "content-length"), None);
            assert_eq!(header(&headers, "content-type"), Some("video/x-flv"));
            assert_eq!(header(&headers, "x-accel-buffering"), Some("no"), "R71");
        }
    }

    #[test]
    fn a_redirect_names_the_place_and_says_so_in_words() {
        let answer = redirect_response("http://e:81/live/cam.flv?hop=1", Method::Get, "*");
        let (code, headers, body) = read(&answer);
        assert_eq!((code, body.as_str()), (302, "this stream is served elsewhere\n"));
        assert_eq!(
            header(&headers, "location"),
            Some("http://e:81/live/cam.flv?hop=1")
        );
        assert_eq!(header(&headers, "content-length"), Some("32"));
        let (_, _, body) = read(&redirect_response("http://e/", Method::Head, "*"));
        assert_eq!(body, "");
    }

    #[test]
    fn each_answer_is_kept_by_nobody_and_closes() {
        for answer in all("*") {
            let (_, headers, _) = read(&answer);
            assert_eq!(header(&headers, "cache-control"), Some("no-store"));
            assert_eq!(header(&headers, "connection"), Some("close"));
            assert_eq!(header(&headers, "server"), Some("relay"));
            assert_eq!(header(&headers, "x-content-type-options"), Some("nosniff"));
        }
    }

    #[test]
    fn each_answer_says_whose_pages_may_read_it() {
        let one = "https://www.example.org";
        for (cors, origin, vary) in [
            ("*", Some("*"), None),
            (one, Some(one), Some("Origin")),
            ("", None, None),
            ("*\r\nSet-Cookie: a=b", None, None),
        ] {
            for answer in all(cors) {
                let (_, headers, _) = read(&answer);
                assert_eq!(header(&headers, "access-control-allow-origin"), origin);
                assert_eq!(header(&headers, "vary"), vary);
                assert_eq!(header(&headers, "set-cookie"), None);
                let cors_lines = headers
                    .iter()
                    .filter(|(name, _)| name.starts_with("access-control"));
                assert_eq!(cors_lines.count() == 0, origin.is_none());
            }
        }
    }

    #[test]
    fn a_preflight_has_no_body_and_no_length() {
        let (code, headers, body) = read(&preflight_response("*"));
        assert_eq!((code, body.as_str()), (204, ""));
        assert_eq!(header(&headers, "content-length"), None, "RFC 9110, 8.6");
        assert_eq!(header(&headers, "allow"), Some(METHODS));
        assert_eq!(header(&headers, "access-control-allow-methods"), Some(METHODS));
        assert_eq!(header(&headers, "access-control-max-age"), Some("7200"));
        let allowed = header(&headers, "access-control-allow-headers").unwrap();
        assert!(allowed.contains("Range"), "players ask with a range from script");
    }

    #[test]
    fn an_error_says_why() {
        for (status, allow, retry) in [
            (Status::BadRequest, None, None),
            (Status::Forbidden, None, None),
            (Status::NotFound, None, None),
            (Status::MethodNotAllowed, Some(METHODS), None),
            (Status::RequestTimeout, None, None),
            (Status::UriTooLong, None, None),
            (Status::HeadersTooLarge, None, None),
            (Status::Internal, None, None),
            (Status::Unavailable, None, Some("2")),
            (Status::VersionNotSupported, None, None),
        ] {
            let answer = error_response(status, "k\u{e9}y", Method::Get, "*");
            let line = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
            assert!(answer.starts_with(line.as_bytes()), "{answer:?}");
            let (_, headers, body) = read(&answer);
            assert_eq!(body, "k\u{e9}y\n");
            assert_eq!(
                header(&headers, "content-length"),
                Some("5"),
                "bytes, not characters"
            );
            assert_eq!(header(&headers, "allow"), allow, "{status:?}");
            assert_eq!(header(&headers, "retry-after"), retry, "{status:?}");
            let exposed = header(&headers, "access-control-expose-headers");
            assert_eq!(exposed, retry.map(|_| "Retry-After"));
        }
    }

    #[test]
    fn the_answer_to_head_is_that_to_get_without_its_body() {
        let get = error_response(Status::NotFound, "why", Method::Get, "*");
        let head = error_response(Status::NotFound, "why", Method::Head, "*");
        assert_eq!(get, [&head[..], b"why\n"].concat());
    }
}
