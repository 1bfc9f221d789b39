//! More edges by themselves: the origin starts one when those that are there run short, and no program that it starts for
//! that can hold it up.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::encoder::Encoder;
use relay_tests::footage::Synthetic;
use relay_tests::http::ask;
use relay_tests::ledger::Ledger;
use relay_tests::process::{Log, is_alive, output_of};
use relay_tests::story::{Stage, Turn, profile_dir, story, workspace_dir};
use relay_tests::strays::Strays;
use relay_tests::viewer::{Flavour, Viewer};
use relay_tests::wait::until;
use rustix::process::{Pid, Signal};

const STREAM: &str = "live/cam";

/// More viewers than fit on one edge of the story.
const MANY: usize = 12;

/// Where the origin sends one more viewer: elsewhere, or to itself.
async fn next_place(origin: &Origin) -> Result<String> {
    let url = origin.flv(STREAM);
    let answer = ask("HEAD", &url, "").await?;
    match answer.head.status {
        200 => Ok(url),
        302 => Ok(answer.head.header("location").context("a place")?.to_owned()),
        other => anyhow::bail!("one more viewer is answered {other}: {}", answer.text()),
    }
}

/// A viewer who goes where the origin sends it, and asks again when that is full, as players do, or when it is one of the places
/// to be avoided.
async fn comes(origin: &Origin, ledger: &Ledger, avoided: &[String]) -> Result<Viewer> {
    until("one more viewer to be served", async || {
        let place = next_place(origin).await.ok()?;
        if avoided.iter().any(|avoided| place.starts_with(avoided)) {
            return None;
        }
        let mut viewer = Viewer::watch(Flavour::Http11, &place, Some(ledger));
        viewer.gets(1).await.ok().map(|()| viewer)
    })
    .await
}

async fn runs(node: &Node, outcome: &str) -> Option<f64> {
    let label = format!("outcome=\"{outcome}\"");
    node.metrics()
        .await
        .ok()?
        .sum_where("relay_scale_out_runs_total", &label)
}

async fn has_run(node: &Node, outcome: &str, times: f64) -> Result<()> {
    until(format!("{times} runs to be {outcome}"), async || {
        (runs(node, outcome).await? >= times).then_some(())
    })
    .await
}

/// `[scale_out]` with a command and further keys.
fn hook(command: &[&str], keys: &str) -> String {
    let words: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
    format!("\n[scale_out]\ncommand = [{}]\n{keys}\n", words.join(", "))
}

#[test]
fn a_second_edge_joins_by_itself() {
    story("scale_out", Turn::Beside, async |stage| {
        let strays = Strays::below(stage.folder().join("strays"));
        let command = strays.hook("3Mbit")?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let keys = format!(
            "uplink = \"20Mbit\"\n{}",
            hook(&command, "cooldown = \"1s\"\nmax_edges = 2")
        );
        let mut origin = Origin::of_pool(stage, Ports::free(), &keys)?;
        origin.start().await?;
        let mut one = origin.edge("one").await?;
        one.configure("[edge]\ncapacity = \"3Mbit\"");
        one.start().await?;
        let ledger = Ledger::default();
        let url = origin.publish_url(STREAM).await?;
        let footage = Synthetic {
            video_kbps: 250,
            ..Synthetic::default()
        };
        let _encoder = Encoder::publish(&url, footage.play(), &ledger).await?;
        one.shows(STREAM).await?;

        // Viewers come, one a second or so, until it is noticed.
        let mut noticed = pin!(noticed(Arc::clone(origin.log()?)));
        let mut viewers = Vec::new();
        let (begun, used) = loop {
            ensure!(viewers.len() < MANY, "nothing is started for {MANY} viewers");
            let one_more = async {
                let mut viewer = comes(&origin, &ledger, &[]).await?;
                viewer.gets(100).await.map(|()| viewer)
            };
            tokio::select! {
                noticed = &mut noticed => break noticed?,
                viewer = one_more => viewers.push(viewer?),
            }
        };
        ensure!((60..=100).contains(&used), "started at {used} %");
        println!(
            "scale_out: {} viewers came, {used} % was given away",
            viewers.len()
        );

        // It joins, and takes those who come from now on. For a moment the probe may have its only room: as long as a stream's
        // rate is not known, each viewer counts as one of 2.5 Mbit/s.
        let known = [one.flv(STREAM), origin.flv(STREAM)];
        let mut newest = comes(&origin, &ledger, &known).await?;
        newest.gets(50).await?;
        newest.is_content()?;
        println!(
            "scale_out: it serves viewers {:.1?} after it was wanted",
            begun.elapsed()
        );
        has_run(&origin, "ok", 1.0).await?;
        until("nobody to be on the way", async || {
            let kept = std::fs::read_to_string(origin.state_dir().join("started.json")).ok()?;
            (kept.trim() == "[]").then_some(())
        })
        .await?;

        // There may be two, and two there are.
        let strays = strays.list();
        ensure!(strays.len() == 1, "{} were started", strays.len());
        let (pid, log) = &strays[0];
        let token = environment_of(*pid, "RELAY_JOIN")?;
        stage.keep_secret(&token);
        ensure!(!log.contains(&token), "the edge printed its token");
        let tokens = origin.verb_says(&["token", "list"]).await?;
        ensure!(tokens.contains("used up"), "{tokens}");
        for viewer in &mut viewers {
            viewer.gets(50).await?;
            viewer.is_content()?;
        }
        Ok(())
    });
}

