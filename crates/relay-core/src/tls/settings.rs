//! The TLS settings of each kind of handshake: TLS 1.3 on ring, no early data, no resumption.
//!
//! Nothing is resumed, so that every link shows its certificate anew and a revoked or expired one ends with its
//! connection; a link lives for hours, so that a full handshake costs nothing that counts.

use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, ServerConfig};

use super::identity::Credentials;
use super::verify::{PinnedVerifier, PoolRoot};

/// The protocol of links: control, and media in groups.
pub const LINK_ALPN: &[u8] = b"relay-link/1";

/// The protocol of joining and renewing: one exchange.
pub const JOIN_ALPN: &[u8] = b"relay-join/1";

/// Why TLS settings could not be made; each is a fault of ours, not of a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SettingsError {
    /// rustls refused a part.
    #[error("TLS settings: {0}")]
    Tls(#[source] rustls::Error),
    /// rustls refused the roots.
    #[error("TLS roots: {0}")]
    Verifier(#[source] VerifierBuilderError),
}

/// ring, with AES-128-GCM first: measured a tenth faster than AES-256-GCM, and plenty for a day's key.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider
            .cipher_suites
            .sort_by_key(|s| s.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// A server of the link port. Client certificates are optional: the protocol decides after the handshake.
///
/// # Errors
/// When rustls refuses a part.
pub fn server(
    credentials: Arc<Credentials>,
    root: &PoolRoot,
    protocols: &[&[u8]],
) -> Result<ServerConfig, SettingsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(SettingsError::Tls)?
        .with_client_cert_verifier(root.clients()?)
        .with_cert_resolver(credentials);
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A dialler of links.
///
/// # Errors
/// When rustls refuses a part.
pub fn link_client(credentials: Arc<Credentials>, root: &PoolRoot) -> Result<ClientConfig, SettingsError> {
    member_client(credentials, root, LINK_ALPN)
}

/// A dialler that renews its certificate, showing the present one.
///
/// # Errors
/// When rustls refuses a part.
pub fn renew_client(credentials: Arc<Credentials>, root: &PoolRoot) -> Result<ClientConfig, SettingsError> {
    member_client(credentials, root, JOIN_ALPN)
}

/// A dialler that renews a certificate which ran out: it shows none, TLS would refuse it.
///
/// # Errors
/// When rustls refuses a part.
pub fn late_client(root: &PoolRoot) -> Result<ClientConfig, SettingsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(SettingsError::Tls)?
        .with_webpki_verifier(root.servers()?)
        .with_no_client_auth();
    Ok(finish(config, JOIN_ALPN))
}

/// A dialler that has nothing yet but a token.
///
/// # Errors
/// When rustls refuses a part.
pub fn join_client(verifier: Arc<PinnedVerifier>) -> Result<ClientConfig, SettingsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(SettingsError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(finish(config, JOIN_ALPN))
}

fn member_client(
    credentials: Arc<Credentials>,
    root: &PoolRoot,
    protocol: &[u8],
) -> Result<ClientConfig, SettingsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(SettingsError::Tls)?
        .with_webpki_verifier(root.servers()?)
        .with_client_cert_resolver(credentials);
    Ok(finish(config, protocol))
}

fn finish(mut config: ClientConfig, protocol: &[u8]) -> ClientConfig {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config
}
