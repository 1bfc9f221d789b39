//! A line of limited rate: namespaces of a story's own, which nobody else sees. All that runs in them ends with the first process there.
//!
//! A story that needs one is told twice: outside, where it starts this test program again [inside](tell_inside), and there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Process, output_of};
use crate::story::Stage;

/// Tells a test program that it is inside.
const INSIDE: &str = "RELAY_STORY_INSIDE";

/// What is done inside before the test program begins again.
const SET_UP: &str = "mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up || exit 71; exec \"$0\" \"$@\"";

/// Whether the system lets us: some containers have a root that may do little, some kernels no such queue.
const TRIAL: &str = "ip link add name trial type veth peer name lairt && tc qdisc add dev trial root tbf rate 1mbit burst 2000 limit 9000";

/// Programs that it takes, and Debian's packages of them.
const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("tc", "iproute2"), ("unshare", "util-linux")];

/// What waits before the line at most, in milliseconds of its rate: a home router has more, a switch less.
const QUEUE_MS: u64 = 50;

/// What may pass at once, in milliseconds of the rate.
const BURST_MS: u64 = 1;

/// The namespace at the far end, the card that leads there, and the addresses of both ends.
const NAME: &str = "far";
const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 2);
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 1);

/// Whether this process is inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Why no line can be laid here, if that is so.
pub fn trouble() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it takes root to lay network namespaces and a line of limited rate".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !is_there(tool)) {
        return Some(format!("{tool} is missing: apt-get install {package}"));
    }
    let trial = namespaces().args(["sh", "-c", TRIAL]).output();
    let said = match trial {
        Ok(done) if done.status.success() => return None,
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "the system gives no namespaces, or no queueing discipline tbf: {said}"
    ))
}

/// Words that start a program in namespaces of its own, which end with it.
fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ]);
    command
}

/// Tells one test of this program inside, and gives what it printed.
///
/// # Errors
/// When it fails there.
pub async fn tell_inside(stage: &Stage, test: &str) -> Result<String> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = namespaces();
    command
        .args(["sh", "-c", SET_UP])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "yes");
    let mut told = Process::spawn(stage, "inside", &mut command)?;
    let status = told.ended().await?;
    let said = told.log().text();
    ensure!(status.success(), "told inside, it says:\n{said}");
    ensure!(
        said.contains("1 passed"),
        "{test} is no test of this program:\n{said}"
    );
    Ok(said)
}

/// A line: what is at its far end sends at its rate and no more.
pub struct Line {
    _private: (),
}

impl Line {
    /// Lays it.
    ///
    /// # Errors
    /// When this process is not inside, or the system refuses something.
    pub async fn lay(mbit: u64) -> Result<Self> {
        ensure!(
            is_inside() && Path::new("/run/netns").is_dir(),
            "only inside a line can be laid"
        );
        let bytes_in = |ms: u64| mbit * 125 * ms;
        let (burst, queue) = (bytes_in(BURST_MS), bytes_in(QUEUE_MS));
        for line in [
            format!("ip netns add {NAME}"),
            format!("ip link add name {NAME} type veth peer name eth0 netns {NAME}"),
            format!("ip addr add {NEAR}/24 dev {NAME}"),
            format!("ip link set {NAME} up"),
            format!("ip -n {NAME} addr add {FAR}/24 dev eth0"),
            format!("ip -n {NAME} link set lo up"),
            format!("ip -n {NAME} link set eth0 up"),
            format!("ip -n {NAME} route add default via {NEAR}"),
            format!(
                "tc -n {NAME} qdisc replace dev eth0 root tbf rate {mbit}mbit burst {burst} limit {queue}"
            ),
        ] {
            say_to_system(&line).await?;
        }
        Ok(Self { _private: () })
    }

    /// Where the far end is.
    pub const fn address(&self) -> IpAddr {
        IpAddr::V4(FAR)
    }

    /// Words that start a program there.
    pub fn words(&self) -> Vec<String> {
        ["ip", "netns", "exec", NAME].map(str::to_owned).to_vec()
    }

    /// Bytes that came from there so far, packets, retransmissions and all.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn carried(&self) -> Result<u64> {
        let text = std::fs::read_to_string("/proc/net/dev").context("reading what the cards carried")?;
        let card = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(NAME)?.strip_prefix(':'));
        let received = card.and_then(|figures| figures.split_whitespace().next());
        received
            .with_context(|| format!("no card {NAME} in {text}"))?
            .parse()
            .context("bytes are a number")
    }

    /// Packets that found the queue before the line full.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn dropped(&self) -> Result<u64> {
        let said = say_to_system(&format!("tc -s -n {NAME} qdisc show dev eth0")).await?;
        let dropped = said
            .split("dropped ")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        dropped
            .with_context(|| said.clone())?
            .parse()
            .context("packets are a number")
    }
}

/// Runs one line of words without quotes, and gives what it printed.
async fn say_to_system(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    output_of(&mut command).await.with_context(|| line.to_owned())
}
