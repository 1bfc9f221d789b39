//! The origin watches each edge as a viewer would: where that goes wrong nobody is sent, and where it is mended they are again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::{ask, get};
use relay_tests::ledger::Ledger;
use relay_tests::middleman::{Middleman, Mood};
use relay_tests::ports::free_port;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use rustix::process::Signal;

const STREAM: &str = "live/cam";

/// From an edge's start to its first viewer's first frame.
const FIRST_VIEWER: Duration = Duration::from_secs(3);

/// From the moment at which an edge goes wrong to the last viewer who is sent there.
const OUT: Duration = Duration::from_secs(10);

/// An origin that leaves viewers to its edges, and a stream.
async fn live(stage: &Stage, ledger: &Ledger) -> Result<(Origin, Encoder)> {
    let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
    origin.start().await?;
    let url = origin.publish_url(STREAM).await?;
    let encoder = Encoder::publish(&url, Synthetic::default().play(), ledger).await?;
    origin.shows(STREAM).await?;
    Ok((origin, encoder))
}

/// Where the origin sends a viewer now; nowhere if it serves them itself.
async fn leads_to(origin: &Origin) -> Result<Option<String>> {
    let answer = ask("HEAD", &origin.flv(STREAM), "").await?;
    ensure!(matches!(answer.head.status, 200 | 302), "{:?}", answer.head);
    Ok(answer.head.header("location").map(str::to_owned))
}

/// Waits until viewers are sent to that port, or to nobody; gives the time that it took.
async fn viewers_go(origin: &Origin, to: Option<u16>, since: Instant) -> Result<Duration> {
    let wanted = to.map(|port| format!("http://127.0.0.1:{port}/"));
    until(format!("viewers to be sent to {wanted:?}"), async || {
        let location = leads_to(origin).await.ok()?;
        let is_there = match (&wanted, &location) {
            (Some(wanted), Some(location)) => location.starts_with(wanted),
            (None, None) => true,
            _ => false,
        };
        is_there.then(|| since.elapsed())
    })
    .await
}

fn reached_at(edge: &mut Node, port: u16) {
    edge.configure(&format!("[edge]\npublic = [\"http://127.0.0.1:{port}\"]"));
}

/// An edge whose port is closed to the world gets no viewer, says itself what to set, and is a parent all the same.
#[test]
fn an_edge_that_viewers_cannot_reach_is_told_what_to_set() {
    story("probe_unreachable", Turn::Beside, async |stage| {
        let ledger = Ledger::default();
        let (origin, _encoder) = live(stage, &ledger).await?;
        let mut closed = origin.edge("closed").await?;
        reached_at(&mut closed, free_port());
        closed.start().await?;
        closed.shows(STREAM).await?;
        let edges = origin.edges_are(&["unreachable"]).await?;
        let why = edges[0]["why"].as_str().unwrap_or_default();
        ensure!(why.contains("refused") && why.contains("`public`"), "{why}");
        ensure!(leads_to(&origin).await?.is_none(), "viewers are sent there");

        let warning = "set [edge] public to where they can";
        let said = closed.process()?.line_with(warning).await?;
        ensure!(
            said.contains("viewers cannot reach this edge at http://127.0.0.1:"),
            "{said}"
        );
        closed
            .metric("relay_unreachable_endpoints", |count| count == 1.0)
            .await?;
        let ready = get(&closed.url_of_metrics("readyz")).await?;
        ensure!(ready.head.status == 200, "it is no less ready: {}", ready.text());

        let mut child = origin.edge("child").await?.under(&closed);
        child.start().await?;
        origin.edges_are(&["serving", "unreachable"]).await?;
        viewers_go(&origin, Some(child.ports().http), Instant::now()).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &child.flv(STREAM), Some(&ledger));
        viewer.gets(50).await?;
        viewer.is_content()?;

        let metrics = origin.metrics().await?;
        for (name, label, expected) in [
            ("relay_edges", "state=\"unreachable\"", 1.0),
            ("relay_edges", "state=\"serving\"", 1.0),
            ("relay_probe_results_total", "result=\"wrong\"", 0.0),
        ] {
            let value = metrics.sum_where(name, label).context(name)?;
            ensure!(value == expected, "{name}{{{label}}} is {value}");
        }
        let failed = metrics.sum_where("relay_probe_results_total", "result=\"failed\"");
        ensure!(failed >= Some(3.0), "{failed:?} failed");
        ensure!(
            metrics.sum("relay_probe_first_frame_seconds_count") > Some(0.0),
            "no first frame"
        );
        let warnings = closed.log()?.lines();
        let warnings = warnings.iter().filter(|line| line.contains(warning)).count();
        ensure!(warnings == 1, "it was said {warnings} times");
        Ok(())
    });
}

