//! On what it was measured.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine, as its figures need it to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    /// Day of the measurement, by the machine's own clock.
    pub(crate) date: String,
    /// Whether a namespace of its own gave loopback an MTU of 1500.
    pub(crate) own_namespace: bool,
    /// `release`, or a build whose figures mean little.
    pub(crate) build: String,
}

impl Machine {
    /// Asks the system.
    pub(crate) fn look(own_namespace: bool, build: &str) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: kilobytes(&read("/proc/meminfo"), "MemTotal") / 1000,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: today(),
            own_namespace,
            build: build.to_owned(),
        }
    }

    /// One sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            cpu,
            cores,
            memory_mb,
            kernel,
            date,
            ..
        } = self;
        let network = if self.own_namespace {
            "a network namespace with MTU 1500 on loopback"
        } else {
            "the machine's own loopback, since it did not run as root: large segments make each byte cheaper than on a \
             wire"
        };
        let build = match self.build.as_str() {
            "release" => String::new(),
            other => format!(" **Built as `{other}`: these figures say nothing about speed.**"),
        };
        format!("{date}, {cpu}, {cores} cores, {memory_mb} MB, Linux {kernel}, {network}.{build}")
    }
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kilobytes(text: &str, key: &str) -> u64 {
    value(text, key)
        .and_then(|value| value.trim_end_matches(" kB").parse().ok())
        .unwrap_or_default()
}

/// `date` knows the calendar; a machine without it leaves the day open.
fn today() -> String {
    let said = Command::new("date").arg("+%Y-%m-%d").output();
    said.map_or_else(
        |_| "on an unknown day".to_owned(),
        |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_prints() {
        assert_eq!(
            value("processor\t: 0\nmodel name\t: AMD EPYC\n", "model name").as_deref(),
            Some("AMD EPYC")
        );
        assert_eq!(kilobytes("MemTotal:       24567890 kB\n", "MemTotal"), 24_567_890);
        assert_eq!(kilobytes("", "MemTotal"), 0);
    }

    #[test]
    fn a_build_for_trying_is_named() {
        let mut machine = Machine::look(true, "release");
        assert!(!machine.sentence().contains("Built as"));
        machine.build = "debug".to_owned();
        assert!(machine.sentence().contains("`debug`"));
    }
}
