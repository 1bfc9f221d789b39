//! Addresses: where to listen, whom to dial.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::text::{Text, written_as_text};

/// The longest host name that DNS carries.
const MAX_HOST_BYTES: usize = 253;

/// An address and port to listen on, such as `"0.0.0.0:8080"` or `"[::]:8080"`.
///
/// `[::]` means both address families: the socket is made dual-stack, and on a machine without IPv6 its
/// [`fallback`](Self::fallback) is bound instead. Port 0 lets the system choose a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(SocketAddr);

impl Listen {
    /// All addresses of both families.
    pub const fn everywhere(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
    }

    /// This machine only, over IPv4.
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The address as written.
    pub const fn addr(self) -> SocketAddr {
        self.0
    }

    /// The port as written; 0 asks for a free one.
    pub const fn port(self) -> u16 {
        self.0.port()
    }

    /// What to bind on a machine without IPv6: `0.0.0.0` for `[::]`, nothing for any other address.
    pub const fn fallback(self) -> Option<SocketAddr> {
        match self.0.ip() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.0.port()))
            }
            _ => None,
        }
    }

    /// Whether only programs on this machine can reach it.
    pub const fn is_loopback(self) -> bool {
        self.0.ip().is_loopback()
    }

    /// Whether both cannot be bound at once by one transport: same port, and the same or a covering address.
    pub fn collides(self, other: Self) -> bool {
        let covers = |a: IpAddr, b: IpAddr| {
            a == b || a == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || (a.is_unspecified() && b.is_ipv4())
        };
        self.port() != 0
            && self.port() == other.port()
            && (covers(self.0.ip(), other.0.ip()) || covers(other.0.ip(), self.0.ip()))
    }
}

impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        Self(addr)
    }
}

impl Text for Listen {
    const EXPECTED: &'static str = "an address and port such as \"[::]:8080\"";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            if text.parse::<u16>().is_ok() {
                return format!(
                    "a port needs an address before it: \"[::]:{text}\" listens on every address"
                );
            }
            if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
                return format!("write \"[::]:{port}\" to listen on every address");
            }
            if text.parse::<IpAddr>().is_ok() {
                return "the port is missing: write address:port, an IPv6 address in brackets".to_owned();
            }
            "an address to listen on is an IP address and a port, such as \"[::]:8080\" or \"127.0.0.1:8080\""
                .to_owned()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_text!(Listen);

/// Somebody to dial: `"host:port"`, the host a name or an IP address, resolved afresh at each attempt (R47).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// The host, without brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Text for HostPort {
    const EXPECTED: &'static str = "a host and port such as \"origin.example.org:4433\"";

    fn read(text: &str) -> Result<Self, String> {
        let missing = || "write host:port, such as \"origin.example.org:4433\"".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(missing)?;
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err("brackets hold an IPv6 address, such as \"[2001:db8::7]:4433\"".to_owned()),
            None if host.contains(':') => {
                return Err("an IPv6 address stands in brackets, such as \"[2001:db8::7]:4433\"".to_owned());
            }
            None => host,
        };
        let port: u16 = port.parse().map_err(|_| missing())?;
        if port == 0 {
            return Err("port 0 cannot be dialled".to_owned());
        }
        Ok(Self {
            host: Host::read(host)?,
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.in_url(), self.port)
    }
}

written_as_text!(HostPort);

/// A host: a DNS name or an IP address, without brackets and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

impl Host {
    /// The host as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host as it stands in a URL: an IPv6 address in brackets.
    pub fn in_url(&self) -> String {
        if self.0.contains(':') {
            return format!("[{}]", self.0);
        }
        self.0.clone()
    }
}

/// Whether a text can stand between two dots of a name.
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Text for Host {
    const EXPECTED: &'static str = "a host name or an IP address such as \"live.example.org\"";

    fn read(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if text.len() <= MAX_HOST_BYTES && name.split('.').all(is_label) {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "a host is a name such as \"live.example.org\" or an IP address, without scheme, path or port"
                .to_owned(),
        )
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(Host);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dual_stack_address_has_a_fallback() {
        let all: Listen = "[::]:1935".parse().unwrap();
        assert_eq!(all, Listen::everywhere(1935));
        assert_eq!(all.fallback(), Some("0.0.0.0:1935".parse().unwrap()));
        assert_eq!(Listen::loopback(0).fallback(), None);
    }

    #[test]
    fn collisions_know_covering_addresses() {
        let listen = |text: &str| text.parse::<Listen>().unwrap();
        assert!(listen("[::]:80").collides(listen("127.0.0.1:80")));
        assert!(listen("127.0.0.1:80").collides(listen("0.0.0.0:80")));
        assert!(!listen("127.0.0.1:80").collides(listen("127.0.0.2:80")));
        assert!(!listen("[::]:80").collides(listen("[::]:81")));
        assert!(
            !listen("[::]:0").collides(listen("[::]:0")),
            "each gets a port of its own"
        );
        assert!(!listen("0.0.0.0:80").collides(listen("[::1]:80")));
    }

    #[test]
    fn refusals_say_what_to_write() {
        let listen = |text: &str| text.parse::<Listen>().unwrap_err();
        assert!(listen("8080").contains("\"[::]:8080\""));
        assert!(listen(":8080").contains("\"[::]:8080\""));
        assert!(listen("127.0.0.1").contains("port is missing"));
        assert!(listen("localhost:80").contains("IP address and a port"));
        let dial = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert!(dial("origin").contains("host:port"));
        assert!(dial("origin:0").contains("port 0"));
        assert!(dial("origin:99999").contains("host:port"));
        assert!(dial("2001:db8::7:4433").contains("brackets"));
        assert!(
            dial("https://origin:443").contains("brackets") || dial("https://origin:443").contains("host")
        );
        assert!(dial("a b:1").contains("a host is"));
    }

    #[test]
    fn hosts_read_the_same_in_a_url() {
        let six: HostPort = "[2001:db8::7]:4433".parse().unwrap();
        assert_eq!((six.host(), six.port()), ("2001:db8::7", 4433));
        assert_eq!(six.to_string(), "[2001:db8::7]:4433");
        let name: HostPort = "origin.example.org:4433".parse().unwrap();
        assert_eq!(name.to_string(), "origin.example.org:4433");
    }
}
