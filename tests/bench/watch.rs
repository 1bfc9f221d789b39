//! An audience: `relay-load watch` with what one measurement asks for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use relay_load::report::Report;
use relay_tests::process::{Process, command_after};
use relay_tests::wait::GLANCE;

use crate::lab::Lab;

/// How fast viewers come where no storm is asked for, per second: slow enough to cost the server little.
const RAMP: u64 = 2_000;

/// How long an audience has after its ramp before it is measured, in seconds: start bursts are over by then.
const SETTLE: u64 = 2;

/// How much longer than it should an audience may take, before it is given up.
const GRACE: Duration = Duration::from_secs(60);

/// Source addresses of viewers: one address has ports for some 28,000 connections to one server.
const SOURCES: &str = "127.1.0.0/16";

/// Viewers whose every byte is checked.
const VERIFIED: u64 = 16;

/// What is asked of an audience.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) url: String,
    pub(crate) viewers: u64,
    /// Viewers per second.
    pub(crate) ramp: u64,
    pub(crate) settle: u64,
    pub(crate) seconds: u64,
    pub(crate) mbit: u32,
    pub(crate) streams: u32,
    /// How many never read.
    pub(crate) stalled: u64,
    /// How many read at half the stream's rate.
    pub(crate) slow: u64,
    /// Whose CPU and memory is looked at.
    pub(crate) pids: Vec<u32>,
}

impl Watch {
    /// A plain audience of one stream of 1 Mbit/s.
    pub(crate) fn of(url: &str, viewers: u64, seconds: u64) -> Self {
        Self {
            url: url.to_owned(),
            viewers,
            ramp: RAMP,
            settle: SETTLE,
            seconds,
            mbit: 1,
            streams: 1,
            stalled: 0,
            slow: 0,
            pids: Vec::new(),
        }
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec!["watch".to_owned(), self.url.clone(), "--quiet".to_owned()];
        let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        option("viewers", self.viewers.to_string());
        option("ramp", format!("{}/s", self.ramp));
        option("settle", format!("{}s", self.settle));
        option("for", format!("{}s", self.seconds));
        option("verify", self.viewers.min(VERIFIED).to_string());
        option("rate", format!("{}Mbit", self.mbit));
        option("sources", SOURCES.to_owned());
        if self.streams > 1 {
            option("streams", self.streams.to_string());
        }
        if self.stalled > 0 {
            option("stall", self.stalled.to_string());
        }
        if self.slow > 0 {
            option("slow", self.slow.to_string());
            option("slow-rate", format!("{}kbit", self.mbit * 500));
        }
        if !self.pids.is_empty() {
            let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
            option("pid", pids.join(","));
        }
        words
    }

    /// Lets them come.
    ///
    /// # Errors
    /// When `relay-load` cannot be started.
    pub(crate) fn begin(&self, lab: &Lab) -> Result<Audience> {
        let json = lab.stage.folder().join(format!("watch-{}.json", unique()));
        let mut command = command_after(&lab.on_load_core(), &lab.programs.join("relay-load"));
        command.args(self.words()).arg("--json").arg(&json);
        let process = Process::spawn(&lab.stage, "relay-load watch", &mut command)?;
        let ramp = self.viewers.div_ceil(self.ramp.max(1));
        let limit = Duration::from_secs(ramp + self.settle + self.seconds) + GRACE;
        Ok(Audience {
            process,
            json,
            deadline: Instant::now() + limit,
        })
    }

    /// Lets them come, and waits for what they say.
    ///
    /// # Errors
    /// As for [`Audience::report`].
    pub(crate) async fn run(&self, lab: &Lab) -> Result<Report> {
        self.begin(lab)?.report().await
    }
}

/// An audience that watches.
pub(crate) struct Audience {
    process: Process,
    json: PathBuf,
    deadline: Instant,
}

impl Audience {
    /// Waits until they are through, and reads what they say. That some of it is not as it should be is no error here.
    ///
    /// # Errors
    /// When they end without a report, or do not end.
    pub(crate) async fn report(mut self) -> Result<Report> {
        while self.process.is_running()? {
            if Instant::now() > self.deadline {
                bail!("relay-load watch does not end:\n{}", self.tail());
            }
            tokio::time::sleep(GLANCE).await;
        }
        self.process.ended().await?;
        let text = std::fs::read_to_string(&self.json)
            .with_context(|| format!("relay-load watch left no report:\n{}", self.tail()))?;
        std::fs::remove_file(&self.json)?;
        serde_json::from_str(&text).context("reading the report of relay-load watch")
    }

    fn tail(&self) -> String {
        let lines = self.process.log().lines();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// Lines of a failed program that are shown.
const TAIL: usize = 20;

/// A number that this process gives out once.
fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_command_line() {
        let mut watch = Watch::of("http://127.0.0.1:1/live/a.flv", 10, 5);
        assert_eq!(
            watch.words().join(" "),
            "watch http://127.0.0.1:1/live/a.flv --quiet --viewers 10 --ramp 2000/s --settle 2s --for 5s \
             --verify 10 --rate 1Mbit --sources 127.1.0.0/16"
        );
        watch.slow = 3;
        watch.mbit = 4;
        watch.pids = vec![1, 2];
        assert!(
            watch
                .words()
                .join(" ")
                .ends_with("--slow 3 --slow-rate 2000kbit --pid 1,2")
        );
    }
}
