//! Who may publish, and the URL that says so to an encoder.

use relay_core::config::PublishPolicy;
use relay_core::stream::StreamKey;

use crate::state::PublishKey;

/// Who may publish. One key for all streams; a key per stream would be another variant.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever shows the key.
    Key(PublishKey),
    /// Anybody who reaches the port.
    Open,
}

impl Access {
    /// As the configuration says, with the state folder's key.
    pub fn new(policy: PublishPolicy, key: PublishKey) -> Self {
        match policy {
            PublishPolicy::Key => Self::Key(key),
            PublishPolicy::Open => Self::Open,
        }
    }

    /// Whether one who showed `secret` may publish, in a time that tells nothing of the key.
    pub fn allows(&self, secret: Option<&str>) -> bool {
        match self {
            Self::Key(key) => secret.is_some_and(|secret| key.matches(secret)),
            Self::Open => true,
        }
    }

    /// The URL to publish `stream` with, on the RTMP port of `host`: a name, an IPv4 or an IPv6 address. It bears the
    /// key, so it is for the one who asked for it and never for a log.
    pub fn publish_url(&self, host: &str, port: u16, stream: &StreamKey) -> String {
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match self {
            Self::Key(key) => format!("rtmp://{host}:{port}/{stream}?key={}", key.expose()),
            Self::Open => format!("rtmp://{host}:{port}/{stream}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that an operator has put into a state folder.
    fn key(test: &str, text: &str) -> PublishKey {
        let folder = std::env::temp_dir().join(format!("relay-access-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("publish-key"), text).unwrap();
        let key = PublishKey::peek(&folder).unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        key
    }

    #[test]
    fn only_the_whole_key_opens() {
        let access = Access::new(PublishPolicy::Key, key("whole", "correct-key"));
        assert!(access.allows(Some("correct-key")));
        for wrong in ["", "correct-ke", "correct-key2", "Correct-key", "correct-keZ"] {
            assert!(!access.allows(Some(wrong)), "{wrong:?}");
        }
        assert!(!access.allows(None));
        let open = Access::new(PublishPolicy::Open, key("open", "correct-key"));
        assert!(open.allows(None));
    }

    #[test]
    fn a_key_is_never_shown_by_accident() {
        let access = Access::Key(key("debug", "hush-hush"));
        assert!(!format!("{access:?}").contains("hush"));
    }

    #[test]
    fn the_url_is_what_an_encoder_takes() {
        let access = Access::Key(key("url", "12345678"));
        let stream: StreamKey = "live/cam".parse().unwrap();
        for (host, url) in [
            ("example.org", "rtmp://example.org:1935/live/cam?key=12345678"),
            ("2001:db8::1", "rtmp://[2001:db8::1]:1935/live/cam?key=12345678"),
            ("[::1]", "rtmp://[::1]:1935/live/cam?key=12345678"),
        ] {
            assert_eq!(access.publish_url(host, 1935, &stream), url);
        }
        assert_eq!(
            Access::Open.publish_url("h", 1936, &stream),
            "rtmp://h:1936/live/cam"
        );
    }
}
