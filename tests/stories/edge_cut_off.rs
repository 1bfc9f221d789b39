//! The edge is cut from its origin, and goes on where it was: nothing lost, nothing twice (B2).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Origin, Ports, edge_with_token};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::link::Link;
use relay_tests::ports::free_port;
use relay_tests::random::Random;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::viewer::Flavour;

const STREAM: &str = "live/cut";

/// How long the socket is closed: longer than the silence of 2 s after which the edge dials anew.
const CLOSED: Duration = Duration::from_secs(3);

/// From the heal to the first tag.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn for_five_seconds() {
    story("cut_for_5_s", Turn::Alone, async |stage| {
        let resumes = heals(stage, async |link| {
            link.cut();
            tokio::time::sleep(Duration::from_secs(5)).await;
            link.heal();
            Ok(())
        });
        resumes.await?;
        Ok(())
    });
}

#[test]
fn for_twenty_five_seconds() {
    story("cut_for_25_s", Turn::Alone, async |stage| {
        let resumes = heals(stage, async |link| {
            link.cut();
            tokio::time::sleep(Duration::from_secs(25)).await;
            link.heal();
            Ok(())
        });
        ensure!(resumes.await? > 0.0, "nothing was resumed");
        Ok(())
    });
}

#[test]
fn its_socket_closed_within_a_group() {
    story("socket_closed", Turn::Alone, async |stage| {
        let resumes = heals(stage, async |link| {
            link.shut().await;
            tokio::time::sleep(CLOSED).await;
            link.reopen().await
        });
        ensure!(resumes.await? > 0.0, "nothing was resumed");
        Ok(())
    });
}

/// Tells the story around a fault of the link; gives how many groups were resumed.
async fn heals(stage: &Stage, fault: impl AsyncFnOnce(&mut Link) -> Result<()>) -> Result<f64> {
    let origin = Origin::start(stage).await?;
    let seed = Random::seed_for("the link");
    let mut link = Link::open(free_port(), origin.ports().link, seed).await?;
    let token = origin.token_by_way_of(link.address()).await?;
    let mut edge = edge_with_token(stage, "edge", Ports::free(), &token)?;
    edge.start().await?;
    let ledger = Ledger::default();
    let url = origin.publish_url(STREAM).await?;
    let mut encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
    edge.shows(STREAM).await?;
    let mut crowd = Crowd::new();
    crowd.join(10, Flavour::Http11, &edge.flv(STREAM), &ledger);
    crowd.get(150).await?;
    // Half a GOP on, so that the fault falls into the midst of a group.
    encoder.sends(75).await?;

    let calibration = Calibration::start();
    let before = ledger.len();
    fault(&mut link).await?;
    let healed = Instant::now();
    let missed = ledger.len() - before;
    let came = move |last: Option<Instant>| last.is_some_and(|last| last > healed);
    crowd
        .until("the first tag after the heal", |report| came(report.last))
        .await?;
    let waited = healed.elapsed();
    let figure = format!("first tag {} ms after the heal", waited.as_millis());
    calibration.finish().judge(stage.name(), &figure, waited < SOON);

    // All that was held back has to arrive, and enough after it for several closing hashes.
    crowd.get(missed + 300).await?;
    crowd.missed_nothing()?;
    let metrics = edge.metrics().await?;
    let mismatches = metrics.sum("relay_cascade_hash_mismatches_total");
    ensure!(mismatches == Some(0.0), "hash mismatches: {mismatches:?}");
    Ok(metrics.sum("relay_cascade_resumes_total").unwrap_or_default())
}
