//! The head of an HTTP answer.

use thiserror::Error;

use super::body::Body;

/// The longest head that is waited for.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;

/// Header lines in a head: proxies on the way add some, but not this many.
const MAX_HEADERS: usize = 64;

/// What came is no head of an HTTP answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the answer is no HTTP")]
pub(super) struct AnswerError;

/// A head, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// Where a redirect leads.
    pub(super) location: Option<String>,
    /// How the body is framed.
    pub(super) body: Body,
    /// Bytes of the head: the body begins behind them.
    pub(super) length: usize,
}

impl Answer {
    /// Reads a head; `None` if it has no end yet.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, AnswerError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).map_err(|_| AnswerError)? else {
            return if bytes.len() < MAX_HEAD_BYTES {
                Ok(None)
            } else {
                Err(AnswerError)
            };
        };
        let header = |name: &str| {
            let found = response
                .headers
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok().map(str::trim)
        };
        let chunked =
            header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let body = match header("Content-Length") {
            _ if chunked => Body::CHUNKED,
            Some(length) => Body::Left(length.parse().map_err(|_| AnswerError)?),
            None => Body::UntilClose,
        };
        Ok(Some(Self {
            status: response.code.ok_or(AnswerError)?,
            location: header("Location").map(str::to_owned),
            body,
            length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Answer>, AnswerError> {
        Answer::parse(text.as_bytes())
    }

    #[test]
    fn a_head_says_how_its_body_is_framed() {
        for (headers, body) in [
            ("Transfer-Encoding: Chunked\r\n", Body::CHUNKED),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Body::CHUNKED,
            ),
            ("content-length: 12 \r\n", Body::Left(12)),
            ("", Body::UntilClose),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
            let answer = parse(&format!("{head}body")).unwrap().unwrap();
            assert_eq!(
                (answer.status, answer.body, answer.length),
                (200, body, head.len())
            );
            for cut in 0..head.len() {
                assert_eq!(parse(&head[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_redirect_says_where_to() {
        let answer = parse("HTTP/1.1 307 Temporary Redirect\r\nlocation: /b\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(answer.status, 307);
        assert_eq!(answer.location.as_deref(), Some("/b"));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        assert_eq!(parse("RTMP"), Err(AnswerError));
        assert_eq!(
            parse("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
            Err(AnswerError)
        );
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(parse(&endless), Err(AnswerError));
    }
}
