//! What makes `[dns]` no zone, and the setting to blame.

use std::net::IpAddr;

use super::MAX_SERVER_ADDRESSES;

/// Why `[dns]` is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Nobody would find it.
    #[error(
        "a zone needs nameservers: the names that its parent zone delegates it to, two of them if you can"
    )]
    NoNameservers,
    /// More than fit.
    #[error("{key} has {limit} entries at most")]
    TooMany {
        /// The key.
        key: &'static str,
        /// Its bound.
        limit: usize,
    },
    /// More addresses than fit.
    #[error("{name} has more than {MAX_SERVER_ADDRESSES} addresses")]
    ServerTooLarge {
        /// Which of them, from 0.
        at: usize,
        /// Its name.
        name: String,
    },
    /// The zone's own name is the pool's.
    #[error("{name} is a name of the pool, whose addresses change: give the name server a name of its own")]
    ServerIsPool {
        /// Which of them, from 0.
        at: usize,
        /// Its name.
        name: String,
    },
    /// Nobody else could tell its addresses.
    #[error("{name} lies in the zone, so its addresses have to stand here: \"{name} 192.0.2.1\"")]
    ServerWithoutAddress {
        /// Which of them, from 0.
        at: usize,
        /// Its name.
        name: String,
    },
    /// Its addresses are told elsewhere.
    #[error(
        "{name} does not lie in the zone {zone}: its addresses come from its own zone, so leave them out here"
    )]
    ServerElsewhere {
        /// Which of them, from 0.
        at: usize,
        /// Its name.
        name: String,
        /// The zone.
        zone: String,
    },
    /// One name server twice.
    #[error("the name server {name} is named twice")]
    ServerTwice {
        /// Which of them, from 0.
        at: usize,
        /// Its name.
        name: String,
    },
    /// One name twice.
    #[error("the name {name} is named twice")]
    NameTwice {
        /// Which of them, from 0.
        at: usize,
        /// The name.
        name: String,
    },
    /// Not a name that DNS carries.
    #[error("{name} is too long for a domain name")]
    TooLong {
        /// The key, and which of its entries.
        key: String,
        /// The name.
        name: String,
    },
    /// Nobody can dial it.
    #[error("{address} is no address that viewers can dial")]
    Undiallable {
        /// Which of them, from 0.
        at: usize,
        /// The address.
        address: IpAddr,
    },
}

impl ZoneError {
    /// The setting to blame: `dns.nameservers.1`.
    pub fn key(&self) -> String {
        match self {
            Self::NoNameservers => "dns.nameservers".to_owned(),
            Self::TooMany { key, .. } => format!("dns.{key}"),
            Self::ServerIsPool { at, .. }
            | Self::ServerTooLarge { at, .. }
            | Self::ServerWithoutAddress { at, .. }
            | Self::ServerElsewhere { at, .. }
            | Self::ServerTwice { at, .. } => format!("dns.nameservers.{at}"),
            Self::NameTwice { at, .. } => format!("dns.names.{at}"),
            Self::TooLong { key, .. } => format!("dns.{key}"),
            Self::Undiallable { at, .. } => format!("dns.fallback.{at}"),
        }
    }
}
