//! `[dns]`: the pool's own name server, on either program.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::address::is_label;
use super::text::{Text, written_as_text};
use super::{Listen, Seconds};

/// The longest domain name in text, without its last dot (RFC 1035, 2.3.4: 255 bytes on the wire).
pub(crate) const MAX_NAME_CHARS: usize = 253;

/// `[dns]`: the zone that this node answers for. Without `zone` there is no name server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// The zone, such as `live.example.org`: the name under which viewers find the pool. Its parent zone delegates it to the
    /// `nameservers`. Default: none, and no name server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<DomainName>,
    /// Where to listen, over UDP and TCP. Default `[::]:53`, both address families. A port below 1024 takes the right to
    /// bind it.
    pub listen: Listen,
    /// How long an answer may be kept, in whole seconds. Default `5s`. Shorter follows the pool sooner and costs more
    /// queries; resolvers may keep it longer all the same.
    pub ttl: Seconds,
    /// How many addresses of a family an answer has at most. Default `4`: enough to try another when one is gone. Each costs
    /// 16 or 28 bytes.
    pub answers: u32,
    /// How many addresses of a family an answer has at least, as far as there are any: one that the pool makes shorter is filled up with
    /// nodes that are full, then from `fallback`. Default `2`, so that who keeps an answer has a second way if a machine is
    /// gone; `1` for a pool of players that cannot be sent on.
    pub at_least: u32,
    /// The names of the zone's name servers, as the parent zone has them, each with its addresses if it lies in the zone.
    /// No default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Nameserver>,
    /// More names of the pool beside the zone's own, relative to it: `www`. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<DomainName>,
    /// Addresses to give out while the pool has nobody to offer, and as company for a lone node; such as the origin's own.
    /// Default: none, and the answer is then that there is no address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<IpAddr>,
    /// How many answers over UDP a network (/24, /56) gets per second; beyond it is told to come by TCP. Default `100`; `0`
    /// is no limit. A resolver of thousands of viewers needs a few.
    pub rate_limit: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            zone: None,
            listen: Listen::everywhere(53),
            ttl: Seconds::new(5),
            answers: 4,
            at_least: 2,
            nameservers: Vec::new(),
            names: Vec::new(),
            fallback: Vec::new(),
            rate_limit: 100,
        }
    }
}

/// A domain name as hosts have it, in lower case and without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for DomainName {
    const EXPECTED: &'static str = "a domain name such as \"live.example.org\"";

    fn read(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME_CHARS || !name.split('.').all(is_label) || name.parse::<IpAddr>().is_ok() {
            return Err(
                "a domain name is labels of letters, digits and hyphens with dots between them, such as \
                        \"live.example.org\""
                    .to_owned(),
            );
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(DomainName);

/// A name server: its name and, where that lies in the zone, its addresses: `"ns1.live.example.org 192.0.2.1 2001:db8::1"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its name.
    pub name: DomainName,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Text for Nameserver {
    const EXPECTED: &'static str = "a name server such as \"ns1.live.example.org 192.0.2.1\"";

    fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = DomainName::read(words.next().unwrap_or_default())?;
        let address = |word: &str| {
            word.parse().map_err(|_| {
                format!("after a name server's name come its IP addresses with blanks between, and {word:?} is none")
            })
        };
        let addresses = words.map(address).collect::<Result<_, _>>()?;
        Ok(Self { name, addresses })
    }
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        self.addresses
            .iter()
            .try_for_each(|address| write!(f, " {address}"))
    }
}

written_as_text!(Nameserver);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names_have_one_spelling() {
        let name: DomainName = "Live.Example.ORG.".parse().unwrap();
        assert_eq!(name.as_str(), "live.example.org");
        let long = vec!["a".repeat(61); 5].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            "-a.b",
            "a b",
            "192.0.2.1",
            "*.example.org",
            "\u{fc}.org",
            &long,
        ] {
            let error = bad.parse::<DomainName>().unwrap_err();
            assert!(error.starts_with("a domain name is labels"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_nameserver_is_a_name_and_addresses() {
        let text = "ns1.live.example.org 192.0.2.1 2001:db8::1";
        let server: Nameserver = text.parse().unwrap();
        assert_eq!(server.addresses.len(), 2);
        assert_eq!(server.to_string(), text);
        assert_eq!(
            "ns1.example.net".parse::<Nameserver>().unwrap().addresses.len(),
            0
        );
        let error = "ns1.example.net ns2.example.net"
            .parse::<Nameserver>()
            .unwrap_err();
        assert!(error.ends_with("\"ns2.example.net\" is none"), "{error}");
        assert!("".parse::<Nameserver>().is_err());
    }
}
