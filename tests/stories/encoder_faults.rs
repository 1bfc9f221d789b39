//! What encoders do that players suffer from: the operator is told, and players are promised what is there and no more.

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Cluster, Node, Origin};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::get;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;

const STREAM: &str = "live/rare";

/// Encoders here send at this multiple of real time: what is wrong is measured in the stream's own time.
const SPEED: u32 = 10;

#[test]
fn r44_rare_keyframes_are_told_of_on_every_page() {
    story("rare_keyframes", Turn::Beside, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let ledger = Ledger::default();
        let url = cluster.origin.publish_url(STREAM).await?;
        let footage = Synthetic {
            gop: 200,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish_at(SPEED, &url, footage.play(), &ledger).await?;
        let sentence = until("the console to say it", async || {
            let overview = cluster.origin.admin("/api/v1/overview").await.ok()?;
            let told = overview["health"].as_array()?.iter();
            let mut told = told.filter(|sentence| sentence["level"] == "warning");
            let said = told.find_map(|sentence| sentence["text"].as_str());
            said.filter(|said| said.contains("keyframe interval to 2 s"))
                .map(str::to_owned)
        });
        let sentence = sentence.await?;
        ensure!(sentence.starts_with(STREAM), "{sentence}");
        println!("{sentence}");
        let streams = cluster.origin.verb_says(&["streams"]).await?;
        ensure!(
            streams.contains("set the encoder's keyframe interval"),
            "{streams}"
        );
        for node in [&*cluster.origin, &cluster.deep] {
            until("the metric", async || warned(node).await.ok()?.then_some(())).await?;
            let health = node.url_of_metrics("healthz");
            until("the health page", async || {
                let page = get(&health).await.ok()?;
                (page.head.status == 200 && page.text().contains("keyframe_interval (1)")).then_some(())
            })
            .await?;
        }
        Ok(())
    });
}

async fn warned(node: &Node) -> Result<bool> {
    let metrics = node.metrics().await?;
    let found = metrics.sum_where("relay_stream_warning", "warning=\"keyframe_interval\"");
    Ok(found == Some(1.0))
}

#[test]
fn r37_players_are_promised_what_is_there_on_the_last_tier_too() {
    let tables = "[[tracks]]\nstream = \"live/stated\"\naudio = true\n";
    story("true_tracks", Turn::Beside, async |stage| {
        let mut origin = Origin::with_tables(stage, "origin", tables)?;
        origin.start().await?;
        let cluster = Cluster::around(origin).await?;
        let both = Synthetic::default();
        let pictures = Synthetic {
            audio: false,
            ..Synthetic::default()
        };
        let sound = Synthetic {
            fps: 0,
            ..Synthetic::default()
        };
        for (stream, footage, promised) in [
            ("live/both", both, (true, true)),
            ("live/pictures", pictures.clone(), (false, true)),
            ("live/sound", sound, (true, false)),
            ("live/stated", pictures, (true, true)),
        ] {
            let url = cluster.origin.publish_url(stream).await?;
            let ledger = Ledger::default();
            let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
            cluster.deep.shows(stream).await?;
            for node in [&*cluster.origin, &cluster.deep] {
                let mut viewer = Viewer::watch(Flavour::Http11, &node.flv(stream), Some(&ledger));
                viewer.gets(20).await?;
                let told = viewer.report().promised.context("an FLV promises something")?;
                ensure!(told == promised, "{stream} at {}: {told:?}", node.name());
            }
        }
        Ok(())
    });
}
