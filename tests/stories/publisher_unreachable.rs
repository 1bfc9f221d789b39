//! An encoder changes its network, and its old address answers nothing any more: its connection is given up by the kernel, even where
//! silence alone is allowed for an hour (R11).

use anyhow::{Context as _, Result, ensure};
use relay_core::rtmp::client::Action;
use relay_tests::cluster::Origin;
use relay_tests::footage::Synthetic;
use relay_tests::rtmp::Connection;
use relay_tests::story::{Turn, story};
use socket2::{SockFilter, SockRef};

/// BPF: return a constant, here 0 bytes of each packet (`BPF_RET | BPF_K`).
const RETURN: u16 = 0x06;

/// A publisher that has sent half a second of something, and pauses.
async fn pausing(origin: &Origin, stream: &str) -> Result<Connection> {
    let url = origin.publish_url(stream).await?;
    let mut connection = Connection::dial(&url, Action::Publish).await?;
    connection.started().await?;
    let footage: Vec<_> = Synthetic::default()
        .play()
        .take_while(|message| message.time < 500)
        .collect();
    connection.send(&footage).await?;
    Ok(connection)
}

#[test]
fn a_connection_that_answers_nothing_is_given_up_and_one_that_pauses_is_not() {
    story("publisher_unreachable", Turn::Beside, async |stage| {
        let patient = "[limits]\npublisher_start = \"1h\"\npublisher_silence = \"1h\"\n";
        let mut origin = Origin::with_tables(stage, "origin", patient)?;
        origin.start().await?;
        let mut there = pausing(&origin, "live/there").await?;
        let gone = pausing(&origin, "live/gone").await?.into_socket();
        // From now on this end's kernel drops all that comes, and so acknowledges nothing.
        SockRef::from(&gone)
            .attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
            .context("dropping what comes in")?;

        origin
            .metric("relay_publisher_ends_total", |ends| ends >= 1.0)
            .await?;
        let page = origin.metrics().await?;
        let ended = page.sum_where("relay_publisher_ends_total", "how=\"timed_out\"");
        ensure!(ended == Some(1.0), "by {}", page.text());
        let later = Synthetic::default().play().take(10).collect::<Vec<_>>();
        there.send(&later).await.context("the other one is there still")?;
        ensure!(origin.metrics().await?.sum("relay_publisher_ends_total") == Some(1.0));
        Ok(())
    });
}
