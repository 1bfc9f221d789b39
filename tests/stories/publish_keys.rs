//! Publish keys: each opens its own streams, they are changed one beside the other, and a revoked one ends its publisher.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_core::rtmp::client::{Action, Event};
use relay_tests::cluster::Origin;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::rtmp::{Connection, refusal_to_publish};
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::within;

const STREAM: &str = "live/hall-1";

/// How soon a revoked key's publisher is out.
const OUT: Duration = Duration::from_secs(1);

#[test]
fn a_revoked_key_ends_its_publisher_and_the_next_key_goes_on() {
    story("publish_keys", Turn::Alone, async |stage| {
        let mut origin = Origin::start(stage).await?;
        let (old, old_url) = origin.publish_key("live/hall-1", &["--id", "hall"]).await?;
        let (_, new_url) = origin.publish_key("live/hall-1", &[]).await?;
        ensure!(old == "hall", "a name of its own: {old}");

        // The key of one stream opens no other.
        let other = old_url.replace("hall-1", "hall-2");
        let code = refusal_to_publish(&other).await?;
        ensure!(code == "NetStream.Publish.Denied", "{code}");

        let ledger = Ledger::default();
        let mut encoder = Encoder::publish(&old_url, Synthetic::default().play(), &ledger).await?;
        origin.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(&ledger));
        viewer.gets(50).await?;
        encoder.sends(10).await?;
        let listed = origin.verb_says(&["key", "list"]).await?;
        let row = listed.lines().find(|line| line.starts_with("hall "));
        let row = row.with_context(|| format!("hall in\n{listed}"))?;
        ensure!(row.contains("live") && row.contains(" 1 "), "{row}");

        origin.verb_says(&["key", "revoke", "hall"]).await?;
        let start = Instant::now();
        let ended = within("the encoder to be let go", async {
            while encoder.sends(1).await.is_ok() {}
            start.elapsed()
        });
        let took = ended.await?;
        println!("a revoked key's publisher was out {took:?} after the verb's word");
        ensure!(took < OUT, "only after {took:?}");
        let code = refusal_to_publish(&old_url).await?;
        ensure!(code == "NetStream.Publish.Denied", "{code}");

        // The next key goes on at once: the stream is free, and who watches has not noticed more than a jump.
        let again = Synthetic {
            seed: 2,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&new_url, again.play(), &ledger).await?;
        viewer.gets(100).await?;

        // What was revoked stays so over a crash.
        origin.kill();
        origin.start().await?;
        let code = refusal_to_publish(&old_url).await?;
        ensure!(code == "NetStream.Publish.Denied", "after a restart: {code}");
        accepted(&new_url).await
    });
}

#[test]
fn one_who_is_let_go_for_its_key_is_told_so() {
    story("publish_key_words", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let (id, url) = origin
            .publish_key(STREAM, &["--from", "127.0.0.0/8", "--ttl", "1h"])
            .await?;
        let mut connection = Connection::dial(&url, Action::Publish).await?;
        connection.started().await?;
        origin.verb_says(&["key", "revoke", &id]).await?;
        let (code, description) = farewell(&mut connection).await?;
        ensure!(code == "NetStream.Publish.Denied", "{code}");
        ensure!(description.contains("revoked"), "{description}");

        let (_, elsewhere) = origin.publish_key(STREAM, &["--from", "192.0.2.0/24"]).await?;
        let mut connection = Connection::dial(&elsewhere, Action::Publish).await?;
        let (_, description) = farewell(&mut connection).await?;
        ensure!(description.contains("not for this address"), "{description}");
        let metrics = origin.metrics().await?;
        let denials = metrics.sum_where("relay_publish_key_denials_total", "reason=\"address\"");
        ensure!(denials == Some(1.0), "{denials:?}");
        let unknown = origin.verb_says(&["key", "revoke", "nobody"]).await;
        ensure!(
            unknown.is_err(),
            "an unknown key is an error, not a silent success"
        );
        Ok(())
    });
}

#[test]
fn the_default_key_can_be_revoked_too() {
    story("default_key", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let url = origin.publish_url(STREAM).await?;
        accepted(&url).await?;
        origin.verb_says(&["key", "revoke", "default"]).await?;
        let code = refusal_to_publish(&url).await?;
        ensure!(code == "NetStream.Publish.Denied", "{code}");
        let Err(error) = origin.verb_says(&["publish-url", STREAM]).await else {
            anyhow::bail!("a URL with a key that is revoked");
        };
        ensure!(format!("{error:#}").contains("key add"), "{error:#}");
        Ok(())
    });
}

/// Publishes, and is let in.
async fn accepted(url: &str) -> Result<()> {
    let mut connection = Connection::dial(url, Action::Publish).await?;
    connection.started().await?;
    connection.finish().await
}

/// What the server says to one that publishes when it ends that.
async fn farewell(connection: &mut Connection) -> Result<(String, String)> {
    within("a farewell", async {
        loop {
            match connection.next_event().await? {
                Some(Event::Refused {
                    code, description, ..
                }) => return Ok((code, description)),
                Some(_) => {}
                None => anyhow::bail!("the connection was closed without a status"),
            }
        }
    })
    .await?
}
