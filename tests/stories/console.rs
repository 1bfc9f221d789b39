//! The console: whoever looks at it knows whether all is well, and is told at once when it is not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use relay_tests::calibration::Calibration;
use relay_tests::cluster::{Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::ask;
use relay_tests::ledger::Ledger;
use relay_tests::process::Process;
use relay_tests::story::{Turn, story, target_dir, workspace_dir};
use relay_tests::tools::{node_modules, program};
use relay_tests::wait::until;
use serde_json::Value;

const STREAM: &str = "live/cam";

/// How soon a dead edge has to be named.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

/// What the page showed when the browser said so.
async fn seen(browser: &Process, what: &str) -> Result<Value> {
    let line = browser.line_with(&format!("{what} {{")).await?;
    let shown = line.trim_start_matches(what);
    serde_json::from_str(shown).with_context(|| line.clone())
}

/// A running console: its URL, for as long as its process is kept.
async fn open(origin: &Origin, words: &[&str]) -> Result<(Process, String)> {
    let console = origin.verb_stays(words)?;
    let url = console.line_with("http://127.0.0.1:").await?;
    Ok((console, url))
}

#[test]
fn the_console_says_that_all_is_well_until_it_is_not() {
    story("console", Turn::Alone, async |stage| {
        let mut origin = Origin::of_pool(stage, Ports::free(), "")?;
        let (code, said) = verb_fails(&origin, &["console"]).await?;
        ensure!(
            code == Some(69) && said.contains("is it running"),
            "{code:?} {said}"
        );
        origin.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let encoder = Encoder::publish(&url, Synthetic::default().play(), &ledger).await?;
        let mut one = origin.edge("one").await?;
        one.start().await?;
        let mut two = origin.edge("two").await?;
        two.start().await?;
        let port = format!(":{}", two.ports().http);
        let second = until("both edges to serve", async || {
            let edges = origin.admin("/api/v1/edges").await.ok()?;
            let edges = edges.as_array()?;
            let serving = edges.iter().filter(|edge| edge["state"] == "serving").count();
            let second = edges
                .iter()
                .find(|edge| edge["endpoints"].to_string().contains(&port))?;
            (serving == 2).then_some(second["id"].as_str()?.get(..8)?.to_owned())
        })
        .await?;

        // The same on a terminal's behalf, through a pipe.
        let top = origin.verb_says(&["top"]).await?;
        ensure!(top.contains("All is well: 2 edges, no viewer, room for"), "{top}");
        ensure!(
            top.contains(STREAM) && top.contains(&second) && !top.contains('\x1b'),
            "{top}"
        );
        println!("{top}");

        let (console, url) = open(&origin, &["console"]).await?;
        let kick = format!("{url}api/v1/kick");
        ensure!(
            ask("POST", &kick, "Content-Length: 0\r\n").await?.head.status == 405,
            "it only looks"
        );
        let (root, _) = url
            .trim_end_matches('/')
            .rsplit_once('/')
            .context("a token in the path")?;
        ensure!(
            ask("GET", &format!("{root}/"), "").await?.head.status == 403,
            "no token"
        );

        let screenshot = target_dir()?.join("console-page.png");
        let mut node = program("node")?;
        node.arg(workspace_dir().join("tests/browser/console.mjs"))
            .arg(node_modules()?)
            .arg(program("chromium")?.get_program());
        node.arg(&url).arg(&second).arg(&screenshot);
        let mut browser = Process::spawn(stage, "chromium", &mut node)?;
        let well = seen(&browser, "well").await?;
        ensure!(well["complaints"] == serde_json::json!([]), "{well}");
        ensure!(
            well["edges"].as_array().map(Vec::len) == Some(2) && well["streams"] == 1,
            "{well}"
        );
        ensure!(well["wide"] == false, "it has to be pushed sideways: {well}");
        let announced = well["announced"].as_str().unwrap_or_default();
        ensure!(announced.contains("All is well"), "{well}");

        let calibration = Calibration::start();
        two.kill();
        let killed = Instant::now();
        let lost = seen(&browser, "lost").await?;
        let took = killed.elapsed();
        let lateness = calibration.finish();
        let words = format!("named {took:.1?} after its death: {}", lost["headline"]);
        lateness.judge("a dead edge on the console", &words, took < NAMED_WITHIN);
        let headline = lost["headline"].as_str().unwrap_or_default();
        ensure!(headline.contains("is lost"), "{lost}");
        ensure!(lost["edges"][0][1] == "lost", "the worst is first: {lost}");
        let phone = seen(&browser, "phone").await?;
        ensure!(phone["wide"] == false, "too wide for a phone: {phone}");
        ensure!(screenshot.is_file(), "no screenshot");

        // An origin that goes is missed, and one that comes back is found.
        origin.kill();
        drop(encoder);
        let gone = seen(&browser, "gone").await?;
        let headline = gone["headline"].as_str().unwrap_or_default();
        ensure!(headline.contains("does not answer"), "{gone}");
        console.line_with("trying on").await?;
        origin.start().await?;
        seen(&browser, "back").await?;
        browser.succeeded().await?;
        console.line_with("answers again").await?;
        Ok(())
    });
}

/// What a verb exits with when it fails, and what it says.
async fn verb_fails(origin: &Origin, words: &[&str]) -> Result<(Option<i32>, String)> {
    let mut verb = origin.verb_stays(words)?;
    let status = verb.ended().await?;
    Ok((status.code(), verb.log().text()))
}
