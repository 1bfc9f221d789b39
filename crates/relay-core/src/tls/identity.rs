//! A node's key and the certificate that it shows, which a renewal swaps under running endpoints.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::ca::{CaError, generate, signing};
use super::instance::{InstanceId, Peer};
use super::settings::provider;

/// A node's key: made at start, in memory only, gone with the process.
pub struct NodeKey(KeyPair);

/// Why a chain cannot be a node's identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The chain is empty, or its leaf is not for this key.
    #[error("the certificate is not for this node's key")]
    NotOurKey,
    /// The leaf names no role or instance.
    #[error("the certificate names no node of a pool")]
    NoName,
}

/// What a node shows on its links, whether it dials or is dialled. Connections made before a [`Self::renew`] keep
/// what they were made with.
#[derive(Debug)]
pub struct Credentials {
    shown: ArcSwap<CertifiedKey>,
    peer: Peer,
}

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, CaError> {
        generate().map(Self)
    }

    /// The instance that holds this key.
    pub fn instance(&self) -> InstanceId {
        InstanceId::of_key(self.0.der_bytes())
    }

    /// A request for a certificate (DER), which proves that this node holds its key and asks for nothing else.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn request(&self) -> Result<Vec<u8>, CaError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params.serialize_request(&self.0).map_err(signing)?;
        Ok(request.der().to_vec())
    }

    pub(super) const fn pair(&self) -> &KeyPair {
        &self.0
    }

    fn certified(&self, chain: Vec<CertificateDer<'static>>) -> Result<CertifiedKey, IdentityError> {
        let key = PrivatePkcs8KeyDer::from(self.0.serialize_der());
        let key = provider()
            .key_provider
            .load_private_key(key.into())
            .map_err(|_| IdentityError::NotOurKey)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| IdentityError::NotOurKey)?;
        Ok(certified)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.instance())
    }
}

impl Credentials {
    /// A key and the chain that was signed for it, leaf first.
    ///
    /// # Errors
    /// When they do not fit, or the leaf names no node.
    pub fn new(key: &NodeKey, chain: Vec<CertificateDer<'static>>) -> Result<Arc<Self>, IdentityError> {
        let peer = name_of(&chain)?;
        Ok(Arc::new(Self {
            shown: ArcSwap::from_pointee(key.certified(chain)?),
            peer,
        }))
    }

    /// Shows another chain from now on; the node stays who it is.
    ///
    /// # Errors
    /// When key and chain do not fit, or the leaf names another node.
    pub fn renew(&self, key: &NodeKey, chain: Vec<CertificateDer<'static>>) -> Result<(), IdentityError> {
        if name_of(&chain)? != self.peer {
            return Err(IdentityError::NoName);
        }
        self.shown.store(Arc::new(key.certified(chain)?));
        Ok(())
    }

    /// Who this node is, as others see it.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The chain shown at present, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.shown.load().cert.clone()
    }
}

fn name_of(chain: &[CertificateDer<'_>]) -> Result<Peer, IdentityError> {
    let leaf = chain.first().ok_or(IdentityError::NotOurKey)?;
    Peer::of_leaf(leaf).ok_or(IdentityError::NoName)
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
