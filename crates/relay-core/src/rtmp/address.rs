//! App, name and secret, out of the texts that clients send (R30), and the URL of a stream.

use std::fmt;

use crate::hop;

/// A stream as a client names it: `app` in `connect`, the name in `publish` or `play`, each with a query or none.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The app, without surrounding slashes; it may have several segments.
    pub app: String,
    /// The name, without surrounding slashes; it may be in several segments, too.
    pub name: String,
    /// The query as it came: the name's, or else the app's.
    pub query: Option<String>,
    /// The value of `key` in the name's query, or else in the app's; failing both, that of `token`.
    pub secret: Option<String>,
    /// How often the client was sent on before: `hop=N` in either query.
    pub hops: u8,
}

impl Address {
    /// Takes the two texts apart. Percent-encoding is undone in names and in the secret, not in the query.
    ///
    /// A client that has all of the URL in one field may send no name: then the app's last segment is the name.
    pub fn parse(app: &str, name: &str) -> Self {
        let (app, app_query) = split_query(app.trim_end_matches('/'));
        let (name, name_query) = split_query(name);
        let (app, name) = match (app.trim_matches('/'), name.trim_matches('/')) {
            (app, "") => app.rsplit_once('/').unwrap_or((app, "")),
            named => named,
        };
        let queries = [name_query, app_query];
        let value_of = |key| {
            queries
                .into_iter()
                .flatten()
                .find_map(|query| value_of(query, key))
        };
        let secret = value_of("key").or_else(|| value_of("token"));
        Self {
            app: percent_decoded(without_instance(app)),
            name: percent_decoded(name),
            query: name_query.or(app_query).map(str::to_owned),
            secret: secret.map(percent_decoded),
            hops: hop::count(name_query).max(hop::count(app_query)),
        }
    }
}

/// Shows no secret, so that no log does.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// The app that `connect` means, with its query: some clients leave `app` empty and say all in `tcUrl`, and some leave out
/// the query there alone.
pub(super) fn app_of_connect(app: &str, tc_url: &str) -> String {
    let (_, path) = tc_url.split_once("://").unwrap_or_default();
    let (_, path) = path.split_once('/').unwrap_or_default();
    match (app.trim_matches('/'), split_query(path).1) {
        ("", _) => path.to_owned(),
        (_, Some(query)) if !app.contains('?') => format!("{app}?{query}"),
        _ => app.to_owned(),
    }
}

/// An app without the name that Flash's servers have for its default instance.
fn without_instance(app: &str) -> &str {
    app.strip_suffix("/_definst_").unwrap_or(app)
}

/// A stream on a server: `rtmp://host[:port]/app/name[?query]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port, as one dials them; the port is 1935 unless given.
    pub authority: String,
    /// What `connect` names.
    pub app: String,
    /// What `publish` or `play` names, with its query.
    pub name: String,
}

/// A text is no URL of an RTMP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream's URL looks like rtmp://host/app/name")]
pub struct UrlError;

impl Url {
    /// What `connect` calls `tcUrl`.
    pub fn tc_url(&self) -> String {
        format!("rtmp://{}/{}", self.authority, self.app)
    }

    /// The same stream where a server sends its client: `text` is a `tcUrl`, as Flash's servers and librtmp have it, or a
    /// stream's whole URL; the scheme, or the server as well, may be left out. `None` if it is none of these.
    pub fn redirected(&self, text: &str) -> Option<Self> {
        let whole = match text {
            text if text.starts_with("//") => format!("rtmp:{text}"),
            text if text.starts_with('/') => format!("rtmp://{}{text}", self.authority),
            text => text.to_owned(),
        };
        let text = whole.as_str();
        let (path, query) = split_query(text);
        let tc_url = path.trim_end_matches('/');
        let (name, own_query) = split_query(&self.name);
        match text.parse::<Self>() {
            // An app of several segments looks like a whole URL, too; the app that was asked for tells them apart.
            Ok(url) if url.app == self.app => return Some(url),
            _ => {}
        }
        // What the server added goes where it is found whatever the app's query is for.
        let queries: Vec<&str> = own_query.into_iter().chain(query).collect();
        let mark = if queries.is_empty() { "" } else { "?" };
        format!("{tc_url}/{name}{mark}{}", queries.join("&")).parse().ok()
    }
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("rtmp://").ok_or(UrlError)?;
        let (authority, path) = rest.split_once('/').ok_or(UrlError)?;
        let (path, query) = split_query(path);
        let (app, name) = path.trim_matches('/').rsplit_once('/').ok_or(UrlError)?;
        if authority.is_empty() || app.is_empty() || name.is_empty() {
            return Err(UrlError);
        }
        // The last colon begins a port unless it stands within the brackets of an IPv6 address; `:0` asks for the
        // default, too.
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let authority = match port {
            None => format!("{authority}:1935"),
            Some((host, "0" | "")) => format!("{host}:1935"),
            Some(_) => authority.to_owned(),
        };
        Ok(Self {
            authority,
            app: app.to_owned(),
            name: query.map_or_else(|| name.to_owned(), |query| format!("{name}?{query}")),
        })
    }
}

/// Shows no query, since the key is in it.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rtmp://{}/{}/{}",
            self.authority,
            self.app,
            split_query(&self.name).0
        )
    }
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    }
}

