//! Where Prometheus finds the metrics of the origin and of its edges.

use std::net::{IpAddr, SocketAddr};

/// Turns the addresses that nodes listen on into addresses that can be scraped.
///
/// A node knows where it listens, not how others reach it: `[::]:9935` is nobody's address, and `127.0.0.1:9935` is another
/// machine for whoever asks elsewhere.
#[derive(Clone, Debug)]
pub struct Targets {
    own: String,
    host: String,
}

impl Targets {
    /// For an origin whose metrics listen on `listen`, and which others reach as `host`.
    pub fn new(listen: SocketAddr, host: &str) -> Self {
        let own = match listen.ip().to_canonical() {
            ip if ip.is_unspecified() => in_url(host, listen.port()),
            ip => SocketAddr::new(ip, listen.port()).to_string(),
        };
        Self {
            own,
            host: host.to_owned(),
        }
    }

    /// The origin's own.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// Those of a child that says it listens on `reported` and speaks from `remote`; none if they can be had on that machine
    /// only, or if what it says is no address.
    pub fn of_child(&self, reported: &str, remote: SocketAddr) -> Option<String> {
        let listen: SocketAddr = reported.parse().ok()?;
        let (ip, remote) = (listen.ip().to_canonical(), remote.ip().to_canonical());
        if ip.is_unspecified() {
            return Some(SocketAddr::new(remote, listen.port()).to_string());
        }
        let is_here = remote.is_loopback() || self.host.parse() == Ok(remote);
        (!ip.is_loopback() || is_here).then(|| SocketAddr::new(ip, listen.port()).to_string())
    }
}

/// `host:port`, an IPv6 address in brackets.
fn in_url(host: &str, port: u16) -> String {
    host.parse::<IpAddr>().map_or_else(
        |_| format!("{host}:{port}"),
        |ip| SocketAddr::new(ip, port).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_origins_own_is_how_others_reach_it() {
        for (listen, host, own) in [
            ("127.0.0.1:9935", "live.example.org", "127.0.0.1:9935"),
            ("[::]:9935", "live.example.org", "live.example.org:9935"),
            ("0.0.0.0:9935", "2001:db8::1", "[2001:db8::1]:9935"),
            ("10.0.0.1:9935", "live.example.org", "10.0.0.1:9935"),
        ] {
            assert_eq!(Targets::new(addr(listen), host).own(), own);
        }
    }

    #[test]
    fn a_childs_is_where_it_speaks_from() {
        let targets = Targets::new(addr("127.0.0.1:9935"), "203.0.113.1");
        for (reported, remote, target) in [
            ("[::]:9935", "203.0.113.7:40000", Some("203.0.113.7:9935")),
            (
                "0.0.0.0:9935",
                "[::ffff:203.0.113.7]:40000",
                Some("203.0.113.7:9935"),
            ),
            ("[::]:9935", "[2001:db8::7]:40000", Some("[2001:db8::7]:9935")),
            ("10.0.0.7:9935", "203.0.113.7:40000", Some("10.0.0.7:9935")),
            // On its own machine only: of use if that is this one.
            ("127.0.0.1:9935", "203.0.113.7:40000", None),
            ("127.0.0.1:9936", "203.0.113.1:40000", Some("127.0.0.1:9936")),
            ("127.0.0.1:9936", "127.0.0.1:40000", Some("127.0.0.1:9936")),
            ("evil.example:9935/x", "203.0.113.7:40000", None),
            ("", "203.0.113.7:40000", None),
        ] {
            assert_eq!(
                targets.of_child(reported, addr(remote)).as_deref(),
                target,
                "{reported} {remote}"
            );
        }
    }
}
