//! A real browser plays the page from an edge.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Cluster, Node, Origin, Ports};
use relay_tests::http::get;
use relay_tests::process::output_of;
use relay_tests::story::{Turn, story, target_dir, workspace_dir};
use relay_tests::tools::{ffmpeg_publishes, node_modules, program};
use relay_tests::wait::until;
use serde_json::Value;

const STREAM: &str = "live/bunny";

/// How far the picture has to advance.
const SECONDS: f64 = 10.0;

/// How far behind live the page may be, in seconds.
const DELAY: f64 = 3.0;

/// Of a hundred pictures, so many may be dropped.
const DROPPED_PERCENT: f64 = 2.0;

#[test]
fn chromium_plays_the_page() {
    story("browser", Turn::Alone, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let url = cluster.origin.publish_url(STREAM).await?;
        let _ffmpeg = ffmpeg_publishes(stage, "ffmpeg publishes", &url)?;
        cluster.edge.shows(STREAM).await?;
        let screenshot = target_dir()?.join("watch-page.png");

        let calibration = Calibration::start();
        let mut node = program("node")?;
        node.arg(workspace_dir().join("tests/browser/watch.mjs"))
            .arg(node_modules()?);
        node.arg(program("chromium")?.get_program())
            .arg(cluster.edge.page(STREAM));
        node.arg(SECONDS.to_string()).arg(&screenshot);
        let said = output_of(&mut node).await?;
        let lateness = calibration.finish();

        let seen: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        let figure = |pointer: &str| seen.pointer(pointer).and_then(Value::as_f64);
        ensure!(seen["error"].is_null(), "the picture broke: {seen}");
        ensure!(
            seen["complaints"] == serde_json::json!([]),
            "the page complains: {seen}"
        );
        ensure!(figure("/stats/mediaErrors") == Some(0.0), "media errors: {seen}");
        ensure!(
            seen["muted"] == true,
            "a page that starts by itself is muted: {seen}"
        );
        ensure!(
            figure("/width").is_some_and(|width| width > 0.0),
            "no picture: {seen}"
        );

        let latency = figure("/stats/latency").with_context(|| format!("no latency in {seen}"))?;
        let frames = figure("/frames").unwrap_or_default();
        let dropped = 100.0 * figure("/dropped").unwrap_or_default() / frames.max(1.0);
        let words = format!("{frames} frames, {dropped:.1} % dropped, {latency:.2} s behind live");
        let good = latency < DELAY && dropped < DROPPED_PERCENT && frames > 0.0;
        lateness.judge("the page in Chromium", &words, good);
        ensure!(screenshot.is_file(), "no screenshot");
        Ok(())
    });
}

/// Who has watched for so long is there to stay.
const WATCHES: Duration = Duration::from_secs(2);

/// How far the picture has to advance in all, on the way from one node to another.
const SECONDS_OF_MOVE: f64 = 12.0;

/// Waits until somebody has watched at a node for a while, and says for how long.
async fn watched(node: &Node) -> Result<Duration> {
    until(format!("{} to be watched", node.name()), async || {
        let viewers = node.admin("/api/v1/viewers").await.ok()?;
        let ages = viewers
            .as_array()?
            .iter()
            .filter_map(|row| row["age_seconds"].as_f64());
        let longest = ages.map(Duration::from_secs_f64).max()?;
        (longest >= WATCHES).then_some(longest)
    })
    .await
}

/// R81: the node that a page came from dies; the page plays on from another one, by itself.
#[test]
fn a_page_outlives_its_node() {
    story("browser_moves", Turn::Alone, async |stage| {
        // The probe stays at edges as a viewer does, and is listed among them.
        let mut origin = Origin::of_pool(stage, Ports::free(), "probe = false\n")?;
        origin.start().await?;
        let url = origin.publish_url(STREAM).await?;
        let _ffmpeg = ffmpeg_publishes(stage, "ffmpeg publishes", &url)?;
        let mut first = origin.edge("first").await?;
        first.start().await?;
        let mut second = origin.edge("second").await?;
        second.start().await?;
        first.shows(STREAM).await?;
        second.shows(STREAM).await?;
        // What the page will know of the pool is what its node knows.
        until("the first edge to know of the second", async || {
            let pool = get(&format!("http://127.0.0.1:{}/pool.json", first.ports().http))
                .await
                .ok()?;
            let port = format!(":{}\"", second.ports().http);
            pool.text().contains(&port).then_some(())
        })
        .await?;
        let mut node = program("node")?;
        node.arg(workspace_dir().join("tests/browser/watch.mjs"))
            .arg(node_modules()?)
            .arg(program("chromium")?.get_program())
            .arg(first.page(STREAM))
            .arg(SECONDS_OF_MOVE.to_string())
            .arg(target_dir()?.join("moved-page.png"));
        let moving = async {
            // By then the page has long heard of the pool, for which it asks first.
            watched(&first).await?;
            let died = Instant::now();
            first.kill();
            let age = watched(&second).await?;
            anyhow::Ok(died.elapsed().saturating_sub(age))
        };
        let (said, away) = tokio::join!(output_of(&mut node), moving);
        let (said, away) = (said?, away?);
        println!("browser_moves: at the next node {away:.1?} after the death of the first");
        ensure!(away < Duration::from_secs(15), "{away:?}");
        let seen: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        ensure!(seen["error"].is_null() && seen["failure"].is_null(), "{seen}");
        let reconnects = seen.pointer("/stats/reconnects").and_then(Value::as_f64);
        ensure!(reconnects.is_some_and(|count| count >= 1.0), "{seen}");
        Ok(())
    });
}
