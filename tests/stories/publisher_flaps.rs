//! The publisher is killed and comes back, again and again; nobody who watches notices more than the gaps, and nothing is left of
//! it afterwards (R05, R07).
//!
//! `RELAY_FLAPS=20` tells the story in full: twenty times in a minute.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin, Ports, edge_with_token};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::{Footage, Synthetic};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;
use relay_tests::wait::until;

const STREAM: &str = "live/flaps";

/// How often it is killed unless `RELAY_FLAPS` says otherwise.
const FLAPS: usize = 4;

/// How long it stays away each time.
const AWAY: Duration = Duration::from_secs(1);

/// What it sends each time: two seconds, 25 pictures, 50 sounds and a caption in each.
const STAY: usize = 2 * 76;

/// After how many returns the nodes are what they will be: by then each has done once all that it does at one.
const WARM: usize = 2;

/// By how much a node's heap may differ between two looks without having grown: what its allocator keeps for later.
const BREATH: u64 = 3_000_000;

/// By how many descriptors: segments of the log that are full and not yet out of its window.
const SEGMENTS: usize = 4;

fn footage(seed: u64) -> Footage {
    let footage = Synthetic {
        video_kbps: 300,
        seed,
        ..Synthetic::default()
    };
    footage.play()
}

/// What a node holds, but for what its stream is at the moment.
#[derive(Debug)]
struct Look {
    heap: u64,
    descriptors: usize,
    tasks: f64,
}

impl Look {
    async fn at(node: &Node) -> Result<Self> {
        let memory = node.memory()?;
        let tasks = node.metrics().await?.sum("relay_tasks");
        Ok(Self {
            heap: memory.heap,
            descriptors: memory.descriptors,
            tasks: tasks.context("tasks are counted")?,
        })
    }

    /// Waits until the node is back at what it was: connections that ended take a moment to be gone.
    async fn is_back(&self, node: &Node) -> Result<()> {
        let mut last = None;
        let back = until(format!("{} to be what it was", node.name()), async || {
            let now = Self::at(node).await.ok()?;
            let good = now.heap <= self.heap + BREATH
                && now.descriptors <= self.descriptors + SEGMENTS
                && now.tasks <= self.tasks;
            last = Some(now);
            good.then_some(())
        });
        back.await.with_context(|| format!("{self:?} became {last:?}"))?;
        println!("{}: {self:?} became {last:?}", node.name());
        Ok(())
    }
}

#[test]
fn two_hundred_viewers_of_a_second_tier_stay_through_all_flaps() {
    let flaps = std::env::var("RELAY_FLAPS").ok();
    let flaps = flaps.and_then(|flaps| flaps.parse().ok()).unwrap_or(FLAPS);
    story("publisher_flaps", Turn::Alone, async |stage| {
        // A short window: how far back the log reaches is not to be mistaken for growth.
        let short = "[limits]\nresume_window = \"2s\"\n";
        let mut origin = Origin::prepare(stage, "origin", Ports::free())?;
        origin.configure(short);
        origin.start().await?;
        let token = origin.token().await?;
        let mut edge = edge_with_token(stage, "edge", Ports::free(), &token)?;
        edge.configure(short);
        edge.start().await?;
        let mut deep = edge_with_token(stage, "deep", Ports::free(), &token)?.under(&edge);
        deep.configure(short);
        deep.start().await?;

        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let mut encoder = Encoder::publish(&url, footage(0), &ledger).await?;
        deep.shows(STREAM).await?;
        let mut crowd = Crowd::new();
        crowd.join(160, Flavour::Http11, &deep.flv(STREAM), &ledger);
        crowd.join(40, Flavour::Rtmp, &deep.rtmp(STREAM), &ledger);
        crowd.get(100).await?;

        let mut before = Vec::new();
        for flap in 1..=flaps {
            encoder.kill().await?;
            // To be away for so long is the story.
            tokio::time::sleep(AWAY).await;
            encoder = Encoder::publish(&url, footage(flap as u64), &ledger).await?;
            encoder.sends(STAY).await?;
            if flap == WARM {
                for node in [&*origin, &edge, &deep] {
                    before.push(Look::at(node).await?);
                }
            }
        }
        crowd
            .until("the last session", |report| report.jumps.len() >= flaps)
            .await?;
        crowd.get(100).await?;

        crowd.is_content()?;
        for report in crowd.reports() {
            ensure!(report.jumps.len() == flaps, "{:?}", report.jumps);
            let clean = report.jumps.iter().all(|jump| jump.on_start && jump.new_session);
            ensure!(clean, "went on in the middle: {:?}", report.jumps);
        }
        for (node, before) in [&*origin, &edge, &deep].into_iter().zip(&before) {
            before.is_back(node).await?;
            let page = node.metrics().await?;
            ensure!(page.sum("relay_streams") == Some(1.0), "one stream");
        }
        let page = origin.metrics().await?;
        ensure!(page.sum("relay_ingest_sessions_total") == Some(flaps as f64 + 1.0));
        ensure!(page.sum("relay_ingest_ended_streams_total") == Some(0.0));
        ensure!(page.sum("relay_ingest_refusals_total") == Some(0.0));
        println!("{flaps} flaps, 200 viewers: none reconnected, no corrupt tag, no time went back");
        Ok(())
    });
}
