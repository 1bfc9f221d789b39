//! What parsing and framing cost, in instructions: counted by callgrind, so that no noise of the machine is in it. The
//! figures are of this build, unoptimised, and bound how they may grow; docs/performance.md has those of a release.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use relay_tests::process::output_of;
use relay_tests::story::{Stage, Turn, profile_dir, story};

/// How often a thing is done in the shorter run; the longer one does it twice as often.
const TIMES: u64 = 500;

/// What is done, and the most instructions that one time may take: a quarter above what was counted when this was written.
const BOUNDS: [(&str, u64); 5] = [
    ("read-chunks", 116_000),
    ("frame-flv", 1950),
    ("frame-rtmp", 2250),
    ("append", 350_000),
    ("read-request", 34_200),
];

#[test]
fn parsing_and_framing_cost_what_they_did() {
    story("instructions", Turn::Beside, async |stage| {
        for (what, bound) in BOUNDS {
            let (once, twice) = (run(stage, what, TIMES).await?, run(stage, what, 2 * TIMES).await?);
            let each = twice.saturating_sub(once) / TIMES;
            println!("{what}: {each} instructions, {bound} at most");
            ensure!(each > 50, "{what}: {each} instructions: nothing was done");
            ensure!(each <= bound, "{what}: {each} instructions, more than {bound}");
        }
        Ok(())
    });
}

/// The instructions of one run.
async fn run(stage: &Stage, what: &str, times: u64) -> Result<u64> {
    let out = stage.folder().join(format!("{what}-{times}.out"));
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(profile_dir()?.join("counted"))
        .arg(what)
        .arg(times.to_string());
    output_of(&mut command).await?;
    let text = std::fs::read_to_string(&out)?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let total = line.context("callgrind writes a summary")?;
    Ok(total.trim().parse()?)
}
