//! Where a request leads.

use super::request::RequestHead;
use crate::stream::{KeyError, StreamKey};

/// The end of a path that asks for a stream.
const LIVE_SUFFIX: &str = ".flv";

/// Where a request leads, whatever its method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/app/name.flv`: a stream of that name, if there is one.
    Live {
        /// The stream.
        key: StreamKey,
    },
    /// `….flv` where no stream can be, since it cannot be called so.
    NotFound(KeyError),
    /// Anything else: a page, or nothing.
    Other,
}

impl Route {
    /// Where `head` leads.
    pub fn of(head: &RequestHead) -> Self {
        let path = head.path();
        let Some(name) = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix(LIVE_SUFFIX))
        else {
            return Self::Other;
        };
        match name.parse() {
            Ok(key) => Self::Live { key },
            Err(error) => Self::NotFound(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(target: &str) -> Route {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, _) = RequestHead::parse(request.as_bytes()).unwrap().unwrap();
        Route::of(&head)
    }

    #[test]
    fn a_path_with_the_suffix_is_a_stream() {
        for (target, key) in [
            ("/live/cam.flv", "live/cam"),
            ("/v2/pub/cam-1.flv?token=x.flv", "v2/pub/cam-1"),
            ("http://h:8080/live/cam.flv", "live/cam"),
            ("/live/c%61m%2eflv", "live/cam"),
            ("/live/cam.flv.flv", "live/cam.flv"),
        ] {
            let key = key.parse().unwrap();
            assert_eq!(route(target), Route::Live { key }, "{target}");
        }
    }

    #[test]
    fn a_name_that_no_stream_has_says_why() {
        for (target, error) in [
            ("/cam.flv", KeyError::NoName),
            ("/.flv", KeyError::NoName),
            ("//live/cam.flv", KeyError::EmptyPart),
            ("/live/.flv", KeyError::EmptyPart),
            ("/live/../cam.flv", KeyError::BadCharacter),
            ("/live/%2e%2e/cam.flv", KeyError::BadCharacter),
            ("/live%2Fcam.flv", KeyError::NoName),
            ("/live/kam%C3%A9ra.flv", KeyError::BadCharacter),
            ("/assets/cam.flv", KeyError::Reserved),
        ] {
            assert_eq!(route(target), Route::NotFound(error), "{target}");
        }
    }

    #[test]
    fn all_else_is_for_the_pages() {
        for target in [
            "/",
            "/watch/live/cam",
            "/live/cam",
            "/live/cam.FLV",
            "/live/cam.flv/",
            "/?a=/b/c.flv",
        ] {
            assert_eq!(route(target), Route::Other, "{target}");
        }
    }
}
