//! The operator's service that has a say in who publishes: a slow one loses no stream (R09), its no reaches the encoder (R03), and
//! it hears of every end.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use relay_core::rtmp::client::{Action, Event};
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::hook::{Manner, Service};
use relay_tests::http::get;
use relay_tests::ledger::Ledger;
use relay_tests::rtmp::Connection;
use relay_tests::story::{Stage, Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::within;

const STREAM: &str = "live/camera";
const OTHER: &str = "live/other";
const SECRET: &str = "the-secret-of-the-hooks";

/// How long a slow service thinks.
const THINKS: Duration = Duration::from_secs(5);

/// An origin that asks a service, with a grace window shorter than that one's thoughts.
async fn origin(stage: &Stage, service: &Service) -> Result<Origin> {
    stage.keep_secret(SECRET);
    let mut origin = Origin::prepare(stage, "origin", Ports::free())?;
    // The tables of a prepared origin end within `[origin]`.
    origin.configure("grace = \"2s\"");
    origin.configure(&service.tables("timeout = \"8s\""));
    origin.start().await?;
    Ok(origin)
}

#[test]
fn r09_a_slow_hook_loses_no_stream_and_holds_up_nobody() {
    story("slow_hook", Turn::Alone, async |stage| {
        let service = Service::open(SECRET).await?;
        let origin = origin(stage, &service).await?;
        let other = Ledger::default();
        let url = origin.publish_url(OTHER).await?;
        let _other = Encoder::publish(&url, Synthetic::default().play(), &other).await?;
        origin.shows(OTHER).await?;
        let mut beside = Viewer::watch(Flavour::Http11, &origin.flv(OTHER), Some(&other));
        beside.gets(20).await?;

        // Viewers poll while it is asked.
        service.behave(Manner {
            thinks: THINKS,
            ..Manner::YES
        });
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let flv = origin.flv(STREAM);
        let polls = tokio::spawn(async move {
            let mut polls = 0_u32;
            while get(&flv).await.is_ok_and(|answer| answer.head.status == 404) {
                polls += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            polls
        });
        let start = Instant::now();
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let waited = start.elapsed();
        println!("the encoder was told that it publishes after {waited:?}");
        ensure!(waited >= THINKS, "told so before it was decided: {waited:?}");
        origin.shows(STREAM).await?;
        polls.abort();
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(&ledger));
        viewer.gets(50).await?;

        // It comes back, and the answer takes longer than the grace window: who watches stays.
        encoder.kill().await?;
        let again = Synthetic {
            seed: 2,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, again.play(), &ledger).await?;
        viewer.gets(50).await?;

        beside.gets(20).await?;
        beside.missed_nothing()?;
        Ok(())
    });
}

#[test]
fn a_no_reaches_the_encoder_and_an_end_the_service() {
    story("hook_says_no", Turn::Beside, async |stage| {
        let service = Service::open(SECRET).await?;
        let mut origin = origin(stage, &service).await?;
        let url = origin.publish_url(STREAM).await?;
        service.behave(Manner {
            status: 403,
            says: "{\"reason\": \"the hall is not booked\"}",
            thinks: Duration::ZERO,
        });
        let (code, description) = refusal(&url).await?;
        ensure!(code == "NetStream.Publish.Denied", "{code}");
        ensure!(description == "the hall is not booked", "{description}");

        // A wrong key is not worth a question.
        let (_, said) = refusal(&format!("{url}x")).await?;
        ensure!(said.contains("wrong"), "{said}");
        ensure!(service.heard()?.len() == 1, "asked about a wrong key");

        service.behave(Manner::YES);
        let ledger = Ledger::default();
        let encoder =
            Encoder::publish(&format!("{url}&seat=7"), Synthetic::default().play(), &ledger).await?;
        encoder.finish().await?;
        let ends = service.hears_ends(1).await?;
        let heard = service.heard()?;
        let begun = &heard[1].body;
        ensure!(begun["query"] == "seat=7" && begun["key"] == "default", "{begun}");
        let end = &ends[0].body;
        ensure!(end["id"] == begun["id"] && end["reason"] == "gone", "{end}");

        // One that publishes when the origin ends is said to be gone, too.
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        origin.stop();
        let ends = service.hears_ends(2).await?;
        ensure!(ends[1].body["stream"] == STREAM, "{:?}", ends[1]);
        Ok(())
    });
}

#[test]
fn r75_an_encoder_returns_while_the_service_is_away() {
    story("hook_away", Turn::Beside, async |stage| {
        let service = Service::open(SECRET).await?;
        let origin = origin(stage, &service).await?;
        let url = origin.publish_url(STREAM).await?;
        let ledger = Ledger::default();
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        encoder.finish().await?;
        service.hears_ends(1).await?;
        service.behave(Manner {
            status: 503,
            ..Manner::YES
        });
        let (code, _) = refusal(&origin.publish_url(OTHER).await?).await?;
        ensure!(code == "NetStream.Publish.Denied", "a stranger is let in: {code}");
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let metrics = origin.metrics().await?;
        let decisions = |how: &str| {
            let label = format!("decision=\"{how}\"");
            metrics.sum_where("relay_hook_decisions_total", &label)
        };
        ensure!(decisions("remembered") == Some(1.0) && decisions("fail_closed") == Some(1.0));
        Ok(())
    });
}

/// What the server says to one that tries to publish.
async fn refusal(url: &str) -> Result<(String, String)> {
    let mut connection = Connection::dial(url, Action::Publish).await?;
    within("a refusal", async {
        loop {
            match connection.next_event().await? {
                Some(Event::Refused {
                    code, description, ..
                }) => return Ok((code, description)),
                Some(Event::Started) => anyhow::bail!("the publisher was accepted"),
                Some(_) => {}
                None => anyhow::bail!("the connection was closed without a status"),
            }
        }
    })
    .await?
}
