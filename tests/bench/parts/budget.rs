//! What one viewer costs per second, counted: system calls, wake-ups, context switches, instructions.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use relay_tests::metrics::Metrics;
use relay_tests::process::Process;
use relay_tests::tools::program;
use rustix::process::Signal;

use crate::lab::Lab;
use crate::part::Part;
use crate::results::Measured;
use crate::sample::{Contender, Sample, Setting};
use crate::server::Server;
use crate::watch::Watch;

/// The audience.
const VIEWERS: u64 = 1_000;

/// The period that the budget is written for.
pub(crate) const PERIOD_MS: u32 = 50;

/// How long each counter counts.
const COUNTING: Duration = Duration::from_secs(5);

/// Counters of the metrics page that are compared, and the names of what becomes of them.
const COUNTED: [(&str, &str); 4] = [
    ("relay_fanout_sends_total", "metric sends"),
    ("relay_fanout_short_sends_total", "metric short sends"),
    ("relay_fanout_turns_total", "metric turns of the loop"),
    ("relay_egress_bytes_total", "metric bytes"),
];

/// Voluntary context switches of all threads of the server, per second.
pub(crate) const SWITCHES: &str = "voluntary switches";

/// Instructions of the server's own code, per second; absent where the machine does not count them.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// What precedes the name of a system call.
pub(crate) const CALL: &str = "call ";

/// All figures are per second, over all viewers.
pub(crate) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut measured = lab.measured(Part::Budget);
    let setting = Setting {
        period_ms: Some(PERIOD_MS),
        ..Setting::of(lab.viewers(VIEWERS))
    };
    lab.say(&format!(
        "{} viewers, counted by metrics, strace and perf",
        setting.viewers
    ));
    let server = Server::start(lab, Contender::Relay, &setting).await?;
    // Three counts one after the other, and some room between them.
    let seconds = lab.seconds(Part::Budget).max(4 * COUNTING.as_secs());
    let watch = Watch {
        pids: vec![server.pid],
        ..Watch::of(&server.url, setting.viewers, seconds)
    };
    let wait = watch.viewers.div_ceil(watch.ramp) + watch.settle;
    let audience = watch.begin(lab)?;
    tokio::time::sleep(Duration::from_secs(wait)).await;
    measured.figures.extend(count_itself(&server).await?);
    for (counter, counted) in [
        ("strace", count_calls(lab, server.pid).await),
        ("perf", count_instructions(lab, server.pid).await),
    ] {
        match counted {
            Ok(figures) => measured.figures.extend(figures),
            Err(error) => measured
                .notes
                .push(format!("{counter} counts nothing here: {error:#}.")),
        }
    }
    measured.samples.push(Sample {
        contender: Contender::Relay,
        setting,
        look: String::new(),
        round: 1,
        server: server.pid,
        report: audience.report().await?,
        noise: crate::noise::Noise::default(),
        extra: BTreeMap::new(),
    });
    Ok(measured)
}

/// By the server's own metrics and the system's count of context switches: nothing slows it meanwhile.
async fn count_itself(server: &Server) -> Result<BTreeMap<String, f64>> {
    let node = server.node()?;
    let (page, switches) = (node.metrics().await?, voluntary_switches(server.pid)?);
    tokio::time::sleep(COUNTING).await;
    let (later, switches_later) = (node.metrics().await?, voluntary_switches(server.pid)?);
    let per_second = |count: f64| count / COUNTING.as_secs_f64();
    let mut figures: BTreeMap<String, f64> = COUNTED
        .into_iter()
        .map(|(metric, name)| (name.to_owned(), per_second(growth(&page, &later, metric))))
        .collect();
    figures.insert(SWITCHES.to_owned(), per_second(switches_later - switches));
    Ok(figures)
}

fn growth(page: &Metrics, later: &Metrics, metric: &str) -> f64 {
    later.sum(metric).unwrap_or_default() - page.sum(metric).unwrap_or_default()
}

fn voluntary_switches(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ended since the listing counts for nothing.
        let status = std::fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count
            .and_then(|count| count.trim().parse::<f64>().ok())
            .unwrap_or_default();
    }
    Ok(sum)
}

async fn count_calls(lab: &Lab, pid: u32) -> Result<BTreeMap<String, f64>> {
    let output = lab.stage.folder().join("strace.txt");
    let mut strace = program("strace")?;
    strace
        .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
        .arg(&output);
    let text = count_with(lab, "strace", &mut strace, &output).await?;
    let calls = calls(&text);
    anyhow::ensure!(!calls.is_empty(), "it saw no system call");
    let per_second = |count: f64| count / COUNTING.as_secs_f64();
    Ok(calls
        .into_iter()
        .map(|(name, count)| (format!("{CALL}{name}"), per_second(count)))
        .collect())
}

async fn count_instructions(lab: &Lab, pid: u32) -> Result<BTreeMap<String, f64>> {
    let output = lab.stage.folder().join("perf.txt");
    let mut perf = program("perf")?;
    perf.args([
        "stat",
        "-x",
        ";",
        "-e",
        "instructions:u",
        "-p",
        &pid.to_string(),
        "-o",
    ])
    .arg(&output);
    let text = count_with(lab, "perf", &mut perf, &output).await?;
    let count = instructions(&text).context("the machine gives no instruction counter")?;
    Ok(BTreeMap::from([(
        INSTRUCTIONS.to_owned(),
        count / COUNTING.as_secs_f64(),
    )]))
}

/// Lets a tool look at the server for [`COUNTING`], ends it as Ctrl-C does, and reads what it wrote.
async fn count_with(lab: &Lab, name: &str, command: &mut Command, output: &Path) -> Result<String> {
    let mut tool = Process::spawn(&lab.stage, name, command)?;
    tokio::time::sleep(COUNTING).await;
    if tool.is_running()? {
        tool.signal(Signal::INT)?;
    }
    tool.ended().await?;
    std::fs::read_to_string(output).with_context(|| tool.log().text())
}

/// The lines of `strace -c`: share, seconds, microseconds per call, calls, errors if any, name.
fn calls(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (name, count) = (*words.last()?, *words.get(3)?);
            words.first()?.parse::<f64>().ok()?;
            (name != "total").then_some(())?;
            Some((name.to_owned(), count.parse().ok()?))
        })
        .collect()
}

/// The line of `perf stat -x ';'`: the count comes first, or words where there is none.
fn instructions(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("instructions"))?;
    line.split(';').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table_of_strace() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.50    1.234567          12     98886           sendto
  1.50    0.012345           6      1984         3 epoll_pwait
------ ----------- ----------- --------- --------- ----------------
100.00    1.246912          12    100870         3 total
";
        let calls = calls(text);
        assert_eq!(calls.len(), 2);
        assert_eq!(calls["sendto"], 98_886.0);
        assert_eq!(calls["epoll_pwait"], 1_984.0);
    }

    #[test]
    fn reads_what_perf_counts_or_says() {
        assert_eq!(
            instructions("# started\n\n123456;;instructions:u;5000;100.00;;\n"),
            Some(123_456.0)
        );
        assert_eq!(instructions("<not supported>;;instructions:u;0;100.00;;\n"), None);
        assert_eq!(instructions(""), None);
    }
}
