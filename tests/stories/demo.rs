//! `make demo`, as a script would use it: the file it writes, what that leads to, and that nothing is left behind.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::metrics::Metrics;
use relay_tests::ports::{free_port, is_free};
use relay_tests::process::{Process, is_alive};
use relay_tests::story::{Turn, profile_dir, story, target_dir};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_demo_runs_and_leaves_nothing() {
    story("demo", Turn::Alone, async |stage| {
        let base = free_port();
        let card = target_dir()?.join("demo.json");
        // Of an earlier demo, maybe one that runs beside this: the newest wins.
        let _ = std::fs::remove_file(&card);
        let mut demo = Command::new(profile_dir()?.join("demo"));
        demo.env("DEMO_PORTS", base.to_string());
        let mut demo = Process::spawn(stage, "demo", &mut demo)?;
        let told = until("the demo's card", async || {
            if !demo.is_running().unwrap_or(false) {
                return Some(None);
            }
            let text = std::fs::read_to_string(&card).ok()?;
            Some(Some(serde_json::from_str::<Value>(&text).ok()?))
        });
        let Some(told) = told.await? else {
            anyhow::bail!("the demo ended at once:\n{}", demo.log().text());
        };

        let [first, second] = [&told["edges"][0], &told["edges"][1]];
        for node in [&told["origin"], first, second] {
            let metrics = Metrics::of(text(&node["metrics"])?).await?;
            ensure!(
                metrics.sum("relay_streams").is_some(),
                "no streams among the metrics"
            );
            watches(
                &text(&node["flv"])?.replace("{stream}", &clip_stream(&told)?),
                Flavour::Http11,
            )
            .await?;
            watches(
                &text(&node["rtmp"])?.replace("{stream}", &clip_stream(&told)?),
                Flavour::Rtmp,
            )
            .await?;
        }

        let publish = text(&told["publish"])?;
        stage.keep_secret(publish.split_once("?key=").context("a key")?.1);
        let stream = stream_of(publish)?;
        ensure!(stream != clip_stream(&told)?, "the second stream is the first");
        let ledger = Ledger::default();
        let _encoder = Encoder::publish(publish, Synthetic::default().play(), &ledger).await?;
        let url = text(&second["flv"])?.replace("{stream}", &stream);
        let mut viewer = until("the second stream at the second edge", async || {
            let mut viewer = Viewer::watch(Flavour::Http11, &url, Some(&ledger));
            viewer.gets(100).await.ok().map(|()| viewer)
        })
        .await?;
        viewer.gets(100).await?;
        viewer.missed_nothing()?;

        demo.signal(Signal::INT)?;
        demo.succeeded().await?;
        for node in [&told["origin"], first, second] {
            let pid = node["pid"].as_u64().context("a process number")?;
            ensure!(
                !PathBuf::from(format!("/proc/{pid}")).exists(),
                "process {pid} is left"
            );
        }
        ensure!(
            !target_dir()?.join(format!("demo-{base}")).exists(),
            "its folder is left"
        );
        ensure!(!card.exists(), "its card is left");
        ensure!(is_free(base), "port {base} is still in use");
        Ok(())
    });
}

/// `DEMO_GROW=1`: viewers come, the origin has an edge started for them, and that ends with the rest.
#[test]
fn a_demo_grows_and_leaves_nothing() {
    story("demo_grow", Turn::Alone, async |stage| {
        let base = free_port();
        let mut demo = Command::new(profile_dir()?.join("demo"));
        demo.env("DEMO_PORTS", base.to_string()).env("DEMO_GROW", "1");
        let mut demo = Process::spawn(stage, "demo", &mut demo)?;
        demo.line_with("3 edges serve").await?;
        let folder = target_dir()?.join(format!("demo-{base}"));
        let started = std::fs::read_dir(folder.join("started"))?.flatten();
        let pids: Vec<String> = started
            .filter_map(|edge| std::fs::read_to_string(edge.path().join("pid")).ok())
            .collect();
        ensure!(!pids.is_empty(), "nothing was started");
        demo.signal(Signal::INT)?;
        demo.succeeded().await?;
        for pid in pids {
            let process = PathBuf::from("/proc").join(pid.trim());
            until(format!("{} to be gone", process.display()), async || {
                (!is_alive(&process)).then_some(())
            })
            .await?;
        }
        ensure!(!folder.exists(), "its folder is left");
        Ok(())
    });
}

/// The clip is decoded by others; here its framing and order are checked.
async fn watches(url: &str, flavour: Flavour) -> Result<()> {
    let mut viewer = Viewer::watch(flavour, url, None);
    viewer.gets(100).await.with_context(|| url.to_owned())?;
    viewer.is_content()
}

fn clip_stream(told: &Value) -> Result<String> {
    let page = text(&told["page"])?;
    let (_, stream) = page
        .split_once("/watch/")
        .with_context(|| format!("{page} is no watch page"))?;
    Ok(stream.to_owned())
}

/// `app/name` of an RTMP URL.
fn stream_of(url: &str) -> Result<String> {
    let path = url.strip_prefix("rtmp://").and_then(|rest| rest.split_once('/'));
    let (_, path) = path.with_context(|| format!("{url} is no RTMP URL"))?;
    Ok(path.split('?').next().unwrap_or_default().to_owned())
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}
