//! What the relay adds between the publisher's socket and a viewer of the first tier.

use std::time::{Duration, Instant};

use relay_tests::calibration::Calibration;
use relay_tests::cluster::Origin;
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;

const STREAM: &str = "live/latency";

/// What we aim at on loopback.
const AIM: Duration = Duration::from_millis(150);

/// Messages in fifteen seconds of the footage.
const FIFTEEN_SECONDS: usize = 1125;

#[test]
fn from_publish_to_the_first_tier() {
    story("latency", Turn::Alone, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut crowd = Crowd::new();
        crowd.join(30, Flavour::Http11, &edge.flv(STREAM), &ledger);
        crowd.join(10, Flavour::Rtmp, &edge.rtmp(STREAM), &ledger);
        // What a joiner gets first is older by up to a GOP: measured is what comes live.
        crowd.get(300).await?;

        let calibration = Calibration::start();
        let start = Instant::now();
        crowd.get(FIFTEEN_SECONDS).await?;
        let millis = |percent| crowd.delay(percent, start).as_secs_f64() * 1e3;
        let figure = format!(
            "p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
            millis(50.0),
            millis(99.0),
            millis(99.9)
        );
        let good = crowd.delay(99.0, start) < AIM;
        calibration
            .finish()
            .judge("latency from publish to the first tier", &figure, good);
        crowd.missed_nothing()
    });
}
