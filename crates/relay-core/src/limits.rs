//! What an operator may change of the bounds, in [`Limits`], and the constants of the admin side and the files. A bound that
//! belongs to one module stands in that module, with its reason, and nowhere else.

use std::fmt;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::config::{ByteSize, Program, Seconds};

/// Connections that the metrics listener serves at once: a few scrapers, a few probes, and a person who looks.
pub const METRICS_CONNECTIONS: usize = 64;

/// Connections that the admin API serves at once: people and scripts of one operator.
pub const ADMIN_CONNECTIONS: usize = 32;

/// The largest request body that the admin API reads: its requests are a handful of fields.
pub const ADMIN_BODY_BYTES: usize = 16 * 1024;

/// The largest answer that the command line reads from the admin API: a list of 50,000 viewers at 300 bytes.
pub const ADMIN_REPLY_BYTES: usize = 16 << 20;

/// How long the command line waits for the admin API: beyond this an operator wants to know rather than to wait.
pub const ADMIN_PATIENCE: Duration = Duration::from_secs(10);

/// Viewers in one answer of the admin API: more than a person reads, and within [`ADMIN_REPLY_BYTES`].
pub const ADMIN_LISTED_VIEWERS: usize = 10_000;

/// Listeners to the admin API's snapshots: half of [`ADMIN_CONNECTIONS`], so that the command line's verbs still get in.
pub const ADMIN_LISTENERS: usize = ADMIN_CONNECTIONS / 2;

/// How often listeners get a snapshot.
pub const ADMIN_SNAPSHOT: Duration = Duration::from_secs(1);

/// A listener that takes nothing for so long is let go: it is a tab that was put to sleep, and comes back by itself.
pub const ADMIN_LISTENER_PATIENCE: Duration = Duration::from_secs(30);

/// Streams, and edges, in one snapshot, the worst first: a snapshot of so many has some 500 KB and is made in milliseconds.
pub const ADMIN_SNAPSHOT_ROWS: usize = 1000;

/// Connections that the console's forwarder serves at once: a browser keeps six. Fewer than [`ADMIN_CONNECTIONS`], for the
/// same reason.
pub const CONSOLE_CONNECTIONS: usize = 24;

/// How long a request to the console's forwarder may take to be said, and how long a connection of it may idle.
pub const CONSOLE_HEAD_TIME: Duration = Duration::from_secs(10);

/// The largest configuration file: the example, comments and all, is a tenth of it.
pub const CONFIG_BYTES: u64 = 256 * 1024;

/// The largest file that holds a token: far more than one token, far less than a mistaken path to a film.
pub const TOKEN_FILE_BYTES: u64 = 16 * 1024;

/// Descriptors kept from connections, for the listeners, the links, the log's segments, metrics and admin; half of them all
/// where there are few.
pub const RESERVED_FILES: u64 = 512;

/// The least number of descriptors with which a node comes up: its runtime, listeners, links, log and a few connections.
pub const LEAST_FILES: u64 = 64;

/// The part of what is left that connections may take which are not viewers yet.
const HANDSHAKE_SHARE: u64 = 4;

/// The lowest of the highest descriptors, counted from the limit, that a connection may not have: whatever it was that
/// took the rest, those who look after the node still get in.
pub(crate) const LAST_FILES: u64 = 16;

/// The part of a machine's memory that an edge's log may fill; the rest is for the kernel's sockets and the program.
const EDGE_MEMORY_SHARE: u64 = 4;

/// The origin's log budget: half a minute of fifty streams at 2.5 Mbit/s, in a corner of an 8 GB server.
const ORIGIN_LOG_BYTES: u64 = 512_000_000;

