//! The target of a request: which path, which query.

use super::error::HttpError;
use super::request::Method;

/// The path, in one spelling, and the query as it came.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl Target {
    /// Reads a path, an `http` or `https` address (what a client sends to its proxy), or the `*` of OPTIONS.
    pub(super) fn parse(text: &str, method: Method) -> Result<Self, HttpError> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HttpError::TargetCharacter);
        }
        if text.contains('#') {
            return Err(HttpError::Fragment);
        }
        if text == "*" && method == Method::Options {
            return Ok(Self {
                path: text.to_owned(),
                query: None,
            });
        }
        let local = if text.starts_with('/') {
            text
        } else {
            after_authority(text)?
        };
        let (path, query) = match local.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (local, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            path: one_spelling(path)?,
            query,
        })
    }
}

/// What comes after the host of an address: a path, a query, or nothing.
fn after_authority(text: &str) -> Result<&str, HttpError> {
    let (scheme, rest) = text.split_once("://").ok_or(HttpError::TargetForm)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(HttpError::TargetForm);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, local) = rest.split_at(end);
    // Someone's name before the host is how a link pretends to lead elsewhere (RFC 9110, 4.2.4).
    if authority.is_empty() || !is_authority(authority) {
        return Err(HttpError::TargetForm);
    }
    Ok(local)
}

/// Whether it could be a host with a port: enough to keep out what would read as something else.
pub(super) fn is_authority(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b':' | b'[' | b']' | b'%')
    })
}

/// Undoes percent-escapes of the characters that never need one, which are those of stream names. All else stays as
/// it came: an escaped slash is no slash.
fn one_spelling(path: &str) -> Result<String, HttpError> {
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(HttpError::Percent)?;
        // from_str_radix alone would take a sign.
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(HttpError::Percent);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| HttpError::Percent)?;
        if byte.is_ascii_control() {
            return Err(HttpError::TargetCharacter);
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(digits);
        }
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str) -> Result<(String, Option<String>), HttpError> {
        Target::parse(text, Method::Get).map(|target| (target.path, target.query))
    }

    #[test]
    fn reads_each_form() {
        for (text, path, query) in [
            ("/live/cam.flv", "/live/cam.flv", None),
            ("/live/cam.flv?token=a?b", "/live/cam.flv", Some("token=a?b")),
            ("/live/cam.flv?", "/live/cam.flv", Some("")),
            ("http://h:8080/live/cam.flv?x", "/live/cam.flv", Some("x")),
            ("HTTPS://[::1]:8080/a", "/a", None),
            ("http://h", "/", None),
            ("http://h?x=/y", "/", Some("x=/y")),
            ("/l%69ve/cam%2Eflv", "/live/cam.flv", None),
            ("/live%2Fcam%20a%c3%A9", "/live%2Fcam%20a%c3%A9", None),
            ("//live/cam.flv", "//live/cam.flv", None),
            ("/%2561", "/%2561", None),
        ] {
            let expected = (path.to_owned(), query.map(str::to_owned));
            assert_eq!(get(text), Ok(expected), "{text}");
        }
        assert!(Target::parse("*", Method::Options).is_ok_and(|target| target.path == "*"));
    }

    #[test]
    fn refuses_what_is_no_target() {
        for (text, error) in [
            ("", HttpError::TargetForm),
            ("*", HttpError::TargetForm),
            ("live/cam.flv", HttpError::TargetForm),
            ("host:80", HttpError::TargetForm),
            ("ftp://h/a", HttpError::TargetForm),
            ("http:///a", HttpError::TargetForm),
            ("http://me@h/a", HttpError::TargetForm),
            ("/a#b", HttpError::Fragment),
            ("/a\0", HttpError::TargetCharacter),
            ("/a\r", HttpError::TargetCharacter),
            ("/kam\u{e9}ra", HttpError::TargetCharacter),
            ("/a%00", HttpError::TargetCharacter),
            ("/a%0d%0Ab", HttpError::TargetCharacter),
            ("/a%7F", HttpError::TargetCharacter),
            ("/a%", HttpError::Percent),
            ("/a%4", HttpError::Percent),
            ("/a%+1b", HttpError::Percent),
            ("/a%%41", HttpError::Percent),
        ] {
            assert_eq!(get(text), Err(error), "{text:?}");
        }
    }
}
