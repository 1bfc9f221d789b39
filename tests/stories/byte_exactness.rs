//! Every body that a viewer of the second tier gets is the one that was published, in its order and its time (R56).

use anyhow::{Result, ensure};
use relay_tests::cluster::Cluster;
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::{self, Footage, Synthetic};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};

const STREAM: &str = "live/exact";

/// Each way to watch, as often as people use it.
const MIX: [(usize, Flavour); 3] = [(80, Flavour::Http11), (10, Flavour::Http10), (10, Flavour::Rtmp)];

#[test]
fn two_hundred_viewers_half_of_them_late() {
    story("two_hundred_viewers", Turn::Alone, async |stage| {
        let cluster = Cluster::start(stage).await?;
        let ledger = Ledger::default();
        let url = cluster.origin.publish_url(STREAM).await?;
        let mut encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        cluster.deep.shows(STREAM).await?;

        let mut crowd = Crowd::new();
        join_all(&mut crowd, 1, &cluster, &ledger);
        crowd.get(200).await?;
        // The late ones come one group after the other, at any point within a GOP.
        for _ in 0..10 {
            join_tenth(&mut crowd, &cluster, &ledger);
            encoder.sends(30).await?;
        }
        crowd.get(400).await?;

        ensure!(crowd.len() == 200, "{} viewers", crowd.len());
        crowd.missed_nothing()?;
        for report in crowd.reports() {
            ensure!(report.script > 0, "no script message in {} others", report.media);
            ensure!(
                report.audio > 0 && report.video > 0,
                "a track is missing: {report:?}"
            );
            ensure!(
                report.promised.is_none_or(|both| both == (true, true)),
                "promised {:?}",
                report.promised
            );
        }
        encoder.finish().await
    });
}

#[test]
fn the_clip_itself() {
    story("the_clip_itself", Turn::Beside, async |stage| {
        watch_all_ways(stage, footage::clip()?, 1, 600).await
    });
}

#[test]
fn sound_only() {
    story("sound_only", Turn::Beside, async |stage| {
        let footage = Synthetic {
            fps: 0,
            ..Synthetic::default()
        };
        watch_all_ways(stage, footage.play(), 2, 600).await
    });
}

#[test]
fn pictures_only() {
    story("pictures_only", Turn::Beside, async |stage| {
        let footage = Synthetic {
            audio: false,
            ..Synthetic::default()
        };
        watch_all_ways(stage, footage.play(), 2, 400).await
    });
}

/// Twelve times real time, so that three GOPs of a minute pass in fifteen seconds.
#[test]
fn a_keyframe_a_minute() {
    story("a_keyframe_a_minute", Turn::Alone, async |stage| {
        let footage = Synthetic {
            gop: 1500,
            video_kbps: 300,
            ..Synthetic::default()
        };
        watch_all_ways(stage, footage.play(), 12, 2 * 60 * 75).await
    });
}

/// A viewer of each kind from the start, and another of each later, at the second tier.
async fn watch_all_ways(
    stage: &relay_tests::story::Stage,
    footage: Footage,
    speed: u32,
    messages: usize,
) -> Result<()> {
    let cluster = Cluster::start(stage).await?;
    let ledger = Ledger::default();
    let url = cluster.origin.publish_url(STREAM).await?;
    let _encoder = Encoder::publish_at(speed, &url, footage, &ledger).await?;
    cluster.deep.shows(STREAM).await?;
    let mut viewers = each_way(&cluster, &ledger);
    viewers[0].gets(messages / 3).await?;
    viewers.extend(each_way(&cluster, &ledger));
    for viewer in &mut viewers {
        viewer.gets(messages / 2).await?;
        viewer.missed_nothing()?;
    }
    Ok(())
}

fn each_way(cluster: &Cluster, ledger: &Ledger) -> Vec<Viewer> {
    let ways = [Flavour::Http11, Flavour::Http10, Flavour::Rtmp];
    let watch = |flavour| Viewer::watch(flavour, &url_for(cluster, flavour), Some(ledger));
    ways.into_iter().map(watch).collect()
}

fn url_for(cluster: &Cluster, flavour: Flavour) -> String {
    match flavour {
        Flavour::Http11 | Flavour::Http10 => cluster.deep.flv(STREAM),
        Flavour::Rtmp => cluster.deep.rtmp(STREAM),
    }
}

fn join_all(crowd: &mut Crowd, share: usize, cluster: &Cluster, ledger: &Ledger) {
    for (count, flavour) in MIX {
        crowd.join(count / share, flavour, &url_for(cluster, flavour), ledger);
    }
}

fn join_tenth(crowd: &mut Crowd, cluster: &Cluster, ledger: &Ledger) {
    join_all(crowd, 10, cluster, ledger);
}
