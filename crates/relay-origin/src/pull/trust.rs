//! Whom a server's certificate is checked against, and the handshake that does so.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use relay_core::tls;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::Fault;

/// The largest file of authorities: those of all the world together are a quarter of it.
const MAX_CA_BYTES: u64 = 1 << 20;

/// What is wrong with the authorities.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be used.
    #[error("the ca_file {} of a [[source]] cannot be used: {reason}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An https source, and nobody to trust.
    #[error(
        "this machine trusts no authority, so that no https [[source]] can be checked: install ca-certificates, or set ca_file"
    )]
    Nobody,
    /// rustls refused its settings.
    #[error("TLS settings: {0}")]
    Settings(#[from] rustls::Error),
}

/// The authorities that are trusted.
#[derive(Clone)]
pub(super) struct Trust {
    connector: TlsConnector,
    is_empty: bool,
}

impl Trust {
    /// Trusts those in a PEM file, and nobody else: who keeps an authority of their own wants no other to vouch.
    ///
    /// # Errors
    /// When the file has none that can be read.
    pub(super) fn of_file(file: &Path) -> Result<Self, TrustError> {
        let wrong = |reason: String| TrustError::File {
            file: file.to_owned(),
            reason,
        };
        let pem = read(file).map_err(|error| wrong(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        Self::of(roots)
    }

    /// Trusts those whom this machine trusts, which may be nobody.
    ///
    /// # Errors
    /// When rustls refuses its settings.
    pub(super) fn of_machine() -> Result<Self, TrustError> {
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

    fn of(roots: RootCertStore) -> Result<Self, TrustError> {
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
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Shakes hands with a host, a name or an address without brackets, and insists that it is the one.
    ///
    /// # Errors
    /// When it is not, or cannot.
    pub(super) async fn secure(&self, host: &str, socket: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| Fault::Tls(io::Error::other(error)))?;
        self.connector.connect(name, socket).await.map_err(Fault::Tls)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let said = |file: &Path| Trust::of_file(file).err().unwrap().to_string();
        let none = said(Path::new("/no/such/ca.pem"));
        assert!(
            none.contains("/no/such/ca.pem") && none.contains("No such file"),
            "{none}"
        );
        let file = std::env::temp_dir().join(format!("relay-ca-{}.pem", std::process::id()));
        for (text, sentence) in [
            ("no certificate", "no certificate in it"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = said(&file);
            assert!(said.contains(sentence), "{said}");
        }
        std::fs::remove_file(&file).unwrap();
    }
}
