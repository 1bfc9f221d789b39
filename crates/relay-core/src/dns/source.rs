//! Whom to give out: the addresses that have room for viewers now, and the weighted draw among them.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::family::Family;

/// Addresses of one family that are drawn from; of more, the first are taken. A pool ten times the size of any that was
/// rehearsed, and 240 KB.
pub const MAX_ADDRESSES: usize = 10_000;

/// The greatest weight of one address, so that the sum of all fits: 281 Tbit/s.
const MAX_WEIGHT: u64 = 1 << 48;

/// What the pool offers now, shared between whoever knows the pool and the server.
///
/// Readers never wait; one who offers replaces the whole. It begins empty.
#[derive(Debug, Default)]
pub struct Source(ArcSwap<Offers>);

impl Source {
    /// Replaces what is offered. Call it when nodes come, go, fill up or drain, once a second or so; a node that is not
    /// named any more is not given out from the next query on, but caches keep it for a TTL.
    pub fn offer(&self, addresses: impl IntoIterator<Item = (IpAddr, u64)>) {
        self.0.store(Arc::new(Offers::new(addresses)));
    }

    /// This node has lost its origin: what is offered stays, and is [old](Offers::is_old) until it is replaced.
    pub fn grows_old(&self) {
        self.0.rcu(|offers| Offers {
            is_old: true,
            ..(**offers).clone()
        });
    }

    /// What is offered now.
    pub fn offers(&self) -> Arc<Offers> {
        self.0.load_full()
    }
}

/// Addresses with weights, ready to be drawn from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    v4: Roster,
    v6: Roster,
    /// Those of nodes that are there and have no room: by family, each as likely as the other.
    full: [Roster; 2],
    is_old: bool,
}

impl Offers {
    /// Takes addresses and their headroom in bits per second. One without headroom is given out as company only, and an address
    /// that nobody can dial never; one that is named twice counts once, with the sum.
    pub fn new(addresses: impl IntoIterator<Item = (IpAddr, u64)>) -> Self {
        let mut offers: Vec<(IpAddr, u64)> = addresses
            .into_iter()
            .map(|(address, weight)| (address.to_canonical(), weight.min(MAX_WEIGHT)))
            .filter(|(address, _)| !address.is_unspecified() && !address.is_multicast())
            .collect();
        offers.sort_unstable();
        offers.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = (kept.1 + next.1).min(MAX_WEIGHT);
            }
            same
        });
        let of = |family| {
            let of_family = offers
                .iter()
                .copied()
                .filter(move |(address, _)| Family::of(*address) == family);
            let (with_room, full): (Vec<_>, Vec<_>) = of_family.partition(|(_, weight)| *weight > 0);
            let equals = full.into_iter().map(|(address, _)| (address, 1));
            (Roster::of(with_room.into_iter()), Roster::of(equals))
        };
        let [(v4, full_v4), (v6, full_v6)] = [Family::V4, Family::V6].map(of);
        Self {
            v4,
            v6,
            full: [full_v4, full_v6],
            is_old: false,
        }
    }

    /// Whether nobody has room, in either family.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether it is from before the origin was lost.
    pub const fn is_old(&self) -> bool {
        self.is_old
    }

    /// How many addresses of a family have room.
    pub fn count(&self, family: Family) -> usize {
        self.roster(family).addresses.len()
    }

    /// Draws up to `count` different addresses of a family, one after the other, each with a chance in proportion to its
    /// weight among those that are left (successive sampling; the distribution of Efraimidis and Spirakis, Information
    /// Processing Letters 97, 2006). Costs a binary search per address, whatever the size of the pool.
    ///
    /// `random` gives numbers that are evenly spread over all of `u64`.
    pub fn draw(&self, family: Family, count: usize, random: &mut impl FnMut() -> u64) -> Vec<IpAddr> {
        self.roster(family).draw(count, random)
    }

    /// The same among those without room.
    pub fn draw_full(&self, family: Family, count: usize, random: &mut impl FnMut() -> u64) -> Vec<IpAddr> {
        self.full[family as usize].draw(count, random)
    }

    const fn roster(&self, family: Family) -> &Roster {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

/// The offers of one family, laid end to end: each takes as much of the line as its weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Roster {
    addresses: Vec<IpAddr>,
    /// Where each one's part of the line ends.
    ends: Vec<u64>,
}

impl Roster {
    fn of(offers: impl Iterator<Item = (IpAddr, u64)>) -> Self {
        let mut roster = Self::default();
        let mut end = 0;
        for (address, weight) in offers.take(MAX_ADDRESSES) {
            end += weight;
            roster.addresses.push(address);
            roster.ends.push(end);
        }
        roster
    }

    fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    fn draw(&self, count: usize, random: &mut impl FnMut() -> u64) -> Vec<IpAddr> {
        let mut left = self.ends.last().copied().unwrap_or_default();
        let mut drawn = Vec::with_capacity(count.min(self.addresses.len()));
        // The parts of the line that are taken already, from left to right.
        let mut taken: Vec<(u64, u64)> = Vec::with_capacity(drawn.capacity());
        while drawn.len() < count && left > 0 {
            let mut at = below(left, random());
            for (start, length) in &taken {
                if at >= *start {
                    at += length;
                }
            }
            let index = self.ends.partition_point(|end| *end <= at);
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            let length = self.ends[index] - start;
            taken.insert(
                taken.partition_point(|(other, _)| *other < start),
                (start, length),
            );
            left -= length;
            drawn.push(self.addresses[index]);
        }
        drawn
    }
}

