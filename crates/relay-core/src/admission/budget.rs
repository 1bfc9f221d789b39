//! What a node has given away, against what it has.

use super::account::{Account, Limit};
use super::measured::Measured;
use super::recent::{Admitted, Bursts, rate};
use super::room::{Room, Why};

/// From which part of a limit on viewers are sent elsewhere, and from which on they are refused, in hundredths.
type Shares = (u64, u64);

/// Of an uplink that others use as well, and that was never measured (R79).
const UPLINK: Shares = (60, 85);

/// Of what was set aside for viewers.
const SET_ASIDE: Shares = (85, 100);

/// Of the fan-out threads' time. Beyond, bursts come late for everybody.
const CPU: Shares = (70, 90);

/// Of the viewers that are allowed.
const VIEWERS: Shares = (85, 100);

/// Of the kernel's TCP memory. Beyond, it shrinks everybody's windows.
const TCP_MEMORY: Shares = (60, 70);

/// What comes on top of the bytes that are counted: a twentieth, for headers, acknowledgements and retransmissions.
const ON_TOP: u64 = 20;

/// What a node may send, in bits per second, viewers and children together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bandwidth {
    /// Nobody knows.
    #[default]
    Unknown,
    /// All that there is, for whatever it is used: `[origin] uplink`.
    Uplink(u64),
    /// What was set aside for viewers: `[edge] capacity`.
    SetAside(u64),
    /// What the network card does.
    Card(u64),
}

impl Bandwidth {
    /// The limit, and the shares of it.
    const fn limit(self) -> Option<(u64, Shares)> {
        match self {
            Self::Unknown => None,
            Self::Uplink(bits) | Self::Card(bits) => Some((bits, UPLINK)),
            Self::SetAside(bits) => Some((bits, SET_ASIDE)),
        }
    }

    /// What viewers get of it at most, in bits per second.
    pub const fn most(self) -> Option<u64> {
        match self.limit() {
            Some((bits, (_, full_from))) => Some(bits / 100 * full_from),
            None => None,
        }
    }

    /// The limit, as an operator sees it.
    fn told(self) -> Option<Limit> {
        self.limit().map(|(bits, (scarce_percent, full_percent))| Limit {
            bits,
            scarce_percent,
            full_percent,
        })
    }

    /// Whether somebody who knows the machine said so, and so overrules what is found out about its CPU.
    const fn is_stated(self) -> bool {
        matches!(self, Self::Uplink(_) | Self::SetAside(_))
    }
}

/// The limits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What may be sent.
    pub bandwidth: Bandwidth,
    /// Viewers that the fan-out takes.
    pub viewers: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            bandwidth: Bandwidth::Unknown,
            viewers: u64::MAX,
        }
    }
}

/// What is counted on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes that the kernel took for viewers, since the start.
    pub viewer_bytes: u64,
    /// Bytes sent to children, packets and retransmissions included, since the start.
    pub link_bytes: u64,
    /// What the viewers may take: the sum of their streams' peaks, in bits per second.
    pub viewers_bits: u64,
    /// The same of the children.
    pub children_bits: u64,
    /// Viewers.
    pub viewers: u64,
    /// Microseconds that the fan-out's threads worked, since the start, all together.
    pub busy_us: u64,
    /// Those threads.
    pub threads: u64,
    /// Bytes of the kernel's memory for TCP sockets, and its limit; unknown if `None`.
    pub tcp_memory: Option<(u64, u64)>,
}

/// What a node's children take of its uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkLoad {
    /// Bytes sent to them since the start, packets and retransmissions included.
    pub bytes: u64,
    /// Those that streams are pushed to.
    pub children: u64,
}

/// What one who comes would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The stream's peak, in bits per second.
    pub bits: u64,
    /// What it gets at once: all from the newest start point on.
    pub burst_bytes: u64,
}

