//! Why an edge did not come up, or had to end.

use relay_core::config::ConfigError;
use relay_core::exit::Exit;
use relay_core::link::join::JoinError;
use relay_core::link::quic::{BindError as LinkBindError, NoInitialCipher};
use relay_core::node::{NamesError, NodeError};
use relay_core::serve::BindError;
use relay_core::tls::{CaError, SettingsError};
use relay_core::token::AddressError;

/// Why an edge did not come up, or had to end; each is a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Fan-out, metrics or a port.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The link's port.
    #[error(transparent)]
    Link(#[from] LinkBindError),
    /// The origin's final no.
    #[error("this edge may not join the pool: {0}")]
    Join(JoinError),
    /// The origin has ended this edge's membership.
    #[error(
        "this edge was revoked at its origin; started again with a join token that is still good, it would be another edge"
    )]
    Revoked,
    /// The parent's address is none.
    #[error("[edge] parent is no address: {0}")]
    Parent(AddressError),
    /// No key could be made.
    #[error("cannot make this edge's key: {0}")]
    Key(#[from] CaError),
    /// TLS refused its settings.
    #[error(transparent)]
    Tls(#[from] SettingsError),
    /// QUIC refused them.
    #[error(transparent)]
    Quic(#[from] NoInitialCipher),
    /// The zone's names.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// The admin socket.
    #[error("cannot open the admin socket {path}: {error}")]
    Admin {
        /// Where.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
}

impl EdgeError {
    /// The exit code that says so to an init system.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Parent(_) | Self::Names(NamesError::Zone(_)) => Exit::Config,
            Self::Names(NamesError::Server(_)) => Exit::Unavailable,
            Self::Node(NodeError::Fanout(_)) => Exit::OsError,
            Self::Node(_) | Self::Bind(_) | Self::Link(_) | Self::Admin { .. } => Exit::Unavailable,
            Self::Join(_) | Self::Revoked => Exit::NoPermission,
            Self::Key(_) | Self::Tls(_) | Self::Quic(_) => Exit::Software,
        }
    }
}
