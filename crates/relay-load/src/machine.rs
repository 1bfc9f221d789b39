//! What a measurement takes of the machine: CPU and memory of the processes that were asked for, of the whole machine, of
//! TCP, and of the thread that measures. All of it is read from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::report::ProcessUse;

/// A process that was asked for is not there.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("there is no process {0}, or it may not be looked at")]
pub struct NoProcess(pub u32);

/// Watches processes and machine: [`sample`](Self::sample) it now and then, [`begin`](Self::begin) and
/// [`end`](Self::end) it where the measurement does.
#[derive(Debug)]
pub struct Observer {
    proc: PathBuf,
    processes: Vec<Watched>,
    tcp_peak_bytes: u64,
    machine_from: f64,
    own_from: f64,
}

#[derive(Debug)]
struct Watched {
    pid: u32,
    from: Cpu,
    last: Stat,
    rss_peak_bytes: u64,
}

/// What was taken from begin to end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Process by process.
    pub processes: Vec<ProcessUse>,
    /// CPU seconds of the whole machine.
    pub machine_seconds: f64,
    /// CPU seconds of the thread that calls.
    pub own_seconds: f64,
    /// The largest memory of all TCP sockets that a sample saw, in bytes.
    pub tcp_memory_bytes: u64,
}

/// Seconds of CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cpu {
    user: f64,
    system: f64,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stat {
    name: String,
    cpu: Cpu,
}

impl Observer {
    /// An observer of these processes.
    ///
    /// # Errors
    /// [`NoProcess`].
    pub fn new(pids: &[u32]) -> Result<Self, NoProcess> {
        Self::below(Path::new("/proc"), pids)
    }

    fn below(proc: &Path, pids: &[u32]) -> Result<Self, NoProcess> {
        let watched = pids.iter().map(|pid| {
            let last = stat(&proc.join(pid.to_string())).ok_or(NoProcess(*pid))?;
            Ok(Watched {
                pid: *pid,
                from: last.cpu,
                last,
                rss_peak_bytes: 0,
            })
        });
        let mut observer = Self {
            processes: watched.collect::<Result<_, _>>()?,
            proc: proc.to_owned(),
            tcp_peak_bytes: 0,
            machine_from: 0.0,
            own_from: 0.0,
        };
        observer.begin();
        Ok(observer)
    }

    /// Looks at memory, whose peak counts. A process that has ended keeps what it was last seen with.
    pub fn sample(&mut self) {
        for watched in &mut self.processes {
            let place = self.proc.join(watched.pid.to_string());
            if let Some(stat) = stat(&place) {
                watched.last = stat;
            }
            let rss = fs::read_to_string(place.join("statm"))
                .ok()
                .and_then(|text| pages_at(&text, 1));
            watched.rss_peak_bytes = watched.rss_peak_bytes.max(rss.unwrap_or(0));
        }
        let sockets = fs::read_to_string(self.proc.join("net/sockstat")).unwrap_or_default();
        self.tcp_peak_bytes = self.tcp_peak_bytes.max(tcp_bytes(&sockets).unwrap_or(0));
    }

    /// CPU counts from here on.
    pub fn begin(&mut self) {
        self.sample();
        for watched in &mut self.processes {
            watched.from = watched.last.cpu;
        }
        self.machine_from = self.machine_seconds();
        self.own_from = self.own_seconds();
    }

    /// What was taken since [`begin`](Self::begin).
    pub fn end(&mut self) -> Taken {
        self.sample();
        let processes = self.processes.iter().map(|watched| ProcessUse {
            pid: watched.pid,
            name: watched.last.name.clone(),
            user_seconds: hundredths(watched.last.cpu.user - watched.from.user),
            system_seconds: hundredths(watched.last.cpu.system - watched.from.system),
            rss_bytes: watched.rss_peak_bytes,
        });
        Taken {
            processes: processes.collect(),
            machine_seconds: hundredths(self.machine_seconds() - self.machine_from),
            own_seconds: hundredths(self.own_seconds() - self.own_from),
            tcp_memory_bytes: self.tcp_peak_bytes,
        }
    }

