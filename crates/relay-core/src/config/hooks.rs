//! `[hooks]`: the operator's service that is asked about each publisher.

use std::fmt;
use std::path::PathBuf;

use hyper::Uri;
use serde::{Deserialize, Serialize};

use super::text::{Text, written_as_text};
use super::{Seconds, Secret, StreamPattern};

/// `[hooks]`: whom to ask before a publisher is let in, and whom to tell when it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Asked before a publisher is let in: an answer of 2xx lets it in, 4xx turns it away. Default: none, and the key decides
    /// alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_publish: Option<HookUrl>,
    /// Told when a publisher is gone. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unpublish: Option<HookUrl>,
    /// What requests are signed with, so that the service knows who asks. No default; needed for either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file that holds the secret, instead of `secret`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// A file of certificates (PEM) by which the service's own is believed, instead of the system's. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How long one attempt may take, name and connection included. Default `3s`. The encoder waits meanwhile.
    pub timeout: Seconds,
    /// How often an attempt that failed is repeated, after 0.1 s to 2 s. Default `2`.
    pub retries: u32,
    /// The streams that are let in when no attempt was answered. Default: none; `["*"]` is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_open: Vec<StreamPattern>,
    /// When no attempt was answered, a stream and key that the service let in are let in again for so long. Default `12h`; `0s`
    /// is never.
    pub remember: Seconds,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            on_publish: None,
            on_unpublish: None,
            secret: None,
            secret_file: None,
            ca: None,
            timeout: Seconds::new(3),
            retries: 2,
            fail_open: Vec::new(),
            remember: Seconds::new(12 * 3600),
        }
    }
}

impl Hooks {
    /// Whether anybody is asked or told.
    pub const fn is_used(&self) -> bool {
        self.on_publish.is_some() || self.on_unpublish.is_some()
    }
}

/// Where a hook is: `https://host[:port]/path`, or `http` within a network that is one's own.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl {
    uri: Uri,
    host: String,
}

impl HookUrl {
    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The host to dial: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        let usual = if self.is_https() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// What is asked for: path and query.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

impl Text for HookUrl {
    const EXPECTED: &'static str = "a URL such as \"https://example.org/on-publish\"";

    fn read(text: &str) -> Result<Self, String> {
        let help = || "a hook's URL looks like \"https://example.org/on-publish\"".to_owned();
        let uri: Uri = text.parse().map_err(|_| help())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || text.contains('#') {
            return Err(help());
        }
        let authority = uri.authority().ok_or_else(help)?;
        if authority.as_str().contains('@') {
            return Err("a hook's URL has no user in it: requests are signed with [hooks] secret".to_owned());
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        if host.is_empty() || uri.port_u16() == Some(0) {
            return Err(help());
        }
        Ok(Self { uri, host })
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// Shows no path: services put secrets there.
impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{}/…", self.authority())
    }
}

written_as_text!(HookUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_whom_to_dial_and_what_to_ask_for() {
        for (text, https, host, port, path) in [
            ("https://example.org/a?b=c", true, "example.org", 443, "/a?b=c"),
            ("http://127.0.0.1:8000", false, "127.0.0.1", 8000, "/"),
            ("http://[::1]:81/x", false, "::1", 81, "/x"),
        ] {
            let url: HookUrl = text.parse().unwrap();
            let found = (url.is_https(), url.host(), url.port(), url.path());
            assert_eq!(found, (https, host, port, path), "{text}");
        }
        let url: HookUrl = "https://example.org/hush".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://example.org/…");
    }

    #[test]
    fn what_is_no_hooks_url_is_refused() {
        for wrong in [
            "",
            "example.org/a",
            "ftp://example.org/",
            "https:///a",
            "https://a b/",
            "https://example.org:0/",
            "https://example.org/#part",
        ] {
            let said = wrong.parse::<HookUrl>().unwrap_err();
            assert!(said.contains("https://example.org"), "{wrong}: {said}");
        }
        let user = "https://me:pass@example.org/".parse::<HookUrl>().unwrap_err();
        assert!(user.contains("signed"), "{user}");
    }
}
