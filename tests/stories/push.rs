//! `[[push]]`: the origin dials the edge, where the edge's own dialling for media is not wanted.

use anyhow::ensure;
use relay_tests::cluster::{Origin, Ports, edge_with_token};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;

const STREAM: &str = "live/pushed";

#[test]
fn the_origin_dials_the_edge() {
    story("push", Turn::Beside, async |stage| {
        let ports = Ports::free();
        let push = format!("[[push]]\nedge = \"127.0.0.1:{}\"", ports.link);
        let mut origin = Origin::with_tables(stage, "origin", &push)?;
        origin.start().await?;
        let token = origin.token().await?;
        let mut edge = edge_with_token(stage, "edge", ports, &token)?;
        edge.start().await?;

        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut viewer = Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger));
        viewer.gets(300).await?;
        viewer.missed_nothing()?;
        let dialled = origin.log()?.lines();
        let told = dialled.iter().any(|line| line.contains("push"));
        ensure!(told, "the origin's log does not tell of a link that it dialled");
        // The pushed link is the one that is left: the edge lets go of what it dialled itself.
        let only_link = until("the pushed link to be the only one", async || {
            let links = origin.metrics().await.ok()?.sum("relay_cascade_children");
            (links == Some(1.0)).then_some(())
        });
        only_link.await?;
        let told = edge
            .log()?
            .lines()
            .iter()
            .any(|line| line.contains("the parent dialled this node"));
        ensure!(
            told,
            "the edge's log does not tell of a link that its parent dialled"
        );
        viewer.gets(150).await?;
        viewer.missed_nothing()?;
        Ok(())
    });
}
