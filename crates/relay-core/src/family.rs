//! Address families: IPv4 and IPv6. A viewer may have both, and often has only the one that it came by.

use std::net::IpAddr;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address. One of IPv4 that is dressed as IPv6 is of IPv4.
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// This family first, and then the other one.
    pub const fn first(self) -> [Self; 2] {
        match self {
            Self::V4 => [Self::V4, Self::V6],
            Self::V6 => [Self::V6, Self::V4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_family_however_it_is_written() {
        for (address, family) in [
            ("192.0.2.1", Family::V4),
            ("::ffff:192.0.2.1", Family::V4),
            ("2001:db8::1", Family::V6),
        ] {
            assert_eq!(Family::of(address.parse().unwrap()), family, "{address}");
            assert_eq!(family.first()[0], family);
        }
    }
}
