//! Where viewers reach a node.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Host;
use crate::family::Family;

/// How viewers speak to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// HTTP-FLV, and the page with the player.
    Http,
    /// RTMP.
    Rtmp,
}

impl Scheme {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Http, Self::Rtmp];

    /// As it stands before `://`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rtmp => "rtmp",
        }
    }

    /// The port that a URL without one means.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Rtmp => 1935,
        }
    }
}

/// One way to a node for viewers, such as `http://192.0.2.7:8080` or `rtmp://edge1.example.org`; valid if it exists.
///
/// The host is a DNS name in lower case, or an address in its canonical form. An unspecified address, `0.0.0.0` or
/// `[::]`, means "the address that you see me at": see [`seen_at`](Self::seen_at).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    scheme: Scheme,
    host: Place,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    // In the order of preference where one of several has to do: a name covers both address families, and more viewers
    // have IPv4 than IPv6.
    Name(String),
    Address(IpAddr),
}

/// What is wrong with the text of an endpoint. It says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `http://` nor `rtmp://`.
    #[error("an endpoint begins with http:// or rtmp://, such as http://192.0.2.7:8080")]
    Scheme,
    /// Neither a name nor an address, or too long.
    #[error("an endpoint's host is a DNS name of at most 253 characters, or an IP address, IPv6 in brackets")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("an endpoint's port is a number from 1 to 65535")]
    Port,
    /// A path, a query or a user.
    #[error("an endpoint has a scheme, a host and a port, and nothing after them")]
    Rest,
}

impl Endpoint {
    /// The endpoint of an address.
    ///
    /// # Errors
    /// [`EndpointError::Port`] for port 0.
    pub fn new(scheme: Scheme, ip: IpAddr, port: u16) -> Result<Self, EndpointError> {
        if port == 0 {
            return Err(EndpointError::Port);
        }
        Ok(Self {
            scheme,
            host: Place::Address(ip.to_canonical()),
            port,
        })
    }

    /// How viewers speak to it.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its address, unless the host is a name.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Place::Address(ip) => Some(ip),
            Place::Name(_) => None,
        }
    }

    /// Host and port, as one dials them: `192.0.2.7:8080`, `[2001:db8::7]:80`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether the host is to be filled in by whoever sees the node.
    pub const fn is_unspecified(&self) -> bool {
        match self.host {
            Place::Address(ip) => ip.is_unspecified(),
            Place::Name(_) => false,
        }
    }

    /// The same endpoint at the address that the node is seen at, if it left that open; else itself.
    #[must_use]
    pub fn seen_at(&self, ip: IpAddr) -> Self {
        if !self.is_unspecified() {
            return self.clone();
        }
        Self {
            host: Place::Address(ip.to_canonical()),
            ..*self
        }
    }

    /// Whether viewers with addresses of that family can be sent there: a name is taken to have what they need.
    pub const fn suits(&self, family: Family) -> bool {
        match self.host {
            Place::Address(own) => matches!(
                (own, family),
                (IpAddr::V4(_), Family::V4) | (IpAddr::V6(_), Family::V6)
            ),
            Place::Name(_) => true,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = Scheme::ALL
            .into_iter()
            .find_map(|scheme| Some((scheme, text.strip_prefix(scheme.name())?.strip_prefix("://")?)))
            .ok_or(EndpointError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(EndpointError::Rest);
        }
        let (host, port) = split(rest)?;
        let port = match port {
            Some(port) => read_port(port)?,
            None => scheme.default_port(),
        };
        Ok(Self { scheme, host, port })
    }
}

/// Host and port, if there is one.
fn split(authority: &str) -> Result<(Place, Option<&str>), EndpointError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(EndpointError::Host)?;
        let ip: Ipv6Addr = host.parse().map_err(|_| EndpointError::Host)?;
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':').ok_or(EndpointError::Rest)?),
        };
        return Ok((Place::Address(IpAddr::V6(ip).to_canonical()), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    Ok((read_host(host)?, port))
}

fn read_host(text: &str) -> Result<Place, EndpointError> {
    if let Ok(ip) = text.parse() {
        return Ok(Place::Address(IpAddr::V4(ip)));
    }
    let name: Host = text.parse().map_err(|_| EndpointError::Host)?;
    let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
    // What ends in a number is an IPv4 address to a browser, however it is written, and a wrong one here.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EndpointError::Host);
    }
    Ok(Place::Name(name))
}

fn read_port(text: &str) -> Result<u16, EndpointError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EndpointError::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(EndpointError::Port),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// As a URL; a port that the scheme means anyway is left out.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
