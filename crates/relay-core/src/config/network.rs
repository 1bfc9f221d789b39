//! Networks: a prefix and all addresses that begin with it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::{Text, written_as_text};

/// A network, such as `"10.0.0.0/8"`; an address alone, such as `"192.168.1.7"`, is the network of that one.
///
/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, on both sides of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether an address lies within it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first_of(address, self.prefix) == self.first
    }

    /// Whether it is one single address.
    pub const fn is_single(&self) -> bool {
        self.prefix == longest(self.first)
    }
}

impl Text for Network {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\" or an address such as \"192.168.1.7\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong =
            || "write a network such as \"10.0.0.0/8\" or an address such as \"192.168.1.7\"".to_owned();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        if first != first.to_canonical() {
            return Err(format!("write the IPv4 address itself: {}", first.to_canonical()));
        }
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| wrong())?,
            None => longest(first),
        };
        if prefix > longest(first) {
            return Err(format!(
                "a prefix of this kind has at most {} bits",
                longest(first)
            ));
        }
        let begins = first_of(first, prefix);
        if begins != first {
            return Err(format!("the network of {prefix} bits is {begins}/{prefix}"));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => self.first.fmt(f),
            false => write!(f, "{}/{}", self.first, self.prefix),
        }
    }
}

written_as_text!(Network);

/// Bits of an address of this family.
const fn longest(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// The first address of the network of so many bits around `address`.
fn first_of(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

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
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("192.168.1.7/32", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("fd00::/8", "fdff::1", "fc00::1"),
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
        assert_eq!(said("10.1.2.3/8"), "the network of 8 bits is 10.0.0.0/8");
        assert_eq!(said("::ffff:10.0.0.1"), "write the IPv4 address itself: 10.0.0.1");
        assert!(said("10.0.0.0/33").contains("at most 32 bits"));
        for bad in [
            "",
            "10.0.0",
            "example.org",
            "10.0.0.0/",
            "10.0.0.0/x",
            "10.0.0.0/-1",
        ] {
            assert!(said(bad).contains("write a network"), "{bad}");
        }
    }
}
