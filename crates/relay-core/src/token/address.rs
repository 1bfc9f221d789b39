//! `host:port`: where an origin or a parent is dialled.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The longest host name: what DNS allows.
pub const MAX_HOST_BYTES: usize = 253;

/// A host and a port, not yet resolved: each dial looks the name up anew, so that a moved origin is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `:port` at its end.
    #[error("an address is host:port, such as origin.example:4433")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("the port is a number from 1 to 65535")]
    BadPort,
    /// The host is neither a name nor an IP address; an IPv6 address stands in brackets.
    #[error("the host is a name, an IPv4 address, or an IPv6 address in brackets")]
    BadHost,
}

impl Address {
    /// Checks a host (an IPv6 address without brackets) and a port.
    ///
    /// # Errors
    /// When either could not be dialled.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::BadPort);
        }
        if host.parse::<Ipv6Addr>().is_err() && !is_name(host) {
            return Err(AddressError::BadHost);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The name or IP address, without brackets: what a resolver takes.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// A DNS name or a dotted IPv4 address. What looks like a number but is no IPv4 address is refused: resolvers
/// read such texts in surprising ways.
fn is_name(host: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(good);
    let host = host.strip_suffix('.').unwrap_or(host);
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    host.len() <= MAX_HOST_BYTES
        && host.split('.').all(label)
        && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
        if port.is_empty()
            || port.len() > 5
            || port.starts_with('0')
            || !port.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(AddressError::BadPort);
        }
        let port = port.parse().map_err(|_| AddressError::BadPort)?;
        match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(v6) if v6.parse::<Ipv6Addr>().is_ok() => Self::new(v6, port),
            None if !host.contains(':') => Self::new(host, port),
            _ => Err(AddressError::BadHost),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_addresses() {
        for text in [
            "origin.example:4433",
            "10.0.0.1:1",
            "[2001:db8::1]:65535",
            "localhost:80",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("[::1]:9".parse::<Address>().unwrap().host(), "::1");
    }

    #[test]
    fn refuses_what_could_not_be_dialled() {
        for (text, error) in [
            ("origin.example", AddressError::NoPort),
            ("origin.example:", AddressError::BadPort),
            ("origin.example:0", AddressError::BadPort),
            ("origin.example:65536", AddressError::BadPort),
            ("origin.example:+80", AddressError::BadPort),
            ("origin.example:080", AddressError::BadPort),
            ("2001:db8::1:4433", AddressError::BadHost),
            ("[10.0.0.1]:4433", AddressError::BadHost),
            ("[::1:4433", AddressError::BadHost),
            ("a..b:1", AddressError::BadHost),
            (":1", AddressError::BadHost),
            ("127.1:1", AddressError::BadHost),
            ("2130706433:1", AddressError::BadHost),
            ("a b:1", AddressError::BadHost),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }
}
