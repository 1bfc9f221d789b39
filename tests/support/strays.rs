//! Edges that a start hook has started on this machine: no children of ours, and ended with the story all the same.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use crate::story::{profile_dir, workspace_dir};

/// Edges that `scripts/scale-out-here` starts. Drop the origin first, which starts them.
pub struct Strays(PathBuf);

impl Strays {
    /// Those with their files below a folder, which need not be there.
    pub const fn below(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The hook as the words of `[scale_out] command`: it starts edges on the loopback address that may send so much.
    ///
    /// # Errors
    /// When it is unknown where programs are built.
    pub fn hook(&self, capacity: &str) -> Result<Vec<String>> {
        let script = workspace_dir().join("scripts/scale-out-here");
        let program = profile_dir()?.join("relay-edge");
        let text = |path: &Path| path.display().to_string();
        let words = [
            &text(&script),
            "--folder",
            &text(&self.0),
            "--program",
            &text(&program),
            "--listen",
            "127.0.0.1",
            "--capacity",
            capacity,
        ];
        Ok(words.map(str::to_owned).to_vec())
    }

    /// Their process numbers and what they printed.
    pub fn list(&self) -> Vec<(Pid, String)> {
        let folders = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let each = folders.filter_map(|folder| {
            let pid = std::fs::read_to_string(folder.path().join("pid")).ok()?;
            let log = std::fs::read_to_string(folder.path().join("log")).ok()?;
            Some((Pid::from_raw(pid.trim().parse().ok()?)?, log))
        });
        each.collect()
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        for (pid, _) in self.list() {
            // One that has ended already is what is wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
