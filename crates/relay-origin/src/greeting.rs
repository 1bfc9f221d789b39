//! What a person needs next, said once the origin is up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_core::own_address;
use relay_core::stream::StreamKey;

/// Where this origin can be reached, as far as it knows by itself.
#[derive(Clone, Debug)]
pub struct Reach {
    /// A host name or address for URLs.
    pub host: String,
    /// The port of HTTP viewers.
    pub http: u16,
    /// The port of publishers.
    pub rtmp: u16,
    /// The port of children.
    pub link: u16,
}

impl Reach {
    /// The configured host, or this machine's own address as the routing table has it, or loopback.
    pub fn host(configured: Option<&str>, listen: SocketAddr) -> String {
        if let Some(host) = configured {
            return host.to_owned();
        }
        let ip = listen.ip().to_canonical();
        if ip.is_unspecified() {
            let own = own_address::ipv4().or_else(own_address::ipv6);
            own.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_string()
        } else {
            ip.to_string()
        }
    }

    fn authority(&self, port: u16) -> String {
        match self.host.parse() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            _ => format!("{}:{port}", self.host),
        }
    }

    /// Where a stream is watched.
    pub fn watch_url(&self, stream: &StreamKey) -> String {
        format!("http://{}/watch/{stream}", self.authority(self.http))
    }

    /// Where children dial.
    pub fn link_address(&self) -> String {
        self.authority(self.link)
    }
}

/// The lines for a terminal. They hold the publish key, so they are for nothing but a terminal.
#[derive(Debug)]
pub struct Greeting<'a> {
    /// Where it is.
    pub reach: &'a Reach,
    /// A full publish URL; none if the default key is revoked.
    pub publish_url: Option<&'a str>,
    /// The stream of that URL.
    pub stream: &'a StreamKey,
    /// Where state is kept.
    pub state: &'a str,
}

impl fmt::Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "relay-origin {} is up.", env!("CARGO_PKG_VERSION"))?;
        writeln!(f)?;
        match self.publish_url {
            Some(url) => writeln!(f, "  publish to   {url}")?,
            None => writeln!(
                f,
                "  publish      relay-origin key add {}      (makes a key)",
                self.stream
            )?,
        }
        writeln!(f, "  watch at     {}", self.reach.watch_url(self.stream))?;
        writeln!(f, "  add an edge  relay-origin token create      (here)")?;
        writeln!(
            f,
            "               RELAY_JOIN=… relay-edge        (there, with what it printed)"
        )?;
        writeln!(f, "  state is in  {}", self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_configured_host_and_bracket_ipv6() {
        let reach = |host: &str| Reach {
            host: host.to_owned(),
            http: 8080,
            rtmp: 1935,
            link: 4433,
        };
        let stream = "live/cam".parse().unwrap();
        assert_eq!(
            reach("a.example").watch_url(&stream),
            "http://a.example:8080/watch/live/cam"
        );
        assert_eq!(reach("2001:db8::7").link_address(), "[2001:db8::7]:4433");
        assert_eq!(
            Reach::host(Some("a.example"), "[::]:1".parse().unwrap()),
            "a.example"
        );
        assert_eq!(
            Reach::host(None, "[::ffff:127.0.0.1]:1".parse().unwrap()),
            "127.0.0.1"
        );
        assert!(
            Reach::host(None, "[::]:1".parse().unwrap())
                .parse::<IpAddr>()
                .is_ok()
        );
    }
}
