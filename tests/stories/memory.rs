//! What a thousand viewers cost in memory: logs are shared, so nearly nothing (R58, B19).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::idler::{Drinker, Idler};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};

const STREAM: &str = "live/heavy";

/// Heap and memfds together.
const BOUND: u64 = 150_000_000;

/// Messages in ten seconds of the footage: one GOP.
const GOP: usize = 250 + 500;

/// How often memory is looked at.
const GLANCE: Duration = Duration::from_millis(200);

#[test]
fn a_thousand_viewers_a_tenth_of_them_stalled() {
    story("memory", Turn::Alone, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let footage = Synthetic {
            gop: 250,
            video_kbps: 8000,
            captions: false,
            ..Synthetic::default()
        };
        let mut encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
        edge.shows(STREAM).await?;

        let mut drinkers: Vec<Drinker> = Vec::new();
        let mut idlers = Vec::new();
        for number in 0..1000 {
            let url = if number % 2 == 0 {
                edge.flv(STREAM)
            } else {
                edge.rtmp(STREAM)
            };
            let viewer = Idler::watch(&url)
                .await
                .with_context(|| format!("viewer {number}"))?;
            match number % 10 {
                0 => idlers.push(viewer),
                _ => drinkers.push(viewer.drink()),
            }
        }
        let peak = peak_while(&edge, encoder.sends(2 * GOP)).await?;
        let connected = drinkers.iter().filter(|drinker| drinker.is_connected()).count();

        println!(
            "memory of an edge with 1,000 viewers of 8 Mbit/s: {:.1} MB at most",
            peak as f64 / 1e6
        );
        ensure!(peak <= BOUND, "{peak} bytes");
        ensure!(
            connected == drinkers.len(),
            "{connected} of {} are connected",
            drinkers.len()
        );
        ensure!(
            origin.memory()?.total() <= BOUND,
            "the origin holds {:?}",
            origin.memory()?
        );
        Ok(())
    });
}

/// The most memory that a node held while something went on.
async fn peak_while(node: &Node, event: impl Future<Output = Result<()>>) -> Result<u64> {
    let mut event = std::pin::pin!(event);
    let mut peak = 0;
    loop {
        peak = peak.max(node.memory()?.total());
        tokio::select! {
            ended = &mut event => return ended.map(|()| peak),
            () = tokio::time::sleep(GLANCE) => {}
        }
    }
}