/// What a node has given away, against its bounds. It is fed with counters ten times a second or so.
#[derive(Debug, Default)]
pub struct Budget {
    bounds: Bounds,
    load: Load,
    viewers: Measured,
    links: Measured,
    busy: Measured,
    /// Let in since the newest look, and between that and the one before: a viewer who is let in is not counted before
    /// its shard has it.
    admitted: [Admitted; 2],
    bursts: Bursts,
    draining: bool,
}

impl Budget {
    /// A budget within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// The limits that it was made with.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The node is about to stop, or is not any more.
    pub const fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Takes what is counted now.
    pub fn observe(&mut self, load: Load, now_ms: u64) {
        self.viewers.note(load.viewer_bytes, now_ms);
        self.links.note(load.link_bytes, now_ms);
        self.busy.note(load.busy_us, now_ms);
        self.load = load;
        self.admitted = [Admitted::default(), self.admitted[0]];
    }

    /// What is given away, in bits per second on the wire: what is sent or what was promised, whichever is more, first
    /// bursts, and the children's streams.
    pub fn committed(&mut self, now_ms: u64) -> u64 {
        self.committed_with(Wish::default(), now_ms)
    }

    fn committed_with(&mut self, wish: Wish, now_ms: u64) -> u64 {
        let recent = self.recent();
        let promised = self
            .load
            .viewers_bits
            .saturating_add(recent.bits)
            .saturating_add(wish.bits);
        let viewers = promised.max(self.viewers.per_second().saturating_mul(8));
        let children = self
            .load
            .children_bits
            .max(self.links.per_second().saturating_mul(8));
        let bursts = self.bursts.bits(now_ms).saturating_add(rate(wish.burst_bytes));
        let sum = viewers.saturating_add(children).saturating_add(bursts);
        sum.saturating_add(sum / ON_TOP)
    }

    const fn recent(&self) -> Admitted {
        self.admitted[0].plus(self.admitted[1])
    }

    /// What all viewers together may be sent in a second, in bytes: the uplink but for a twentieth, less what the children take
    /// now. `None` where there is no uplink to be shared.
    pub fn viewers_share(&self) -> Option<u64> {
        let Bandwidth::Uplink(bits) = self.bounds.bandwidth else {
            return None;
        };
        Some((bits - bits / ON_TOP).saturating_sub(self.links.per_second().saturating_mul(8)) / 8)
    }

    /// How it stands.
    pub fn account(&mut self, now_ms: u64) -> Account {
        Account {
            limit: self.bounds.bandwidth.told(),
            most_viewers: self.bounds.viewers,
            committed: self.committed(now_ms),
            to_viewers: self.viewers.per_second().saturating_mul(8),
            to_children: self.links.per_second().saturating_mul(8),
            room: self.room(Wish::default(), now_ms),
        }
    }

    /// How much room there is for one more.
    pub fn room(&mut self, wish: Wish, now_ms: u64) -> Room {
        if self.draining {
            return Room::Full(Why::Draining);
        }
        let of = |used, limit, (scarce, full): Shares, why| Room::of(used, limit, scarce, full, why);
        let bandwidth = self.bounds.bandwidth;
        let uplink = bandwidth.limit().map_or(Room::Plenty, |(limit, shares)| {
            of(self.committed_with(wish, now_ms), limit, shares, Why::Uplink)
        });
        let cpu = match bandwidth.is_stated() {
            true => Room::Plenty,
            false => {
                let second_us = self.load.threads.saturating_mul(1_000_000);
                of(self.busy.per_second(), second_us, CPU, Why::Cpu)
            }
        };
        let coming = self
            .load
            .viewers
            .saturating_add(self.recent().viewers)
            .saturating_add(1);
        let viewers = of(coming, self.bounds.viewers, VIEWERS, Why::Viewers);
        let memory = self.load.tcp_memory.map_or(Room::Plenty, |(used, limit)| {
            of(used, limit, TCP_MEMORY, Why::TcpMemory)
        });
        uplink.and(cpu).and(viewers).and(memory)
    }

