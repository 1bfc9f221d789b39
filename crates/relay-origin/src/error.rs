//! Why an origin did not come up.

use relay_core::config::ConfigError;
use relay_core::exit::Exit;
use relay_core::link::quic::{BindError as LinkBindError, NoInitialCipher};
use relay_core::node::{NamesError, NodeError};
use relay_core::serve::BindError;
use relay_core::tls::SettingsError;
use relay_core::token::AddressError;

use crate::access::AccessError;
use crate::identity::SelfSignError;
use crate::ingest::file::SourceError;
use crate::pull::TrustError;
use crate::rtmps::RtmpsError;
use crate::state::StateError;
use crate::tokens::DeskError;

/// Why an origin did not come up; each is a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state folder cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// A clip cannot be played.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Whom to trust in pulls cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Fan-out, metrics or a port.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The link's port.
    #[error(transparent)]
    Link(#[from] LinkBindError),
    /// This origin's own certificate.
    #[error("cannot certify this origin: {0}")]
    Identity(#[from] SelfSignError),
    /// TLS refused its settings.
    #[error(transparent)]
    Tls(#[from] SettingsError),
    /// QUIC refused them.
    #[error(transparent)]
    Quic(#[from] NoInitialCipher),
    /// The address for tokens is none.
    #[error("cannot put this origin's address into tokens: {0}; set public_host in [origin]")]
    Address(#[from] AddressError),
    /// Who may publish.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// RTMPS.
    #[error(transparent)]
    Rtmps(#[from] RtmpsError),
    /// The tokens and revocations.
    #[error(transparent)]
    Desk(#[from] DeskError),
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

impl StartError {
    /// The exit code that says so to an init system.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Trust(_) | Self::Names(NamesError::Zone(_)) => Exit::Config,
            Self::Names(NamesError::Server(_)) => Exit::Unavailable,
            Self::State(_) | Self::Desk(_) | Self::Access(AccessError::State(_)) => Exit::CannotCreate,
            Self::Access(AccessError::Trust(_)) => Exit::Config,
            Self::Access(AccessError::Metrics(_)) => Exit::Software,
            // Whoever renews the certificate may be about to put it there.
            Self::Source(_) | Self::Rtmps(_) => Exit::IoError,
            Self::Node(NodeError::Fanout(_)) => Exit::OsError,
            Self::Node(_) | Self::Bind(_) | Self::Link(_) | Self::Admin { .. } => Exit::Unavailable,
            Self::Identity(_) | Self::Tls(_) | Self::Quic(_) => Exit::Software,
            Self::Address(_) => Exit::Config,
        }
    }
}
