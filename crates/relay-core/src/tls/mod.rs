//! Trust between the nodes of one pool: its certificate authority, the nodes' identities, and the TLS settings.
//!
//! The origin is the authority ([`PoolCa`]). A leaf names a role and an instance by DNS names under `relay.internal`,
//! never the host that was dialled, so that nodes may move and clone freely: a verified name *is* the role. All of
//! TLS runs on ring, passed explicitly; nothing here installs a process-wide provider.
//!
//! What is shown to encoders, who are no nodes, is a certificate of the public kind: [`WebCertificate`].

mod ca;
pub mod hex;
mod identity;
mod instance;
mod late;
mod settings;
mod verify;
mod web;

pub use ca::{CaError, EdgeRequest, LEAF_BACKDATE, LEAF_LIFE, Leaf, PoolCa};
pub use identity::{Credentials, IdentityError, NodeKey};
pub use instance::{
    BadInstance, EDGE_NAME, InstanceId, NodeName, ORIGIN_NAME, Peer, Role, peer, peer_instance,
};
pub use late::{LATE_RENEWAL, late_member};
pub use settings::{
    JOIN_ALPN, LINK_ALPN, SettingsError, join_client, late_client, link_client, provider, renew_client,
    server,
};
pub use verify::{PinFault, PinnedVerifier, PoolRoot};
pub use web::{WebCertificate, WebCertificateError};