fn value_of<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// Undoes `%2F` and the like; what is no such escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high * 16 + low);
                rest = &after[2..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r30_the_key_may_come_with_the_name_or_the_app() {
        for (app, name, expected) in [
            ("live", "cam", ("live", "cam", None)),
            ("live", "cam?key=s3", ("live", "cam", Some("s3"))),
            ("live?key=s3", "cam", ("live", "cam", Some("s3"))),
            ("live?key=s3/", "cam", ("live", "cam", Some("s3"))),
            ("live?key=a", "cam?key=b", ("live", "cam", Some("b"))),
            ("live?key=a", "cam?x=1", ("live", "cam", Some("a"))),
            ("/live/", "/cam/", ("live", "cam", None)),
            (
                "v2/pub",
                "inst/cam?a=1&key=s/3&b",
                ("v2/pub", "inst/cam", Some("s/3")),
            ),
            ("live", "cam%2D1?key=%41%zz%4", ("live", "cam-1", Some("A%zz%4"))),
            ("live", "cam?token=s3", ("live", "cam", Some("s3"))),
            ("live?token=s/3", "cam", ("live", "cam", Some("s/3"))),
            ("live?key=s3", "cam?token=x", ("live", "cam", Some("s3"))),
            ("live", "cam?keys=x&mykey=y", ("live", "cam", None)),
            ("live/instance", "cam", ("live/instance", "cam", None)),
            ("live/_definst_", "cam", ("live", "cam", None)),
            ("live/cam", "", ("live", "cam", None)),
            ("v2/pub/cam?key=s3", "", ("v2/pub", "cam", Some("s3"))),
            ("live/cam", "?key=s3", ("live", "cam", Some("s3"))),
            ("a.b-c", "cam-1.hd", ("a.b-c", "cam-1.hd", None)),
            ("live", "cam?key=", ("live", "cam", Some(""))),
            ("live", "", ("live", "", None)),
            ("live", "?key=s3", ("live", "", Some("s3"))),
        ] {
            let address = Address::parse(app, name);
            let found = (&*address.app, &*address.name, address.secret.as_deref());
            assert_eq!(found, expected, "{app} {name}");
            assert!(!format!("{address:?}").contains("s3"), "no secret in logs");
        }
        for (app, name, hops) in [
            ("live", "cam?hop=1", 1),
            ("live?hop=2", "cam?hop=1", 2),
            ("live", "cam", 0),
        ] {
            assert_eq!(Address::parse(app, name).hops, hops, "{app} {name}");
        }
        assert_eq!(
            Address::parse("live", "cam?a=1&key=x").query.as_deref(),
            Some("a=1&key=x")
        );
    }

    #[test]
    fn r30_the_app_may_be_in_the_url_alone() {
        for (app, tc_url, expected) in [
            ("live", "rtmp://h/live", "live"),
            ("live", "rtmp://h/live?key=s3", "live?key=s3"),
            ("live?key=a", "rtmp://h/live?key=b", "live?key=a"),
            ("", "rtmp://h:1935/v2/pub?key=s3", "v2/pub?key=s3"),
            ("/", "rtmp://[::1]/live/", "live/"),
            ("", "rtmp://h", ""),
            ("", "nonsense", ""),
            ("live", "", "live"),
        ] {
            assert_eq!(app_of_connect(app, tc_url), expected, "{app} {tc_url}");
        }
    }

    #[test]
    fn r30_reads_urls() {
        let url: Url = "rtmp://[::1]:1936/v2/pub/cam?key=s3".parse().unwrap();
        assert_eq!(
            (&*url.authority, &*url.app, &*url.name),
            ("[::1]:1936", "v2/pub", "cam?key=s3")
        );
        assert_eq!(format!("{url:?}"), "rtmp://[::1]:1936/v2/pub/cam");
        for (text, authority) in [
            ("rtmp://h/a/b", "h:1935"),
            ("rtmp://h:0/a/b", "h:1935"),
            ("rtmp://[::1]/a/b", "[::1]:1935"),
            ("rtmp://h:99/a/b", "h:99"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().authority, authority);
        }
        for bad in [
            "http://h/a/b",
            "rtmp://h/a",
            "rtmp://h",
            "rtmp:///a/b",
            "rtmp://h//b",
        ] {
            assert_eq!(bad.parse::<Url>(), Err(UrlError), "{bad}");
        }
    }

    #[test]
    fn follows_where_a_server_sends_it() {
        let cam: Url = "rtmp://h/live/cam?key=s3".parse().unwrap();
        let deep: Url = "rtmp://h/a/b/cam".parse().unwrap();
        for (from, text, to) in [
            (&cam, "rtmp://e/live", Some("rtmp://e/live/cam?key=s3")),
            (&cam, "rtmp://e:99/live/", Some("rtmp://e:99/live/cam?key=s3")),
            (
                &cam,
                "rtmp://e/live?hop=1",
                Some("rtmp://e/live/cam?key=s3&hop=1"),
            ),
            (&cam, "rtmp://e/live/cam?hop=1", Some("rtmp://e/live/cam?hop=1")),
            (&deep, "rtmp://e/a/b?hop=2", Some("rtmp://e/a/b/cam?hop=2")),
            (&deep, "rtmp://e/a/b", Some("rtmp://e/a/b/cam")),
            (&deep, "rtmp://e/a/b/cam", Some("rtmp://e/a/b/cam")),
            (&cam, "//e/live", Some("rtmp://e/live/cam?key=s3")),
            (&cam, "/live", Some("rtmp://h/live/cam?key=s3")),
            (&cam, "/other/app", Some("rtmp://h/other/app/cam?key=s3")),
            (&cam, "rtmp://e", None),
            (&cam, "http://e/live", None),
            (&cam, "", None),
        ] {
            let expected = to.map(|url| url.parse().unwrap());
            assert_eq!(from.redirected(text), expected, "{text}");
        }
    }
}