/// `[limits]`: the bounds that an operator may change. Each one that bites is counted in a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Streams on this node. Default `1000`; an idle one costs some 10 KB.
    pub max_streams: u32,
    /// Viewers on this node, all streams and protocols together. Default `50000`; each costs some 30 KB, nearly all of it
    /// in the kernel, and one descriptor.
    pub max_viewers: u32,
    /// Connections that are no viewers yet, and publishers. Default `1024`; each may hold 16 KB for up to
    /// `handshake_time`. One more waits in the kernel's queue.
    pub max_handshakes: u32,
    /// How long a connection may take to say what it wants: HTTP head, or RTMP up to publish or play. Default `5s`.
    pub handshake_time: Seconds,
    /// The memory for all streams' logs together. Default: `512MB` on the origin, a quarter of the memory on an edge. Over
    /// it the oldest groups go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_budget: Option<ByteSize>,
    /// How much of the past is kept so that an edge can go on where it was cut off. Default `30s`; costs the streams' bytes
    /// of that time.
    pub resume_window: Seconds,
    /// A group so late on a link gives way to a newer one. Default `10s`. Longer loses less and lags more.
    pub max_lag: Seconds,
    /// A viewer so late skips to the newest start point. Default `5s`. Longer skips less and lags more.
    pub max_late: Seconds,
    /// A viewer with bytes waiting that takes none for so long is closed. Default `15s`.
    pub no_progress: Seconds,
    /// A publisher from whom nothing comes for so long is closed. Default `20s`.
    pub publisher_silence: Seconds,
    /// What one publisher's messages may take here before they are in the log, finished and unfinished. Default `64MiB`, with
    /// which a message may have 16 MiB, and never more than a quarter of it.
    pub publisher_memory: ByteSize,
    /// Children on this node. Default `256`; each takes a copy of every stream.
    pub max_children: u32,
    /// Nodes between the origin and the last edge, that edge included. Default `4`. Each adds its path's delay.
    pub max_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 1000,
            max_viewers: 50_000,
            max_handshakes: 1024,
            handshake_time: Seconds::new(5),
            log_budget: None,
            resume_window: Seconds::new(30),
            max_lag: Seconds::new(10),
            max_late: Seconds::new(5),
            no_progress: Seconds::new(15),
            publisher_silence: Seconds::new(20),
            publisher_memory: ByteSize::from_bytes(64 << 20),
            max_children: 256,
            max_depth: 4,
        }
    }
}

impl Limits {
    /// The log's budget in bytes for a program on this machine.
    pub fn log_bytes(&self, program: Program) -> u64 {
        match (self.log_budget, program) {
            (Some(size), _) => size.bytes(),
            (None, Program::Origin) => ORIGIN_LOG_BYTES,
            (None, Program::Edge) => memory_bytes() / EDGE_MEMORY_SHARE,
        }
    }
}

/// The machine's memory, or what this process's control group leaves of it: a container's is often a small part.
pub(crate) fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let bytes = u128::from(info.totalram) * u128::from(info.mem_unit);
    let machine = u64::try_from(bytes).unwrap_or(u64::MAX);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_memory(&groups, |path| std::fs::read_to_string(path).ok());
    group.map_or(machine, |group| group.min(machine))
}

/// The memory of the control groups that `/proc/self/cgroup` names, of version 2 or 1 (cgroups(7)). Within a container the
/// names may be those outside it: then its own are at the root.
fn group_memory(groups: &str, read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let limit = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match (number, controllers) {
            ("0", "") => ("/sys/fs/cgroup", "memory.max"),
            (_, "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let path = path.trim_end_matches('/');
        let own = read(&format!("{root}{path}/{file}")).or_else(|| read(&format!("{root}/{file}")));
        // "max" is no limit.
        own?.trim().parse().ok()
    };
    groups.lines().filter_map(limit).min()
}

/// How many descriptors this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// What holds now; `None` is no bound.
    pub soft: Option<u64>,
    /// What the process may raise it to; `None` is no bound.
    pub hard: Option<u64>,
}

