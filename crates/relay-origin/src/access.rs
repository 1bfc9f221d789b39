//! Who may publish: the publish key, and the URL that carries it.

use std::fmt;
use std::str::FromStr;

use relay_core::stream::StreamKey;
use subtle::ConstantTimeEq;

/// Characters of a key that is made here: 26 of 32 letters, 130 bits, more than anyone tries over a network.
const KEY_CHARACTERS: usize = 26;

/// The longest key that is taken: some devices cut a stream's name at 255 bytes, and name and key share it (R30).
pub const MAX_KEY_CHARACTERS: usize = 128;

/// Letters and digits of made keys: none that is mistaken for another when read aloud or off paper.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The secret that a publisher shows. Never in a log: its `Debug` hides it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishKey(String);

/// Why a text is no publish key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishKeyError {
    /// Empty, or longer than [`MAX_KEY_CHARACTERS`].
    #[error("a publish key is 1 to {MAX_KEY_CHARACTERS} characters long")]
    Length,
    /// A character that reads otherwise in a URL.
    #[error("a publish key is made of letters, digits and . _ ~ - only")]
    Character,
}

impl PublishKey {
    /// A new random key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0_u8; KEY_CHARACTERS];
        getrandom::fill(&mut random)?;
        let letter = |byte: u8| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]);
        Ok(Self(random.into_iter().map(letter).collect()))
    }

    /// The key itself: for the state folder, and for a person who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this key, in a time that tells nothing of where they differ.
    fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// The URL to publish `stream` with, on the RTMP port of `host`: a name, an IPv4 or an IPv6 address.
    pub fn url(&self, host: &str, port: u16, stream: &StreamKey) -> String {
        let key = &self.0;
        match host.contains(':') && !host.starts_with('[') {
            true => format!("rtmp://[{host}]:{port}/{stream}?key={key}"),
            false => format!("rtmp://{host}:{port}/{stream}?key={key}"),
        }
    }
}

impl FromStr for PublishKey {
    type Err = PublishKeyError;

    fn from_str(text: &str) -> Result<Self, PublishKeyError> {
        if text.is_empty() || text.len() > MAX_KEY_CHARACTERS {
            return Err(PublishKeyError::Length);
        }
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        if !text.bytes().all(good) {
            return Err(PublishKeyError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishKey(…)")
    }
}

/// Who may publish.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever shows the key.
    Key(PublishKey),
    /// Anybody who reaches the port.
    Open,
}

impl Access {
    /// Whether one who showed `secret` may publish.
    pub fn allows(&self, secret: Option<&str>) -> bool {
        match self {
            Self::Key(key) => secret.is_some_and(|secret| key.is(secret)),
            Self::Open => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_keys_differ_and_are_keys() {
        let (one, other) = (PublishKey::generate().unwrap(), PublishKey::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), KEY_CHARACTERS);
        assert_eq!(one.reveal().parse(), Ok(one.clone()));
    }

    #[test]
    fn only_the_whole_key_opens() {
        let access = Access::Key("correct-key".parse().unwrap());
        assert!(access.allows(Some("correct-key")));
        for wrong in ["", "correct-ke", "correct-key2", "Correct-key", "correct-keZ"] {
            assert!(!access.allows(Some(wrong)), "{wrong:?}");
        }
        assert!(!access.allows(None));
        assert!(Access::Open.allows(None));
    }

    #[test]
    fn a_key_is_never_shown_by_accident() {
        let access = Access::Key("hush".parse().unwrap());
        assert!(!format!("{access:?}").contains("hush"));
    }

    #[test]
    fn the_url_is_what_an_encoder_takes() {
        let key: PublishKey = "k".parse().unwrap();
        let stream: StreamKey = "live/cam".parse().unwrap();
        assert_eq!(
            key.url("example.org", 1935, &stream),
            "rtmp://example.org:1935/live/cam?key=k"
        );
        assert_eq!(
            key.url("2001:db8::1", 1936, &stream),
            "rtmp://[2001:db8::1]:1936/live/cam?key=k"
        );
        assert_eq!(
            key.url("[::1]", 1935, &stream),
            "rtmp://[::1]:1935/live/cam?key=k"
        );
    }

    #[test]
    fn what_a_url_would_change_is_no_key() {
        for (text, error) in [
            ("", PublishKeyError::Length),
            ("a&b", PublishKeyError::Character),
            ("a b", PublishKeyError::Character),
            ("a%20", PublishKeyError::Character),
        ] {
            assert_eq!(text.parse::<PublishKey>(), Err(error), "{text:?}");
        }
    }
}