/// R84: a newcomer is of use within seconds. Whoever alters what the origin sent, or hangs, is out within seconds, and back only when it has proved itself.
#[test]
fn a_lying_or_hanging_edge_is_out_until_it_has_proved_itself() {
    story("probe_liar", Turn::Alone, async |stage| {
        let ledger = Ledger::default();
        let (origin, _encoder) = live(stage, &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        let middleman = Middleman::before(edge.ports().http).await?;
        reached_at(&mut edge, middleman.port());

        let begun = Instant::now();
        edge.launch()?;
        let sent = viewers_go(&origin, Some(middleman.port()), begun).await?;
        let url = leads_to(&origin).await?.context("it is sent nowhere")?;
        let mut viewer = Viewer::watch(Flavour::Http11, &url, Some(&ledger));
        viewer.gets(1).await?;
        let first = begun.elapsed();
        println!(
            "probe: an edge's first viewer is sent there {sent:.2?} after its start, and has a frame after {first:.2?}"
        );
        ensure!(
            first < FIRST_VIEWER,
            "the first viewer had a frame after {first:?}"
        );
        drop(viewer);

        for (mood, name) in [(Mood::Lying, "a lying"), (Mood::Mute, "a hanging")] {
            middleman.becomes(mood);
            let out = viewers_go(&origin, None, Instant::now()).await?;
            let edges = origin.edges_are(&["unreachable"]).await?;
            let why = edges[0]["why"].as_str().unwrap_or_default().to_owned();
            middleman.becomes(Mood::Honest);
            let back = viewers_go(&origin, Some(middleman.port()), Instant::now()).await?;
            println!(
                "probe: {name} edge is out after {out:.1?} ({why}), and back {back:.1?} after it is mended"
            );
            ensure!(out < OUT, "{name} edge is out after {out:?}");
            // Three good visits, two seconds apart.
            ensure!(
                back > Duration::from_secs(2),
                "back after {back:?}, without a doubt"
            );
            origin.edges_are(&["serving"]).await?;
        }
        let wrong = origin
            .metrics()
            .await?
            .sum_where("relay_probe_results_total", "result=\"wrong\"");
        ensure!(wrong >= Some(1.0), "{wrong:?} lies");
        Ok(())
    });
}

/// A frozen edge keeps its sockets open, and the kernel goes on taking connections for it.
#[test]
fn a_frozen_edge_is_out_and_comes_back() {
    story("probe_frozen", Turn::Alone, async |stage| {
        let ledger = Ledger::default();
        let (origin, _encoder) = live(stage, &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let port = edge.ports().http;
        viewers_go(&origin, Some(port), Instant::now()).await?;

        edge.process()?.signal(Signal::STOP)?;
        let out = viewers_go(&origin, None, Instant::now()).await?;
        // Its reports stop first; that it has to prove itself before it is offered again, the probe sees to.
        until("the probe to have given up on it", async || {
            let listed = origin.admin("/api/v1/edges").await.ok()?;
            let health = listed[0]["endpoints"][0]["health"].as_str()?.to_owned();
            health.starts_with("bad").then_some(())
        })
        .await?;
        edge.process()?.signal(Signal::CONT)?;
        let back = viewers_go(&origin, Some(port), Instant::now()).await?;
        println!("probe: a frozen edge is out after {out:.1?}, and back {back:.1?} after it goes on");
        ensure!(out < OUT, "a frozen edge is out after {out:?}");
        ensure!(
            back > Duration::from_secs(2),
            "back after {back:?}, without a doubt"
        );
        let url = leads_to(&origin).await?.context("it is sent nowhere")?;
        let mut viewer = Viewer::watch(Flavour::Http11, &url, Some(&ledger));
        viewer.gets(50).await?;
        viewer.is_content()
    });
}

/// How long an edge stands still, and for how long it goes on before it does so again.
const STANDS_STILL: Duration = Duration::from_secs(2);

/// R84: an edge that stands still now and then gives newcomers their first frames all the same: only one who stays notices.
#[test]
fn an_edge_that_stalls_now_and_then_is_out_until_it_goes_on_evenly() {
    story("probe_stalls", Turn::Alone, async |stage| {
        let ledger = Ledger::default();
        let (origin, _encoder) = live(stage, &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        let middleman = Middleman::before(edge.ports().http).await?;
        reached_at(&mut edge, middleman.port());
        edge.start().await?;
        viewers_go(&origin, Some(middleman.port()), Instant::now()).await?;

        let begun = Instant::now();
        let stalling = async {
            loop {
                middleman.becomes(Mood::Holding);
                tokio::time::sleep(STANDS_STILL).await;
                middleman.becomes(Mood::Honest);
                tokio::time::sleep(STANDS_STILL).await;
            }
        };
        let out = tokio::select! {
            out = viewers_go(&origin, None, begun) => out?,
            () = stalling => unreachable!("it goes on for ever"),
        };
        let edges = origin.edges_are(&["unreachable"]).await?;
        let why = edges[0]["why"].as_str().unwrap_or_default().to_owned();
        middleman.becomes(Mood::Honest);
        let back = viewers_go(&origin, Some(middleman.port()), Instant::now()).await?;
        println!(
            "probe: an edge that stalls is out after {out:.1?} ({why}), and back {back:.1?} after it is mended"
        );
        ensure!(out < OUT, "a stalling edge is out after {out:?}");
        ensure!(why.contains("stops for more than a second"), "{why}");
        ensure!(
            back > Duration::from_secs(5),
            "back after {back:?}, without a doubt"
        );
        let metrics = origin.metrics().await?;
        let stalled = metrics.sum_where("relay_probe_results_total", "result=\"stalled\"");
        ensure!(stalled >= Some(2.0), "{stalled:?} gaps");
        let stays = metrics.sum("relay_probe_gap_seconds_count");
        ensure!(stays >= Some(1.0), "{stays:?} stays");
        Ok(())
    });
}

/// Where the origin cannot come as viewers do, each edge that is linked is believed.
#[test]
fn an_origin_that_may_not_probe_believes() {
    story("probe_off", Turn::Beside, async |stage| {
        let ledger = Ledger::default();
        let mut origin = Origin::of_pool(stage, Ports::free(), "probe = false\n")?;
        origin.start().await?;
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let mut edge = origin.edge("edge").await?;
        let elsewhere = free_port();
        reached_at(&mut edge, elsewhere);
        edge.start().await?;
        viewers_go(&origin, Some(elsewhere), Instant::now()).await?;
        let probed = origin.metrics().await?.sum("relay_probe_results_total");
        ensure!(probed == Some(0.0), "{probed:?} visits");
        Ok(())
    });
}
