//! What this machine's kernel grants, read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use super::nic::Nic;
use super::settings;
use crate::limits::OpenFiles;

/// What the kernel and the process's limits grant. `None` is what the machine does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How many descriptors a process may open.
    pub open_files: OpenFiles,
    /// What the kernel has for each key of `90-relay.conf` that it knows.
    pub settings: BTreeMap<String, String>,
    /// `net.ipv4.tcp_mem`: what all TCP sockets together may hold.
    pub tcp_memory: Option<TcpMemory>,
    /// `net.ipv4.tcp_available_congestion_control`: what the kernel has loaded.
    pub congestion_available: Option<Vec<String>>,
    /// `net.ipv4.tcp_allowed_congestion_control`: what a program without privileges may choose.
    pub congestion_allowed: Option<Vec<String>>,
    /// The network card to the world, if it tells its speed.
    pub nic: Option<Nic>,
    /// Cores that this process may use.
    pub cores: u64,
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
        Self::read_below(Path::new("/proc"), Path::new("/sys"))
    }

    fn read_below(proc: &Path, sys: &Path) -> Self {
        let net = proc.join("sys/net");
        let text = |name: &str| fs::read_to_string(net.join(name)).ok();
        let words = |name: &str| Some(text(name)?.split_whitespace().map(str::to_owned).collect());
        Self {
            open_files: OpenFiles::read(),
            settings: settings::running(&proc.join("sys")),
            tcp_memory: text("ipv4/tcp_mem")
                .and_then(|text| nth(&text, 2))
                .map(|max_pages| TcpMemory {
                    max_pages,
                    page_bytes: rustix::param::page_size() as u64,
                }),
            congestion_available: words("ipv4/tcp_available_congestion_control"),
            congestion_allowed: words("ipv4/tcp_allowed_congestion_control"),
            nic: Nic::read(proc, sys),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            memory: crate::limits::memory_bytes(),
        }
    }
}

#[cfg(test)]
impl Facts {
    /// A machine that tells nothing.
    pub(crate) const fn silent() -> Self {
        Self {
            open_files: OpenFiles {
                soft: None,
                hard: None,
            },
            settings: BTreeMap::new(),
            tcp_memory: None,
            congestion_available: None,
            congestion_allowed: None,
            nic: None,
            cores: 1,
            memory: 0,
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
        let proc = std::env::temp_dir().join(format!("relay-facts-{}", std::process::id()));
        let net = proc.join("sys/net");
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
        let facts = Facts::read_below(&proc, &proc.join("none"));
        fs::remove_dir_all(&proc).unwrap();
        let setting = |key| facts.settings.get(key).map(String::as_str);
        assert_eq!(setting("net.core.rmem_max"), Some("212992"));
        assert_eq!(setting("net.core.wmem_max"), None, "it was not there");
        assert_eq!(setting("net.ipv4.tcp_slow_start_after_idle"), Some("1"));
        assert_eq!(facts.nic, None);
        assert!(facts.cores > 0);
        assert_eq!(facts.tcp_memory.map(|tcp| tcp.max_pages), Some(20_580));
        assert_eq!(
            facts.congestion_available,
            Some(vec!["reno".to_owned(), "cubic".to_owned()])
        );
        assert_eq!(facts.congestion_allowed, None);
        assert!(facts.memory > 0);
    }
}
