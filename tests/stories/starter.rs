//! A small instance is what `scripts/starter` makes of a machine, whichever version of groups that has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use relay_tests::process::output_of;
use relay_tests::story::{Stage, Turn, story, workspace_dir};

/// What the story asks for: half a CPU, 200 MB, on the first core.
const LIMITS: [&str; 7] = ["--name", "tiny", "--cpus", "0.5", "--memory", "200000000", "--"];

/// Prints where it may run.
const INSIDE: [&str; 3] = ["grep", "Cpus_allowed_list", "/proc/self/status"];

/// Groups that take root are no matter for who has none.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("starter: left out, since groups with limits take root");
    }
    root
}

async fn starter(groups: &Path, inside: &[&str]) -> Result<String> {
    let mut command = Command::new("nice");
    command
        .args(["-n", "-3"])
        .arg(workspace_dir().join("scripts/starter"))
        .args(LIMITS)
        .args(inside)
        .env("STARTER_GROUPS", groups);
    output_of(&mut command).await
}

/// A folder that has a group's files as the kernel names them, and takes what is written to them.
fn folder(stage: &Stage, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let root = stage.folder().join(name);
    std::fs::create_dir_all(&root)?;
    for (file, text) in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        std::fs::write(path, text)?;
    }
    Ok(root)
}

fn holds(root: &Path, wanted: &[(&str, &str)]) -> Result<()> {
    for (file, text) in wanted {
        let found = std::fs::read_to_string(root.join(file))?;
        ensure!(found.trim() == *text, "{file} has {found:?}, wanted {text:?}");
    }
    Ok(())
}

#[test]
fn a_small_instance_has_its_limits_in_version_2() {
    story("starter_v2", Turn::Beside, async |stage| {
        if !is_root() {
            return Ok(());
        }
        let root = folder(
            stage,
            "groups",
            &[
                ("cgroup.controllers", "cpuset cpu io memory pids"),
                ("cgroup.subtree_control", "cpu"),
                ("tiny/memory.swap.max", "max"),
            ],
        )?;
        let said = starter(&root, &INSIDE).await?;
        ensure!(said.trim().ends_with("\t0"), "{said}");
        holds(
            &root,
            &[
                ("cgroup.subtree_control", "+memory"),
                ("tiny/cpu.max", "50000 100000"),
                ("tiny/cpu.weight.nice", "-3"),
                ("tiny/memory.max", "200000000"),
                ("tiny/memory.swap.max", "0"),
            ],
        )?;
        let inside: u32 = std::fs::read_to_string(root.join("tiny/cgroup.procs"))?
            .trim()
            .parse()?;
        ensure!(inside > 1, "{inside} is no process");

        // A kernel that has no account of memory, as some small boards have.
        let poor = folder(
            stage,
            "poor",
            &[
                ("cgroup.controllers", "cpu pids"),
                ("cgroup.subtree_control", "cpu"),
            ],
        )?;
        let error = starter(&poor, &INSIDE).await.err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        ensure!(
            error.contains("exit status: 64") && error.contains("have no memory"),
            "{error}"
        );
        ensure!(!poor.join("tiny").exists(), "a group is left");
        Ok(())
    });
}

#[test]
fn a_small_instance_has_its_limits_in_version_1() {
    story("starter_v1", Turn::Beside, async |stage| {
        if !is_root() {
            return Ok(());
        }
        let root = folder(stage, "groups", &[("cpu/tasks", ""), ("memory/tasks", "")])?;
        let said = starter(&root, &INSIDE).await?;
        ensure!(said.trim().ends_with("\t0"), "{said}");
        holds(
            &root,
            &[
                ("cpu/tiny/cpu.cfs_period_us", "100000"),
                ("cpu/tiny/cpu.cfs_quota_us", "50000"),
                // 1024 * 1.25^3
                ("cpu/tiny/cpu.shares", "2000"),
                ("memory/tiny/memory.limit_in_bytes", "200000000"),
                ("memory/tiny/memory.kmem.tcp.limit_in_bytes", "18750000"),
            ],
        )
    });
}

/// The machine's own groups, of whichever version they are.
#[test]
fn this_machine_keeps_the_limits() {
    story("starter", Turn::Beside, async |_| {
        let root = Path::new("/sys/fs/cgroup");
        let one = root.join("cpu").is_dir() && root.join("memory").is_dir();
        if !is_root() {
            return Ok(());
        }
        if !one && !root.join("cgroup.controllers").exists() {
            println!("starter: left out, since this machine has no groups");
            return Ok(());
        }
        let said = match starter(root, &["cat", "/proc/self/cgroup"]).await {
            Ok(said) => said,
            Err(error) if error.to_string().contains("exit status: 64") => {
                println!("starter: left out: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let groups = said.lines().filter(|line| line.ends_with("/tiny")).count();
        ensure!(groups == if one { 2 } else { 1 }, "{said}");
        println!("starter: groups of version {}", if one { 1 } else { 2 });
        for kind in ["cpu", "memory", "."] {
            let group = root.join(kind).join("tiny");
            ensure!(
                !group.exists() || std::fs::remove_dir(&group).is_ok(),
                "{group:?} is left"
            );
        }
        Ok(())
    });
}
