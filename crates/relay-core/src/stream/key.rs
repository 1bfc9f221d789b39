//! The name of a stream: `app/name`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest `app/name` in bytes: twice what any encoder in the field uses, and it fits one log line.
pub const MAX_KEY_BYTES: usize = 255;

/// First path segments that the HTTP side uses itself, so no app may be called so.
const RESERVED_APPS: [&str; 3] = ["api", "assets", "watch"];

/// A stream's name, `app/name`; valid if it exists.
///
/// Letters, digits, `.`, `_`, `~` and `-` only, so that it reads the same in a URL, a log, a metric label and a
/// file name. The app may have several segments (`v2/pub/cam`, R30); the last segment is the name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(Arc<str>);

/// Why a text is no stream name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No slash: a stream is named by app and name.
    #[error("a stream is named app/name, such as live/camera")]
    NoName,
    /// Nothing between two slashes, or at an end.
    #[error("a stream name has no empty part")]
    EmptyPart,
    /// Longer than [`MAX_KEY_BYTES`].
    #[error("a stream name is at most {MAX_KEY_BYTES} bytes long")]
    TooLong,
    /// A character outside the allowed set, or a part made of dots only.
    #[error("a stream name is made of letters, digits and . _ ~ - only")]
    BadCharacter,
    /// An app that the HTTP side uses itself.
    #[error("the app names api, assets and watch are reserved")]
    Reserved,
}

impl StreamKey {
    /// Joins an app and a name as RTMP gives them, each without surrounding slashes.
    ///
    /// # Errors
    /// As for parsing `app/name`.
    pub fn new(app: &str, name: &str) -> Result<Self, KeyError> {
        format!("{}/{}", app.trim_matches('/'), name.trim_matches('/')).parse()
    }

    /// `app/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All before the last slash.
    pub fn app(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(app, _)| app)
    }

    /// All after the last slash.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for StreamKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        let mut parts = text.split('/');
        let first = parts.next().unwrap_or_default();
        if parts.next().is_none() {
            return Err(KeyError::NoName);
        }
        for part in text.split('/') {
            if part.is_empty() {
                return Err(KeyError::EmptyPart);
            }
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
            if !part.bytes().all(good) || part.bytes().all(|b| b == b'.') {
                return Err(KeyError::BadCharacter);
            }
        }
        if RESERVED_APPS.contains(&first) {
            return Err(KeyError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for StreamKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for StreamKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_app_and_name() {
        let key: StreamKey = "v2/pub/cam-1".parse().unwrap();
        assert_eq!((key.app(), key.name()), ("v2/pub", "cam-1"));
        assert_eq!(StreamKey::new("live/", "/cam").unwrap().as_str(), "live/cam");
    }

    #[test]
    fn refuses_what_would_not_read_the_same_everywhere() {
        for (text, error) in [
            ("live", KeyError::NoName),
            ("", KeyError::NoName),
            ("live/", KeyError::EmptyPart),
            ("/cam", KeyError::EmptyPart),
            ("live/a b", KeyError::BadCharacter),
            ("live/..", KeyError::BadCharacter),
            ("live/a\0", KeyError::BadCharacter),
            ("live/kam\u{e9}ra", KeyError::BadCharacter),
            ("watch/cam", KeyError::Reserved),
        ] {
            assert_eq!(text.parse::<StreamKey>(), Err(error), "{text:?}");
        }
        assert_eq!(
            format!("live/{}", "x".repeat(300)).parse::<StreamKey>(),
            Err(KeyError::TooLong)
        );
    }
}
