//! The metrics page is good, tells the truth, and gives nothing away.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::Cluster;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::get;
use relay_tests::ledger::Ledger;
use relay_tests::metrics::Metrics;
use relay_tests::story::{Turn, story};
use relay_tests::tools::program;
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::{until, within};
use tokio::io::AsyncWriteExt as _;

const STREAM: &str = "live/measured";

#[test]
fn the_page_is_good_and_true() {
    story("metrics", Turn::Beside, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let ledger = Ledger::default();
        let url = cluster.origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        cluster.deep.shows(STREAM).await?;
        let mut viewers = [
            Viewer::watch(Flavour::Http11, &cluster.edge.flv(STREAM), Some(&ledger)),
            Viewer::watch(Flavour::Rtmp, &cluster.edge.rtmp(STREAM), Some(&ledger)),
        ];
        for viewer in &mut viewers {
            viewer.gets(100).await?;
        }
        let (_, key) = url.split_once("?key=").context("a key")?;
        for node in [&cluster.origin, &cluster.edge, &cluster.deep] {
            ensure!(
                get(&node.url_of_metrics("healthz")).await?.head.status == 200,
                "not healthy"
            );
            let metrics = node.metrics().await?;
            promtool_passes(&metrics).await?;
            ensure!(!metrics.text().contains(key), "the key is on the page");
            ensure!(!metrics.text().contains("127.0.0.1"), "an address is on the page");
            let strange = metrics.samples().find(|(name, ..)| !is_ours(name));
            ensure!(strange.is_none(), "{strange:?}");
        }
        let egress = cluster
            .edge
            .metrics()
            .await?
            .sum("relay_egress_bytes_total")
            .unwrap_or_default();
        let received: u64 = viewers
            .iter()
            .map(|viewer| viewer.ask(|report| report.bytes))
            .sum();
        ensure!(
            egress >= received as f64,
            "{egress} bytes counted, {received} received"
        );
        cluster
            .edge
            .metric("relay_viewers", |viewers| viewers == 2.0)
            .await?;

        // Children are no viewers, and those who left are none any more (R76).
        drop(viewers);
        cluster
            .edge
            .metric("relay_viewers", |viewers| viewers == 0.0)
            .await?;
        Ok(())
    });
}

/// The origin knows where all metrics are, in the form that Prometheus reads (http_sd).
#[test]
fn prometheus_is_told_where_everyone_is() {
    story("prometheus_targets", Turn::Beside, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let wanted = [&*cluster.origin, &cluster.edge, &cluster.deep]
            .map(|node| format!("127.0.0.1:{}", node.ports().metrics));
        until("all targets to be told", async || {
            let told = cluster.origin.admin("/api/prometheus-targets").await.ok()?;
            let groups = told.as_array()?.iter();
            let targets: Vec<_> = groups
                .filter_map(|group| group["targets"].as_array())
                .flatten()
                .collect();
            let is_told = |target: &String| targets.iter().any(|told| *told == target);
            wanted.iter().all(is_told).then_some(())
        })
        .await
    });
}

#[test]
fn only_three_pages_on_the_listener() {
    story("metrics_pages", Turn::Beside, async |stage| {
        let cluster = Cluster::start(stage).await?;
        for page in ["", "streams", "api/streams", "api/tokens", "metrics/x"] {
            let answer = get(&cluster.origin.url_of_metrics(page)).await?;
            ensure!(
                answer.head.status == 404,
                "/{page} answers {}",
                answer.head.status
            );
        }
        Ok(())
    });
}

#[test]
fn readyz_follows_the_truth() {
    story("readyz", Turn::Beside, async |stage| {
        let mut cluster = Cluster::start(stage).await?;
        cluster.origin.kill();
        let url = cluster.edge.url_of_metrics("readyz");
        let unready = until("the edge to say that its origin is gone", async || {
            let answer = get(&url).await.ok()?;
            (answer.head.status == 503 && !answer.text().trim().is_empty()).then_some(())
        });
        unready.await?;
        cluster.origin.start().await?;
        cluster.edge.ready().await
    });
}

fn is_ours(name: &str) -> bool {
    name.starts_with("relay_") || name.starts_with("process_")
}

async fn promtool_passes(metrics: &Metrics) -> Result<()> {
    let mut promtool = tokio::process::Command::from(program("promtool")?);
    promtool.args(["check", "metrics"]);
    promtool
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut promtool = promtool.spawn()?;
    let mut pipe = promtool.stdin.take().context("standard input is piped")?;
    pipe.write_all(metrics.text().as_bytes()).await?;
    drop(pipe);
    let output = within("promtool to end", promtool.wait_with_output()).await??;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool complains: {complaints}");
    ensure!(complaints.trim().is_empty(), "promtool complains: {complaints}");
    Ok(())
}
