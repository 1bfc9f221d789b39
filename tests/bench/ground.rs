//! The network that all of it happens in: a namespace of its own, in which loopback has the MTU of a real wire.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Tells the bench that it is inside already.
const INSIDE: &str = "BENCH_INSIDE";

/// What is done inside before the bench begins again: loopback as a wire, and what scripts/deploy/90-relay.conf sets for a
/// server, as far as a namespace has it for itself. A key that the kernel does not have is no reason not to measure.
const SET_UP: &str = "ip link set lo up mtu 1500 || exit 71
sysctl -q -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096 net.ipv4.tcp_slow_start_after_idle=0 || true
exec \"$0\" \"$@\"";

/// Descriptors that the largest audience takes on each side, with room.
const DESCRIPTORS: u64 = 65_536;

/// Enters a network namespace of its own by starting this program again inside one; whether it is in one.
///
/// Without root it says so and goes on with the machine's loopback.
///
/// # Errors
/// When the namespace cannot be made though it should.
pub(crate) fn enter() -> Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "Not root: measuring on the machine's own loopback, whose MTU makes each byte cheaper than a wire does."
        );
        return Ok(false);
    }
    let program = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", SET_UP]).arg(program);
    command.args(std::env::args_os().skip(1)).env(INSIDE, "yes");
    // Only a failure comes back: the process goes on as the other program, and so does Ctrl-C.
    Err(command.exec()).context("entering a network namespace with unshare")
}

/// Raises the limit of open files as far as the system allows; children inherit it. What it does not allow shows as
/// viewers that are not served, by name.
pub(crate) fn open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Some(DESCRIPTORS);
    let above = Rlimit {
        current: wanted,
        maximum: limit.maximum.max(wanted),
    };
    if limit.maximum.is_none() || setrlimit(Resource::Nofile, above).is_err() {
        let all = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Then it stays as it is.
        let _ = setrlimit(Resource::Nofile, all);
    }
}
