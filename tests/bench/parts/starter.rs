//! Inside a small cloud instance: an edge with one CPU, 900 MB and the TCP memory of such a machine, its origin outside.
//!
//! The audience grows from step to step, and comes within five seconds each time. The last that was served whole is what such
//! an instance carries; the first that was not says what its first limit is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use relay_tests::cluster::{Node, Ports, edge_with_token};
use relay_tests::story::workspace_dir;

use crate::lab::Lab;
use crate::noise::Noise;
use crate::part::Part;
use crate::results::Measured;
use crate::sample::{Contender, Sample, Setting};
use crate::server::{Streams, fanout_table, start_origin};
use crate::watch::Watch;

/// The audiences, each tried if the one before was served whole.
const STEPS: [u64; 8] = [5_000, 7_500, 10_000, 11_000, 12_000, 13_000, 14_000, 16_000];

/// All of an audience come within so many seconds.
const WITHIN: u64 = 5;

/// What a machine of 900 MB gives the log by default, a quarter: inside, the edge sees the whole machine's memory.
const LOG_BUDGET: &str = "225MB";

/// The name of the group.
const GROUP: &str = "relay-bench";

/// Times that the system killed something in the group for its memory.
pub(crate) const KILLED: &str = "killed";

/// Times that sockets in the group were refused memory.
pub(crate) const TCP_REFUSED: &str = "tcp memory refused";

/// Times that the group was held back until its next slice of CPU.
pub(crate) const THROTTLED: &str = "throttled";

/// Largest memory of the group, in bytes.
pub(crate) const PEAK: &str = "peak memory";

/// Share of on-time bytes that counts as served whole: the bar of ten thousand.
pub(crate) const ON_TIME: f64 = 0.995;

pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Starter);
    if !rustix::process::geteuid().is_root() {
        measured
            .notes
            .push("Not measured: groups with limits take root.".to_owned());
        return Ok(measured);
    }
    let steps = lab.audiences(&STEPS);
    for (round, viewers) in (1..).zip(steps) {
        let sample = step(lab, viewers, round).await?;
        let is_whole = is_served_whole(&sample);
        measured.samples.push(sample);
        if !is_whole {
            break;
        }
    }
    Ok(measured)
}

/// Whether all of an audience were served as they should, and nothing was killed.
pub(crate) fn is_served_whole(sample: &Sample) -> bool {
    let killed = sample.extra.get(KILLED).copied().unwrap_or_default();
    let Sample { setting, report, .. } = sample;
    sample.served() == setting.viewers
        && report.closed == 0
        && report.delivery.on_time >= ON_TIME
        && killed == 0.0
}

/// A fresh group for each step, so that its counts are of this step alone.
async fn step(lab: &Lab, viewers: u64, round: u32) -> Result<Sample> {
    lab.say(&format!("{viewers} viewers within {WITHIN} s, inside"));
    let setting = Setting::of(viewers);
    let streams = Streams::of(&setting);
    let origin = start_origin(lab, lab.on_load_core(), &fanout_table(None)).await?;
    let _publisher = streams.publish(lab, &origin)?;
    // Before the edge, so that it is dropped after it.
    let group = Group::new();
    let mut edge = edge_with_token(&lab.stage, "edge", Ports::free(), &origin.token().await?)?;
    edge.configure(&format!(
        // The bench looks at what happens beyond the point where an edge would refuse.
        "[edge]\ncapacity = \"1000Gbit\"\n{}\n[limits]\nlog_budget = \"{LOG_BUDGET}\"",
        fanout_table(None)
    ));
    edge.launched_by(group.words());
    edge.start().await?;
    edge.shows(&streams.last()).await?;
    let sample = watch(lab, &edge, &setting, round, &group).await;
    edge.stop();
    sample
}

async fn watch(lab: &Lab, edge: &Node, setting: &Setting, round: u32, group: &Group) -> Result<Sample> {
    let pid = edge.pid()?;
    let watch = Watch {
        ramp: setting.viewers.div_ceil(WITHIN).max(1),
        pids: vec![pid],
        ..Watch::of(
            &Streams::of(setting).url(edge, false),
            setting.viewers,
            lab.seconds(Part::Starter),
        )
    };
    let listening = Noise::listen(&lab.cores());
    let report = watch.run(lab).await?;
    Ok(Sample {
        contender: Contender::Relay,
        setting: setting.clone(),
        look: String::new(),
        round,
        server: pid,
        report,
        noise: listening.finish(),
        extra: group.counts(),
    })
}

/// The group that `scripts/starter` makes.
struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    fn new() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let folders = if root.join("cgroup.controllers").exists() {
            vec![root.join(GROUP)]
        } else {
            ["cpu", "memory"].map(|kind| root.join(kind).join(GROUP)).to_vec()
        };
        Self { folders }
    }

    /// Words that start a program inside.
    fn words(&self) -> Vec<String> {
        let script = workspace_dir().join("scripts/starter");
        [&script.display().to_string(), "--name", GROUP, "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// What the system counted, by whichever version of groups it has.
    fn counts(&self) -> BTreeMap<String, f64> {
        let read = |name: &str| {
            let mut found = self.folders.iter().map(|folder| folder.join(name));
            found.find_map(|path| std::fs::read_to_string(path).ok())
        };
        let one = |name: &str| read(name).and_then(|text| text.trim().parse().ok());
        let line = |name: &str, key: &str| value_of(&read(name)?, key);
        let counts = [
            (
                KILLED,
                line("memory.events", "oom_kill").or_else(|| line("memory.oom_control", "oom_kill")),
            ),
            (TCP_REFUSED, one("memory.kmem.tcp.failcnt")),
            (THROTTLED, line("cpu.stat", "nr_throttled")),
            (
                PEAK,
                one("memory.peak").or_else(|| one("memory.max_usage_in_bytes")),
            ),
        ];
        let known = counts
            .into_iter()
            .filter_map(|(name, count)| Some((name.to_owned(), count?)));
        known.collect()
    }
}

/// Removes it; whoever has one of these drops what runs inside first.
impl Drop for Group {
    fn drop(&mut self) {
        for folder in self.folders.iter().filter(|folder| folder.exists()) {
            if let Err(error) = std::fs::remove_dir(folder) {
                eprintln!("{} is left behind: {error}", folder.display());
            }
        }
    }
}

fn value_of(text: &str, key: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.split_ascii_whitespace().next() == Some(key))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;

    #[test]
    fn reads_a_groups_counts() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(value_of(text, "oom_kill"), Some(3.0));
        assert_eq!(value_of(text, "oom"), None);
    }

    #[test]
    fn one_that_was_killed_or_lost_viewers_did_not_serve_them_whole() {
        let whole = sample(Contender::Relay, Setting::of(5_000), 1, 0.5, 90.0);
        assert!(is_served_whole(&whole));
        let mut killed = whole.clone();
        killed.extra.insert(KILLED.to_owned(), 1.0);
        assert!(!is_served_whole(&killed));
        let mut late = whole.clone();
        late.report.delivery.on_time = 0.99;
        assert!(!is_served_whole(&late));
        let mut left = whole;
        left.report.closed = 1;
        assert!(!is_served_whole(&left));
    }
}
