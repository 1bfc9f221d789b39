//! An edge is asked to end and lets its viewers go, a few at a time, each at a keyframe: they play elsewhere (R84).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::{ask, get};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use rustix::process::Signal;
use tokio::task::JoinSet;

const STREAM: &str = "live/cam";

const VIEWERS: usize = 100;

/// Over how long they leave.
const WINDOW: Duration = Duration::from_secs(12);

/// How long one may be without a picture.
const AWAY: Duration = Duration::from_secs(3);

/// Within so long, no more than a twentieth may come back.
const MOMENT: Duration = Duration::from_millis(100);

/// One viewer's way from one node to another.
struct Move {
    ended: Instant,
    plays: Instant,
}

/// Watches until the stream ends here, then asks the origin where else it is to be had, and goes there.
async fn watch_and_move(mut here: Viewer, asked: String, ledger: Ledger) -> Result<Move> {
    let left = here.until("the end", |_| false).await.unwrap_err();
    ensure!(left.to_string().contains("the stream's end"), "{left:#}");
    let ended = Instant::now();
    let report = here.report();
    ensure!(report.fault_count == 0 && report.jumps.is_empty(), "{report:?}");
    let sent = ask("HEAD", &asked, "").await?;
    let location = sent
        .head
        .header("location")
        .context("it is sent somewhere")?
        .to_owned();
    let mut there = Viewer::watch(Flavour::Http11, &location, Some(&ledger));
    there.gets(1).await?;
    let plays = Instant::now();
    there.gets(50).await?;
    there.is_content()?;
    Ok(Move { ended, plays })
}

#[test]
fn a_drained_edge_lets_its_viewers_go_to_another() {
    story("drain", Turn::Alone, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        // A group of 400 ms: with each ends a thirtieth of the window.
        let footage = Synthetic {
            gop: 10,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
        let mut leaving = origin.edge("leaving").await?;
        let window = ("RELAY_DRAIN".to_owned(), format!("{}s", WINDOW.as_secs()));
        leaving.set_environment([window]);
        leaving.start().await?;
        leaving.shows(STREAM).await?;
        let mut viewers = Vec::new();
        for _ in 0..VIEWERS {
            let mut viewer = Viewer::watch(Flavour::Http11, &leaving.flv(STREAM), Some(&ledger));
            viewer.gets(20).await?;
            viewers.push(viewer);
        }
        let mut staying = origin.edge("staying").await?;
        staying.start().await?;
        staying.shows(STREAM).await?;
        origin.edges_are(&["serving", "serving"]).await?;

        let mut moves = JoinSet::new();
        for viewer in viewers {
            moves.spawn(watch_and_move(viewer, origin.flv(STREAM), ledger.clone()));
        }
        let begun = Instant::now();
        leaving.process()?.signal(Signal::TERM)?;
        until("the edge to be not ready", async || {
            let answer = get(&leaving.url_of_metrics("readyz")).await.ok()?;
            (answer.head.status == 503 && answer.text().contains("draining")).then_some(())
        })
        .await?;
        // It still answers, and sends newcomers on.
        until("newcomers to be sent on", async || {
            let sent = ask("HEAD", &leaving.flv(STREAM), "").await.ok()?;
            let location = sent.head.header("location").unwrap_or_default();
            location.starts_with(&staying.flv(STREAM)).then_some(())
        })
        .await?;
        let mut moved = Vec::new();
        while let Some(done) = moves.join_next().await {
            moved.push(done??);
        }
        ensure!(moved.len() == VIEWERS, "{} have moved", moved.len());
        let longest = moved
            .iter()
            .map(|one| one.plays - one.ended)
            .max()
            .unwrap_or_default();
        let last = moved
            .iter()
            .map(|one| one.ended - begun)
            .max()
            .unwrap_or_default();
        let mut ends: Vec<Instant> = moved.iter().map(|one| one.ended).collect();
        ends.sort_unstable();
        let crowd = |from: &Instant| {
            let within = |end: &&Instant| **end >= *from && **end < *from + MOMENT;
            ends.iter().filter(within).count()
        };
        let most = ends.iter().map(crowd).max().unwrap_or_default();
        println!(
            "drain: {VIEWERS} viewers, the last ended after {last:.1?}, away at most {longest:.0?}, at most {most} within {MOMENT:?}"
        );
        ensure!(longest < AWAY, "one was without a picture for {longest:?}");
        ensure!(last > WINDOW / 2, "all were gone after {last:?}");
        // Twice a twentieth: this machine may hold a group's end up and let two go as one.
        ensure!(most <= VIEWERS / 10, "{most} ended within {MOMENT:?}");
        let status = leaving.process()?.ended().await?;
        ensure!(status.success(), "{status}");
        if origin.metrics().await?.sum("relay_viewers") != Some(0.0) {
            bail!("somebody fell back on the origin");
        }
        Ok(())
    });
}

/// Whoever asks twice does not want to wait.
#[test]
fn a_second_signal_ends_a_drain_at_once() {
    story("drain_cut_short", Turn::Beside, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let mut leaving = origin.edge("leaving").await?;
        leaving.set_environment([("RELAY_DRAIN".to_owned(), "10min".to_owned())]);
        leaving.start().await?;
        leaving.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &leaving.flv(STREAM), Some(&ledger));
        viewer.gets(20).await?;
        leaving.process()?.signal(Signal::TERM)?;
        until("the edge to drain", async || {
            let answer = get(&leaving.url_of_metrics("readyz")).await.ok()?;
            answer.text().contains("draining").then_some(())
        })
        .await?;
        viewer.gets(20).await?;
        leaving.process()?.signal(Signal::TERM)?;
        // Were it to wait for the window, the story's patience would be over first.
        let status = leaving.process()?.ended().await?;
        ensure!(status.code() == Some(128 + 15), "{status}");
        Ok(())
    });
}
