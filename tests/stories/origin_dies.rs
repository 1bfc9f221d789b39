//! The origin is killed and comes back; viewers at the edge notice a pause and nothing else (R45).

use anyhow::{Result, ensure};
use relay_tests::checker::Report;
use relay_tests::cluster::Cluster;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::tools::FfmpegPublisher;
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wall_clock;

/// Published by ffmpeg, which is started again whenever it ends.
const FILMED: &str = "live/filmed";

/// Published by an encoder that writes down what it sends.
const WRITTEN: &str = "live/written";

#[test]
fn killed_and_started_again() {
    story("origin_killed", Turn::Beside, async |stage| {
        viewers_survive(stage, async |cluster| cluster.origin.start().await).await
    });
}

#[test]
fn its_streams_forgotten_and_its_clock_an_hour_back() {
    story("origin_forgets", Turn::Beside, async |stage| {
        let shim = wall_clock::shifted_by(stage, -3600).await?;
        viewers_survive(stage, async |cluster| {
            cluster.origin.forget_streams()?;
            cluster.origin.set_environment(shim);
            cluster.origin.start().await
        })
        .await
    });
}

async fn viewers_survive(
    stage: &Stage,
    comes_back: impl AsyncFnOnce(&mut Cluster) -> Result<()>,
) -> Result<()> {
    let mut cluster = Cluster::start(stage).await?;
    let ledger = Ledger::default();
    let filmed = cluster.origin.publish_url(FILMED).await?;
    let _ffmpeg = FfmpegPublisher::persist(stage, &filmed)?;
    let written = cluster.origin.publish_url(WRITTEN).await?;
    let footage = |seed| {
        Synthetic {
            seed,
            ..Synthetic::default()
        }
        .play()
    };
    let _encoder = Encoder::persist(&written, footage, &ledger);
    let mut viewers = Vec::new();
    for node in [&cluster.edge, &cluster.deep] {
        node.shows(FILMED).await?;
        node.shows(WRITTEN).await?;
        viewers.push(Viewer::watch(Flavour::Http11, &node.flv(FILMED), None));
        viewers.push(Viewer::watch(Flavour::Http11, &node.flv(WRITTEN), Some(&ledger)));
        viewers.push(Viewer::watch(Flavour::Rtmp, &node.rtmp(WRITTEN), Some(&ledger)));
    }
    for viewer in &mut viewers {
        viewer.gets(200).await?;
    }

    cluster.origin.kill();
    comes_back(&mut cluster).await?;

    for viewer in &mut viewers {
        let keyframes = viewer.ask(|report| report.keyframes);
        viewer
            .until("pictures again", |report| report.keyframes > keyframes)
            .await?;
        viewer.gets(200).await?;
        viewer.is_content()?;
        viewer.ask(goes_on_at_a_keyframe)?;
    }
    Ok(())
}

/// Whoever has a ledger knows where it went on: once, at a keyframe of the new session.
fn goes_on_at_a_keyframe(report: &Report) -> Result<()> {
    for jump in &report.jumps {
        ensure!(
            jump.on_start && jump.new_session,
            "went on in the middle: {jump:?}"
        );
    }
    ensure!(
        report.jumps.len() <= 1,
        "went on more than once: {:?}",
        report.jumps
    );
    Ok(())
}
