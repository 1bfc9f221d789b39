//! One of a hundred viewers never reads; the others notice nothing, and it is closed with a reason (B8, R60).

use std::time::{Duration, Instant};

use anyhow::ensure;
use relay_tests::calibration::Calibration;
use relay_tests::cluster::Origin;
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::idler::Idler;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;
use relay_tests::wait::until;

const STREAM: &str = "live/stalled";

/// Messages in ten seconds of the footage, pictures and sound.
const TEN_SECONDS: usize = 750;

/// How much later the others' messages may be than before.
const WORSE: Duration = Duration::from_millis(100);

/// What a stalled viewer and the machine's noise may cost.
const MEMORY: u64 = 16_000_000;

#[test]
fn one_of_a_hundred_never_reads() {
    story("stalled_viewer", Turn::Alone, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        // Enough that the buffers of a socket are full within seconds.
        let footage = Synthetic {
            video_kbps: 1500,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut crowd = Crowd::new();
        crowd.join(99, Flavour::Http11, &edge.flv(STREAM), &ledger);
        crowd.get(300).await?;

        let calibration = Calibration::start();
        let start = Instant::now();
        crowd.get(TEN_SECONDS).await?;
        let before = crowd.delay(99.9, start);
        let memory = edge.memory()?.total();

        let stalled = Instant::now();
        let _idler = Idler::watch(&edge.flv(STREAM)).await?;
        let mut peak = 0;
        let closed = until("the stalled viewer to be closed with its reason", async || {
            peak = peak.max(edge.memory().ok()?.total());
            let metrics = edge.metrics().await.ok()?;
            let closed = metrics.sum_where("relay_viewer_goodbyes_total", "reason=\"no_progress\"")?;
            (closed == 1.0).then_some(())
        });
        closed.await?;
        let after = crowd.delay(99.9, stalled);

        let figure = format!(
            "p99.9 of the 99: {:.1} ms before, {:.1} ms with the stalled one",
            before.as_secs_f64() * 1e3,
            after.as_secs_f64() * 1e3
        );
        calibration
            .finish()
            .judge("stalled viewer", &figure, after <= before + WORSE);
        crowd.missed_nothing()?;
        ensure!(
            peak <= memory + MEMORY,
            "memory grew from {memory} to {peak} bytes"
        );
        Ok(())
    });
}