    /// One more is let in, and what it will take is given away.
    pub fn admit(&mut self, wish: Wish, now_ms: u64) {
        let one = Admitted {
            viewers: 1,
            bits: wish.bits,
        };
        self.admitted[0] = self.admitted[0].plus(one);
        self.bursts.begin(wish.burst_bytes, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: u64 = 1_000_000;

    /// A stream of 2.5 Mbit/s with a group of 2 s.
    const WISH: Wish = Wish {
        bits: 2_500_000,
        burst_bytes: 300_000,
    };

    fn uplink(mbit: u64) -> Budget {
        Budget::new(Bounds {
            bandwidth: Bandwidth::Uplink(mbit * MBIT),
            ..Bounds::default()
        })
    }

    /// R79: a wave of 500 in a second, of which no counter shows anything before it is over.
    #[test]
    fn a_wave_never_passes_the_budget() {
        let mut budget = uplink(100);
        let (mut served, mut sent_on, mut refused) = (0, 0, 0);
        for viewer in 0..500_u64 {
            let now_ms = 10_000 + viewer * 2;
            if viewer % 50 == 0 {
                let load = Load {
                    viewers: served,
                    viewers_bits: served * WISH.bits,
                    ..Load::default()
                };
                budget.observe(load, now_ms);
            }
            match budget.room(WISH, now_ms) {
                Room::Full(Why::Uplink) => refused += 1,
                Room::Scarce(Why::Uplink) => {
                    // Nobody else is there to send them to.
                    sent_on += 1;
                    budget.admit(WISH, now_ms);
                    served += 1;
                }
                Room::Plenty => {
                    budget.admit(WISH, now_ms);
                    served += 1;
                }
                other => panic!("{other:?}"),
            }
            let given_away = served * (WISH.bits + rate(WISH.burst_bytes)) * 105 / 100;
            assert!(given_away <= 85 * MBIT, "{given_away}");
        }
        assert!(
            served > 15 && sent_on > 0 && refused > 400,
            "{served} {sent_on} {refused}"
        );
    }

    #[test]
    fn what_is_sent_counts_where_it_is_more_than_what_was_promised() {
        let mut budget = uplink(100);
        for tenth in 0..20 {
            let load = Load {
                viewer_bytes: tenth * 1_000_000,
                link_bytes: tenth * 50_000,
                viewers_bits: 10 * MBIT,
                children_bits: 5 * MBIT,
                ..Load::default()
            };
            budget.observe(load, tenth * 100);
        }
        // 80 Mbit/s are sent and 10 were promised; children take 4 and may take 5; and a twentieth comes on top.
        assert_eq!(budget.committed(2000), 85 * MBIT * 105 / 100);
        let told = budget.account(2000);
        assert_eq!((told.to_viewers, told.to_children), (80 * MBIT, 4 * MBIT));
        assert_eq!(told.committed, budget.committed(2000));
        let limit = Limit {
            bits: 100 * MBIT,
            scarce_percent: 60,
            full_percent: 85,
        };
        assert_eq!(told.limit, Some(limit));
        assert_eq!(budget.room(WISH, 2000), Room::Full(Why::Uplink));
    }

    #[test]
    fn one_who_was_let_in_is_counted_until_the_fan_out_counts_it() {
        let mut budget = uplink(100);
        budget.admit(WISH, 0);
        let with_burst = budget.committed(0);
        assert_eq!(with_burst, (2_500_000 + 1_200_000) * 105 / 100);
        let counted = Load {
            viewers: 1,
            viewers_bits: WISH.bits,
            ..Load::default()
        };
        budget.observe(Load::default(), 100);
        assert_eq!(budget.committed(100), with_burst, "a look that came too early");
        budget.observe(counted, 200);
        budget.observe(counted, 300);
        assert_eq!(budget.committed(5000), 2_500_000 * 105 / 100);
    }

    #[test]
    fn each_bound_says_what_is_short() {
        let mut budget = Budget::new(Bounds {
            viewers: 100,
            ..Bounds::default()
        });
        let mut load = Load::default();
        for (viewers, room) in [
            (0, Room::Plenty),
            (84, Room::Plenty),
            (85, Room::Scarce(Why::Viewers)),
            (99, Room::Scarce(Why::Viewers)),
            (100, Room::Full(Why::Viewers)),
        ] {
            load.viewers = viewers;
            budget.observe(load, 0);
            assert_eq!(budget.room(WISH, 0), room, "{viewers}");
        }
        load.viewers = 1;
        load.tcp_memory = Some((71, 100));
        budget.observe(load, 0);
        assert_eq!(budget.room(WISH, 0), Room::Full(Why::TcpMemory));
        budget.set_draining(true);
        assert_eq!(budget.room(WISH, 0), Room::Full(Why::Draining));
        assert_eq!(Budget::default().room(WISH, 0), Room::Plenty, "nothing is known");
    }

    #[test]
    fn threads_without_time_take_nobody_unless_somebody_knows_better() {
        let busy = |bandwidth, hundredths: u64| {
            let mut budget = Budget::new(Bounds {
                bandwidth,
                ..Bounds::default()
            });
            for tenth in 0..20 {
                let load = Load {
                    busy_us: tenth * hundredths * 2000,
                    threads: 2,
                    ..Load::default()
                };
                budget.observe(load, tenth * 100);
            }
            budget.room(Wish::default(), 2000)
        };
        for (hundredths, room) in [
            (70, Room::Plenty),
            (71, Room::Scarce(Why::Cpu)),
            (91, Room::Full(Why::Cpu)),
        ] {
            assert_eq!(busy(Bandwidth::Unknown, hundredths), room, "{hundredths}");
            assert_eq!(busy(Bandwidth::Card(u64::MAX), hundredths), room, "{hundredths}");
        }
        assert_eq!(busy(Bandwidth::SetAside(u64::MAX), 99), Room::Plenty);
    }

    #[test]
    fn an_edge_fills_what_was_set_aside_for_viewers() {
        for (bandwidth, room) in [
            (Bandwidth::Uplink(100 * MBIT), Room::Full(Why::Uplink)),
            (Bandwidth::Card(100 * MBIT), Room::Full(Why::Uplink)),
            (Bandwidth::SetAside(100 * MBIT), Room::Scarce(Why::Uplink)),
        ] {
            let mut budget = Budget::new(Bounds {
                bandwidth,
                ..Bounds::default()
            });
            let load = Load {
                viewers_bits: 88 * MBIT,
                ..Load::default()
            };
            budget.observe(load, 0);
            assert_eq!(budget.room(WISH, 0), room, "{bandwidth:?}");
        }
    }

    #[test]
    fn viewers_get_what_the_children_leave_of_the_uplink() {
        let mut budget = uplink(100);
        assert_eq!(budget.viewers_share(), Some(95_000_000 / 8));
        for tenth in 0..20 {
            let load = Load {
                link_bytes: tenth * 500_000,
                ..Load::default()
            };
            budget.observe(load, tenth * 100);
        }
        assert_eq!(budget.viewers_share(), Some(55_000_000 / 8));
        assert_eq!(Budget::default().viewers_share(), None);
    }

    #[test]
    fn no_figure_overflows() {
        let mut budget = uplink(1);
        let most = Load {
            viewer_bytes: u64::MAX,
            link_bytes: u64::MAX,
            viewers_bits: u64::MAX,
            children_bits: u64::MAX,
            viewers: u64::MAX,
            busy_us: u64::MAX,
            threads: u64::MAX,
            tcp_memory: Some((u64::MAX, u64::MAX)),
        };
        budget.observe(Load::default(), 0);
        budget.observe(most, 1);
        let wish = Wish {
            bits: u64::MAX,
            burst_bytes: u64::MAX,
        };
        budget.admit(wish, 1);
        assert!(matches!(budget.room(wish, u64::MAX), Room::Full(_)));
    }
}
