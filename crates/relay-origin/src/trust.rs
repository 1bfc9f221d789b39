//! Whom the certificate of a server elsewhere is checked against, and the handshake that does so: of pulls and of hooks.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use relay_core::tls;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The largest file of authorities: those of all the world together are a quarter of it.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Why authorities cannot be trusted; whoever asked knows which setting it was about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// What is wrong with the file.
    #[error("{0}")]
    File(String),
    /// rustls refused its settings.
    #[error(transparent)]
    Settings(#[from] rustls::Error),
}

/// The authorities that are trusted.
#[derive(Clone)]
pub(crate) struct Trust {
    connector: TlsConnector,
    is_empty: bool,
}

impl Trust {
    /// Trusts those in a PEM file, and nobody else: who keeps an authority of their own wants no other to vouch.
    ///
    /// # Errors
    /// When the file has none that can be read.
    pub(crate) fn of_file(file: &Path) -> Result<Self, Unusable> {
        let pem = read(file).map_err(|error| Unusable::File(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| Unusable::File(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| Unusable::File(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(Unusable::File("there is no certificate in it".to_owned()));
        }
        Ok(Self::of(roots)?)
    }

    /// Trusts those whom this machine trusts, which may be nobody.
    ///
    /// # Errors
    /// When rustls refuses its settings.
    pub(crate) fn of_machine() -> Result<Self, rustls::Error> {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a certificate of this machine's cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (_, ignored) = roots.add_parsable_certificates(found.certs);
        if ignored > 0 {
            tracing::debug!(ignored, "certificates of this machine's are of no use");
        }
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let is_empty = roots.is_empty();
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            is_empty,
        })
    }

    /// Whether nobody is trusted.
    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Shakes hands with a host, a name or an address without brackets, and insists that it is the one.
    ///
    /// # Errors
    /// When it is not, or cannot.
    pub(crate) async fn secure(&self, host: &str, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.connector.connect(name, socket).await
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_CA_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_CA_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_CA_BYTES} bytes"
        )));
    }
    Ok(bytes)
}
