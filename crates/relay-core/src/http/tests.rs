//! Heads as peers send them: whole, in pieces, odd and hostile.

use super::*;

type Parsed = Result<Option<(RequestHead, usize)>, HttpError>;

/// Parses; whatever comes of it must have come of no shorter beginning in another way.
fn parse(request: &[u8]) -> Parsed {
    let whole = RequestHead::parse(request);
    for end in 0..request.len() {
        match RequestHead::parse(&request[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "at {end} of {:?}", String::from_utf8_lossy(request)),
        }
    }
    whole
}

fn head(request: &str) -> RequestHead {
    let (head, length) = parse(request.as_bytes()).unwrap().unwrap();
    assert!(length <= request.len());
    head
}

#[test]
fn reads_what_players_send() {
    let browser = "GET /live/cam.flv?token=s3cret HTTP/1.1\r\nHost: edge.example:8080\r\nConnection: keep-alive\r\n\
        Origin: https://www.example.org\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n";
    let ffmpeg = "GET /live/cam.flv HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nRange: bytes=0-\r\n\
        Connection: close\r\nHost: 127.0.0.1:8080\r\nIcy-MetaData: 1\r\n\r\n";
    for request in [browser, ffmpeg] {
        let head = head(request);
        assert_eq!((head.method(), head.version()), (Method::Get, Version::Http11));
        assert_eq!(head.path(), "/live/cam.flv");
    }
    let head = head(browser);
    assert_eq!(head.query(), Some("token=s3cret"));
    assert_eq!(head.header("oRiGiN"), Some("https://www.example.org"));
    assert_eq!(head.header("cookie"), None);
    let shown = format!("{head:?}");
    assert!(
        shown.contains("/live/cam.flv") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn a_head_ends_where_it_ends() {
    let request = b"HEAD /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    let (head, length) = parse(request).unwrap().unwrap();
    assert_eq!(
        (head.method(), head.version(), length),
        (Method::Head, Version::Http10, 20)
    );
    assert_eq!(parse(&request[..19]), Ok(None));
    assert_eq!(parse(b""), Ok(None));
}

#[test]
fn odd_requests_are_taken() {
    for (request, method, path) in [
        ("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", Method::Options, "*"),
        (
            "GET http://h/a HTTP/1.1\r\nHost: other\r\n\r\n",
            Method::Get,
            "/a",
        ),
        ("GET /a HTTP/1.1\nHost: h\n\n", Method::Get, "/a"),
        ("\r\n\r\nGET /a HTTP/1.0\r\n\r\n", Method::Get, "/a"),
        ("get /a HTTP/1.0\r\n\r\n", Method::Other, "/a"),
        ("GET /a HTTP/1.0\r\nContent-Length: 0\r\n\r\n", Method::Get, "/a"),
        (
            "GET /a HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
            Method::Get,
            "/a",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            Method::Other,
            "/a",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n",
            Method::Other,
            "/a",
        ),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nX: kam\u{e9}ra\r\n\r\n",
            Method::Get,
            "/a",
        ),
    ] {
        let head = head(request);
        assert_eq!((head.method(), head.path()), (method, path), "{request:?}");
    }
}

#[test]
fn bad_requests_are_named() {
    for (request, error) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\x03\x03", HttpError::Tls),
        ("\x03\0\0\0\0\0\0\0\0", HttpError::Rtmp),
        ("SSH-2.0-OpenSSH_9.2\r\n", HttpError::RequestLine),
        ("GET /a\r\n\r\n", HttpError::RequestLine),
        ("GET  /a HTTP/1.1\r\n", HttpError::RequestLine),
        ("GET /a b HTTP/1.1\r\n", HttpError::RequestLine),
        ("GET /a\0b HTTP/1.1\r\n", HttpError::RequestLine),
        ("OPTIONS rtsp://h/a RTSP/1.0\r\n", HttpError::RequestLine),
        ("\r\n\r\n\r\nGET /a HTTP/1.0\r\n\r\n", HttpError::RequestLine),
        ("\r\r\r\r\r\r", HttpError::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HttpError::Version),
        ("GET /a HTTP/1.2\r\n", HttpError::Version),
        ("GET /a HTTP/0.9\r\n", HttpError::Version),
        (
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
            HttpError::Connect,
        ),
        ("GET a HTTP/1.0\r\n\r\n", HttpError::TargetForm),
        ("GET * HTTP/1.0\r\n\r\n", HttpError::TargetForm),
        ("GET /kam\u{e9}ra HTTP/1.0\r\n\r\n", HttpError::TargetCharacter),
        ("GET /a%00.flv HTTP/1.0\r\n\r\n", HttpError::TargetCharacter),
        ("GET /a%0d%0aX:y HTTP/1.0\r\n\r\n", HttpError::TargetCharacter),
        ("GET /100% HTTP/1.0\r\n\r\n", HttpError::Percent),
        ("GET /a#b HTTP/1.0\r\n\r\n", HttpError::Fragment),
        ("GET /a HTTP/1.0\r\nX : y\r\n\r\n", HttpError::Header),
        ("GET /a HTTP/1.0\r\nX: y\r\n z\r\n\r\n", HttpError::Header),
        ("GET /a HTTP/1.0\r\nX: y\0\r\n\r\n", HttpError::Header),
        ("GET /a HTTP/1.0\r\nX: y\rZ: a\r\n\r\n", HttpError::Header),
        ("GET /a HTTP/1.1\r\n\r\n", HttpError::NoHost),
        ("GET http://h/a HTTP/1.1\r\n\r\n", HttpError::NoHost),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nhOST: h\r\n\r\n",
            HttpError::TwoHosts,
        ),
        (
            "GET /a HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n",
            HttpError::TwoHosts,
        ),
        ("GET /a HTTP/1.1\r\nHost: h i\r\n\r\n", HttpError::BadHost),
        ("GET /a HTTP/1.1\r\nHost: h, i\r\n\r\n", HttpError::BadHost),
        ("GET /a HTTP/1.1\r\nHost: me@h\r\n\r\n", HttpError::BadHost),
        ("GET /a HTTP/1.1\r\nHost: h/x\r\n\r\n", HttpError::BadHost),
    ] {
        assert_eq!(parse(request.as_bytes()), Err(error), "{request:?}");
    }
}

