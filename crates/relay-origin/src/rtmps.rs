//! RTMPS: the certificate that encoders see, kept up to date while encoders publish.
//!
//! Whoever renews the files (certbot, a secret's mount) need not know this program: the files are looked at, and SIGHUP says
//! that they changed. A certificate that is no good never takes the place of one that is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};
use relay_core::clock::{Clock, Now};
use relay_core::config::{Config, Moment};
use relay_core::metrics::{at_scrape, gauge};
use relay_core::signals::HangUps;
use relay_core::tls::{SettingsError, WebCertificate, WebCertificateError};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at: two glances at the file system, and soon enough for whoever watches a renewal.
const LOOK: Duration = Duration::from_secs(5);

/// A certificate with so little left was most likely not renewed as it should have been.
const SOON_S: i64 = 7 * 24 * 3600;

/// Why encoders cannot come over TLS.
#[derive(Debug, thiserror::Error)]
pub enum RtmpsError {
    /// The files.
    #[error("cannot open the port of [rtmps]: {0}")]
    Certificate(#[from] WebCertificateError),
    /// TLS refused its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A metric's name is taken: a mistake of ours.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system lets nobody listen to signals.
    #[error("cannot listen to SIGHUP: {0}")]
    Signal(#[from] io::Error),
}

/// Looks whether a configuration's certificate is good, if it names one.
///
/// # Errors
/// What is wrong with it.
pub fn check(config: &Config, now: Now) -> Result<(), RtmpsError> {
    if let Some((cert, key)) = config.rtmps.files() {
        WebCertificate::load(cert, key, unix_s(now))?;
    }
    Ok(())
}

/// The certificate of the RTMPS port.
pub struct Rtmps {
    certificate: Arc<WebCertificate>,
    reloads: IntCounterVec,
    hang_ups: HangUps,
    clock: Clock,
}

impl Rtmps {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(cert: &Path, key: &Path, clock: Clock, registry: &Registry) -> Result<Self, RtmpsError> {
        let certificate = WebCertificate::load(cert, key, unix_s(clock.now()))?;
        let reloads = IntCounterVec::new(
            Opts::new(
                "relay_rtmps_certificate_reloads_total",
                "Times that the certificate of [rtmps] was read again, by what came of it.",
            ),
            &["outcome"],
        )?;
        for outcome in ["ok", "failed"] {
            reloads.with_label_values(&[outcome]);
        }
        registry.register(Box::new(reloads.clone()))?;
        let name = "relay_rtmps_certificate_expires_seconds";
        let shown = Arc::clone(&certificate);
        at_scrape(registry, name, move || {
            let help = "When the certificate that encoders see on the RTMPS port ends, in Unix time.";
            gauge(name, help, shown.expires() as f64)
        })?;
        let rtmps = Self {
            certificate,
            reloads,
            hang_ups: HangUps::listen()?,
            clock,
        };
        rtmps.tell();
        Ok(rtmps)
    }

    /// The settings of the port.
    ///
    /// # Errors
    /// When rustls refuses a part.
    pub fn server(&self) -> Result<Arc<ServerConfig>, RtmpsError> {
        Ok(self.certificate.server()?)
    }

    /// Reads the files again when they change, and upon SIGHUP, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut look = self.clock.every(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.hang_ups.next() => {}
                _ = look.tick() => {
                    if !self.certificate.is_changed() {
                        continue;
                    }
                }
            }
            self.reload();
        }
    }

    fn reload(&self) {
        let outcome = match self.certificate.reload(unix_s(self.clock.now())) {
            Ok(()) => {
                self.tell();
                "ok"
            }
            Err(error) => {
                let until = moment(self.certificate.expires());
                tracing::warn!(%error, %until, "the new certificate of [rtmps] is no good: the former one stays in use");
                "failed"
            }
        };
        self.reloads.with_label_values(&[outcome]).inc();
    }

    /// Says how long the certificate lasts.
    fn tell(&self) {
        let expires = self.certificate.expires();
        let left = expires.saturating_sub(i64::try_from(unix_s(self.clock.now())).unwrap_or(i64::MAX));
        let until = moment(expires);
        match left < SOON_S {
            true => tracing::warn!(%until, "the certificate of [rtmps] ends soon"),
            false => tracing::info!(%until, "encoders may come over TLS"),
        }
    }
}

fn moment(unix_s: i64) -> Moment {
    Moment {
        unix_s: u64::try_from(unix_s).unwrap_or_default(),
    }
}

const fn unix_s(now: Now) -> u64 {
    now.unix_us / 1_000_000
}
