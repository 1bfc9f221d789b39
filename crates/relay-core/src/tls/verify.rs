//! What a node believes: the pool's root, and, before it knows that, the root pinned in its join token.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

use super::settings::{SettingsError, provider};

/// How many certificates beside the leaf a joiner looks at; an origin sends one.
const MAX_CHAIN: usize = 4;

/// The pool's authority as the only root of trust.
#[derive(Clone, Debug)]
pub struct PoolRoot {
    certificate: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
}

impl PoolRoot {
    /// Takes an authority's certificate.
    ///
    /// # Errors
    /// When it cannot serve as a root.
    pub fn new(certificate: CertificateDer<'static>) -> Result<Self, SettingsError> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(SettingsError::Tls)?;
        Ok(Self {
            certificate,
            roots: Arc::new(roots),
        })
    }

    /// The authority's certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What join tokens carry.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    pub(super) fn servers(&self) -> Result<Arc<WebPkiServerVerifier>, SettingsError> {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
            .build()
            .map_err(SettingsError::Verifier)
    }

    /// Certificates are optional here, since a joiner has none yet; who shows one, shows a good one.
    pub(super) fn clients(&self) -> Result<Arc<dyn ClientCertVerifier>, SettingsError> {
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(SettingsError::Verifier)
    }
}

/// Why a joiner did not believe the server that it dialled; reads on from "the server at X".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    /// It did not show the authority of the token.
    #[error("is not the origin this token was made for")]
    OtherPool,
    /// It belongs to the pool and is not its origin.
    #[error("belongs to the pool, but is not its origin")]
    NotTheOrigin,
    /// Its certificate is not valid at this machine's time.
    #[error("shows a certificate that is not valid at this machine's time; is the clock right?")]
    Clock,
    /// Anything else: a malformed or forged chain.
    #[error("shows a certificate that is not valid")]
    Invalid,
}

/// Believes the one authority whose SHA-256 is pinned, if the server shows it, and leaves all else to webpki.
///
/// One value serves one attempt: it notes why it did not believe, which the error of a QUIC connection cannot carry.
#[derive(Debug)]
pub struct PinnedVerifier {
    pin: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
    fault: OnceLock<PinFault>,
}

impl PinnedVerifier {
    /// For the authority with this fingerprint.
    pub fn new(pin: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            pin,
            algorithms: provider().signature_verification_algorithms,
            fault: OnceLock::new(),
        })
    }

    /// Why the server was not believed.
    pub fn fault(&self) -> Option<PinFault> {
        self.fault.get().copied()
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = |c: &&CertificateDer<'_>| Sha256::digest(c).as_slice() == self.pin;
        let root = chain.iter().take(MAX_CHAIN).find(pinned);
        let root = root.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|e| Error::General(e.to_string()))?
            .verify_server_cert(leaf, &[], name, &[], now)
    }
}

fn fault_of(error: &Error) -> PinFault {
    use CertificateError as E;
    match error {
        Error::InvalidCertificate(E::UnknownIssuer) => PinFault::OtherPool,
        Error::InvalidCertificate(E::NotValidForName | E::NotValidForNameContext { .. }) => {
            PinFault::NotTheOrigin
        }
        Error::InvalidCertificate(
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. },
        ) => PinFault::Clock,
        _ => PinFault::Invalid,
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, chain, name, now).inspect_err(|error| {
            self.fault.get_or_init(|| fault_of(error));
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
