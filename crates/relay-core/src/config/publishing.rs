//! The tables that say who may publish, and how encoders come in over TLS: `[[publish_key]]`, `[rtmps]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::text::{Text, written_as_text};
use super::{Listen, Network, StreamPattern};
use crate::tls::hex;

/// The longest name of a key: it stands in lists and in each of the key's URLs.
const MAX_ID_CHARS: usize = 32;

/// `[[publish_key]]`: a publish key that the operator made. The file has its hash and not the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishKey {
    /// Its name, for lists, logs and `key revoke`.
    pub id: KeyId,
    /// SHA-256 of the key as encoders send it, in hex. The key itself should be random, of 128 bits or more.
    pub sha256: KeyHash,
    /// What may be published with it: a stream, or several such as `live/*`. Default `*`, all.
    #[serde(default = "StreamPattern::every")]
    pub stream: StreamPattern,
    /// The networks from which it is good. Default: from everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Network>,
    /// Until when one may begin to publish with it, such as `2026-12-31T20:00:00Z`. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

/// `[rtmps]`: the port of encoders that come over TLS. Without `cert` there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmps {
    /// Where to listen for RTMP over TLS. Default `[::]:1936`, both address families. It takes publishers only.
    pub listen: Listen,
    /// The certificate and those that signed it, as PEM, its own first. Default: none, and the port stays shut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, as PEM. It goes with `cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Default for Rtmps {
    fn default() -> Self {
        Self {
            listen: Listen::everywhere(1936),
            cert: None,
            key: None,
        }
    }
}

impl Rtmps {
    /// Certificate and key, if both are named.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.cert.as_deref().zip(self.key.as_deref())
    }
}

/// A publish key's name: lower-case letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The key for all streams that each origin has from its first start.
    pub const DEFAULT: &'static str = "default";

    /// That key's name.
    pub fn default_key() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for KeyId {
    const EXPECTED: &'static str = "a key's name such as \"hall-2\"";

    fn read(text: &str) -> Result<Self, String> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > MAX_ID_CHARS || !text.bytes().all(good) {
            return Err(format!(
                "a key's name has up to {MAX_ID_CHARS} lower-case letters, digits and dashes, such as \"hall-2\""
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(KeyId);

/// SHA-256 of a publish key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

impl Text for KeyHash {
    const EXPECTED: &'static str = "a SHA-256 as 64 hex digits";

    fn read(text: &str) -> Result<Self, String> {
        hex::decode(text).map(Self).ok_or_else(|| {
            "a SHA-256 is 64 hex digits in lower case: `printf %s \"$KEY\" | sha256sum` prints it".to_owned()
        })
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

written_as_text!(KeyHash);

/// A moment on the calendar, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// In Unix seconds.
    pub unix_s: u64,
}

impl Text for Moment {
    const EXPECTED: &'static str = "a moment such as \"2026-12-31T20:00:00Z\"";

    fn read(text: &str) -> Result<Self, String> {
        let time = humantime::parse_rfc3339_weak(text).map_err(|_| {
            "a moment is a date and a time in UTC, such as \"2026-12-31T20:00:00Z\"".to_owned()
        })?;
        // Nothing before 1970 can be written so.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            unix_s: since.as_secs(),
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond the year 9999 nothing can be written: such a moment is never.
        let last = Duration::from_secs(253_402_300_799);
        let time = UNIX_EPOCH + Duration::from_secs(self.unix_s).min(last);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

written_as_text!(Moment);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_what_they_wrote() {
        let moment: Moment = "2026-12-31T20:00:00Z".parse().unwrap();
        assert_eq!(moment.unix_s, 1_798_747_200);
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert_eq!("2026-12-31 20:00:00".parse(), Ok(moment));
        assert!(!Moment { unix_s: u64::MAX }.to_string().is_empty());
        let hash: KeyHash = format!("{}ff", "00".repeat(31)).parse().unwrap();
        assert_eq!(hash.0[31], 0xff);
        assert_eq!(format!("{hash:?}"), "[hash]");
    }

    #[test]
    fn what_is_no_value_says_what_to_write() {
        for wrong in ["", "Hall", "a b", "x.y", &"x".repeat(33)] {
            assert!(wrong.parse::<KeyId>().unwrap_err().contains("hall-2"), "{wrong}");
        }
        for wrong in ["", "abc", &"AB".repeat(32)] {
            assert!(
                wrong.parse::<KeyHash>().unwrap_err().contains("sha256sum"),
                "{wrong}"
            );
        }
        for wrong in ["", "tomorrow", "2026-13-01T00:00:00Z"] {
            assert!(wrong.parse::<Moment>().unwrap_err().contains("UTC"), "{wrong}");
        }
    }
}
