//! The limits of a node, each in viewers, and a sentence about the first of them.

use std::fmt;
use std::time::Duration;

use crate::check::{Facts, UPLINK_FOR_VIEWERS, WIRE_SHARE};
use crate::config::{Bitrate, Config, Program};

/// How far away viewers are taken to be where nobody says: across a country, or to the next.
pub const ASSUMED_RTT: Duration = Duration::from_millis(40);

/// How busy a fan-out thread may be, in hundredths. Beyond it a join storm or a keyframe has no room, and lateness grows.
const BUSY_SHARE: f64 = 60.0;

/// The part of a network card's speed, in hundredths, that viewers' bytes may fill; the rest is headers and retransmissions.
const NIC_SHARE: f64 = 90.0;

/// What a viewer's socket takes of the kernel's TCP memory without any data in it.
const SOCKET_BYTES: f64 = 4096.0;

/// What may stop one more viewer. In the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The CPU of the fan-out's threads.
    Cpu,
    /// The network card.
    Nic,
    /// What the kernel gives all TCP sockets together.
    TcpMemory,
    /// The process's descriptors.
    OpenFiles,
    /// The configuration.
    Configured,
}

impl Limit {
    /// Its name, as a label and in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Nic => "nic",
            Self::TcpMemory => "tcp_memory",
            Self::OpenFiles => "open_files",
            Self::Configured => "configured",
        }
    }

    /// Whether it is worked out by measurement or assumption, so that who knows better may overrule it.
    const fn is_estimate(self) -> bool {
        matches!(self, Self::Cpu | Self::Nic | Self::TcpMemory)
    }
}

/// What viewers take, and how far away they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Bytes per second of each.
    pub rate: f64,
    /// How often each gets a burst when the node is full.
    pub period: Duration,
    /// The round-trip time to them.
    pub rtt: Duration,
}

impl Demand {
    /// What a configuration expects.
    pub fn expected(config: &Config) -> Self {
        let shortest = config.fanout.period_min.get();
        let longest = config.fanout.period_max.get().max(shortest);
        Self {
            rate: config.origin.stream_rate.bytes() as f64,
            period: longest,
            rtt: ASSUMED_RTT,
        }
    }

    /// What such a viewer holds of the kernel's TCP memory: its socket, and what is under way until it is acknowledged.
    pub fn tcp_bytes(&self) -> f64 {
        SOCKET_BYTES + self.rate * (self.rtt + self.period).as_secs_f64()
    }
}

/// What the configuration says of the limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stated {
    /// What the machine may send: `[edge] capacity`, or what `[origin] uplink` leaves for viewers.
    pub bandwidth: Option<Bitrate>,
    /// The key that says so.
    pub key: &'static str,
    /// `[limits] max_viewers`.
    pub max_viewers: u32,
    /// `[limits] max_handshakes`: descriptors of those who are no viewers yet.
    pub max_handshakes: u32,
}

impl Stated {
    /// What `config` says to `program`.
    pub fn of(config: &Config, program: Program) -> Self {
        let (bandwidth, key) = match program {
            Program::Edge => (config.edge.capacity, "[edge] capacity"),
            Program::Origin => {
                let left = config
                    .origin
                    .uplink
                    .map(|uplink| uplink.bits() / WIRE_SHARE * UPLINK_FOR_VIEWERS);
                (
                    left.map(Bitrate::from_bits),
                    "[origin] uplink, less headers and headroom",
                )
            }
        };
        Self {
            bandwidth,
            key,
            max_viewers: config.limits.max_viewers,
            max_handshakes: config.limits.max_handshakes,
        }
    }
}

/// What the CPU carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cpu {
    /// Bytes per second of one thread that does nothing else.
    pub bytes_per_second: f64,
    /// Threads that send.
    pub threads: u64,
}

/// One limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Which.
    pub limit: Limit,
    /// How many viewers it allows.
    pub viewers: u64,
    /// Where that comes from, in words.
    pub why: String,
}

/// All limits that are known, and which of them is the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The first.
    pub first: Bound,
    /// All, in the order of [`Limit`].
    pub bounds: Vec<Bound>,
    /// Bytes per second of each viewer.
    pub rate: f64,
}

