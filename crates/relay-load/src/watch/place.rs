//! Where a stream is to be had: what to dial, and what to say there.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs as _};

use relay_core::rtmp::address;
use thiserror::Error;

/// The port of HTTP where a URL names none.
const HTTP_PORT: u16 = 80;

/// The longest URL: a server may redirect each viewer to one of its own.
const MAX_URL_BYTES: usize = 4096;

/// Names that are looked up in one run: a pool has this many nodes at most, and a lookup holds up everybody.
const MAX_LOOKUPS: usize = 1024;

/// A URL leads nowhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlaceError {
    /// It is no URL that can be watched.
    #[error(
        "\"{0}\" cannot be watched: a stream's URL looks like http://host/app/name.flv or rtmp://host/app/name"
    )]
    Url(String),
    /// It asks for TLS.
    #[error("\"{0}\" asks for TLS, which this tool does not speak")]
    Tls(String),
    /// Its host has no address.
    #[error("cannot find the address of \"{authority}\": {why}")]
    Lookup {
        /// Host and port.
        authority: String,
        /// What the system said.
        why: String,
    },
    /// Redirects named more hosts than are looked up.
    #[error("redirects lead to more than {MAX_LOOKUPS} different hosts")]
    TooMany,
}

/// What is said at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// An HTTP request, whole.
    Http(Vec<u8>),
    /// RTMP, to play this.
    Rtmp(address::Url),
}

/// Where a stream is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its URL.
    pub(super) url: String,
    /// Addresses that it may be dialled at, never none.
    pub(super) addresses: Vec<SocketAddr>,
    /// What is said there.
    pub(super) request: Request,
}

/// All places of a run, each looked up once.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    by_url: HashMap<String, u32>,
    addresses: HashMap<String, Vec<SocketAddr>>,
}

impl Places {
    /// The number of the place that a URL names. Its host is looked up if it was not before.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub(super) fn find(&mut self, url: &str) -> Result<u32, PlaceError> {
        if let Some(index) = self.by_url.get(url) {
            return Ok(*index);
        }
        let (authority, request) = request(url)?;
        let addresses = self.look_up(&authority)?;
        let index = self.list.len() as u32; // fits: at most a few per viewer, and they are numbered so, too
        self.list.push(Place {
            url: url.to_owned(),
            addresses,
            request,
        });
        self.by_url.insert(url.to_owned(), index);
        Ok(index)
    }

    /// The place of that number; one that [`find`](Self::find) gave is there.
    pub(super) fn get(&self, index: u32) -> Option<&Place> {
        self.list.get(index as usize)
    }

    fn look_up(&mut self, authority: &str) -> Result<Vec<SocketAddr>, PlaceError> {
        if let Some(known) = self.addresses.get(authority) {
            return Ok(known.clone());
        }
        if self.addresses.len() == MAX_LOOKUPS {
            return Err(PlaceError::TooMany);
        }
        let failed = |why: String| PlaceError::Lookup {
            authority: authority.to_owned(),
            why,
        };
        let mut found = Vec::new();
        for address in authority
            .to_socket_addrs()
            .map_err(|error| failed(error.to_string()))?
        {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(failed("there is none".to_owned()));
        }
        self.addresses.insert(authority.to_owned(), found.clone());
        Ok(found)
    }
}

/// Host and port of a URL, and what is said there.
fn request(url: &str) -> Result<(String, Request), PlaceError> {
    let bad = || PlaceError::Url(url.to_owned());
    if url.starts_with("https://") || url.starts_with("rtmps://") {
        return Err(PlaceError::Tls(url.to_owned()));
    }
    if url.len() > MAX_URL_BYTES || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad());
    }
    if url.starts_with("rtmp://") {
        let url: address::Url = url.parse().map_err(|_| bad())?;
        return Ok((url.authority.clone(), Request::Rtmp(url)));
    }
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    if host.is_empty() || host.contains('@') {
        return Err(bad());
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let request = format!(
        "GET {slash}{target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: relay-load/{}\r\nAccept: */*\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    Ok((with_port(host), Request::Http(request.into_bytes())))
}

/// The last colon begins a port unless it stands within the brackets of an IPv6 address.
fn with_port(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((_, port)) if !port.contains(']') => host.to_owned(),
        _ => format!("{host}:{HTTP_PORT}"),
    }
}

/// The URL that a redirect at `from` leads to (RFC 3986, 5.2, without dot segments).
pub(super) fn redirected(from: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let (scheme, rest) = from.split_once("://").unwrap_or(("http", from));
    if let Some(elsewhere) = location.strip_prefix("//") {
        return format!("{scheme}://{elsewhere}");
    }
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if location.starts_with('/') {
        return format!("{scheme}://{host}{location}");
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{host}{folder}/{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(url: &str) -> (String, String) {
        let (authority, request) = request(url).unwrap();
        let Request::Http(bytes) = request else {
            panic!("{url}")
        };
        let text = String::from_utf8(bytes).unwrap();
        (authority, text.lines().take(2).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn a_url_says_what_to_dial_and_what_to_ask_for() {
        for (url, authority, asked) in [
            (
                "http://h:81/a/b.flv?x=1#y",
                "h:81",
                "GET /a/b.flv?x=1 HTTP/1.1|Host: h:81",
            ),
            ("http://h", "h:80", "GET / HTTP/1.1|Host: h"),
            ("http://h?x", "h:80", "GET /?x HTTP/1.1|Host: h"),
            ("http://[::1]/a", "[::1]:80", "GET /a HTTP/1.1|Host: [::1]"),
            (
                "http://[::1]:8080/a",
                "[::1]:8080",
                "GET /a HTTP/1.1|Host: [::1]:8080",
            ),
        ] {
            assert_eq!(dialled(url), (authority.to_owned(), asked.to_owned()), "{url}");
        }
        let (authority, _) = request("rtmp://h/live/cam").unwrap();
        assert_eq!(authority, "h:1935");
        for bad in [
            "",
            "h/a",
            "http://",
            "ftp://h/a",
            "rtmp://h/a",
            "http://a@h/",
            "http://h/a b",
        ] {
            assert_eq!(request(bad), Err(PlaceError::Url(bad.to_owned())));
        }
        assert!(matches!(request("https://h/a"), Err(PlaceError::Tls(_))));
    }

    #[test]
    fn a_place_is_looked_up_once() {
        let mut places = Places::default();
        let first = places.find("http://127.0.0.1:9/a").unwrap();
        assert_eq!(places.find("http://127.0.0.1:9/a"), Ok(first));
        let second = places.find("http://127.0.0.1:9/b").unwrap();
        assert_ne!(first, second);
        assert_eq!(
            places.get(second).unwrap().addresses,
            ["127.0.0.1:9".parse().unwrap()]
        );
        assert!(matches!(
            places.find("http://127.0.0.1:port/"),
            Err(PlaceError::Lookup { .. })
        ));
    }

    #[test]
    fn a_redirect_may_be_relative() {
        let from = "http://h:1/live/cam.flv?x=/y";
        for (location, url) in [
            ("http://e/live/cam.flv", "http://e/live/cam.flv"),
            ("//e/x", "http://e/x"),
            ("/x?y", "http://h:1/x?y"),
            ("x.flv", "http://h:1/live/x.flv"),
            ("rtmp://e/live/cam", "rtmp://e/live/cam"),
        ] {
            assert_eq!(redirected(from, location), url);
        }
        assert_eq!(redirected("http://h", "x"), "http://h/x");
    }
}
