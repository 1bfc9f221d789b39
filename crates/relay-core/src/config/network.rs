//! Networks: a prefix and all addresses that begin with it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::text::{Text, written_as_text};

/// A network, such as `"10.0.0.0/8"`; an address alone, such as `"192.168.1.7"`, is the network of that one.
///
/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address lies within it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether it is one single address.
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }
}

impl Text for Network {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\" or an address such as \"192.168.1.7\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write a network, which is an address and the length of its prefix, such as \"10.0.0.0/8\", or an address".to_owned()
        };
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| wrong())?,
        };
        let first = network.addr();
        if first != first.to_canonical() {
            return Err(format!("write the IPv4 address itself: {}", first.to_canonical()));
        }
        // Bits behind the prefix are most often a slip in its length.
        if network.trunc() != network {
            return Err(format!(
                "{text} has bits behind its prefix; the network is {}",
                network.trunc()
            ));
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

written_as_text!(Network);

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_a_network_by_its_first_bits() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("192.168.1.7/32", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(
                network(text).contains(inside.parse().unwrap()),
                "{inside} in {text}"
            );
            assert!(
                !network(text).contains(outside.parse().unwrap()),
                "{outside} in {text}"
            );
        }
    }

    #[test]
    fn it_reads_as_it_is_written() {
        for text in ["10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1", "0.0.0.0/0"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("::1/128").to_string(), "::1");
        assert!(network("::1").is_single() && network("10.1.1.1/32").is_single());
        assert!(!network("10.1.1.0/31").is_single());
    }

    #[test]
    fn refusals_say_what_to_write() {
        let said = |text: &str| text.parse::<Network>().unwrap_err();
        assert!(said("10.1.2.3/8").ends_with("the network is 10.0.0.0/8"));
        assert_eq!(said("::ffff:10.0.0.1"), "write the IPv4 address itself: 10.0.0.1");
        for bad in [
            "",
            "10.0.0",
            "example.org",
            "10.0.0.0/",
            "10.0.0.0/x",
            "10.0.0.0/-1",
            "10.0.0.0/33",
        ] {
            assert!(said(bad).contains("write a network"), "{bad}");
        }
    }
}
