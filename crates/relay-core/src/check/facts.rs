//! What this machine's kernel grants, read once.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::limits::OpenFiles;

/// What the kernel and the process's limits grant. `None` is what the machine does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How many descriptors a process may open.
    pub open_files: OpenFiles,
    /// `net.core.rmem_max`: the largest receive buffer that a program may ask for, in bytes.
    pub rmem_max: Option<u64>,
    /// `net.core.wmem_max`: the same for sending.
    pub wmem_max: Option<u64>,
    /// `net.ipv4.tcp_mem`: what all TCP sockets together may hold.
    pub tcp_memory: Option<TcpMemory>,
    /// `net.ipv4.tcp_available_congestion_control`: what the kernel has loaded.
    pub congestion_available: Option<Vec<String>>,
    /// `net.ipv4.tcp_allowed_congestion_control`: what a program without privileges may choose.
    pub congestion_allowed: Option<Vec<String>>,
    /// `net.ipv4.tcp_slow_start_after_idle`.
    pub slow_start_after_idle: Option<bool>,
    /// The machine's memory in bytes.
    pub memory: u64,
}

/// The hard bound of `net.ipv4.tcp_mem`, which is counted in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpMemory {
    /// Its third number.
    pub max_pages: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
}

impl TcpMemory {
    /// The bound in bytes.
    pub const fn bytes(self) -> u64 {
        self.max_pages.saturating_mul(self.page_bytes)
    }
}

impl Facts {
    /// What holds on this machine now. Nothing is changed.
    pub fn read() -> Self {
        Self::read_below(Path::new("/proc/sys/net"))
    }

    fn read_below(net: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(net.join(name)).ok();
        let words = |name: &str| Some(text(name)?.split_whitespace().map(str::to_owned).collect());
        Self {
            open_files: OpenFiles::read(),
            rmem_max: text("core/rmem_max").and_then(|text| nth(&text, 0)),
            wmem_max: text("core/wmem_max").and_then(|text| nth(&text, 0)),
            tcp_memory: text("ipv4/tcp_mem")
                .and_then(|text| nth(&text, 2))
                .map(|max_pages| TcpMemory {
                    max_pages,
                    page_bytes: rustix::param::page_size() as u64,
                }),
            congestion_available: words("ipv4/tcp_available_congestion_control"),
            congestion_allowed: words("ipv4/tcp_allowed_congestion_control"),
            slow_start_after_idle: text("ipv4/tcp_slow_start_after_idle")
                .and_then(|text| nth::<u8>(&text, 0))
                .map(|value| value != 0),
            memory: crate::limits::memory_bytes(),
        }
    }
}

/// The number at a place of a line such as `22287 29718 44574`.
fn nth<T: FromStr>(text: &str, at: usize) -> Option<T> {
    text.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_as_it_writes_them() {
        let net = std::env::temp_dir().join(format!("relay-facts-{}", std::process::id()));
        fs::create_dir_all(net.join("core")).unwrap();
        fs::create_dir_all(net.join("ipv4")).unwrap();
        for (name, text) in [
            ("core/rmem_max", "212992\n"),
            ("ipv4/tcp_mem", "10290\t13723\t20580\n"),
            ("ipv4/tcp_available_congestion_control", "reno cubic\n"),
            ("ipv4/tcp_slow_start_after_idle", "1\n"),
        ] {
            fs::write(net.join(name), text).unwrap();
        }
        let facts = Facts::read_below(&net);
        fs::remove_dir_all(&net).unwrap();
        assert_eq!(facts.rmem_max, Some(212_992));
        assert_eq!(facts.wmem_max, None, "it was not there");
        assert_eq!(facts.tcp_memory.map(|tcp| tcp.max_pages), Some(20_580));
        assert_eq!(
            facts.congestion_available,
            Some(vec!["reno".to_owned(), "cubic".to_owned()])
        );
        assert_eq!(facts.congestion_allowed, None);
        assert_eq!(facts.slow_start_after_idle, Some(true));
        assert!(facts.memory > 0);
    }
}
