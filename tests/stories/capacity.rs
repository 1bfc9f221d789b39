//! A node knows what it can carry, and says the same in its metrics, in its log, and when asked.

use anyhow::{Context as _, ensure};
use relay_tests::cluster::{Origin, Ports, edge_with_token};
use relay_tests::story::{Turn, story};

#[test]
fn metric_and_log_say_the_same() {
    story("capacity", Turn::Beside, async |stage| {
        let mut origin = Origin::start(stage).await?;
        let bytes = origin
            .metric("relay_capacity_bytes_per_second", |bytes| bytes > 0.0)
            .await?;
        let metrics = origin.metrics().await?;
        let viewers = metrics
            .samples()
            .filter(|(name, ..)| *name == "relay_capacity_viewers")
            .map(|(.., viewers)| viewers)
            .fold(f64::INFINITY, f64::min);
        // No stream flows, so a viewer takes what is expected of streams.
        ensure!(
            (bytes - viewers * 312_500.0).abs() < 1.0,
            "{bytes} for {viewers} viewers"
        );
        let sentence = format!("room for about {viewers} viewers of 2.5 Mbit/s");
        origin.process()?.line_with(&sentence).await?;
        Ok(())
    });
}

#[test]
fn what_is_configured_wins() {
    story("capacity_stated", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.configure("[edge]\ncapacity = \"80Mbit\"");
        edge.start().await?;
        edge.metric("relay_capacity_bytes_per_second", |bytes| bytes == 1e7)
            .await?;
        let checked = edge.verb_says(&["check"]).await?;
        let said = "room for about 32 viewers of 2.5 Mbit/s, 80 Mbit/s together; the first limit is [edge] capacity: 80 Mbit/s";
        ensure!(checked.contains(said), "{said:?} is not in:\n{checked}");
        Ok(())
    });
}

#[test]
fn measuring_says_which_limit_is_the_first() {
    story("measure", Turn::Beside, async |stage| {
        let edge = edge_with_token(stage, "edge", Ports::free(), "none")?;
        let said = edge
            .verb_says(&["measure", "--for", "1s", "--rate", "1Mbit", "--rtt", "20ms"])
            .await?;
        for part in [
            "sendfile",
            "128 KiB",
            "the CPU: ",
            "net.ipv4.tcp_mem",
            "nofile",
            "[limits] max_viewers",
        ] {
            ensure!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        let last = said.lines().last().context("a verdict")?;
        ensure!(
            last.starts_with("room for about ") && last.contains(" viewers of 1 Mbit/s"),
            "{last}"
        );
        ensure!(last.contains("; the first limit is "), "{last}");
        Ok(())
    });
}
