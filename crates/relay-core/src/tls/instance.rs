//! Who a node is: its instance, its role, and how both stand in a certificate.

use crate::cascade::Instance;
use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;

use super::hex;

/// The name in the origin's leaf. An edge can never get it: the authority writes the names, not the asker.
pub const ORIGIN_NAME: &str = "origin.relay.internal";

/// The name in every edge's leaf.
pub const EDGE_NAME: &str = "edge.relay.internal";

/// What stands after the instance id in every leaf.
const ID_SUFFIX: &str = ".id.relay.internal";

/// One life of one node: sixteen bytes, shown as hex.
///
/// An edge's is taken from its key, which is made at boot and lives in memory only. So a clone, even of a running
/// edge's disk, is another instance, and nobody can claim an instance whose key they do not hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId([u8; 16]);

/// What a node may be on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The pool's authority and the source of its streams.
    Origin,
    /// Anything that joined by a token.
    Edge,
}

/// Whom a dialler insists on meeting: the name that TLS verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeName {
    /// The pool's origin.
    Origin,
    /// Any edge of the pool.
    AnyEdge,
    /// This very instance, as the origin named it.
    Instance(InstanceId),
}

/// The verified other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it may be.
    pub role: Role,
    /// Who it is.
    pub instance: InstanceId,
}

impl InstanceId {
    /// An instance from sixteen random bytes: the origin's, which its state folder keeps.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The instance that holds this key.
    pub fn of_key(public_key: &[u8]) -> Self {
        let hash = Sha256::digest(public_key);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }

    /// A number to scatter waits by.
    pub const fn seed(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Its name in a certificate.
    pub fn dns_name(self) -> String {
        format!("{self}{ID_SUFFIX}")
    }
}

impl NodeName {
    /// The server name for TLS.
    pub fn server_name(self) -> String {
        match self {
            Self::Origin => ORIGIN_NAME.to_owned(),
            Self::AnyEdge => EDGE_NAME.to_owned(),
            Self::Instance(instance) => instance.dns_name(),
        }
    }
}

impl Peer {
    /// Reads who a leaf is for. Only as good as the leaf: ask it of verified ones.
    pub fn of_leaf(leaf: &CertificateDer<'_>) -> Option<Self> {
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let names = leaf.subject_alternative_name().ok()??;
        let (mut role, mut instance) = (None, None);
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(ORIGIN_NAME) => role = Some(Role::Origin),
                GeneralName::DNSName(EDGE_NAME) => role = Some(Role::Edge),
                GeneralName::DNSName(other) => {
                    instance = other.strip_suffix(ID_SUFFIX).and_then(|id| id.parse().ok());
                }
                _ => {}
            }
        }
        Some(Self {
            role: role?,
            instance: instance?,
        })
    }
}

/// Who is at the other end, when it showed a certificate of the pool. Meaningful once the handshake is complete.
pub fn peer(connection: &quinn::Connection) -> Option<Peer> {
    let chain = connection.peer_identity()?;
    let chain = chain.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    Peer::of_leaf(chain.first()?)
}

/// The instance at the other end, as [`peer`].
pub fn peer_instance(connection: &quinn::Connection) -> Option<InstanceId> {
    peer(connection).map(|peer| peer.instance)
}

/// The cascade's name for it: 32 hexadecimal digits.
impl From<InstanceId> for Instance {
    fn from(id: InstanceId) -> Self {
        Self::of_hex(id.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance is 32 hex digits")]
pub struct BadInstance;

impl FromStr for InstanceId {
    type Err = BadInstance;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text).map(Self).ok_or(BadInstance)
    }
}

impl serde::Serialize for InstanceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for InstanceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