/// Works out each limit in viewers. What the machine does not tell is no limit. A stated bandwidth overrules what is
/// estimated, but not what is enforced.
pub fn judge(facts: &Facts, stated: &Stated, cpu: Option<Cpu>, demand: &Demand) -> Verdict {
    let rate = demand.rate.max(1.0);
    let configured = configured(stated, rate);
    let others = [
        cpu.map(|cpu| of_cpu(cpu, rate)),
        of_nic(facts, rate),
        of_tcp_memory(facts, demand),
        of_open_files(facts, stated),
    ];
    let bounds: Vec<Bound> = others.into_iter().flatten().chain([configured.clone()]).collect();
    let first = bounds
        .iter()
        .filter(|bound| stated.bandwidth.is_none() || !bound.limit.is_estimate())
        .min_by_key(|bound| bound.viewers)
        .unwrap_or(&configured)
        .clone();
    Verdict { first, bounds, rate }
}

impl Verdict {
    /// How many viewers there is room for.
    pub const fn viewers(&self) -> u64 {
        self.first.viewers
    }

    /// What they take together.
    pub fn bytes_per_second(&self) -> f64 {
        self.first.viewers as f64 * self.rate
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "room for about {} viewers of {}, {} together; the first limit is {}",
            self.viewers(),
            spoken_rate(self.rate),
            spoken_rate(self.bytes_per_second()),
            self.first.why
        )
    }
}

fn configured(stated: &Stated, rate: f64) -> Bound {
    let most = Bound {
        limit: Limit::Configured,
        viewers: stated.max_viewers.into(),
        why: format!("[limits] max_viewers: {}", stated.max_viewers),
    };
    let Some(bandwidth) = stated.bandwidth else {
        return most;
    };
    let carried = Bound {
        limit: Limit::Configured,
        viewers: whole(bandwidth.bytes() as f64 / rate),
        why: format!("{}: {}", stated.key, bandwidth.spoken()),
    };
    if carried.viewers < most.viewers {
        carried
    } else {
        most
    }
}

fn of_cpu(cpu: Cpu, rate: f64) -> Bound {
    let bytes = cpu.bytes_per_second * cpu.threads as f64 * BUSY_SHARE / 100.0;
    let threads = match cpu.threads {
        1 => "one fan-out thread".to_owned(),
        more => format!("{more} fan-out threads"),
    };
    Bound {
        limit: Limit::Cpu,
        viewers: whole(bytes / rate),
        why: format!("the CPU: {threads}, {BUSY_SHARE} % busy"),
    }
}

fn of_nic(facts: &Facts, rate: f64) -> Option<Bound> {
    let nic = facts.nic.as_ref()?;
    Some(Bound {
        limit: Limit::Nic,
        viewers: whole(nic.speed.bytes() as f64 * NIC_SHARE / 100.0 / rate),
        why: format!(
            "the network card: {NIC_SHARE} % of {}'s {}",
            nic.name,
            nic.speed.spoken()
        ),
    })
}

fn of_tcp_memory(facts: &Facts, demand: &Demand) -> Option<Bound> {
    let bytes = facts.tcp_memory?.bytes() as f64;
    let each = demand.tcp_bytes();
    Some(Bound {
        limit: Limit::TcpMemory,
        viewers: whole(bytes / each),
        why: format!(
            "the kernel's TCP memory: {:.0} MB (net.ipv4.tcp_mem), {:.0} KB a viewer",
            bytes / 1e6,
            each / 1e3
        ),
    })
}

fn of_open_files(facts: &Facts, stated: &Stated) -> Option<Bound> {
    let files = facts.open_files.raised();
    let all = files.soft?;
    Some(Bound {
        limit: Limit::OpenFiles,
        viewers: files.viewers_beside(stated.max_handshakes),
        why: format!("the descriptors: {all} (nofile), less what handshakes and the program itself need"),
    })
}

fn whole(viewers: f64) -> u64 {
    // A float that does not fit is clipped, and NaN is 0.
    viewers as u64
}

