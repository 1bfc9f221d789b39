//! The ground: network namespaces of this program's own, joined to nothing outside.
//!
//! This program's namespace holds the viewers and is the router; each machine has one of its own behind a pair of virtual cards.
//! Namespaces and their names live in a mount namespace that nobody else sees: when the last process in it is gone, so are they.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Tells this program that it is inside already.
const INSIDE: &str = "SURGERY_INSIDE";

/// What is done inside before the program begins again: it and all that it starts go before whatever else the machine does.
const SET_UP: &str = "mkdir -p /run/netns && mount -t tmpfs none /run/netns || exit 71
ip link set lo up && ip route add local 198.19.0.0/16 dev lo || exit 71
echo 1 >/proc/sys/net/ipv4/ip_forward || exit 71
exec nice -n -10 \"$0\" \"$@\"";

/// What scripts/deploy/90-relay.conf sets for a server, as far as a namespace has it for itself. A key that the kernel does not
/// have is no reason to stop.
const AS_INSTALLED: &str = "echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle
echo 4096 >/proc/sys/net/core/somaxconn
echo 4096 >/proc/sys/net/ipv4/tcp_max_syn_backlog
true";

/// Programs that it takes, and Debian's packages of them.
const TOOLS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("taskset", "util-linux"),
    ("bash", "bash"),
];

/// What waits before the uplink at most, in milliseconds of its rate: a home router has more, a switch less.
const QUEUE_MS: u64 = 50;

/// What may pass at once, in milliseconds of the rate.
const BURST_MS: u64 = 1;

/// Whether it can be done here at all.
///
/// # Errors
/// A sentence that says what is missing.
pub(crate) fn is_possible() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err(
            "the evening takes root: it lays network namespaces, an uplink of 100 Mbit/s and groups with limits, and removes \
             them again. Run `sudo make surgery`"
                .to_owned(),
        );
    }
    let missing = TOOLS.iter().find(|(tool, _)| !is_installed(tool));
    missing.map_or(Ok(()), |(tool, package)| {
        Err(format!("{tool} is missing: apt-get install {package}"))
    })
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Enters namespaces of its own by starting this program again inside them.
///
/// # Errors
/// When they cannot be made.
pub(crate) fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--", "sh", "-c", SET_UP])
        .arg(program);
    command.args(std::env::args_os().skip(1)).env(INSIDE, "yes");
    // Only a failure comes back: the process goes on as the other program, and so does Ctrl-C.
    Err(command.exec()).context("entering namespaces with unshare")
}

/// A place in the network: a namespace with one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    net: u8,
}

/// Where the origin stands, and the 100 Mbit/s are.
pub(crate) const ORIGIN: Place = Place {
    name: "origin",
    net: 1,
};
/// The first edge.
pub(crate) const EDGE_1: Place = Place {
    name: "edge-1",
    net: 2,
};
/// The one that comes later.
pub(crate) const EDGE_2: Place = Place {
    name: "edge-2",
    net: 3,
};
/// Where the pictures come from.
pub(crate) const ENCODER: Place = Place {
    name: "encoder",
    net: 4,
};

/// All of them.
pub(crate) const PLACES: [Place; 4] = [ORIGIN, EDGE_1, EDGE_2, ENCODER];

impl Place {
    pub(crate) const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.net, 2)
    }

    const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.net, 1)
    }

    /// Words that start a program there, in a view of the system's files that fits.
    pub(crate) fn words(self) -> Vec<String> {
        ["ip", "netns", "exec", self.name].map(str::to_owned).to_vec()
    }

    fn lay(self) -> Result<()> {
        let Self { name, .. } = self;
        let (here, there) = (self.gateway(), self.address());
        for line in [
            format!("ip netns add {name}"),
            format!("ip link add name {name} type veth peer name eth0 netns {name}"),
            format!("ip addr add {here}/24 dev {name}"),
            format!("ip link set {name} txqueuelen 10000 up"),
            format!("ip -n {name} addr add {there}/24 dev eth0"),
            format!("ip -n {name} link set lo up"),
            format!("ip -n {name} link set eth0 txqueuelen 10000 up"),
            format!("ip -n {name} route add default via {here}"),
        ] {
            say_to_system(&line)?;
        }
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["sh", "-c", AS_INSTALLED]);
        command.stderr(std::process::Stdio::null()).status()?;
        Ok(())
    }
}

/// The ground of one evening; taken up again when it is dropped.
pub(crate) struct Ground {
    _private: (),
}

impl Ground {
    /// Lays it: all places, and the limit on the origin's uplink.
    ///
    /// # Errors
    /// When the system refuses something.
    pub(crate) fn lay() -> Result<Self> {
        ensure!(
            Path::new("/run/netns").is_dir(),
            "it is not inside its namespaces"
        );
        let ground = Self { _private: () };
        PLACES.iter().try_for_each(|place| place.lay())?;
        let bits = crate::evening::UPLINK_MBIT * 1_000_000;
        let bytes_in = |ms: u64| bits / 8 * ms / 1000;
        say_to_system(&format!(
            "tc -n {} qdisc replace dev eth0 root tbf rate {bits}bit burst {} limit {}",
            ORIGIN.name,
            bytes_in(BURST_MS),
            bytes_in(QUEUE_MS)
        ))
        .context("limiting the uplink: the kernel needs the queueing discipline tbf (sch_tbf)")?;
        Ok(ground)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for place in PLACES {
            // One that was never laid is not there, and at the end of all they go by themselves.
            let _ = say_to_system(&format!("ip link del {}", place.name));
            let _ = say_to_system(&format!("ip netns del {}", place.name));
        }
    }
}

/// Runs one line of words without quotes.
fn say_to_system(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output()
        .with_context(|| line.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{line}` says: {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_apart() {
        for (at, place) in PLACES.iter().enumerate() {
            for other in &PLACES[at + 1..] {
                assert_ne!((place.name, place.address()), (other.name, other.address()));
            }
            // A card's name has 15 bytes at most.
            assert!(place.name.len() <= 15);
        }
    }

    #[test]
    fn a_missing_tool_is_noticed() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program-anywhere"));
    }
}
