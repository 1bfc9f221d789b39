//! Where a stream is pulled from: a URL with secrets in it, which it shows to nobody.

use std::fmt;

use super::HostPort;
use super::text::{Text, written_as_text};
use crate::rtmp::address::Url as RtmpUrl;

/// URLs of one source: the first and its fallbacks. Trying so many in turn takes a minute at worst.
pub const MAX_SOURCE_URLS: usize = 8;

/// The longest URL: signed ones of content networks have some hundred bytes.
const MAX_URL_BYTES: usize = 2048;

/// `rtmp://host[:port]/app/name[?query]`, or `http(s)://[user:password@]host[:port]/path[?query]` of an FLV.
///
/// What it shows of itself, in a log as in the admin API, has neither user and password nor the query: keys stand there.
#[derive(Clone, PartialEq, Eq)]
pub enum SourceUrl {
    /// RTMP play.
    Rtmp(RtmpUrl),
    /// FLV over HTTP or HTTPS.
    Http(url::Url),
}

impl Text for SourceUrl {
    const EXPECTED: &'static str =
        "a URL such as \"rtmp://host/live/camera\" or \"https://host/live/camera.flv\", or a list of them";

    // No sentence quotes the text: there may be a key in it.
    fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("a URL has at most {MAX_URL_BYTES} bytes"));
        }
        if text.starts_with("rtmp://") {
            return read_rtmp(text).map(Self::Rtmp);
        }
        let wrong =
            || "write rtmp://host/app/name, or http:// or https:// and the place of an FLV".to_owned();
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        match (url.scheme(), url.host_str(), url.port()) {
            ("http" | "https", Some(_), Some(0)) => Err("port 0 cannot be dialled".to_owned()),
            ("http" | "https", Some(_), _) => Ok(Self::Http(url)),
            _ => Err(wrong()),
        }
    }
}

fn read_rtmp(text: &str) -> Result<RtmpUrl, String> {
    let url: RtmpUrl = text
        .parse()
        .map_err(|_| "a stream's URL looks like rtmp://host/app/name".to_owned())?;
    if url.authority.contains('@') {
        return Err(
            "RTMP knows no user and password in a URL: a key stands behind the name, as name?key=…"
                .to_owned(),
        );
    }
    HostPort::read(&url.authority).map(|_| url)
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtmp(url) => fmt::Debug::fmt(url, f),
            Self::Http(url) => {
                write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

written_as_text!(SourceUrl);

/// One URL, or a list of them: the first and its fallbacks.
pub(super) mod one_or_more {
    use serde::Serialize as _;
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::Serializer;

    use super::{MAX_SOURCE_URLS, SourceUrl, Text as _, fmt};

    pub(in crate::config) fn serialize<S: Serializer>(
        urls: &Option<Vec<SourceUrl>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        urls.serialize(serializer)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<SourceUrl>>, D::Error> {
        deserializer.deserialize_any(Urls).map(Some)
    }

    struct Urls;

    impl<'de> Visitor<'de> for Urls {
        type Value = Vec<SourceUrl>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(SourceUrl::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![SourceUrl::read(text).map_err(E::custom)?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut urls = Vec::new();
            while let Some(url) = list.next_element()? {
                urls.push(url);
                if urls.len() > MAX_SOURCE_URLS {
                    return Err(A::Error::custom(format!(
                        "a source has at most {MAX_SOURCE_URLS} URLs"
                    )));
                }
            }
            match urls.is_empty() {
                true => Err(A::Error::custom("a source has at least one URL")),
                false => Ok(urls),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds_and_shows_no_secret() {
        for (text, shown) in [
            ("rtmp://h/live/cam?key=s3cret", "rtmp://h:1935/live/cam"),
            ("rtmp://[::1]:99/v2/pub/cam", "rtmp://[::1]:99/v2/pub/cam"),
            (
                "http://us3cret:s3cret@h/live/cam.flv?token=s3cret",
                "http://h/live/cam.flv",
            ),
            ("https://h:8443/cam.flv#s3cret", "https://h:8443/cam.flv"),
            ("https://[2001:db8::1]/cam.flv", "https://[2001:db8::1]/cam.flv"),
        ] {
            let url: SourceUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn refusals_say_what_to_write_and_quote_nothing() {
        for (text, sentence) in [
            ("rtmp://h/cam?key=s3cret", "rtmp://host/app/name"),
            ("rtmp://u:s3cret@h/live/cam", "no user and password"),
            ("rtmp://h:99999/live/cam", "host:port"),
            ("ftp://u:s3cret@h/x", "write rtmp://"),
            ("file:///etc/s3cret", "write rtmp://"),
            ("/etc/s3cret", "write rtmp://"),
            ("http://", "write rtmp://"),
            ("http://h:0/s3cret", "port 0"),
            ("http://h:s3cret/", "write rtmp://"),
        ] {
            let said = text.parse::<SourceUrl>().unwrap_err();
            assert!(
                said.contains(sentence) && !said.contains("s3cret"),
                "{text}: {said}"
            );
        }
        let long = format!("http://h/{}", "x".repeat(MAX_URL_BYTES));
        assert!(long.parse::<SourceUrl>().unwrap_err().contains("at most"));
    }
}
