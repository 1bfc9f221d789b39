//! The publisher dies and comes back after five seconds; nobody who watches has to dial again (R05, R06).

use std::time::Duration;

use anyhow::ensure;
use relay_tests::cluster::Cluster;
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;

const STREAM: &str = "live/returns";

/// How long it stays away: well within the grace window of 15 s.
const AWAY: Duration = Duration::from_secs(5);

#[test]
fn two_hundred_viewers_stay_connected() {
    story("publisher_returns", Turn::Alone, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let ledger = Ledger::default();
        let url = cluster.origin.publish_url(STREAM).await?;
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        cluster.deep.shows(STREAM).await?;
        let mut crowd = Crowd::new();
        crowd.join(160, Flavour::Http11, &cluster.deep.flv(STREAM), &ledger);
        crowd.join(40, Flavour::Rtmp, &cluster.deep.rtmp(STREAM), &ledger);
        crowd.get(200).await?;

        encoder.kill().await?;
        // Not a wait for an event: to be away for so long is the story.
        tokio::time::sleep(AWAY).await;
        let again = Synthetic {
            seed: 2,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, again.play(), &ledger).await?;

        crowd
            .until("the new session", |report| !report.jumps.is_empty())
            .await?;
        crowd.get(200).await?;
        crowd.is_content()?;
        for report in crowd.reports() {
            let [jump] = report.jumps.as_slice() else {
                anyhow::bail!("not one jump but {:?}", report.jumps);
            };
            ensure!(
                jump.on_start && jump.new_session,
                "went on in the middle: {jump:?}"
            );
        }
        Ok(())
    });
}
