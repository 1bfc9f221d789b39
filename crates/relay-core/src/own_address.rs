//! The addresses from which this machine speaks to the world. Asking the routing table sends no packet.

use std::net::{IpAddr, UdpSocket};

/// The IPv4 address, if there is a route. The target is in a documentation range (RFC 5737): routed like any other, and nobody's.
pub fn ipv4() -> Option<IpAddr> {
    towards("0.0.0.0:0", "192.0.2.1:9")
}

/// The IPv6 address, likewise (RFC 3849).
pub fn ipv6() -> Option<IpAddr> {
    towards("[::]:0", "[2001:db8::1]:9")
}

fn towards(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
