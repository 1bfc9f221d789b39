//! What the HTTP port answers besides the stream itself (R67, R68, R74).

use anyhow::{Result, ensure};
use relay_tests::cluster::Origin;
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::{ask, get};
use relay_tests::ledger::Ledger;
use relay_tests::story::{Turn, story};
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;

const STREAM: &str = "live/asked";

#[test]
fn every_method_gets_its_answer() {
    story("http_answers", Turn::Beside, async |stage| {
        let origin = Origin::start(stage).await?;
        let url = origin.publish_url(STREAM).await?;
        let _encoder = Encoder::publish(&url, Synthetic::default().play(), &Ledger::default()).await?;
        origin.shows(STREAM).await?;
        let live = origin.flv(STREAM);

        let head = ask("HEAD", &live, "").await?;
        ensure!(head.head.status == 200 && head.body.is_empty(), "HEAD: {head:?}");
        ensure!(
            head.head.header("content-type") == Some("video/x-flv"),
            "HEAD: {head:?}"
        );

        let page_elsewhere = "Origin: http://elsewhere.example\r\n";
        let asked = ask("OPTIONS", &live, page_elsewhere).await?;
        ensure!((200..300).contains(&asked.head.status), "OPTIONS: {asked:?}");
        ensure!(
            asked.head.header("access-control-allow-origin") == Some("*"),
            "OPTIONS: {asked:?}"
        );

        explains(&ask("POST", &live, "Content-Length: 0\r\n").await?, 405)?;
        explains(&get(&origin.flv("live/nobody")).await?, 404)?;
        explains(&get(&origin.flv("live/%2e%2e/x")).await?, 404)?;

        let elsewhere = get(&live.replace(".flv", ".mp4")).await?;
        ensure!(
            elsewhere.head.status == 404 && !elsewhere.body.is_empty(),
            "no stream: {elsewhere:?}"
        );

        let page = get(&origin.page(STREAM)).await?;
        ensure!(
            page.head.status == 200 && page.text().contains("<video"),
            "no page: {:?}",
            page.head
        );
        let policy = page.head.header("content-security-policy").unwrap_or_default();
        ensure!(
            policy.contains("frame-ancestors"),
            "the page may be framed by policy {policy:?}"
        );
        let list = get(&live.replace("live/asked.flv", "")).await?;
        ensure!(
            list.head.status == 200 && list.text().contains("<html"),
            "no list: {:?}",
            list.head
        );
        Ok(())
    });
}

/// An error says why, is not kept by caches, and can be read by a page from elsewhere.
fn explains(answer: &relay_tests::http::Answer, status: u16) -> Result<()> {
    ensure!(answer.head.status == status, "wanted {status}: {answer:?}");
    ensure!(!answer.text().trim().is_empty(), "no word on why: {answer:?}");
    ensure!(
        answer.head.header("access-control-allow-origin").is_some(),
        "no page can read it: {answer:?}"
    );
    Ok(())
}

#[test]
fn a_stream_that_ends_ends_cleanly() {
    story("stream_ends", Turn::Beside, async |stage| {
        let mut origin = Origin::with_tables(stage, "origin", "grace = \"2s\"")?;
        origin.start().await?;
        let mut edge = origin.edge("edge").await?;
        edge.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        edge.shows(STREAM).await?;
        let mut viewers = [
            Viewer::watch(Flavour::Http11, &edge.flv(STREAM), Some(&ledger)),
            Viewer::watch(Flavour::Http10, &edge.flv(STREAM), Some(&ledger)),
            Viewer::watch(Flavour::Rtmp, &edge.rtmp(STREAM), Some(&ledger)),
        ];
        for viewer in &mut viewers {
            viewer.gets(100).await?;
        }
        encoder.finish().await?;
        for viewer in &mut viewers {
            viewer.until("the end", |report| report.ended.is_some()).await?;
            let report = viewer.report();
            ensure!(
                report.ended.as_deref() == Some("the stream's end"),
                "ended: {:?}",
                report.ended
            );
            ensure!(
                report.fault_count == 0 && report.jumps.is_empty(),
                "{}",
                report.complaint()
            );
        }
        until("the stream to be unknown", async || {
            let answer = get(&edge.flv(STREAM)).await.ok()?;
            (answer.head.status == 404).then_some(())
        })
        .await
    });
}
