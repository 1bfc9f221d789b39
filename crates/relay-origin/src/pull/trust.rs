//! Whom a source's certificate is checked against, in the words of `[[source]]`.

use std::path::{Path, PathBuf};

use crate::trust::{Trust, Unusable};

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

impl TrustError {
    fn of(unusable: Unusable, file: &Path) -> Self {
        match unusable {
            Unusable::File(reason) => Self::File {
                file: file.to_owned(),
                reason,
            },
            Unusable::Settings(error) => Self::Settings(error),
        }
    }
}

/// Those in a `ca_file`.
///
/// # Errors
/// When the file has none that can be read.
pub(super) fn of_file(file: &Path) -> Result<Trust, TrustError> {
    Trust::of_file(file).map_err(|unusable| TrustError::of(unusable, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let said = |file: &Path| of_file(file).err().unwrap().to_string();
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
