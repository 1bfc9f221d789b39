//! Where viewers reach this edge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use relay_core::node::Doors;
use relay_core::own_address;
use relay_core::pool::{Endpoint, Scheme};

/// What the configuration says; else its own ports at the address that the origin sees, and at its own global IPv6 address.
pub fn public(configured: &[Endpoint], doors: &Doors) -> Vec<Endpoint> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    // The origin fills in what it sees instead of the unspecified address.
    let seen = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let addresses = [Some(seen), own_ipv6().map(IpAddr::V6)];
    let ports = [(Scheme::Http, doors.http), (Scheme::Rtmp, doors.rtmp)];
    let mut public = Vec::new();
    for ip in addresses.into_iter().flatten() {
        for (scheme, door) in ports {
            // A door on one family only has nothing to say to the other.
            if ip.is_ipv4() || door.ip().is_ipv6() {
                // A bound port is never 0.
                public.extend(Endpoint::new(scheme, ip, door.port()));
            }
        }
    }
    public
}

/// This machine's own global IPv6 address, if it has one.
fn own_ipv6() -> Option<Ipv6Addr> {
    match own_address::ipv6()? {
        IpAddr::V6(ip) if is_global(ip) => Some(ip),
        _ => None,
    }
}

/// Global unicast (RFC 4291): what is routed in the Internet.
const fn is_global(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xE000 == 0x2000
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOORS: Doors = Doors {
        http: std::net::SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080),
        rtmp: std::net::SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1935),
        rtmps: None,
    };

    #[test]
    fn an_edge_without_a_word_of_it_is_where_the_origin_sees_it() {
        let found = public(&[], &DOORS);
        let texts: Vec<String> = found.iter().map(Endpoint::to_string).collect();
        assert_eq!(texts[..2], ["http://0.0.0.0:8080", "rtmp://0.0.0.0"]);
        assert!(
            texts[2..].iter().all(|text| text.starts_with("http://[2")),
            "{texts:?}"
        );
    }

    #[test]
    fn what_is_configured_is_all_there_is() {
        let configured = ["http://edge1.example.org".parse().unwrap()];
        assert_eq!(public(&configured, &DOORS), configured);
    }

    #[test]
    fn only_a_global_address_is_told() {
        assert!(is_global("2a01:4f8::1".parse().unwrap()));
        for local in ["fe80::1", "fd00::1", "::1"] {
            assert!(!is_global(local.parse().unwrap()), "{local}");
        }
    }
}