/// Bytes per second as one says them, to three digits: `2.5 Mbit/s`.
fn spoken_rate(bytes_per_second: f64) -> String {
    let bits = bytes_per_second * 8.0;
    if !bits.is_finite() || bits < 1.0 {
        return Bitrate::from_bits(whole(bits)).spoken();
    }
    let unit = 10_f64.powf(bits.log10().floor() - 2.0);
    Bitrate::from_bits(whole((bits / unit).round() * unit)).spoken()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Nic, TcpMemory};
    use crate::limits::OpenFiles;

    /// A machine with all kinds of limits, each at another number of viewers of 2.5 Mbit/s.
    fn facts() -> Facts {
        Facts {
            open_files: OpenFiles {
                soft: Some(1024),
                hard: Some(20_512),
            },
            tcp_memory: Some(TcpMemory {
                max_pages: 100_000,
                page_bytes: 4096,
            }),
            nic: Some(Nic {
                name: "eth0".to_owned(),
                speed: "25Gbit".parse().unwrap(),
            }),
            ..Facts::silent()
        }
    }

    const DEMAND: Demand = Demand {
        rate: 312_500.0,
        period: Duration::from_millis(50),
        rtt: Duration::from_millis(40),
    };

    const STATED: Stated = Stated {
        bandwidth: None,
        key: "[edge] capacity",
        max_viewers: 50_000,
        max_handshakes: 1024,
    };

    const CPU: Cpu = Cpu {
        bytes_per_second: 2.5e9,
        threads: 2,
    };

    fn first(facts: &Facts, stated: &Stated, cpu: Option<Cpu>) -> (Limit, u64) {
        let first = judge(facts, stated, cpu, &DEMAND).first;
        (first.limit, first.viewers)
    }

    #[test]
    fn each_limit_is_counted_in_viewers() {
        let verdict = judge(&facts(), &STATED, Some(CPU), &DEMAND);
        let counted: Vec<_> = verdict
            .bounds
            .iter()
            .map(|bound| (bound.limit.name(), bound.viewers))
            .collect();
        assert_eq!(
            counted,
            [
                ("cpu", 9600),          // 2 × 60 % of 2.5 GB/s
                ("nic", 9000),          // 90 % of 25 Gbit/s
                ("tcp_memory", 12_712), // 409.6 MB, 4096 + 28,125 bytes each
                ("open_files", 18_976),
                ("configured", 50_000),
            ]
        );
        assert_eq!(
            verdict.to_string(),
            "room for about 9000 viewers of 2.5 Mbit/s, 22.5 Gbit/s together; the first limit is the network card: 90 % of \
             eth0's 25 Gbit/s"
        );
        assert!((verdict.bytes_per_second() - 9000.0 * 312_500.0).abs() < 1.0);
    }

    #[test]
    fn the_smallest_wins() {
        let mut facts = facts();
        facts.nic = None;
        assert_eq!(first(&facts, &STATED, Some(CPU)), (Limit::Cpu, 9600));
        assert_eq!(first(&facts, &STATED, None), (Limit::TcpMemory, 12_712));
        facts.tcp_memory = None;
        assert_eq!(first(&facts, &STATED, None), (Limit::OpenFiles, 18_976));
        facts.open_files = OpenFiles {
            soft: None,
            hard: None,
        };
        assert_eq!(first(&facts, &STATED, None), (Limit::Configured, 50_000));
    }

    #[test]
    fn what_is_stated_overrules_estimates_and_not_what_is_enforced() {
        let stated = |text: &str| Stated {
            bandwidth: Some(text.parse().unwrap()),
            ..STATED
        };
        let more = judge(&facts(), &stated("40Gbit"), Some(CPU), &DEMAND);
        assert_eq!((more.first.limit, more.viewers()), (Limit::Configured, 16_000));
        assert!(
            more.to_string()
                .ends_with("the first limit is [edge] capacity: 40 Gbit/s"),
            "{more}"
        );
        assert_eq!(more.bounds.len(), 5, "the others are still told");
        assert_eq!(
            first(&facts(), &stated("1Gbit"), Some(CPU)),
            (Limit::Configured, 400)
        );
        assert_eq!(
            first(&facts(), &stated("400Gbit"), Some(CPU)),
            (Limit::OpenFiles, 18_976)
        );
    }

    #[test]
    fn each_program_has_its_own_key() {
        let config = |text: &str| Config::parse("test.toml".as_ref(), text).unwrap();
        let edge = Stated::of(&config("[edge]\ncapacity = \"4Gbit\""), Program::Edge);
        assert_eq!(edge.bandwidth.map(Bitrate::bits), Some(4_000_000_000));
        let uplink = config("[origin]\nuplink = \"105Mbit\"\n[edge]\ncapacity = \"4Gbit\"");
        let origin = Stated::of(&uplink, Program::Origin);
        assert_eq!(origin.bandwidth.map(Bitrate::bits), Some(85_000_000));
        assert_eq!(Stated::of(&config(""), Program::Origin).bandwidth, None);
    }

    #[test]
    fn no_input_is_too_odd() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
            let demand = Demand { rate, ..DEMAND };
            let endless = Cpu {
                bytes_per_second: f64::INFINITY,
                threads: 1,
            };
            let verdict = judge(&facts(), &STATED, Some(endless), &demand);
            assert!(verdict.viewers() <= 50_000 && !verdict.to_string().is_empty());
        }
        assert_eq!(spoken_rate(312_500.0), "2.5 Mbit/s");
        assert_eq!(spoken_rate(123_456_789.0), "988 Mbit/s");
        assert_eq!(spoken_rate(0.0), "0 bit/s");
    }
}
