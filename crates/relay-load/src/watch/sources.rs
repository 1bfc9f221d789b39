//! The addresses that viewers come from: one address has some 28,000 ports for one server, and thousands of viewers that
//! come and go use them up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A range of IPv4 addresses of this machine, such as `127.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    first: u32,
    count: u32,
}

impl Sources {
    /// What is used towards a server on this machine: all of 127.0.0.0/8 is this machine's, and few programs use these.
    pub(super) const LOOPBACK: Self = Self {
        first: u32::from_be_bytes([127, 1, 0, 1]),
        count: (1 << 16) - 2,
    };

    /// The address of viewer number `index`.
    fn address(self, index: u32) -> IpAddr {
        Ipv4Addr::from_bits(self.first + index % self.count).into()
    }

    /// The address from which viewer number `index` dials `target`; `None` leaves it to the system.
    pub(super) fn choose(sources: Option<Self>, target: SocketAddr, index: u32) -> Option<IpAddr> {
        if !target.is_ipv4() {
            return None;
        }
        let default = target.ip().is_loopback().then_some(Self::LOOPBACK);
        Some(sources.or(default)?.address(index))
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("\"{text}\" is no range of IPv4 addresses such as 127.1.0.0/16");
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| expected())?;
        let bits: u32 = bits.parse().map_err(|_| expected())?;
        if !(8..=32).contains(&bits) {
            return Err(format!(
                "\"{text}\": a range of source addresses has between /8 and /32"
            ));
        }
        let size = 1_u32 << (32 - bits);
        let network = address.to_bits() & !(size - 1);
        // The ends of a range are the network's own and its broadcast address.
        Ok(if size > 2 {
            Self {
                first: network + 1,
                count: size - 2,
            }
        } else {
            Self {
                first: network,
                count: size,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, index: u32) -> String {
        text.parse::<Sources>().unwrap().address(index).to_string()
    }

    #[test]
    fn viewers_are_spread_over_a_range_and_begin_again_at_its_end() {
        assert_eq!(from("127.1.0.0/16", 0), "127.1.0.1");
        assert_eq!(from("127.1.0.0/16", 65_533), "127.1.255.254");
        assert_eq!(from("127.1.0.0/16", 65_534), "127.1.0.1");
        assert_eq!(from("10.0.0.7", 5), "10.0.0.7");
        assert_eq!(from("10.0.0.6/31", 1), "10.0.0.7");
        assert_eq!("127.1.0.0/16".parse(), Ok(Sources::LOOPBACK));
        for bad in ["127.1.0.0/33", "127.0.0.0/7", "::1/64", "", "127.1/16"] {
            assert!(bad.parse::<Sources>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_spreads_towards_this_machine_only() {
        let choose = |sources, target: &str| Sources::choose(sources, target.parse().unwrap(), 3);
        assert_eq!(choose(None, "127.0.0.1:80"), Some("127.1.0.4".parse().unwrap()));
        assert_eq!(choose(None, "192.0.2.1:80"), None);
        assert_eq!(choose(None, "[::1]:80"), None);
        let stated = "10.0.0.7".parse().ok();
        assert_eq!(choose(stated, "192.0.2.1:80"), Some("10.0.0.7".parse().unwrap()));
    }
}
