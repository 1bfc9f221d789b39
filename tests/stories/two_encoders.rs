//! Two encoders with one key, and an operator: who has the name, and what the other one is told (R02, R03, R04, R08).

use anyhow::{Result, bail, ensure};
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::rtmp::refusal_to_publish;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::within;

/// By default the first one keeps it while it sends.
const USUAL: &str = "live/usual";

/// Here the second one takes over.
const CONTESTED: &str = "live/contested";

fn footage(seed: u64) -> relay_tests::footage::Footage {
    let footage = Synthetic {
        gop: 25,
        seed,
        ..Synthetic::default()
    };
    footage.play()
}

/// What an encoder was told when it was sent away.
async fn farewell(mut encoder: Encoder) -> Result<String> {
    // It notices with one of the next messages that it sends.
    let sends_on = async { while encoder.sends(1).await.is_ok() {} };
    within("the encoder to be sent away", sends_on).await?;
    match encoder.kill().await {
        Err(told) => Ok(format!("{told:#}")),
        Ok(()) => bail!("it was not sent away"),
    }
}

#[test]
fn the_second_is_refused_or_takes_over_and_the_other_is_told() {
    story("two_encoders", Turn::Beside, async |stage| {
        let keys =
            "serve = \"always\"\nprobe = false\nsecond_publisher_on = { \"live/contested\" = \"replace\" }\n";
        let mut origin = Origin::of_pool(stage, Ports::free(), keys)?;
        origin.start().await?;

        // R04: the first one is not disturbed by the second.
        let url = origin.publish_url(USUAL).await?;
        let ledger = Ledger::default();
        let mut first = Encoder::publish(&url, footage(1), &ledger).await?;
        origin.shows(USUAL).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(USUAL), Some(&ledger));
        viewer.gets(50).await?;
        for _ in 0..3 {
            let code = refusal_to_publish(&url).await?;
            ensure!(code == "NetStream.Publish.BadName", "{code}");
        }
        first.sends(100).await?;
        viewer.gets(100).await?;
        viewer.missed_nothing()?;

        // R02: here the second takes over, the first is told so, and its retries get nowhere while the second sends.
        let url = origin.publish_url(CONTESTED).await?;
        let ledger = Ledger::default();
        let mut loser = Encoder::publish(&url, footage(1), &ledger).await?;
        origin.shows(CONTESTED).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(CONTESTED), Some(&ledger));
        viewer.gets(50).await?;
        loser.sends(10).await?;
        let mut winner = Encoder::publish(&url, footage(2), &ledger).await?;
        let told = farewell(loser).await?;
        ensure!(told.contains("another encoder has taken over"), "{told}");
        for _ in 0..3 {
            let code = refusal_to_publish(&url).await?;
            ensure!(code == "NetStream.Publish.BadName", "{code}");
        }
        winner.sends(100).await?;
        let page = origin.metrics().await?;
        let refused = page.sum_where("relay_publish_refusals_total", "reason=\"taken_over\"");
        ensure!(refused == Some(3.0), "{refused:?}");
        viewer
            .until("the winner's session", |report| !report.jumps.is_empty())
            .await?;
        viewer.gets(100).await?;
        // Once the winner has left, the loser is welcome.
        winner.kill().await?;
        let loser = within("the loser to be let in", async {
            loop {
                if let Ok(encoder) = Encoder::publish(&url, footage(3), &ledger).await {
                    return encoder;
                }
            }
        });
        let _loser = loser.await?;
        viewer.gets(100).await
    });
}

#[test]
fn an_operator_frees_a_stream_with_one_command() {
    story("publisher_kicked", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let url = origin.publish_url(USUAL).await?;
        let ledger = Ledger::default();
        let mut encoder = Encoder::publish(&url, footage(1), &ledger).await?;
        encoder.sends(10).await?;
        let said = origin.verb_says(&["kick", USUAL]).await?;
        ensure!(said.contains("live/usual is let go"), "{said}");
        // At once: not when the other one's connection is gone at last.
        let _next = Encoder::publish(&url, footage(2), &ledger).await?;
        let told = farewell(encoder).await?;
        ensure!(told.contains("the operator has let this encoder go"), "{told}");
        for (whom, complaint) in [
            ("live/none", "nobody publishes live/none"),
            ("4711", "there is no viewer 4711"),
        ] {
            match origin.verb_says(&["kick", whom]).await {
                Err(said) => ensure!(format!("{said:#}").contains(complaint), "{said:#}"),
                Ok(said) => bail!("an unknown {whom} is no success: {said}"),
            }
        }
        let page = origin.metrics().await?;
        let kicked = page.sum_where("relay_ingest_removals_total", "reason=\"kicked\"");
        ensure!(kicked == Some(1.0), "{kicked:?}");
        Ok(())
    });
}
