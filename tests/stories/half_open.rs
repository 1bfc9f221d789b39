//! An encoder's network goes away without a word: the origin sees a connection that is open and silent. The encoder dials again from
//! elsewhere, and is not kept waiting by what is left of it (R01, R10).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::{Footage, Synthetic};
use relay_tests::ledger::Ledger;
use relay_tests::middleman::Middleman;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::within;

/// On this one a silent publisher is replaced after `replace_idle`, 2 s.
const USUAL: &str = "live/usual";

/// On this one only when it was let go, after `publisher_silence`, set to 3 s.
const STRICT: &str = "live/strict";

/// How often the network goes away.
const ROUNDS: u64 = 3;

/// How soon the encoder dials again after a refusal.
const REDIAL: Duration = Duration::from_millis(250);

/// What it may take beyond the silence that is asked for: one more attempt, a sweep of the origin's, and slack.
const SLACK: Duration = Duration::from_millis(1_000);

fn footage(seed: u64) -> Footage {
    let footage = Synthetic {
        gop: 25,
        seed,
        ..Synthetic::default()
    };
    footage.play()
}

/// Dials until it is let in; the encoder, and how long that took.
async fn returns(url: &str, seed: u64, ledger: &Ledger) -> Result<(Encoder, Duration)> {
    let since = Instant::now();
    let encoder = within("the encoder to be let in again", async {
        loop {
            match Encoder::publish(url, footage(seed), ledger).await {
                Ok(encoder) => return encoder,
                Err(_) => tokio::time::sleep(REDIAL).await,
            }
        }
    });
    Ok((encoder.await?, since.elapsed()))
}

#[test]
fn half_open_publishers_never_block_their_own_return() {
    story("half_open", Turn::Alone, async |stage| {
        let keys = "serve = \"always\"\nprobe = false\nsecond_publisher_on = { \"live/strict\" = \"reject\" }\n\
                    [limits]\npublisher_silence = \"3s\"\n";
        let mut origin = Origin::of_pool(stage, Ports::free(), keys)?;
        origin.start().await?;
        let middleman = Middleman::before(origin.ports().rtmp).await?;
        for (stream, silence) in [(USUAL, 2), (STRICT, 3)] {
            let url = origin.publish_url(stream).await?;
            let direct = format!(":{}/", origin.ports().rtmp);
            let url = url.replace(&direct, &format!(":{}/", middleman.port()));
            let ledger = Ledger::default();
            let mut encoder = Encoder::publish(&url, footage(0), &ledger).await?;
            origin.shows(stream).await?;
            let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(stream), Some(&ledger));
            viewer.gets(50).await?;
            let rounds = if stream == USUAL { ROUNDS } else { 1 };
            for round in 1..=rounds {
                let calibration = Calibration::start();
                middleman.hold();
                drop(encoder);
                let took;
                (encoder, took) = returns(&url, round, &ledger).await?;
                calibration.finish().judge(
                    &format!("return of a half-open publisher of {stream}"),
                    &format!("{:.2} s", took.as_secs_f64()),
                    took < Duration::from_secs(silence) + SLACK,
                );
                viewer.gets(100).await?;
            }
            viewer.is_content()?;
            let sessions = viewer.ask(|report| report.jumps.iter().filter(|jump| jump.new_session).count());
            ensure!(sessions as u64 == rounds, "{sessions} splices in {rounds} rounds");
        }
        // What is left of each was told why and closed, however deaf its other end.
        let ends = async |how: &str| {
            let page = origin.metrics().await?;
            page.sum_where("relay_publisher_ends_total", how)
                .context("ends are counted")
        };
        within("what is left to be closed", async {
            while ends("how=\"let_go\"").await? < 4.0 {
                tokio::time::sleep(REDIAL).await;
            }
            anyhow::Ok(())
        })
        .await??;
        let page = origin.metrics().await?;
        for (reason, count) in [("replaced", 3.0), ("silent", 1.0)] {
            let removed = page.sum_where("relay_ingest_removals_total", &format!("reason=\"{reason}\""));
            ensure!(removed == Some(count), "{reason}: {removed:?}");
        }
        Ok(())
    });
}
