//! Edges come in mid-broadcast: one is of use within seconds, and twenty at once disturb nobody (R84, R85, B13).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Node, Origin, Ports, edge_with_token};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;

const STREAM: &str = "live/cam";

/// Edges that come within a second.
const MANY: usize = 20;

/// From an edge's start to its first viewer's first picture.
const OF_USE: Duration = Duration::from_secs(3);

/// How long those who watch meanwhile may be without anything new.
const GAP: Duration = Duration::from_millis(500);

/// The first picture of a viewer who asks again and again.
async fn first_picture(edge: &Node, ledger: &Ledger) -> Result<Viewer> {
    until("the first picture", async || {
        let mut viewer = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(ledger));
        viewer.gets(1).await.is_ok().then_some(viewer)
    })
    .await
}

#[test]
fn twenty_edges_come_at_once() {
    story("pool_grows", Turn::Alone, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        // One token is in the image from which all of them are booted.
        let token = origin.token_with("1h", 1 + MANY as u32).await?;
        let edge = |name: String| edge_with_token(stage, &name, Ports::free(), &token);

        let mut first = edge("first".to_owned())?;
        let calibration = Calibration::start();
        let begun = Instant::now();
        first.launch()?;
        let viewer = first_picture(&first, &ledger).await?;
        let took = begun.elapsed();
        let words = format!("an edge's first viewer {took:.2?} after its start");
        calibration.finish().judge("a fresh edge", &words, took < OF_USE);

        let mut crowd = Crowd::new();
        crowd.join(20, Flavour::Http11, &first.flv(STREAM), &ledger);
        crowd.get(100).await?;
        let mut many = (0..MANY)
            .map(|number| edge(format!("edge{number}")))
            .collect::<Result<Vec<_>>>()?;
        let calibration = Calibration::start();
        let begun = Instant::now();
        for edge in &mut many {
            edge.launch()?;
        }
        let launched = begun.elapsed();
        let serving = until("all edges to serve", async || {
            let listed = origin.admin("/api/v1/edges").await.ok()?;
            let edges = listed.as_array()?;
            let serving = edges.iter().filter(|edge| edge["state"] == "serving");
            let ids: BTreeSet<_> = serving.filter_map(|edge| edge["id"].as_str()).collect();
            (ids.len() == 1 + MANY).then_some(begun.elapsed())
        });
        let all = serving.await?;
        crowd.get(100).await?;
        crowd.missed_nothing()?;
        viewer.missed_nothing()?;
        let during = |report: &relay_tests::checker::Report| {
            let gap = report.longest_gap.filter(|(_, ended)| *ended >= begun);
            gap.map_or(Duration::ZERO, |(gap, _)| gap)
        };
        let gap = crowd.reports().iter().map(during).max().unwrap_or_default();
        let words = format!(
            "{MANY} edges started within {launched:.1?}, all serving after {all:.1?}; others' longest gap {gap:.0?}"
        );
        calibration
            .finish()
            .judge("twenty edges at once", &words, gap < GAP);
        Ok(())
    });
}
