//! The pool at work: edges are listed, take the viewers, drain, are revoked, and are remembered over the origin's death.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin, Ports, edge_with_token};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::{Answer, ask};
use relay_tests::ledger::Ledger;
use relay_tests::link::Link;
use relay_tests::ports::free_port;
use relay_tests::process::output_of;
use relay_tests::rtmp::where_play_leads;
use relay_tests::story::{Turn, story};
use relay_tests::tools::program;
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use serde_json::Value;

const STREAM: &str = "live/cam";

/// What the origin answers to one who wants the stream. It is asked with HEAD, so that an answer ends.
async fn asks(origin: &Origin, query: &str) -> Result<Answer> {
    ask("HEAD", &format!("{}{query}", origin.flv(STREAM)), "").await
}

/// The id of the edge whose HTTP port that is.
fn id_of(edges: &[Value], edge: &Node) -> Result<String> {
    let port = format!(":{}", edge.ports().http);
    let found = edges
        .iter()
        .find(|row| row["endpoints"].to_string().contains(&port));
    let id = found.and_then(|row| row["id"].as_str());
    Ok(id
        .with_context(|| format!("no edge at {port} in {edges:?}"))?
        .to_owned())
}

/// R79, R80, R84: with an edge there, the origin's uplink carries no viewer; without, it carries them itself.
#[test]
fn edges_take_the_viewers() {
    story("pool", Turn::Beside, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        let alone = asks(&origin, "").await?;
        ensure!(alone.head.status == 200, "nobody else is there: {:?}", alone.head);
        let listed = origin.verb_says(&["edges"]).await?;
        ensure!(listed.contains("there is no edge"), "{listed}");

        let mut one = origin.edge("one").await?;
        one.start().await?;
        let mut two = origin.edge("two").await?;
        two.start().await?;
        one.shows(STREAM).await?;
        two.shows(STREAM).await?;
        let edges = origin.edges_are(&["serving", "serving"]).await?;
        let listed = origin.verb_says(&["edges"]).await?;
        ensure!(listed.matches("serving").count() == 2, "{listed}");

        // Sent to an edge, with the mark of one hop, and allowed to follow from a page anywhere.
        let sent = asks(&origin, "?token=a%26b").await?;
        let location = sent.head.header("location").unwrap_or_default().to_owned();
        ensure!(sent.head.status == 302, "{:?}", sent.head);
        ensure!(
            [&one, &two]
                .iter()
                .any(|edge| location == format!("{}?token=a%26b&hop=1", edge.flv(STREAM))),
            "sent to {location}"
        );
        ensure!(
            sent.head.header("access-control-allow-origin") == Some("*"),
            "{:?}",
            sent.head
        );
        let mut viewer = Viewer::watch(Flavour::Http11, &location, Some(&ledger));
        viewer.gets(50).await?;
        viewer.is_content()?;
        // Whoever has been sent on twice is served, and nobody is sent around for ever.
        let last = asks(&origin, "?hop=2").await?;
        ensure!(last.head.status == 200, "{:?}", last.head);

        // The same over RTMP, as far as players know how to follow (R82).
        let elsewhere = where_play_leads(&origin.rtmp(STREAM)).await?;
        let elsewhere = elsewhere.context("the origin plays it itself")?;
        ensure!(
            [&one, &two]
                .iter()
                .any(|edge| elsewhere == format!("{}?hop=1", edge.rtmp(STREAM))),
            "sent to {elsewhere}"
        );
        let mut player = Viewer::watch(Flavour::Rtmp, &elsewhere, Some(&ledger));
        player.gets(50).await?;
        player.is_content()?;

        // One that drains gets nobody new; those who are there stay.
        let (first, second) = (id_of(&edges, &one)?, id_of(&edges, &two)?);
        let said = origin.verb_says(&["edge", "drain", &first[..8]]).await?;
        ensure!(said.contains(&first), "{said}");
        origin.edges_are(&["draining", "serving"]).await?;
        for _ in 0..20 {
            let sent = asks(&origin, "").await?;
            let location = sent.head.header("location").unwrap_or_default().to_owned();
            ensure!(location.starts_with(&two.flv(STREAM)), "sent to {location}");
        }
        // One who comes to it all the same is sent on to the other: it knows it from the origin.
        until("the draining edge to send viewers on", async || {
            let sent = ask("HEAD", &one.flv(STREAM), "").await.ok()?;
            let location = sent.head.header("location").unwrap_or_default();
            (sent.head.status == 302 && location.starts_with(&two.flv(STREAM))).then_some(())
        })
        .await?;
        origin.verb_says(&["edge", "drain", &first, "--undo"]).await?;
        origin.edges_are(&["serving", "serving"]).await?;
        viewer.gets(50).await?;
        viewer.is_content()?;

        // A revoked edge is gone: from the list, and from its link, which closes for good.
        let revoked = Instant::now();
        origin.verb_says(&["edge", "revoke", &second]).await?;
        let status = two.process()?.ended().await?;
        let took = revoked.elapsed();
        println!("pool: a revoked edge ended after {took:.2?}");
        ensure!(
            !status.success() && took < Duration::from_secs(2),
            "{status} after {took:?}"
        );
        origin.edges_are(&["serving"]).await?;
        let why = two.log()?.text();
        ensure!(why.contains("revoked"), "{why}");
        Ok(())
    });
}