/// Waits until an edge is started; when that was, and how many hundredths were given away.
async fn noticed(log: Arc<Log>) -> Result<(Instant, u64)> {
    until("an edge to be started", async || {
        let lines = log.lines();
        let line = lines.iter().find(|line| line.contains("\"starting an edge\""))?;
        let told: serde_json::Value = serde_json::from_str(line).ok()?;
        Some((Instant::now(), told["use_percent"].as_u64()?))
    })
    .await
}

/// A variable of another process's environment.
fn environment_of(pid: Pid, name: &str) -> Result<String> {
    let all = std::fs::read_to_string(format!("/proc/{}/environ", pid.as_raw_nonzero()))?;
    let found = all
        .split('\0')
        .find_map(|each| each.strip_prefix(name)?.strip_prefix('='));
    Ok(found.with_context(|| format!("{name} is not set"))?.to_owned())
}

/// An origin that runs `script` as soon as one viewer is there, with that viewer.
async fn with_hook(
    stage: &Stage,
    script: &str,
    keys: &str,
    ledger: &Ledger,
) -> Result<(Origin, Encoder, Viewer)> {
    let keys = hook(&["/bin/sh", "-c", script], &format!("from = 1\n{keys}"));
    let mut origin = Origin::of_pool(stage, Ports::free(), &format!("uplink = \"20Mbit\"\n{keys}"))?;
    origin.start().await?;
    let url = origin.publish_url(STREAM).await?;
    let encoder = Encoder::publish(&url, Synthetic::default().play(), ledger).await?;
    origin.shows(STREAM).await?;
    let mut viewer = Viewer::watch(Flavour::Http11, &origin.flv(STREAM), Some(ledger));
    viewer.gets(50).await?;
    Ok((origin, encoder, viewer))
}

#[test]
fn one_that_hangs_or_prints_without_end_is_cut_off() {
    for (name, script, outcome, reason) in [
        ("hook_hangs", "sleep 1000", "timed_out", "at its time limit"),
        (
            "hook_prints",
            "echo $RELAY_JOIN; head -c 100000000 /dev/zero; sleep 1000",
            "failed",
            "it printed more than",
        ),
    ] {
        story(name, Turn::Beside, async |stage| {
            let ledger = Ledger::default();
            let keys = "cooldown = \"1s\"\ntime_limit = \"1s\"";
            let (mut origin, _encoder, mut viewer) = with_hook(stage, script, keys, &ledger).await?;
            origin.process()?.line_with("starting an edge").await?;
            let begun = Instant::now();
            has_run(&origin, outcome, 1.0).await?;
            println!("{name}: {outcome} {:.1?} after its start", begun.elapsed());
            let line = origin.process()?.line_with("starting an edge failed").await?;
            ensure!(line.contains(reason), "{line}");
            ensure!(line.len() < 4096, "{} bytes in one line", line.len());
            // Its machine may be on the way, so no other is started although one is wanted; and who watches missed nothing.
            viewer.gets(200).await?;
            viewer.missed_nothing()?;
            ensure!(runs(&origin, outcome).await == Some(1.0), "it ran again");
            ensure!(
                !origin.log()?.text().contains("relay-join-1."),
                "a token was printed"
            );
            Ok(())
        });
    }
}

