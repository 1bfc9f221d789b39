//! Whoever has no certificate of this pool gets no byte of media on the link.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use quinn::Connection;
use rcgen::{CertificateParams, KeyPair};
use relay_core::clock::{Clock, Now};
use relay_core::tls::{LINK_ALPN, PoolCa, PoolRoot, link_client, provider};
use relay_tests::cluster::Origin;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::member::{credentials, dial, pool_ca};
use relay_tests::story::{Turn, story};
use relay_tests::wait::within;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A leaf's life in these stories.
const DAY: Duration = Duration::from_hours(24);

/// So long a certificate is out of date that not even a late renewal takes it.
const LONG_AGO: Duration = Duration::from_hours(24 * 60);

#[test]
fn without_a_certificate() {
    turned_away("rogue_without_certificate", |root, _| {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots(root)?)
            .with_no_client_auth();
        Ok(config)
    });
}

#[test]
fn with_a_self_signed_certificate() {
    turned_away("rogue_self_signed", |root, _| {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["edge.relay.internal".to_owned()])?.self_signed(&key)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots(root)?)
            .with_client_auth_cert(vec![certificate.der().clone()], key)?;
        Ok(config)
    });
}

#[test]
fn with_an_expired_certificate() {
    turned_away("rogue_expired", |root, ca| {
        let now = Clock::start().now();
        let then = Now {
            unix_us: now.unix_us - u64::try_from(LONG_AGO.as_micros())?,
            ..now
        };
        member_of(ca, root, then)
    });
}

#[test]
fn with_another_pools_certificate() {
    turned_away("rogue_of_another_pool", |root, _| {
        let now = Clock::start().now();
        member_of(&PoolCa::create(now)?, root, now)
    });
}

/// The check of the check: with a good certificate the link opens.
#[test]
fn a_member_is_let_in() {
    story("member_let_in", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let ca = pool_ca(&origin)?;
        let config = member_of(&ca, ca.certificate(), Clock::start().now())?;
        let connection = dial(&origin, config).await?;
        let closed = tokio::time::timeout(Duration::from_secs(2), connection.closed()).await;
        ensure!(closed.is_err(), "a member was turned away: {closed:?}");
        Ok(())
    });
}

/// Dials the link of an origin that has a live stream, with the TLS settings of a rogue.
fn turned_away(
    name: &'static str,
    settings: impl FnOnce(&CertificateDer<'static>, &PoolCa) -> Result<rustls::ClientConfig>,
) {
    story(name, Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let url = origin.publish_url("live/secret").await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &Ledger::default()).await?;
        origin.shows("live/secret").await?;
        let ca = pool_ca(&origin)?;
        let mut config = settings(ca.certificate(), &ca)?;
        config.alpn_protocols = vec![LINK_ALPN.to_vec()];
        // A certificate that TLS itself refuses ends the handshake, which is as good.
        if let Ok(connection) = dial(&origin, config).await {
            gets_nothing(&connection).await?;
        }
        Ok(())
    });
}

/// Says hello as a child would, and waits for whatever the origin sends: it has to be the end.
async fn gets_nothing(connection: &Connection) -> Result<()> {
    if let Ok((mut send, _receive)) = connection.open_bi().await {
        // What is written may be refused already: that is the point.
        let _ = send.write_all(b"\x00\x00\x00\x02{}").await;
    }
    let media = async {
        match connection.accept_uni().await {
            Ok(mut group) => {
                let mut byte = [0];
                let got = group.read(&mut byte).await;
                bail!("a group came, and in it {got:?}")
            }
            Err(_) => Ok(()),
        }
    };
    within("the origin to end the link", media).await??;
    let end = connection.closed().await;
    ensure!(
        matches!(
            end,
            quinn::ConnectionError::ApplicationClosed(_) | quinn::ConnectionError::ConnectionClosed(_)
        ),
        "the link ended without a reason: {end}"
    );
    Ok(())
}

/// TLS settings with a leaf that `ca` signed at a moment.
fn member_of(ca: &PoolCa, root: &CertificateDer<'static>, signed: Now) -> Result<rustls::ClientConfig> {
    let credentials = credentials(ca, DAY, signed)?;
    let root = PoolRoot::new(root.clone())?;
    link_client(credentials, &root).context("the settings of a member")
}

fn roots(root: &CertificateDer<'static>) -> Result<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone())?;
    Ok(roots)
}
