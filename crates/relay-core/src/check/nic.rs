//! The network card through which viewers are reached, as far as the machine tells.

use std::fs;
use std::path::Path;

use crate::config::Bitrate;

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// As the machine calls it: `eth0`.
    pub name: String,
    /// Its speed.
    pub speed: Bitrate,
}

impl Nic {
    /// The card of the default route or, where there is no such route, the fastest one. `None` if the speed is not told, as
    /// virtual machines often do not: `proc` and `sys` are `/proc` and `/sys`.
    pub(super) fn read(proc: &Path, sys: &Path) -> Option<Self> {
        let class = sys.join("class/net");
        let text = |name: &str| fs::read_to_string(proc.join("net").join(name)).unwrap_or_default();
        let route = default_v4(&text("route")).or_else(|| default_v6(&text("ipv6_route")));
        if let Some(name) = route {
            return Self::of(&class, name);
        }
        let cards = fs::read_dir(&class).ok()?;
        cards
            .filter_map(|card| Self::of(&class, card.ok()?.file_name().into_string().ok()?))
            .max_by_key(|nic| nic.speed)
    }

    fn of(class: &Path, name: String) -> Option<Self> {
        // -1 is a card that does not know, and reading fails where there is none behind the name.
        let speed = fs::read_to_string(class.join(&name).join("speed")).ok()?;
        let megabits: u64 = speed.trim().parse().ok().filter(|speed| *speed > 0)?;
        let speed = Bitrate::from_bits(megabits.saturating_mul(1_000_000));
        Some(Self { name, speed })
    }
}

/// The interface of the default route with the lowest metric, of the text of `/proc/net/route`.
fn default_v4(routes: &str) -> Option<String> {
    let default = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", _, _, _, _, metric, "00000000", ..] = words[..] else {
            return None;
        };
        Some((metric.parse::<u64>().ok()?, name.to_owned()))
    };
    routes.lines().filter_map(default).min().map(|(_, name)| name)
}

/// The same of `/proc/net/ipv6_route`, where metrics are hexadecimal and unreachable routes lead to `lo`.
fn default_v6(routes: &str) -> Option<String> {
    let default = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, _, _, metric, _, _, _, name] = words[..] else {
            return None;
        };
        let usable = destination.bytes().all(|b| b == b'0') && name != "lo";
        usable.then_some((u64::from_str_radix(metric, 16).ok()?, name.to_owned()))
    };
    routes.lines().filter_map(default).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    struct Machine(std::path::PathBuf);

    impl Machine {
        fn with(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("relay-nic-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn nic(&self) -> Option<(String, u64)> {
            let nic = Nic::read(&self.0.join("proc"), &self.0.join("sys"))?;
            Some((nic.name, nic.speed.bits()))
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_card_of_the_default_route_counts() {
        let routes = format!(
            "{HEAD}slow0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth0\t00000000\t010200C0\t0003\t0\t0\t10\t00000000\t0\t0\t0\n\
             fast0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        let files = [
            ("proc/net/route", &*routes),
            ("sys/class/net/eth0/speed", "10000\n"),
            ("sys/class/net/fast0/speed", "40000\n"),
        ];
        let machine = Machine::with("route", &files);
        assert_eq!(machine.nic(), Some(("eth0".to_owned(), 10_000_000_000)));
        let unknown = Machine::with(
            "unknown",
            &[files[0], ("sys/class/net/eth0/speed", "-1\n"), files[2]],
        );
        assert_eq!(
            unknown.nic(),
            None,
            "another card's speed says nothing of this one"
        );
    }

    #[test]
    fn without_ipv4_the_ipv6_route_counts() {
        let zeros = "00000000000000000000000000000000";
        let routes = format!(
            "{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n\
             {zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n"
        );
        let machine = Machine::with(
            "v6",
            &[
                ("proc/net/route", HEAD),
                ("proc/net/ipv6_route", &routes),
                ("sys/class/net/eth1/speed", "1000"),
            ],
        );
        assert_eq!(machine.nic(), Some(("eth1".to_owned(), 1_000_000_000)));
    }

    #[test]
    fn without_a_route_the_fastest_counts() {
        let machine = Machine::with(
            "none",
            &[
                ("sys/class/net/a/speed", "1000"),
                ("sys/class/net/b/speed", "2500"),
                ("sys/class/net/c/speed", "-1"),
                ("sys/class/net/lo/type", "772"),
            ],
        );
        assert_eq!(machine.nic(), Some(("b".to_owned(), 2_500_000_000)));
        assert_eq!(Machine::with("empty", &[]).nic(), None);
    }
}
