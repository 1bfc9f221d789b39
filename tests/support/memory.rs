//! What memory a process holds: its heap, and the memfd segments, which no resident-set figure counts rightly.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, Result};

/// One look at a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Anonymous memory in use: heap and stacks.
    pub heap: u64,
    /// Pages of all its memfds.
    pub memfd: u64,
    /// How many descriptors it has open.
    pub descriptors: usize,
}

impl Memory {
    /// Looks at a process.
    ///
    /// # Errors
    /// When it is gone, or is not ours.
    pub fn of(pid: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let mut memory = Self {
            heap: kilobytes.context("the system says how much anonymous memory a process has")? * 1024,
            memfd: 0,
            descriptors: 0,
        };
        let mut seen = HashSet::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let path = entry?.path();
            memory.descriptors += 1;
            // A descriptor that was closed since the listing counts for nothing.
            let Ok(target) = std::fs::read_link(&path) else {
                continue;
            };
            if !target.to_string_lossy().starts_with("/memfd:") {
                continue;
            }
            if let Ok(metadata) = std::fs::metadata(&path)
                && seen.insert(metadata.ino())
            {
                memory.memfd += metadata.blocks() * 512;
            }
        }
        Ok(memory)
    }

    /// Heap and memfds together.
    pub const fn total(&self) -> u64 {
        self.heap + self.memfd
    }
}
