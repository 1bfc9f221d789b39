//! Any bytes as the head of a request.

use super::choice;
use crate::http::{HttpError, MAX_HEAD_BYTES, Method, RequestHead, Route, error_response};

/// Reads the data as a head, or as the target or the header lines of one that is well-formed otherwise.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let kind = choice(&mut data) % 3;
    let split = usize::from(choice(&mut data));
    let parts: [&[u8]; 3] = match kind {
        0 => [b"", data, b""],
        1 => [b"GET /", data, b" HTTP/1.1\r\nHost: h\r\n\r\n"],
        _ => [b"GET /live/cam.flv HTTP/1.1\r\nHost: h\r\n", data, b"\r\n\r\n"],
    };
    head(&parts.concat(), split);
}

fn head(input: &[u8], split: usize) {
    let whole = RequestHead::parse(input);
    match RequestHead::parse(&input[..split.min(input.len())]) {
        Ok(None) => {}
        early => assert_eq!(early, whole, "what is decided stays so"),
    }
    match whole {
        Ok(None) => assert!(input.len() < MAX_HEAD_BYTES, "nobody waits for more"),
        Ok(Some((head, length))) => {
            assert!(length <= input.len().min(MAX_HEAD_BYTES));
            assert_eq!(
                RequestHead::parse(&input[..length - 1]),
                Ok(None),
                "it ends there"
            );
            path(&head);
        }
        Err(error) => answer(error),
    }
}

fn path(head: &RequestHead) {
    let path = head.path();
    assert!(path.starts_with('/') || (path == "*" && head.method() == Method::Options));
    assert!(
        path.bytes()
            .all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
    );
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    if head.method() == Method::Get {
        let again = RequestHead::parse(request.as_bytes());
        // Without a query or a host it is no longer than it was, but for the words around it.
        if let Ok(Some((again, _))) = again {
            assert_eq!(again.path(), path, "a path has one spelling");
        } else {
            assert!(request.len() > MAX_HEAD_BYTES, "{again:?}");
        }
    }
    if let Route::Live { key } = Route::of(head) {
        assert_eq!(path, format!("/{key}.flv"), "a stream has one path");
    }
}

/// The answer to it is one that a client can read.
fn answer(error: HttpError) {
    let answer = error_response(error.status(), &error.to_string(), Method::Get, "*");
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    assert!(response.parse(&answer).is_ok_and(|status| status.is_complete()));
    assert_eq!(response.code, Some(error.status().code()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const SEED: &str = "GET http://h/l%69ve/cam.flv?a=b HTTP/1.1\r\nHost: h:80\r\nContent-Length: 0\r\nRange: bytes=0-\r\n\r\n";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn changed_heads_survive(
            split: u8,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3, 0usize..3), 0..4),
        ) {
            let mut head = SEED.as_bytes().to_vec();
            for (index, byte, removed, inserted) in changes {
                let at = index.index(head.len() + 1);
                let end = (at + removed).min(head.len());
                head.splice(at..end, std::iter::repeat_n(byte, inserted));
            }
            super::body(&[&[0, split], &head[..]].concat());
        }

        #[test]
        fn targets_survive(split: u8, target in "[a-c/.%?#:~0-9A-F]{0,30}(\\.flv)?") {
            super::body(&[&[1, split], target.as_bytes()].concat());
        }

        #[test]
        fn header_lines_survive(split: u8, lines in "((Host|Content-Length|Transfer-Encoding|X): ?[ -~\t]{0,6}\r?\n){0,4}") {
            super::body(&[&[2, split], lines.as_bytes()].concat());
        }

        #[test]
        fn noise_survives(data in prop::collection::vec(any::<u8>(), 0..300)) {
            super::body(&data);
        }
    }

    #[test]
    fn the_seed_is_a_head() {
        let (head, _) = crate::http::RequestHead::parse(SEED.as_bytes()).unwrap().unwrap();
        assert_eq!(head.path(), "/live/cam.flv");
    }
}