#[test]
fn two_opinions_of_a_request_end_are_refused() {
    for (method, version, lines, error) in [
        (
            "POST",
            "1.1",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            HttpError::TwoLengths,
        ),
        (
            "GET",
            "1.1",
            "content-length: 0\r\nTransfer-Encoding: identity",
            HttpError::TwoLengths,
        ),
        (
            "POST",
            "1.1",
            "Content-Length: 5\r\nContent-Length: 5",
            HttpError::BadLength,
        ),
        ("POST", "1.1", "Content-Length: 5, 5", HttpError::BadLength),
        ("POST", "1.1", "Content-Length: +5", HttpError::BadLength),
        ("POST", "1.1", "Content-Length:", HttpError::BadLength),
        ("POST", "1.1", "Content-Length: 0x5", HttpError::BadLength),
        (
            "POST",
            "1.1",
            "Content-Length: 18446744073709551616",
            HttpError::BadLength,
        ),
        ("POST", "1.0", "Transfer-Encoding: chunked", HttpError::Encoding),
        ("GET", "1.1", "Transfer-Encoding: chunked", HttpError::Body),
        ("GET", "1.1", "Content-Length: 5", HttpError::Body),
        ("HEAD", "1.1", "Content-Length: 01", HttpError::Body),
        ("OPTIONS", "1.1", "Content-Length: 5", HttpError::Body),
    ] {
        let request = format!("{method} /a HTTP/{version}\r\nHost: h\r\n{lines}\r\n\r\n");
        assert_eq!(parse(request.as_bytes()), Err(error), "{request:?}");
    }
}

#[test]
fn a_head_is_at_most_so_large() {
    let padded = |length: usize| {
        let frame = "GET /a HTTP/1.0\r\nX: \r\n\r\n".len();
        format!("GET /a HTTP/1.0\r\nX: {}\r\n\r\n", "y".repeat(length - frame))
    };
    let (_, length) = RequestHead::parse(padded(MAX_HEAD_BYTES).as_bytes())
        .unwrap()
        .unwrap();
    assert_eq!(length, MAX_HEAD_BYTES);
    let large = padded(MAX_HEAD_BYTES + 1);
    assert_eq!(
        RequestHead::parse(&large.as_bytes()[..MAX_HEAD_BYTES - 1]),
        Ok(None)
    );
    for end in [MAX_HEAD_BYTES, MAX_HEAD_BYTES + 1] {
        assert_eq!(
            RequestHead::parse(&large.as_bytes()[..end]),
            Err(HttpError::HeadTooLarge)
        );
    }
    let long = format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(MAX_HEAD_BYTES));
    assert_eq!(RequestHead::parse(long.as_bytes()), Err(HttpError::TargetTooLong));
}

#[test]
fn a_head_has_at_most_so_many_lines() {
    let lines = |count: usize| format!("GET /a HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert!(parse(lines(MAX_HEADERS).as_bytes()).is_ok_and(|head| head.is_some()));
    assert_eq!(
        parse(lines(MAX_HEADERS + 1).as_bytes()),
        Err(HttpError::TooManyHeaders)
    );
}

#[test]
fn each_error_has_its_status() {
    for (error, code) in [
        (HttpError::Tls, 400),
        (HttpError::TwoLengths, 400),
        (HttpError::Connect, 405),
        (HttpError::TargetTooLong, 414),
        (HttpError::HeadTooLarge, 431),
        (HttpError::TooManyHeaders, 431),
        (HttpError::Version, 505),
    ] {
        assert_eq!(error.status().code(), code, "{error}");
    }
}
