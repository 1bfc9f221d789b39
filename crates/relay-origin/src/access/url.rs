//! The URL that tells an encoder where to publish, and with what.

use relay_core::stream::StreamKey;

/// Where encoders come in.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// A name, an IPv4 or an IPv6 address.
    pub host: &'a str,
    /// The port there.
    pub port: u16,
    /// Whether it takes TLS.
    pub tls: bool,
}

impl Door<'_> {
    /// The URL to publish `stream` with. With a key it is for the one who asked for it and never for a log.
    pub fn url(&self, stream: &StreamKey, key: Option<&str>) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let host = match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]", self.host),
            false => self.host.to_owned(),
        };
        let query = key.map(|key| format!("?key={key}")).unwrap_or_default();
        format!("{scheme}://{host}:{}/{stream}{query}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_what_an_encoder_takes() {
        let stream: StreamKey = "live/cam".parse().unwrap();
        for (host, tls, key, url) in [
            (
                "example.org",
                false,
                Some("k"),
                "rtmp://example.org:1935/live/cam?key=k",
            ),
            (
                "2001:db8::1",
                true,
                Some("k"),
                "rtmps://[2001:db8::1]:1935/live/cam?key=k",
            ),
            ("[::1]", false, None, "rtmp://[::1]:1935/live/cam"),
        ] {
            let door = Door {
                host,
                port: 1935,
                tls,
            };
            assert_eq!(door.url(&stream, key), url);
        }
    }
}
