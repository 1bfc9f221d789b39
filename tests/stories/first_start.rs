//! What a person meets first: a start with next to no settings, and the verbs that explain.

use anyhow::{Context as _, ensure};
use relay_tests::cluster::Origin;
use relay_tests::node::is_private;
use relay_tests::story::{Turn, story};

#[test]
fn secrets_are_made_and_kept_private() {
    story("first_start", Turn::Beside, async |stage| {
        let mut origin = Origin::start(stage).await?;
        let url = origin.publish_url("live/camera").await?;
        ensure!(
            is_private(&origin.state_dir())?,
            "the state folder is open to others"
        );
        let mut files = 0;
        for entry in std::fs::read_dir(origin.state_dir())? {
            let path = entry?.path();
            ensure!(is_private(&path)?, "{} is open to others", path.display());
            files += 1;
        }
        ensure!(files > 1, "only {files} files of state");
        // No terminal: the command that shows the secret, and not the secret, which every story looks for.
        let said = origin.log()?.text();
        ensure!(said.contains("publish-url"), "no word on how to publish:\n{said}");

        // The key outlives the process.
        origin.stop();
        origin.start().await?;
        ensure!(
            origin.publish_url("live/camera").await? == url,
            "another key after a restart"
        );
        Ok(())
    });
}

#[test]
fn check_says_what_the_uplink_carries() {
    story("check", Turn::Beside, async |stage| {
        // The tables of a prepared origin end within `[origin]`.
        let origin = Origin::with_tables(stage, "origin", "uplink = \"100Mbit\"")?;
        let said = origin.verb_says(&["check"]).await?;
        for word in ["36 edges", "32 direct viewers"] {
            ensure!(said.contains(word), "{word:?} is not in:\n{said}");
        }
        let ports = origin.ports();
        for port in [ports.http, ports.rtmp, ports.link] {
            ensure!(said.contains(&port.to_string()), "port {port} is not in:\n{said}");
        }
        Ok(())
    });
}

#[test]
fn streams_and_tokens_are_listed_and_revoked() {
    story("verbs", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        origin.token_with("1h", 3).await?;
        let listed = origin.verb_says(&["token", "list"]).await?;
        let row = listed.lines().last().context("a token in the list")?;
        let id = row
            .split_whitespace()
            .next()
            .context("a token's name in its row")?;
        origin.verb_says(&["token", "revoke", id]).await?;
        // An unknown name is an error, not a silent success (R08).
        ensure!(
            origin
                .verb_says(&["token", "revoke", "0123456789abcdef"])
                .await
                .is_err(),
            "no error"
        );
        origin.verb_says(&["streams"]).await?;
        Ok(())
    });
}
