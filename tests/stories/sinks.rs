//! Viewers that misbehave once they are served: each costs a bounded amount and is counted by its reason, and those beside
//! them notice nothing (R58, R60).

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin};
use relay_tests::crowd::Crowd;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::Flavour;
use relay_tests::wait::{until, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const STREAM: &str = "live/sinks";

/// How many of each kind.
const EACH: usize = 40;

/// What all that misbehave may leave behind in the node's memory: the noise of its allocator.
const MEMORY: u64 = 16_000_000;

#[test]
fn who_resets_half_closes_or_talks_harms_nobody() {
    story("sinks", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut crowd = Crowd::new();
        crowd.join(10, Flavour::Http11, &edge.flv(STREAM), &ledger);
        crowd.get(100).await?;
        let memory = edge.memory()?.total();

        let mut resetting = served(&edge).await?;
        for sink in &mut resetting {
            sink.set_zero_linger()?;
        }
        drop(resetting);
        gone(&edge, "left", EACH).await?;

        // One that has said all it wants to goes on watching.
        let mut half_closed = served(&edge).await?;
        for sink in &mut half_closed {
            sink.shutdown().await?;
        }
        for sink in &mut half_closed {
            drink(sink, 100_000).await?;
        }
        drop(half_closed);
        gone(&edge, "left", 2 * EACH).await?;

        // A few requests behind the first are what a browser's connection may hold; they get no answer of their own.
        let mut pipelining = served(&edge).await?;
        for sink in &mut pipelining {
            sink.write_all(request(&edge).repeat(50).as_bytes()).await?;
            let text = drink(sink, 100_000).await?;
            ensure!(!text.contains("HTTP/1."), "answered in the middle of a stream");
        }
        drop(pipelining);
        gone(&edge, "left", 3 * EACH).await?;

        // Who talks on and on is let go, whatever it says.
        let mut talking = served(&edge).await?;
        for sink in &mut talking {
            // The end may come in the middle of it.
            let _ = sink.write_all(&[0xa5; 64 << 10]).await;
        }
        gone(&edge, "bad_input", EACH).await?;
        drop(talking);

        crowd.get(100).await?;
        crowd.is_content()?;
        crowd.missed_nothing()?;
        let settled = until("the memory to be given back", async || {
            (edge.memory().ok()?.total() <= memory + MEMORY).then_some(())
        });
        settled.await
    });
}

fn request(edge: &Node) -> String {
    format!(
        "GET /{STREAM}.flv HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
        edge.ports().http
    )
}

/// Viewers that are served: each has the head of its answer.
async fn served(edge: &Node) -> Result<Vec<TcpStream>> {
    let mut sinks = Vec::new();
    for _ in 0..EACH {
        let mut sink = TcpStream::connect(("127.0.0.1", edge.ports().http)).await?;
        sink.write_all(request(edge).as_bytes()).await?;
        let mut head = [0; 12];
        within("an answer", sink.read_exact(&mut head)).await??;
        ensure!(
            &head == b"HTTP/1.1 200",
            "answered {}",
            String::from_utf8_lossy(&head)
        );
        sinks.push(sink);
    }
    Ok(sinks)
}

/// Reads so many bytes of the stream, and gives them as text.
async fn drink(sink: &mut TcpStream, bytes: usize) -> Result<String> {
    let mut all = vec![0; bytes];
    within("the stream to go on", sink.read_exact(&mut all))
        .await?
        .context("the stream goes on")?;
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// Waits until so many viewers are gone for that reason, and the ones that watch are left.
async fn gone(edge: &Node, reason: &str, count: usize) -> Result<()> {
    let label = format!("reason=\"{reason}\"");
    until(format!("{count} viewers to be gone as {reason}"), async || {
        let metrics = edge.metrics().await.ok()?;
        let gone = metrics.sum_where("relay_viewer_goodbyes_total", &label)?;
        (gone == count as f64).then_some(())
    })
    .await
}