    fn machine_seconds(&self) -> f64 {
        let text = fs::read_to_string(self.proc.join("stat")).unwrap_or_default();
        busy_seconds(&text).unwrap_or(0.0)
    }

    fn own_seconds(&self) -> f64 {
        stat(&self.proc.join("thread-self")).map_or(0.0, |stat| stat.cpu.user + stat.cpu.system)
    }
}

fn stat(place: &Path) -> Option<Stat> {
    parse_stat(&fs::read_to_string(place.join("stat")).ok()?)
}

/// `PID (NAME) STATE …`, where the name may have blanks and parentheses of its own; user and system time are fields 14
/// and 15 (proc_pid_stat(5)).
fn parse_stat(text: &str) -> Option<Stat> {
    let (name, fields) = text.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut seconds = || fields.next()?.parse().ok().map(ticks_in_seconds);
    Some(Stat {
        name: name.to_owned(),
        cpu: Cpu {
            user: seconds()?,
            system: seconds()?,
        },
    })
}

/// All but idle and waiting for disks, of the first line: user, nice, system, idle, iowait, irq, softirq, and more.
fn busy_seconds(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let ticks = line.split_whitespace().skip(1).map(str::parse::<u64>);
    let ticks = ticks.collect::<Result<Vec<_>, _>>().ok()?;
    let busy = ticks
        .iter()
        .take(7)
        .enumerate()
        .filter(|(field, _)| !matches!(field, 3 | 4));
    Some(ticks_in_seconds(busy.map(|(_, ticks)| ticks).sum()))
}

/// `TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 1`, the memory in pages.
fn tcp_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TCP:"))?;
    let (_, pages) = line.split_once(" mem ")?;
    pages_at(pages, 0)
}

/// The number of pages at a place of a line, in bytes.
fn pages_at(text: &str, place: usize) -> Option<u64> {
    let pages: u64 = text.split_whitespace().nth(place)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Rounds to what the kernel counts in.
fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

fn ticks_in_seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read_as_it_writes_them() {
        let text = "42 (a (b) c) S 1 42 42 0 -1 4194304 1 0 0 0 250 75 0 0 20 0 1 0 5 0 0 0\n";
        let stat = parse_stat(text).unwrap();
        let second = ticks_in_seconds(rustix::param::clock_ticks_per_second());
        assert!((second - 1.0).abs() < 1e-9);
        assert_eq!(stat.name, "a (b) c");
        assert!((stat.cpu.user - ticks_in_seconds(250)).abs() < 1e-9);
        assert!((stat.cpu.system - ticks_in_seconds(75)).abs() < 1e-9);
        let text = "cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_seconds(text), Some(ticks_in_seconds(10 + 20 + 30 + 6 + 7)));
        let text = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 2 alloc 7 mem 3\nUDP: inuse 1 mem 9\n";
        assert_eq!(tcp_bytes(text), Some(3 * rustix::param::page_size() as u64));
        for broken in ["", "42", "42 (x) S 1", "cpu ", "TCP: inuse"] {
            assert_eq!(parse_stat(broken), None);
            assert_eq!(tcp_bytes(broken), None);
        }
        assert_eq!(busy_seconds("cpu x"), None);
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let pid = std::process::id();
        let mut observer = Observer::new(&[pid]).unwrap();
        let mut spun = 0_u64;
        let taken = loop {
            spun = (0..1_000_000).fold(spun, |sum: u64, n| sum.wrapping_mul(31).wrapping_add(n));
            let taken = observer.end();
            if taken.own_seconds >= 0.05 {
                break taken;
            }
        };
        assert_ne!(spun, 0);
        let [process] = &taken.processes[..] else {
            panic!("{taken:?}")
        };
        assert_eq!(process.pid, pid);
        assert!(process.user_seconds + process.system_seconds >= taken.own_seconds - 0.02);
        assert!(taken.machine_seconds > 0.0);
        assert!(process.rss_bytes > 1 << 20);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        assert_eq!(Observer::new(&[u32::MAX]).unwrap_err(), NoProcess(u32::MAX));
    }
}
