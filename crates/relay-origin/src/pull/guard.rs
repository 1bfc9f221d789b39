//! Which addresses may be dialled: a name, a redirect, or whoever answers for a name could lead to what only this machine can
//! reach, such as its own admin pages or the place where a cloud gives out its keys.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use relay_core::config::Network;

/// Where clouds give out machines' keys and settings. Some of these look like anybody's addresses.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The first 96 bits of IPv6 addresses that a translator turns into the IPv4 address behind them (RFC 6052).
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// Says which addresses may be dialled. It is asked about the very address that is dialled, after the name was looked up.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    allow: Vec<Network>,
}

/// An address that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind} and not in `allow`")]
pub(super) struct Forbidden {
    /// The address.
    pub(super) address: IpAddr,
    /// Why not.
    pub(super) kind: Kind,
}

/// What an address is that not everybody can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// This host on this network.
    Unspecified,
    /// This machine.
    Loopback,
    /// An organisation's own, or a provider's among its customers.
    Private,
    /// Of this link only.
    LinkLocal,
    /// A group's.
    Multicast,
    /// A cloud's service for its machines.
    Metadata,
    /// Kept for documentation, tests, broadcast, old ways of translation, or nothing yet.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "no address of a server",
            Self::Loopback => "this machine itself",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Metadata => "a cloud's metadata service",
            Self::Reserved => "a reserved address",
        })
    }
}

impl Guard {
    /// Lets through what everybody can reach, and `allow`.
    pub(super) const fn new(allow: Vec<Network>) -> Self {
        Self { allow }
    }

    /// Whether an address may be dialled.
    ///
    /// # Errors
    /// When it may not.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        let Some(kind) = kind(address) else {
            return Ok(());
        };
        // A network that is allowed for its cameras must not open the cloud's keys with them.
        let allows =
            |network: &Network| network.contains(address) && (kind != Kind::Metadata || network.is_single());
        match self.allow.iter().any(allows) {
            true => Ok(()),
            false => Err(Forbidden { address, kind }),
        }
    }
}

/// What an address is, if not everybody can reach it.
fn kind(address: IpAddr) -> Option<Kind> {
    if METADATA.contains(&address) {
        return Some(Kind::Metadata);
    }
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

/// By the registry of special addresses (RFC 6890 and those after it).
const fn kind_of_v4(address: Ipv4Addr) -> Option<Kind> {
    Some(match address.octets() {
        [0, ..] => Kind::Unspecified,
        [127, ..] => Kind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Kind::Private,
        [169, 254, ..] => Kind::LinkLocal,
        [224..=239, ..] => Kind::Multicast,
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Kind::Reserved,
        _ => return None,
    })
}

/// Only 2000::/3 is anybody's at all, less what was set aside within it.
fn kind_of_v6(address: Ipv6Addr) -> Option<Kind> {
    let bits = address.to_bits();
    if bits >> 32 == TRANSLATED >> 32 {
        // All that is left of the bits is the IPv4 address.
        return kind(Ipv4Addr::from_bits(bits as u32).into());
    }
    Some(match address.segments() {
        _ if address.is_unspecified() => Kind::Unspecified,
        _ if address.is_loopback() => Kind::Loopback,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        [0xfe80..=0xfebf, ..] => Kind::LinkLocal,
        [0xff00..=0xffff, ..] => Kind::Multicast,
        // Teredo, benchmarks, documentation, 6to4, documentation again.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Kind::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        Guard::new(allow.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn found(address: &str) -> Option<Kind> {
        guard(&[]).check(address.parse().unwrap()).err().map(|f| f.kind)
    }

    #[test]
    fn nothing_but_public_addresses_gets_through() {
        for (address, kind) in [
            ("0.0.0.0", Kind::Unspecified),
            ("0.1.2.3", Kind::Unspecified),
            ("::", Kind::Unspecified),
            ("127.0.0.1", Kind::Loopback),
            ("127.255.255.255", Kind::Loopback),
            ("::1", Kind::Loopback),
            ("10.0.0.1", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("172.31.255.255", Kind::Private),
            ("192.168.0.1", Kind::Private),
            ("100.64.0.1", Kind::Private),
            ("fc00::1", Kind::Private),
            ("fdff:ffff::1", Kind::Private),
            ("169.254.0.1", Kind::LinkLocal),
            ("fe80::1", Kind::LinkLocal),
            ("224.0.0.1", Kind::Multicast),
            ("239.255.255.255", Kind::Multicast),
            ("ff02::1", Kind::Multicast),
            ("169.254.169.254", Kind::Metadata),
            ("168.63.129.16", Kind::Metadata),
            ("100.100.100.200", Kind::Metadata),
            ("192.0.0.192", Kind::Metadata),
            ("fd00:ec2::254", Kind::Metadata),
            ("fd20:ce::254", Kind::Metadata),
            ("192.0.2.1", Kind::Reserved),
            ("198.18.0.1", Kind::Reserved),
            ("203.0.113.9", Kind::Reserved),
            ("240.0.0.1", Kind::Reserved),
            ("255.255.255.255", Kind::Reserved),
            ("2001:db8::1", Kind::Reserved),
            ("2001::1", Kind::Reserved),
            ("3fff::1", Kind::Reserved),
            ("fec0::1", Kind::Reserved),
            ("100::1", Kind::Reserved),
            ("4000::1", Kind::Reserved),
        ] {
            assert_eq!(found(address), Some(kind), "{address}");
        }
    }

    /// Each way of writing an IPv4 address as an IPv6 one says the same of it.
    #[test]
    fn no_disguise_helps() {
        for (address, kind) in [
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("::ffff:10.0.0.1", Kind::Private),
            ("::ffff:169.254.169.254", Kind::Metadata),
            ("::127.0.0.1", Kind::Reserved),
            ("64:ff9b::7f00:1", Kind::Loopback),
            ("64:ff9b::169.254.169.254", Kind::Metadata),
            ("64:ff9b:1::1", Kind::Reserved),
            ("2002:7f00:1::1", Kind::Reserved),
        ] {
            assert_eq!(found(address), Some(kind), "{address}");
        }
    }

    #[test]
    fn public_addresses_get_through() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(found(address), None, "{address}");
        }
    }

    #[test]
    fn a_network_is_allowed_without_what_a_cloud_keeps_there() {
        let check = |allow: &[&str], address: &str| guard(allow).check(address.parse().unwrap());
        assert_eq!(check(&["10.0.0.0/8"], "10.1.2.3"), Ok(()));
        assert_eq!(check(&["10.0.0.0/8"], "::ffff:10.1.2.3"), Ok(()));
        assert!(check(&["10.0.0.0/8"], "192.168.0.1").is_err());
        assert!(check(&["169.254.0.0/16"], "169.254.169.253").is_ok());
        assert!(check(&["0.0.0.0/0", "::/0"], "169.254.169.254").is_err());
        assert!(check(&["0.0.0.0/0", "::/0"], "fd00:ec2::254").is_err());
        assert!(check(&["169.254.169.254"], "169.254.169.254").is_ok());
        assert_eq!(
            check(&[], "127.0.0.1").unwrap_err().to_string(),
            "127.0.0.1 is this machine itself and not in `allow`"
        );
    }
}
