//! The kernel's memory for all TCP sockets of the machine: on small machines the first to run out.

use std::fs;

/// How many bytes are used, and where the kernel stops giving more (the third of `tcp_mem`); `None` where `/proc` does not
/// say.
pub(crate) fn tcp_memory() -> Option<(u64, u64)> {
    let page = rustix::param::page_size() as u64;
    let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
    let limits = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").ok()?;
    let (used, limit) = pages(&sockets, &limits)?;
    Some((used.saturating_mul(page), limit.saturating_mul(page)))
}

/// Pages used and granted, from the two files.
fn pages(sockets: &str, limits: &str) -> Option<(u64, u64)> {
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
    let used = tcp.split_whitespace().skip_while(|word| *word != "mem").nth(1)?;
    let limit = limits.split_whitespace().nth(2)?;
    Some((used.parse().ok()?, limit.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let sockets = "sockets: used 130\nTCP: inuse 6 orphan 0 tw 2 alloc 9 mem 41\nUDP: inuse 2 mem 0\n";
        assert_eq!(pages(sockets, "287832\t383776\t575664\n"), Some((41, 575_664)));
        assert_eq!(pages("TCP: inuse 6\n", "1 2 3"), None);
        assert_eq!(pages(sockets, "1 2"), None);
        assert!(tcp_memory().is_none_or(|(_, limit)| limit > 0));
    }
}
