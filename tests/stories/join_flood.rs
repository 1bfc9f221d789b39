//! Strangers flood the link port with joins, by wrong secrets and by handshakes that they never finish: those who watch notice
//! nothing, memory stays bounded, and a good edge gets in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use relay_core::link::join::Asker;
use relay_core::link::quic::QuicConfig;
use relay_core::tls::{JOIN_ALPN, NodeKey, ORIGIN_NAME, provider};
use relay_core::token::{JoinToken, Secret};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::Origin;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};

const STREAM: &str = "live/cam";

/// How long the flood lasts, in seconds, unless `RELAY_FLOOD_SECONDS` says otherwise: a minute in the long run.
const SECONDS: u64 = 5;

/// Joins with a wrong secret that are under way at a time.
const LIARS: usize = 16;

/// Connections at a time whose handshake is never finished.
const HALF_OPEN: usize = 400;

/// What the origin's memory may grow by: a thousand connections of 35 KB, and what an allocator keeps of them.
const MEMORY: u64 = 64_000_000;

/// How long a good edge may take to join meanwhile.
const JOINS: Duration = Duration::from_secs(3);

/// How long those who watch may be without anything new.
const GAP: Duration = Duration::from_millis(500);

/// What the flood did.
#[derive(Default)]
struct Flood {
    over: AtomicBool,
    refused: AtomicU64,
    begun: AtomicU64,
}

/// Joins with a wrong secret, again and again, each with a key of its own.
async fn lie(flood: Arc<Flood>, token: JoinToken) -> Result<()> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
    while !flood.over.load(Ordering::Relaxed) {
        let asker = Asker::new(endpoint.clone(), QuicConfig::default(), NodeKey::generate()?);
        let joined = tokio::time::timeout(Duration::from_secs(5), asker.join(&token)).await;
        ensure!(!matches!(joined, Ok(Ok(_))), "a wrong secret was taken");
        flood.refused.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Begins handshakes and lets them lie, from sockets that are gone by the time of the answer.
async fn begin_only(flood: Arc<Flood>, address: SocketAddr) -> Result<()> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    while !flood.over.load(Ordering::Relaxed) {
        let endpoint = Endpoint::client("127.0.0.1:0".parse()?)?;
        let mut waiting = Vec::with_capacity(HALF_OPEN);
        for _ in 0..HALF_OPEN {
            waiting.push(endpoint.connect_with(config.clone(), address, ORIGIN_NAME)?);
            flood.begun.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        // The first packets are out by the time that the endpoint's driver had its turn.
        tokio::time::timeout(Duration::from_millis(50), endpoint.wait_idle())
            .await
            .ok();
    }
    Ok(())
}

#[test]
fn a_flood_of_joins_drowns_nobody() {
    story("join_flood", Turn::Alone, async |stage| {
        let seconds = std::env::var("RELAY_FLOOD_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let seconds = Duration::from_secs(seconds.unwrap_or(SECONDS));
        let origin = Origin::start(stage).await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        edge.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger));
        viewer.gets(100).await?;
        let good = origin.edge("good").await?;
        let token: JoinToken = origin.token().await?.parse()?;
        let wrong = JoinToken::new(
            token.id,
            Secret::new([7; 16]),
            token.ca_sha256,
            token.addresses().to_vec(),
        )?;
        let address = SocketAddr::from(([127, 0, 0, 1], origin.ports().link));
        let before = origin.memory()?.total();

        let calibration = Calibration::start();
        let (flood, begun) = (Arc::new(Flood::default()), Instant::now());
        let mut tasks = Vec::new();
        for _ in 0..LIARS {
            tasks.push(tokio::spawn(lie(Arc::clone(&flood), wrong.clone())));
        }
        tasks.push(tokio::spawn(begin_only(Arc::clone(&flood), address)));
        let mut good = good;
        let started = Instant::now();
        good.start().await?;
        let joined = started.elapsed();
        let mut peak = 0;
        while begun.elapsed() < seconds {
            peak = peak.max(origin.memory()?.total());
            viewer.gets(10).await?;
        }
        flood.over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await??;
        }
        viewer.missed_nothing()?;
        let lasted = begun.elapsed().as_secs_f64();
        let rate = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / lasted;
        let gap = viewer.ask(|report| report.longest_gap).context("a gap")?.0;
        let words = format!(
            "{:.0} joins refused and {:.0} handshakes begun a second for {lasted:.0} s; a good edge joined in {joined:.2?}, the \
             viewer's longest gap was {gap:.0?}, the origin grew by {:.1} MB",
            rate(&flood.refused),
            rate(&flood.begun),
            peak.saturating_sub(before) as f64 / 1e6
        );
        let metrics = origin.metrics().await?;
        ensure!(flood.refused.load(Ordering::Relaxed) > 0, "nobody was refused");
        ensure!(peak < before + MEMORY, "{words}");
        calibration
            .finish()
            .judge("a flood of joins", &words, gap < GAP && joined < JOINS);
        let refused = metrics.sum_where("relay_edge_joins_total", "outcome=\"");
        ensure!(refused.is_some_and(|count| count > 0.0), "{refused:?}");
        Ok(())
    });
}
