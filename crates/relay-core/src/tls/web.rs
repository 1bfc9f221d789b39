//! A certificate of the public kind, from files that somebody else renews: what encoders see on the RTMPS port.
//!
//! Those files change under a running program, one after the other, and now and then to something that is no certificate. So what
//! is shown is replaced as a whole, by what was read whole, and nothing that is open notices.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::settings::{SettingsError, provider};

/// The largest file read: a chain of ten certificates has 20 KB.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What is wrong with the files; each sentence names one of them.
#[derive(Debug, thiserror::Error)]
pub enum WebCertificateError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{}: {reason}", .file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Its end has come.
    #[error("{}: the certificate has expired", .file.display())]
    Expired {
        /// The file.
        file: PathBuf,
    },
    /// The two don't belong together.
    #[error("{} is not the key of {}", .key.display(), .cert.display())]
    NoMatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// A certificate with its key, as it is shown now.
#[derive(Debug)]
pub struct WebCertificate {
    cert: PathBuf,
    key: PathBuf,
    shown: ArcSwap<Shown>,
    /// What the files looked like when they were read last, whatever came of it.
    seen: Mutex<[Option<Look>; 2]>,
}

#[derive(Debug)]
struct Shown {
    certified: Arc<CertifiedKey>,
    expires: i64,
}

/// By what a file that was replaced or rewritten differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl WebCertificate {
    /// Reads both files. What has expired at `now_s`, in Unix seconds, is no good.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(cert: &Path, key: &Path, now_s: u64) -> Result<Arc<Self>, WebCertificateError> {
        let seen = [look(cert), look(key)];
        let shown = read(cert, key, now_s)?;
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            shown: ArcSwap::from_pointee(shown),
            seen: Mutex::new(seen),
        }))
    }

    /// Whether either file was changed since it was read last. One that is gone counts, once.
    pub fn is_changed(&self) -> bool {
        *self.lock() != [look(&self.cert), look(&self.key)]
    }

    /// Reads the files again and shows what they hold to whoever comes from now on.
    ///
    /// # Errors
    /// What is wrong with them: the former one is still shown then.
    pub fn reload(&self, now_s: u64) -> Result<(), WebCertificateError> {
        // Before they are read: what changes meanwhile is seen as a change next time.
        *self.lock() = [look(&self.cert), look(&self.key)];
        self.shown.store(Arc::new(read(&self.cert, &self.key, now_s)?));
        Ok(())
    }

    /// When what is shown expires, in Unix seconds.
    pub fn expires(&self) -> i64 {
        self.shown.load().expires
    }

    /// The settings of a server that shows it, for programs of all ages: TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// When rustls refuses a part.
    pub fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, SettingsError> {
        let certificate = Arc::clone(self);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(SettingsError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        // An encoder connects once an evening: resuming would save nothing and keep state.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Option<Look>; 2]> {
        // It is replaced whole, whatever panicked beside it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for WebCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.load().certified))
    }
}

fn look(path: &Path) -> Option<Look> {
    let found = std::fs::metadata(path).ok()?;
    Some(Look {
        device: found.dev(),
        inode: found.ino(),
        bytes: found.len(),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

fn read(cert: &Path, key: &Path, now_s: u64) -> Result<Shown, WebCertificateError> {
    let bad = |file: &Path, reason: String| WebCertificateError::Bad {
        file: file.to_owned(),
        reason,
    };
    let pem = bytes(cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| bad(cert, format!("it holds no PEM certificate: {error}")))?;
    let leaf = chain
        .first()
        .ok_or_else(|| bad(cert, "it holds no PEM certificate".to_owned()))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| bad(cert, error.to_string()))?;
    let expires = leaf.validity().not_after.timestamp();
    if expires <= i64::try_from(now_s).unwrap_or(i64::MAX) {
        return Err(WebCertificateError::Expired {
            file: cert.to_owned(),
        });
    }
    let pem = bytes(key)?;
    // The library's own words may quote what it found, which is a key.
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| bad(key, "it holds no PEM private key".to_owned()))?;
    let signing = provider().key_provider.load_private_key(private).map_err(|_| {
        bad(
            key,
            "it holds no private key of a kind that is known here".to_owned(),
        )
    })?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| WebCertificateError::NoMatch {
        cert: cert.to_owned(),
        key: key.to_owned(),
    })?;
    Ok(Shown {
        certified: Arc::new(certified),
        expires,
    })
}

fn bytes(file: &Path) -> Result<Vec<u8>, WebCertificateError> {
    let failed = |source| WebCertificateError::Read {
        file: file.to_owned(),
        source,
    };
    let opened = File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    opened
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    /// A folder with a certificate and its key, gone with the test.
    struct Files(PathBuf);

    impl Files {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("relay-web-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            let files = Self(path);
            files.make(2040);
            files
        }

        /// Writes a new pair that is good until a year.
        fn make(&self, year: i32) {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let cert = params.self_signed(&key).unwrap();
            std::fs::write(self.cert(), cert.pem()).unwrap();
            std::fs::write(self.key(), key.serialize_pem()).unwrap();
        }

        fn cert(&self) -> PathBuf {
            self.0.join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.join("key.pem")
        }

        fn load(&self) -> Result<Arc<WebCertificate>, WebCertificateError> {
            WebCertificate::load(&self.cert(), &self.key(), NOW_S)
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_new_one_is_shown_and_what_is_no_good_is_not() {
        let files = Files::new("reload");
        let certificate = files.load().unwrap();
        let first = certificate.expires();
        assert!(!certificate.is_changed());
        certificate.server().unwrap();

        files.make(2045);
        assert!(certificate.is_changed());
        certificate.reload(NOW_S).unwrap();
        assert!(certificate.expires() > first && !certificate.is_changed());

        let second = certificate.expires();
        for (break_it, said) in [
            (
                &(|| std::fs::write(files.cert(), "").unwrap()) as &dyn Fn(),
                "no PEM certificate",
            ),
            (&|| files.make(2020), "expired"),
            (&|| drop(std::fs::remove_file(files.cert())), "cannot read"),
        ] {
            break_it();
            assert!(certificate.is_changed());
            let error = certificate.reload(NOW_S).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(certificate.expires(), second, "the former one is still shown");
            assert!(!certificate.is_changed(), "it is said once");
        }
    }

    #[test]
    fn a_key_of_another_is_named_and_never_shown() {
        let files = Files::new("key");
        let cert = std::fs::read(files.cert()).unwrap();
        files.make(2040);
        std::fs::write(files.cert(), cert).unwrap();
        let error = files.load().unwrap_err().to_string();
        assert!(error.contains("key.pem is not the key of"), "{error}");
        let half = "-----BEGIN PRIVATE KEY-----\naHVzaC1odXNo\n-----END PRIVATE KEY-----\n";
        std::fs::write(files.key(), half).unwrap();
        let error = files.load().unwrap_err().to_string();
        assert!(
            error.contains("no private key") && !error.contains("hus"),
            "{error}"
        );
    }
}
