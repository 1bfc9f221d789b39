//! RTMP over TLS: ffmpeg publishes so, and the certificate changes meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use relay_core::rtmp::client::Action;
use relay_tests::cluster::{Origin, Ports};
use relay_tests::ports::free_port;
use relay_tests::rtmp::Connection;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::tools::{ffmpeg_decodes, ffmpeg_publishes};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::{until, within};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const STREAM: &str = "live/camera";

/// The files that the origin is told of.
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(stage: &Stage) -> Self {
        Self {
            cert: stage.folder().join("cert.pem"),
            key: stage.folder().join("key.pem"),
        }
    }

    /// Puts a new certificate of loopback's in place, good until a year, and gives it.
    fn renew(&self, year: i32) -> Result<CertificateDer<'static>> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let cert = params.self_signed(&key)?;
        std::fs::write(&self.key, key.serialize_pem())?;
        std::fs::write(&self.cert, cert.pem())?;
        Ok(cert.der().clone())
    }
}

#[test]
fn ffmpeg_publishes_over_tls_and_the_certificate_changes_meanwhile() {
    story("rtmps", Turn::Beside, async |stage| {
        let files = Files::of(stage);
        let first = files.renew(2090)?;
        let port = free_port();
        let mut origin = Origin::prepare(stage, "origin", Ports::free())?;
        origin.configure(&format!(
            "[rtmps]\nlisten = \"127.0.0.1:{port}\"\ncert = {:?}\nkey = {:?}",
            files.cert, files.key
        ));
        origin.start().await?;
        let said = origin.verb_says(&["publish-url", STREAM, "--rtmps"]).await?;
        let url = said.trim();
        ensure!(url.starts_with("rtmps://127.0.0.1:"), "another door");
        stage.keep_secret(url.split_once("?key=").context("a key")?.1);
        shown(port, &first).await.context("the first certificate")?;
        let first_end = expiry(&origin, "first").await?;

        let mut ffmpeg = ffmpeg_publishes(stage, "ffmpeg", url)?;
        origin.shows(STREAM).await?;
        ffmpeg_decodes(&origin.flv(STREAM), 1, &[]).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), None);
        viewer.gets(20).await?;

        // What is no good does not take the place of what is; it is said, and the former one's end is what is told.
        std::fs::write(&files.cert, "-----BEGIN NONSENSE-----\n")?;
        let process = origin.process()?;
        process.signal(Signal::HUP)?;
        process
            .line_with("the new certificate of [rtmps] is no good")
            .await?;
        shown(port, &first).await.context("the first certificate still")?;
        reloaded(&origin, "failed").await?;
        ensure!(expiry(&origin, "kept").await? == first_end, "another end is told");

        // A good one serves whoever comes next, and nobody who is there notices.
        let second = files.renew(2095)?;
        origin.process()?.signal(Signal::HUP)?;
        reloaded(&origin, "ok").await?;
        shown(port, &second).await.context("the second certificate")?;
        ensure!(shown(port, &first).await.is_err(), "the first one is shown still");
        ensure!(
            expiry(&origin, "second").await? > first_end,
            "the same end is told"
        );

        // Whoever renews it need not say so.
        let third = files.renew(2096)?;
        until_shown(port, &third).await?;
        viewer.gets(20).await?;
        ensure!(ffmpeg.is_running()?, "ffmpeg noticed:\n{}", ffmpeg.log().text());

        // What is no TLS ends there, and nobody plays through this door.
        let plain = url.replacen("rtmps://", "rtmp://", 1);
        let refused = Connection::dial(&plain, Action::Publish).await?.started().await;
        ensure!(refused.is_err(), "published in the clear on the door of TLS");
        Ok(())
    });
}

#[test]
fn without_a_good_certificate_nothing_starts() {
    story("rtmps_no_certificate", Turn::Beside, async |stage| {
        let files = Files::of(stage);
        let mut origin = Origin::prepare(stage, "origin", Ports::free())?;
        origin.configure(&format!(
            "[rtmps]\ncert = {:?}\nkey = {:?}",
            files.cert, files.key
        ));
        let (code, said) = origin.refuses_to_start().await?;
        ensure!(code == Some(74) && said.contains("cert.pem"), "{code:?}: {said}");
        Ok(())
    });
}

/// Waits until the certificate was read again, with that outcome.
async fn reloaded(origin: &Origin, outcome: &str) -> Result<()> {
    let label = format!("outcome=\"{outcome}\"");
    until(format!("a reload that is {outcome}"), async || {
        let metrics = origin.metrics().await.ok()?;
        let count = metrics.sum_where("relay_rtmps_certificate_reloads_total", &label)?;
        (count >= 1.0).then_some(())
    })
    .await
}

/// When the certificate in use ends.
async fn expiry(origin: &Origin, which: &str) -> Result<f64> {
    let metrics = origin.metrics().await?;
    let end = metrics.sum("relay_rtmps_certificate_expires_seconds");
    end.with_context(|| format!("the end of the {which} certificate"))
}

async fn until_shown(port: u16, certificate: &CertificateDer<'static>) -> Result<()> {
    until("a new certificate to be shown", async || {
        shown(port, certificate).await.ok()
    })
    .await
}

/// Succeeds if the door shows exactly this certificate.
async fn shown(port: u16, certificate: &CertificateDer<'static>) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("127.0.0.1")?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, socket);
    within("a TLS handshake", handshake).await??;
    Ok(())
}