#[test]
fn one_that_fails_is_tried_again_and_its_token_taken_back() {
    story("hook_fails", Turn::Beside, async |stage| {
        let ledger = Ledger::default();
        let script = "echo no quota >&2; exit 3";
        let (mut origin, _encoder, viewer) = with_hook(stage, script, "cooldown = \"1s\"", &ledger).await?;
        has_run(&origin, "failed", 2.0).await?;
        let line = origin.process()?.line_with("starting an edge failed").await?;
        ensure!(
            line.contains("no quota") && line.contains("exit status: 3"),
            "{line}"
        );
        let tokens = origin.verb_says(&["token", "list"]).await?;
        ensure!(tokens.matches("revoked").count() >= 2, "{tokens}");
        viewer.missed_nothing()
    });
}

/// It does not outlive the origin, nor hold up its end.
#[test]
fn one_that_runs_ends_with_the_origin() {
    story("hook_ends", Turn::Beside, async |stage| {
        let ledger = Ledger::default();
        let note = stage.folder().join("pid");
        let script = format!("sleep 1000 & echo $! >{}; wait", note.display());
        let (mut origin, _encoder, _viewer) = with_hook(stage, &script, "", &ledger).await?;
        let child = until("the program to run", async || {
            let pid = std::fs::read_to_string(&note).ok()?;
            pid.ends_with('\n')
                .then(|| PathBuf::from("/proc").join(pid.trim()))
        })
        .await?;
        ensure!(is_alive(&child), "{}", child.display());
        let begun = Instant::now();
        origin.process()?.signal(Signal::TERM)?;
        origin.process()?.succeeded().await?;
        println!(
            "hook_ends: the origin ended {:.1?} after it was asked to",
            begun.elapsed()
        );
        until("what the program started to be gone", async || {
            (!is_alive(&child)).then_some(())
        })
        .await
    });
}

#[test]
fn one_that_cannot_be_run_is_a_mistake_in_the_file() {
    story("hook_wrong", Turn::Beside, async |stage| {
        let plain = stage.folder().join("plain");
        std::fs::write(&plain, "#!/bin/sh\n")?;
        let keys = hook(&[&plain.to_string_lossy()], "");
        let origin = Origin::of_pool(stage, Ports::free(), &keys)?;
        let (code, said) = origin.refuses_to_start().await?;
        ensure!(code == Some(78), "{code:?}: {said}");
        ensure!(
            said.contains("it cannot be executed: Permission denied"),
            "{said}"
        );
        ensure!(
            origin.verb_says(&["check"]).await.is_err(),
            "`check` does not say so"
        );
        Ok(())
    });
}

#[test]
fn the_script_says_what_it_lacks() {
    story("scale_out_here", Turn::Beside, async |stage| {
        let script = workspace_dir().join("scripts/scale-out-here");
        let fails = async |arguments: &[&str], join: &str| {
            let mut command = std::process::Command::new(&script);
            command.args(arguments).env("RELAY_JOIN", join);
            let error = output_of(&mut command).await.err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        let lacks = fails(&[], "").await;
        ensure!(
            lacks.contains("exit status: 64") && lacks.contains("RELAY_JOIN has no token"),
            "{lacks}"
        );
        let odd = fails(&["--colour", "red"], "x").await;
        ensure!(odd.contains("'--colour' is not understood"), "{odd}");
        let program = profile_dir()?.join("relay-edge");
        let folder = stage.folder().join("strays");
        let words = [
            "--folder",
            &folder.to_string_lossy(),
            "--program",
            &program.to_string_lossy(),
        ];
        let ended = fails(&words, "no token").await;
        ensure!(
            ended.contains("exit status: 1") && ended.contains("the edge has ended"),
            "{ended}"
        );
        Ok(())
    });
}
