//! An origin that is stopped asks its encoders to connect anew, and ends at their keyframe (R35).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_core::rtmp::client::Action;
use relay_tests::cluster::Cluster;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::media::Role;
use relay_tests::rtmp::Connection;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::{until, within};
use rustix::process::Signal;

const STREAM: &str = "live/leaves";

/// What an origin waits for its encoders, and some.
const BOUND: Duration = Duration::from_secs(9);

/// An encoder, in real time.
struct Encoder {
    url: String,
    footage: Synthetic,
    ledger: Ledger,
    /// Whether it does what it is asked to.
    obeys: bool,
}

/// How one connection of an encoder ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It left, before a keyframe.
    Left,
    /// The origin closed it.
    Cut,
}

impl Encoder {
    /// Publishes until one side ends it.
    async fn publish(&self) -> Result<End> {
        let mut connection = Connection::dial_reconnecting(&self.url).await?;
        connection.started().await?;
        self.ledger.begin_session();
        let start = Instant::now();
        for message in self.footage.clone().play() {
            let due = Duration::from_millis(message.time.into());
            tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
            if self.obeys && connection.is_asked_to_leave() && message.role() == Role::Keyframe {
                connection.finish().await?;
                return Ok(End::Left);
            }
            self.ledger.note(&message);
            if connection.send(&[message]).await.is_err() {
                ensure!(connection.is_asked_to_leave(), "cut off without being asked");
                return Ok(End::Cut);
            }
        }
        unreachable!("footage has no end")
    }
}

/// An origin with an edge and a viewer there, and an encoder whose keyframes are so far apart.
async fn stop_an_origin(
    cluster: &mut Cluster,
    encoder: Encoder,
    meanwhile: impl AsyncFnOnce(&Encoder) -> Result<()>,
) -> Result<(End, Duration)> {
    let story = async {
        cluster.edge.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &cluster.edge.flv(STREAM), Some(&encoder.ledger));
        viewer.gets(50).await?;
        cluster.origin.process()?.signal(Signal::TERM)?;
        let asked = Instant::now();
        meanwhile(&encoder).await?;
        let status = within("the origin to end", cluster.origin.process()?.ended()).await??;
        ensure!(status.success(), "{status}");
        Ok((viewer, asked.elapsed()))
    };
    let (end, (mut viewer, took)) = tokio::try_join!(encoder.publish(), story)?;
    cluster.origin.start().await?;
    let again = Encoder {
        footage: Synthetic {
            seed: 2,
            ..encoder.footage.clone()
        },
        ..encoder
    };
    let keyframes = viewer.ask(|report| report.keyframes);
    tokio::select! {
        end = again.publish() => anyhow::bail!("the second connection ended: {end:?}"),
        more = viewer.until("pictures again", |report| report.keyframes > keyframes) => more?,
    }
    viewer.is_content()?;
    let jumps = viewer.report().jumps;
    ensure!(
        jumps.len() <= 1 && jumps.iter().all(|jump| jump.on_start && jump.new_session),
        "it went on in the middle: {jumps:?}"
    );
    Ok((end, took))
}

#[test]
fn r35_who_is_asked_leaves_at_a_keyframe_and_the_origin_does_not_wait_longer() {
    story("encoder_leaves", Turn::Beside, async |stage| {
        let mut cluster = Cluster::start(stage).await?;
        let encoder = encoder(&cluster, 25, true).await?;
        let (end, took) = stop_an_origin(&mut cluster, encoder, async |_| Ok(())).await?;
        ensure!(end == End::Left, "{end:?}");
        ensure!(took < BOUND / 2, "the origin ended after {took:?}");
        Ok(())
    });
}

#[test]
fn r35_who_does_not_leave_is_cut_off_at_a_keyframe() {
    story("encoder_stays", Turn::Beside, async |stage| {
        let mut cluster = Cluster::start(stage).await?;
        let encoder = encoder(&cluster, 25, false).await?;
        let (end, took) = stop_an_origin(&mut cluster, encoder, async |_| Ok(())).await?;
        ensure!(end == End::Cut, "{end:?}");
        ensure!(took < BOUND / 2, "the origin ended after {took:?}");
        Ok(())
    });
}

#[test]
fn r35_no_keyframe_is_waited_for_too_long_and_nobody_comes_in_meanwhile() {
    story("encoder_without_keyframes", Turn::Beside, async |stage| {
        let mut cluster = Cluster::start(stage).await?;
        let encoder = encoder(&cluster, 2500, false).await?;
        let (end, took) = stop_an_origin(&mut cluster, encoder, async |encoder| {
            until("a newcomer to be turned away", async || {
                let other = encoder.url.replace(STREAM, "live/other");
                let mut newcomer = Connection::dial(&other, Action::Publish).await.ok()?;
                let refused = newcomer.started().await.err()?;
                refused.to_string().contains("closed").then_some(())
            })
            .await
        })
        .await?;
        ensure!(end == End::Cut, "{end:?}");
        ensure!(
            took > BOUND / 3 && took < BOUND,
            "the origin ended after {took:?}"
        );
        Ok(())
    });
}

async fn encoder(cluster: &Cluster, gop: u32, obeys: bool) -> Result<Encoder> {
    let footage = Synthetic {
        gop,
        ..Synthetic::default()
    };
    Ok(Encoder {
        url: cluster.origin.publish_url(STREAM).await.context("a URL")?,
        footage,
        ledger: Ledger::default(),
        obeys,
    })
}
