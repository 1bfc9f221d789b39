//! A range of addresses, such as `192.0.2.0/24`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::text::{Text, written_as_text};

/// A network, or a single address: where somebody may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address lies in it. One that came as IPv4 within IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl Text for Network {
    const EXPECTED: &'static str = "a network such as \"192.0.2.0/24\"";

    fn read(text: &str) -> Result<Self, String> {
        let help = "a network is an address and the length of its prefix, such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.into()));
        }
        let network: IpNet = text.parse().map_err(|_| help.to_owned())?;
        // Bits behind the prefix are most often a slip in its length.
        match network.trunc() == network {
            true => Ok(Self(network)),
            false => Err(format!(
                "{text} has bits behind its prefix; the network is {}",
                network.trunc()
            )),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_text!(Network);

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        text.parse()
    }

    #[test]
    fn holds_what_lies_in_it() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("192.0.2.0/24", "::ffff:192.0.2.1", "::192.0.2.1"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn a_wrong_one_says_what_to_write() {
        assert!(network("192.0.2.7/24").unwrap_err().ends_with("192.0.2.0/24"));
        for wrong in ["", "192.0.2.0/33", "example.org", "192.0.2/24"] {
            assert!(network(wrong).unwrap_err().contains("prefix"), "{wrong}");
        }
    }
}