impl OpenFiles {
    /// What holds now.
    pub fn read() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Self {
            soft: current,
            hard: maximum,
        }
    }

    /// Raises the soft bound to the hard one: each viewer is a descriptor. Where the system refuses, what held before
    /// still holds; the value returned is the truth.
    pub fn raise() -> Self {
        let before = Self::read();
        if before.soft != before.hard {
            let wanted = Rlimit {
                current: before.hard,
                maximum: before.hard,
            };
            if let Err(error) = setrlimit(Resource::Nofile, wanted) {
                tracing::warn!(%error, "cannot raise the number of open files");
            }
        }
        Self::read()
    }

    /// Whether a node can do with so few.
    ///
    /// # Errors
    /// When it cannot; said before anything is opened, since libraries below would panic.
    pub fn enough(self) -> Result<Self, TooFewFiles> {
        match self.soft {
            Some(files) if files < LEAST_FILES => Err(TooFewFiles(files)),
            _ => Ok(self),
        }
    }

    /// How many connections fit, of viewers and others, after what the program itself needs.
    pub fn connections(self) -> u64 {
        let all = self.soft.unwrap_or(u64::MAX);
        all - RESERVED_FILES.min(all / 2)
    }

    /// How many of them may be something else than viewers, where `wanted` are asked for.
    pub fn handshakes(self, wanted: u32) -> u32 {
        let most = (self.connections() / HANDSHAKE_SHARE).max(1);
        u32::try_from(most).unwrap_or(u32::MAX).min(wanted)
    }

    /// How many viewers fit beside the usual number of others.
    pub fn viewers(self) -> u64 {
        self.viewers_beside(Limits::default().max_handshakes)
    }

    /// How many viewers fit where `handshakes` others are asked for.
    pub fn viewers_beside(self, handshakes: u32) -> u64 {
        self.connections() - u64::from(self.handshakes(handshakes)).min(self.connections())
    }

    /// The same after [`raise`](Self::raise), for a program that only looks.
    #[must_use]
    pub const fn raised(self) -> Self {
        Self {
            soft: self.hard,
            hard: self.hard,
        }
    }
}

/// The process may open too few files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may open {0} files and needs {LEAST_FILES} at least: raise LimitNOFILE in the unit, or `ulimit -Hn`"
)]
pub struct TooFewFiles(u64);

impl fmt::Display for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.soft {
            Some(files) => write!(f, "{files} open files (room for {} viewers)", self.viewers()),
            None => f.write_str("any number of open files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_budget_on_every_machine() {
        let limits = Limits::default();
        assert_eq!(limits.log_bytes(Program::Origin), 512_000_000);
        let edge = limits.log_bytes(Program::Edge);
        assert!(
            edge > 16 << 20,
            "a quarter of this machine's memory is {edge} bytes"
        );
        let stated = Limits {
            log_budget: Some(ByteSize::from_bytes(1 << 20)),
            ..limits
        };
        assert_eq!(stated.log_bytes(Program::Edge), 1 << 20);
    }

    #[test]
    fn a_control_group_leaves_less_than_the_machine() {
        let files = |path: &str| match path {
            "/sys/fs/cgroup/memory/small/memory.limit_in_bytes" => Some("900000000\n".to_owned()),
            "/sys/fs/cgroup/pod/memory.max" => Some("max\n".to_owned()),
            "/sys/fs/cgroup/memory.max" => Some("536870912\n".to_owned()),
            _ => None,
        };
        let first = "9:cpu:/small\n4:memory:/small\n0::/\n";
        assert_eq!(
            group_memory(first, |path| files(path).filter(|_| path.contains("/memory/"))),
            Some(900_000_000)
        );
        assert_eq!(group_memory("0::/pod\n", files), None, "max");
        assert_eq!(
            group_memory("0::/of/the/host\n", files),
            Some(536_870_912),
            "a container's own"
        );
        assert_eq!(group_memory("nonsense\n::\n", files), None);
    }

    #[test]
    fn raising_reaches_the_hard_bound_and_says_what_it_means() {
        let after = OpenFiles::raise();
        assert_eq!(after.soft, after.hard);
        let few = OpenFiles {
            soft: Some(1024),
            hard: Some(4096),
        };
        assert_eq!(few.to_string(), "1024 open files (room for 384 viewers)");
        assert_eq!(few.raised().viewers(), (4096 - RESERVED_FILES) / 4 * 3);
    }

    /// R66: whatever the bound, viewers, others and the program itself fit into it together.
    #[test]
    fn every_descriptor_is_promised_once() {
        for soft in [0, 1, 3, 16, 64, 1000, 1024, 1_048_576, u64::MAX] {
            let files = OpenFiles {
                soft: Some(soft),
                hard: None,
            };
            for wanted in [16, 1024, 65_536] {
                let (viewers, others) = (files.viewers_beside(wanted), files.handshakes(wanted));
                assert!(
                    viewers + u64::from(others) <= files.connections().max(1),
                    "{soft} {wanted}"
                );
                assert!(others >= 1 && others <= wanted);
            }
            assert!(soft - files.connections() >= RESERVED_FILES.min(soft / 2));
        }
    }
}
