//! A second encoder is held ready beside the first: when that one is lost, viewers miss less than a second, and once it is back and
//! well it goes on air again, at a keyframe (R12, R06).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_core::flv::TagKind;
use relay_core::rtmp::client::{Action, Event};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::{Footage, Synthetic};
use relay_tests::ledger::Ledger;
use relay_tests::media::{Hash, Message, Role, hash};
use relay_tests::middleman::Middleman;
use relay_tests::rtmp::Connection;
use relay_tests::story::{Turn, lock, story};
use relay_tests::wait::until;
use tokio::task::JoinHandle;

const STREAM: &str = "live/main";

/// The longest that viewers may wait for the other encoder's picture.
const BOUND: Duration = Duration::from_secs(1);

fn footage(seed: u64) -> Footage {
    let footage = Synthetic {
        captions: false,
        seed,
        ..Synthetic::default()
    };
    footage.play()
}

/// A player that writes down when each message came.
struct Watcher {
    seen: Arc<Mutex<Vec<(Instant, Message, Hash)>>>,
    task: JoinHandle<Result<()>>,
}

impl Watcher {
    async fn watch(url: &str) -> Result<Self> {
        let mut connection = Connection::dial(url, Action::Play).await?;
        connection.started().await?;
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let book = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Some(event) = connection.next_event().await? {
                if let Event::Tag { kind, time, payload } = event {
                    let hash = hash(&payload);
                    lock(&book).push((Instant::now(), Message { kind, time, payload }, hash));
                }
            }
            anyhow::bail!("the connection ended")
        });
        Ok(Self { seen, task })
    }

    /// The media of it: when each came, its message, and which of the encoders sent it, with its own time there.
    fn media(&self, encoders: &[Ledger]) -> Result<Vec<Seen>> {
        let seen = lock(&self.seen).clone();
        let media = seen
            .into_iter()
            .filter(|(_, message, _)| matches!(message.role(), Role::Keyframe | Role::Coded));
        let known = media.map(|(at, message, hash)| {
            let sent = encoders.iter().enumerate().find_map(|(encoder, ledger)| {
                let place = *ledger.places(&hash).first()?;
                Some((encoder, ledger.entry(place)?.time))
            });
            let (encoder, sent) = sent.context("nobody sent this")?;
            Ok(Seen {
                at,
                message,
                encoder,
                sent,
            })
        });
        known.collect()
    }

    /// Waits for so many messages of an encoder.
    async fn sees(&self, encoder: usize, count: usize, encoders: &[Ledger]) -> Result<()> {
        let what = format!("the viewer to see encoder {encoder}");
        until(what, async || {
            ensure_running(&self.task).ok()?;
            let media = self.media(encoders).ok()?;
            let newest = media.iter().rev().take_while(|seen| seen.encoder == encoder);
            (newest.count() >= count).then_some(())
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ensure_running(task: &JoinHandle<Result<()>>) -> Result<()> {
    ensure!(!task.is_finished(), "the viewer's connection ended");
    Ok(())
}

/// A message of an encoder as the viewer got it.
struct Seen {
    at: Instant,
    message: Message,
    encoder: usize,
    /// The time that the encoder gave it.
    sent: u32,
}

/// Where the air changed hands: how long the viewer waited there, and whether it went on with a keyframe.
fn switches(media: &[Seen]) -> Vec<(usize, Duration, bool)> {
    media
        .windows(2)
        .filter(|pair| pair[0].encoder != pair[1].encoder)
        .map(|pair| {
            let on_key = pair[1].message.role() == Role::Keyframe;
            (pair[1].encoder, pair[1].at - pair[0].at, on_key)
        })
        .collect()
}

#[test]
fn the_backup_steps_in_within_a_second_and_gives_the_air_back() {
    story("hot_standby", Turn::Alone, async |stage| {
        let keys = "serve = \"always\"\nprobe = false\nswitch_back = \"2s\"\n\
                    second_publisher_on = { \"live/main\" = \"backup\" }\n";
        let mut origin = Origin::of_pool(stage, Ports::free(), keys)?;
        origin.start().await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let middleman = Middleman::before(origin.ports().rtmp).await?;
        let url = origin.publish_url(STREAM).await?;
        let unsure = url.replace(
            &format!(":{}/", origin.ports().rtmp),
            &format!(":{}/", middleman.port()),
        );
        let encoders = [(); 3].map(|()| Ledger::default());

        let primary = Encoder::publish(&url, footage(1), &encoders[0]).await?;
        edge.shows(STREAM).await?;
        let _backup = Encoder::publish(&format!("{url}&backup=1"), footage(2), &encoders[1]).await?;
        let viewer = Watcher::watch(&edge.rtmp(STREAM)).await?;
        viewer.sees(0, 150, &encoders).await?;
        let page = origin.metrics().await?;
        ensure!(page.sum("relay_ingest_standbys") == Some(1.0), "it is held ready");

        let calibration = Calibration::start();
        primary.kill().await?;
        viewer.sees(1, 50, &encoders).await?;

        // It comes back by a way that will go silent, and has to be well for two seconds first.
        let _primary = Encoder::publish(&unsure, footage(3), &encoders[2]).await?;
        viewer.sees(2, 50, &encoders).await?;
        middleman.hold();
        viewer.sees(1, 50, &encoders).await?;
        let lateness = calibration.finish();

        let media = viewer.media(&encoders)?;
        let switches = switches(&media);
        let to: Vec<usize> = switches.iter().map(|(encoder, ..)| *encoder).collect();
        ensure!(to == [1, 2, 1], "on air were {to:?}");
        ensure!(switches.iter().all(|(.., on_key)| *on_key), "{switches:?}");
        for (what, place) in [("reset", 0), ("silence", 2)] {
            let gap = switches[place].1;
            lateness.judge(
                &format!("the viewer's wait when the primary is lost by {what}"),
                &format!("{:.0} ms", gap.as_secs_f64() * 1e3),
                gap <= BOUND,
            );
        }
        check_times(&media)?;
        let page = origin.metrics().await?;
        for (reason, count) in [("lost", 2.0), ("back", 1.0)] {
            let switched = page.sum_where("relay_ingest_switches_total", &format!("reason=\"{reason}\""));
            ensure!(switched == Some(count), "{reason}: {switched:?}");
        }
        ensure_running(&viewer.task)
    });
}

/// No track's time goes back, and between two switches both tracks are moved by the same amount.
fn check_times(media: &[Seen]) -> Result<()> {
    for kind in [TagKind::Audio, TagKind::Video] {
        let track: Vec<u32> = media
            .iter()
            .filter(|seen| seen.message.kind == kind)
            .map(|seen| seen.message.time)
            .collect();
        ensure!(
            track.windows(2).all(|pair| pair[0] <= pair[1]),
            "{kind:?} went back"
        );
    }
    for stay in media.chunk_by(|one, next| one.encoder == next.encoder) {
        let mut offsets: Vec<i64> = stay
            .iter()
            .map(|seen| i64::from(seen.message.time) - i64::from(seen.sent))
            .collect();
        offsets.dedup();
        ensure!(offsets.len() == 1, "moved by {offsets:?} within one stay");
    }
    Ok(())
}