/// A number below `bound`, from one that is evenly spread over `u64`. The unevenness is that of one part in 2^64 of the
/// line, far below any weight.
const fn below(bound: u64, random: u64) -> u64 {
    ((random as u128 * bound as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::dns::tests::chance;

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn v6(last: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
    }

    #[test]
    fn a_draw_has_no_address_twice_and_all_if_there_are_few() {
        let offers = Offers::new((1..=3).map(|last| (v4(last), u64::from(last))));
        let mut random = chance(1);
        for _ in 0..1000 {
            let mut drawn = offers.draw(Family::V4, 4, &mut random);
            drawn.sort_unstable();
            assert_eq!(drawn, [v4(1), v4(2), v4(3)]);
        }
        assert!(offers.draw(Family::V6, 4, &mut random).is_empty());
        assert!(offers.draw(Family::V4, 0, &mut random).is_empty());
    }

    #[test]
    fn the_first_address_comes_as_often_as_its_weight() {
        let weights = [1_u64, 2, 3, 14];
        let offers = Offers::new((0_u8..).zip(weights).map(|(last, weight)| (v4(last), weight)));
        let mut random = chance(2);
        let mut first = HashMap::<IpAddr, u32>::new();
        let draws = 200_000;
        for _ in 0..draws {
            *first
                .entry(offers.draw(Family::V4, 2, &mut random)[0])
                .or_default() += 1;
        }
        for (last, weight) in (0_u8..).zip(weights) {
            let share = f64::from(first[&v4(last)]) / f64::from(draws);
            let wanted = weight as f64 / 20.0;
            assert!((share - wanted).abs() < 0.005, "{last}: {share}, wanted {wanted}");
        }
    }

    #[test]
    fn the_second_is_drawn_among_those_that_are_left() {
        // Pairs of an order (a, b) come with p(a) * p(b) / (1 - p(a)).
        let weights = [1_u64, 3, 6];
        let offers = Offers::new((0_u8..).zip(weights).map(|(last, weight)| (v4(last), weight)));
        let mut random = chance(3);
        let mut pairs = HashMap::<Vec<IpAddr>, u32>::new();
        let draws = 200_000;
        for _ in 0..draws {
            *pairs.entry(offers.draw(Family::V4, 2, &mut random)).or_default() += 1;
        }
        for (a, first) in (0_u8..).zip(weights) {
            for (b, second) in (0_u8..).zip(weights).filter(|(b, _)| *b != a) {
                let wanted = first as f64 / 10.0 * second as f64 / (10 - first) as f64;
                let share = f64::from(pairs[&vec![v4(a), v4(b)]]) / f64::from(draws);
                assert!(
                    (share - wanted).abs() < 0.005,
                    "{a}, {b}: {share}, wanted {wanted}"
                );
            }
        }
    }

    #[test]
    fn one_giant_does_not_hide_the_others() {
        let offers = Offers::new([(v4(1), u64::MAX), (v4(2), 1), (v4(3), 1)]);
        let mut random = chance(4);
        for _ in 0..100 {
            assert_eq!(offers.draw(Family::V4, 4, &mut random).len(), 3);
        }
    }

    #[test]
    fn the_ends_of_chance_do_no_harm() {
        let offers = Offers::new((1..=5).map(|last| (v4(last), MAX_WEIGHT)));
        for number in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            assert_eq!(offers.draw(Family::V4, 5, &mut || number).len(), 5);
        }
    }

    #[test]
    fn families_are_apart_and_who_has_no_room_is_not_offered() {
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped());
        let offers = Offers::new([
            (v4(1), 10),
            (v6(1), 10),
            (v4(2), 0),
            (v4(1), 5),
            (mapped, 1),
            (Ipv4Addr::UNSPECIFIED.into(), 7),
        ]);
        assert_eq!(offers.v4.addresses, [v4(1), v4(9)]);
        assert_eq!(offers.v4.ends, [15, 16], "one node behind two names counts once");
        assert_eq!(offers.v6.addresses, [v6(1)]);
        assert_eq!(offers.draw_full(Family::V4, 4, &mut || 7), [v4(2)]);
        assert!(Offers::new([(v4(1), 0)]).is_empty());
    }

    #[test]
    fn a_great_pool_is_bounded() {
        let many = (0..20_000_u32).map(|n| (IpAddr::from(Ipv4Addr::from_bits(n + (10 << 24))), u64::MAX));
        let offers = Offers::new(many);
        assert_eq!(offers.count(Family::V4), MAX_ADDRESSES);
        let source = Source::default();
        assert!(source.offers().is_empty());
        source.offer([(v6(1), 1)]);
        assert_eq!(source.offers().count(Family::V6), 1);
        source.grows_old();
        assert!(source.offers().is_old() && source.offers().count(Family::V6) == 1);
        source.offer([(v6(1), 1)]);
        assert!(!source.offers().is_old());
    }
}