/// The origin's restart is a non-event: those who come in its first second go where they would have gone before.
#[test]
fn members_outlive_the_origin() {
    story("pool_remembered", Turn::Beside, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        // A path that can be cut: it lives and plays on, and cannot dial back by itself.
        let link = Link::open(free_port(), origin.ports().link, 1).await?;
        let token = origin.token_by_way_of(link.address()).await?;
        let mut edge = edge_with_token(stage, "edge", Ports::free(), &token)?;
        edge.start().await?;
        edge.shows(STREAM).await?;
        let before = origin.edges_are(&["serving"]).await?;
        until("the members to be written down", async || {
            let kept = std::fs::read_to_string(origin.state_dir().join("members.json")).ok()?;
            kept.contains(before[0]["id"].as_str()?).then_some(())
        })
        .await?;
        // What the origin knows of it from now on is what was written down.
        link.cut();
        drop(encoder);
        origin.kill();
        origin.start().await?;
        let after = origin.edges_are(&["presumed"]).await?;
        ensure!(after[0]["id"] == before[0]["id"], "{after:?}");
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        until("viewers to be sent to the presumed edge", async || {
            let sent = asks(&origin, "").await.ok()?;
            let location = sent.head.header("location")?;
            location.starts_with(&edge.flv(STREAM)).then_some(())
        })
        .await?;
        // It never comes back, and is presumed no longer; then the origin serves them itself.
        origin.edges_are(&["lost"]).await?;
        origin.shows(STREAM).await?;
        Ok(())
    });
}

/// R79: an uplink is full before it is full. Who is too many is told so at once, and when to come again.
#[test]
fn an_origin_without_edges_keeps_its_uplink() {
    story("uplink", Turn::Beside, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "uplink = \"3Mbit\"\n")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        let rate = until("the stream's rate to be known", async || {
            let listed = origin.metrics().await.ok()?.sum("relay_stream_bytes_total")?;
            (listed > 100_000.0).then_some(listed)
        });
        rate.await?;
        let mut viewers = Vec::new();
        let refused = loop {
            let url = origin.flv(STREAM);
            let answer = ask("HEAD", &url, "").await?;
            if answer.head.status != 200 {
                break answer;
            }
            let mut viewer = Viewer::watch(Flavour::Http11, &url, Some(&ledger));
            viewer.gets(1).await?;
            viewers.push(viewer);
            ensure!(viewers.len() < 50, "nobody is refused");
        };
        ensure!(refused.head.status == 503, "{:?}", refused.head);
        ensure!(
            refused.head.header("retry-after") == Some("5"),
            "{:?}",
            refused.head
        );
        ensure!(!viewers.is_empty(), "not one was served");
        let played = where_play_leads(&origin.rtmp(STREAM)).await;
        let why = played.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(why.contains("uplink is full"), "{why:?}");
        for viewer in &mut viewers {
            viewer.gets(50).await?;
            viewer.is_content()?;
        }
        let metrics = origin.metrics().await?;
        let refusals = metrics.sum_where("relay_admissions_total", "reason=\"uplink\"");
        ensure!(refusals.is_some_and(|count| count >= 2.0), "{refusals:?}");
        Ok(())
    });
}

/// What `dig` says of the zone's apex, asked at a port: the addresses in order.
async fn dig(port: u16) -> Result<Vec<String>> {
    let mut dig = program("dig")?;
    dig.args([
        "@127.0.0.1",
        "-p",
        &port.to_string(),
        "live.example.org",
        "A",
        "+short",
        "+tries=1",
        "+time=1",
    ]);
    let said = output_of(&mut dig).await?;
    let mut addresses: Vec<String> = said.lines().map(str::to_owned).collect();
    addresses.sort_unstable();
    Ok(addresses)
}

/// The pool's names stand for edges with room, at the origin and, from what that last said, at an edge, which goes on
/// answering when the origin is dead; a lone edge has company, but for that of an origin that is gone (R81).
#[test]
fn the_pools_names_stand_for_its_edges() {
    story("pool_names", Turn::Beside, async |stage| {
        let (first, second) = (free_port(), free_port());
        let zone = |port: u16| {
            format!(
                "[dns]\nlisten = \"127.0.0.1:{port}\"\nzone = \"live.example.org\"\n\
                 nameservers = [\"ns1.live.example.org 192.0.2.1\"]\nfallback = [\"192.0.2.1\"]\n"
            )
        };
        let mut origin = Origin::of_pool(stage, Ports::free(), &format!("\n{}", zone(first)))?;
        origin.start().await?;
        let alone = dig(first).await?;
        ensure!(alone == ["192.0.2.1"], "nobody but the fallback: {alone:?}");
        let mut edge = origin.edge("edge").await?;
        edge.configure(&zone(second));
        let begun = Instant::now();
        edge.start().await?;
        let named = |port: u16, addresses: &'static [&'static str]| async move {
            until(format!("port {port} to answer {addresses:?}"), async || {
                (dig(port).await.ok()? == addresses).then_some(())
            })
            .await
        };
        let (lone, last) = (&["127.0.0.1", "192.0.2.1"], &["192.0.2.1"]);
        named(first, lone).await?;
        let took = begun.elapsed();
        println!("pool_names: in DNS answers {took:.1?} after its start");
        ensure!(took < Duration::from_secs(10), "{took:?}");
        named(second, lone).await?;
        let listed = origin.admin("/api/v1/edges").await?;
        let id = id_of(listed.as_array().context("a list")?, &edge)?;
        origin.verb_says(&["edge", "drain", &id]).await?;
        named(first, last).await?;
        named(second, last).await?;
        origin.verb_says(&["edge", "drain", &id, "--undo"]).await?;
        named(second, lone).await?;
        origin.kill();
        for _ in 0..10 {
            let alive = dig(second).await?;
            ensure!(
                alive.contains(&"127.0.0.1".to_owned()),
                "the origin is dead: {alive:?}"
            );
        }
        // Until it notices, it may send somebody there; from then on nobody.
        named(second, &["127.0.0.1"]).await?;
        edge.is_running().then_some(()).context("the edge has ended")
    });
}
