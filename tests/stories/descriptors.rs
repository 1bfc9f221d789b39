//! Where descriptors run out: the program says so at its start, or goes on with those that it has (B15, R66).

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::get;
use relay_tests::ledger::Ledger;
use relay_tests::metrics::Metrics;
use relay_tests::process::Process;
use relay_tests::story::{Stage, Turn, profile_dir, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use tokio::net::TcpStream;

const STREAM: &str = "live/scarce";

/// For how long the node's use of the core is looked at while nobody gets in.
const LOOK: Duration = Duration::from_secs(3);

/// What waiting for descriptors may take of a core.
const BUSY: f64 = 0.05;

/// The last descriptors, which no connection gets, and a handful beyond them.
const ROOM: u64 = 16 + 6;

#[test]
fn without_descriptors_the_node_pauses_and_comes_back() {
    story("descriptors", Turn::Alone, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let footage = Synthetic {
            video_kbps: 100,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut watching = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger));
        watching.gets(100).await?;

        let usual = busy_share(&edge).await?;
        let before = edge.limit_files(edge.open_files()? + ROOM)?;
        let crowd = knock(&edge, 60).await?;
        edge.metric("relay_accept_failures_total", |failures| failures >= 1.0)
            .await?;

        let calibration = Calibration::start();
        let share = busy_share(&edge).await?;
        calibration.finish().judge(
            "without descriptors",
            &format!("{:.1} % of a core, {:.1} % before", share * 100.0, usual * 100.0),
            share - usual < BUSY,
        );
        // Those who look after the node still get in, and who watches watches on.
        for page in ["metrics", "healthz", "readyz"] {
            ensure!(
                get(&edge.url_of_metrics(page)).await?.head.status == 200,
                "{page}"
            );
        }
        watching.gets(100).await?;
        let warnings = edge.log()?.lines();
        let warnings = warnings.iter().filter(|line| line.contains("wait at the door"));
        ensure!(warnings.count() == 1, "one line a minute, no flood");

        edge.limit_files(before)?;
        drop(crowd);
        let mut late = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger));
        late.gets(50).await?;
        watching.is_content()?;
        watching.missed_nothing()
    });
}

/// What part of a core the node takes, looked at for a while.
async fn busy_share(edge: &Node) -> Result<f64> {
    let (start, spent) = (Instant::now(), edge.cpu_time()?);
    tokio::time::sleep(LOOK).await;
    Ok((edge.cpu_time()? - spent).as_secs_f64() / start.elapsed().as_secs_f64())
}

/// Connections that say nothing, as many as the kernel takes for the node.
async fn knock(edge: &Node, count: usize) -> Result<Vec<TcpStream>> {
    let mut knocking = Vec::new();
    for _ in 0..count {
        knocking.push(TcpStream::connect(("127.0.0.1", edge.ports().http)).await?);
    }
    Ok(knocking)
}

#[test]
fn a_log_without_memory_costs_its_publisher_and_nothing_else() {
    story("log_without_memory", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let ledger = Ledger::default();
        // A segment of the log, which is a descriptor, is full after half a second.
        let footage = |seed| {
            let footage = Synthetic {
                video_kbps: 30_000,
                seed,
                ..Synthetic::default()
            };
            footage.play()
        };
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::persist(&url, footage, &ledger);
        origin.shows(STREAM).await?;
        let metrics = origin.url_of_metrics("metrics");

        let before = origin.limit_files(1)?;
        let let_go = until("the publisher to be let go", async || {
            origin
                .log()
                .ok()?
                .text()
                .contains("the stream's log refuses")
                .then_some(())
        });
        let_go.await?;
        origin.limit_files(before)?;

        let page = Metrics::of(&metrics).await?;
        let removals = page.sum_where("relay_ingest_removals_total", "reason=\"log\"");
        ensure!(removals >= Some(1.0), "it is counted: {removals:?}");
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(&ledger));
        viewer.gets(200).await?;
        viewer.is_content()
    });
}

#[test]
fn at_any_limit_the_program_comes_up_or_says_why_not() {
    story("few_descriptors", Turn::Beside, async |stage| {
        let (mut refused, mut up) = (0, 0);
        // With fewer than 6 the loader itself gives up, before any line of ours.
        for limit in (6..120).step_by(6) {
            match start_with(stage, limit).await? {
                None => up += 1,
                Some((code, said)) => {
                    refused += 1;
                    ensure!(
                        // sysexits: the system refused something, or a port or a file was not to be had.
                        matches!(code, 69 | 71 | 73 | 74 | 78) && !said.contains("panicked"),
                        "with {limit} descriptors: exit code {code}:\n{said}"
                    );
                    ensure!(
                        said.lines().any(|line| line.starts_with("relay-origin: ")),
                        "with {limit} descriptors it says nothing of its own:\n{said}"
                    );
                }
            }
        }
        ensure!(
            refused > 2 && up > 2,
            "{refused} refused, {up} up: both are looked at"
        );
        Ok(())
    });
}

/// Starts an origin that may open so many files; what it said and its exit code, if it did not come up.
async fn start_with(stage: &Stage, limit: u32) -> Result<Option<(i32, String)>> {
    let folder = stage.folder().join(format!("limit-{limit}"));
    std::fs::create_dir_all(&folder)?;
    let ports = Ports::free();
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:{}\"\n[rtmp]\nlisten = \"127.0.0.1:{}\"\n[link]\nlisten = \"127.0.0.1:{}\"\n\
         [metrics]\nlisten = \"127.0.0.1:{}\"\n[origin]\nstate_dir = \"state\"\n",
        ports.http, ports.rtmp, ports.link, ports.metrics
    );
    std::fs::write(folder.join("relay.toml"), config)?;
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={limit}:{limit}"))
        .arg(profile_dir()?.join("relay-origin"))
        .args(["run", "--config", "relay.toml"])
        .current_dir(&folder)
        .env("NO_COLOR", "1");
    let mut process = Process::spawn(stage, &format!("origin-{limit}"), &mut command)?;
    let health = format!("http://127.0.0.1:{}/healthz", ports.metrics);
    let came_up = until(format!("an origin with {limit} descriptors"), async || {
        if !process.is_running().ok()? {
            return Some(false);
        }
        (get(&health).await.ok()?.head.status == 200).then_some(true)
    });
    if came_up.await? {
        process.stop();
        return Ok(None);
    }
    let status = process.ended().await?;
    let code = status.code().with_context(|| {
        format!(
            "with {limit} descriptors it was ended by a signal:\n{}",
            process.log().text()
        )
    })?;
    Ok(Some((code, process.log().text())))
}
