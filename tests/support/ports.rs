//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux gives ports to outgoing connections (32768 on), so that none of those takes a
/// port between our look at it and the program's own bind.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// The next port to look at; runs of the tests that overlap begin at different places.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of the loopback address that is free for TCP and UDP, and is given out once in this process.
///
/// # Panics
/// When no port of the range is free.
pub fn free_port() -> u16 {
    let span = RANGE.end - RANGE.start;
    // Any 16 bits of the process number do for a start.
    let first = (std::process::id() as u16).wrapping_mul(101) % span;
    for _ in 0..span {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + (first + step % span) % span;
        if is_free(port) {
            return port;
        }
    }
    panic!("no port of {RANGE:?} is free");
}

/// Whether both TCP and UDP can be bound on a port of the loopback address.
pub fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
