//! Weights that change one at a time and are drawn from all the time.

use super::endpoint::Scheme;
use super::pick::{Random, below};
use crate::family::Family;

/// The largest weight: 2^43, so that a million of them add up without overflow. As bits a second it is 8.8 Tbit/s.
const MAX_WEIGHT: u64 = 1 << 43;

/// Weights in a binary tree of sums: setting one and drawing one cost the tree's height, 14 steps for 10,000 of them.
///
/// Beside each sum is the largest weight below it, so that one with enough room is found however few have it.
#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    /// A power of two. The leaves are the last so many nodes; the parent of `i` is `i / 2`, and the root is 1.
    leaves: usize,
    nodes: Vec<Node>,
}

/// Weights for each kind of viewer: by what they speak, and by the family of their address. A pool of which few edges have IPv6 finds
/// those few at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds([[Weights; 2]; 2]);

impl Kinds {
    /// Those for one kind.
    pub(super) const fn of(&self, scheme: Scheme, family: Family) -> &Weights {
        &self.0[scheme as usize][family as usize]
    }

    /// Sets the weight of a place for each kind.
    pub(super) fn set(&mut self, place: usize, weight: impl Fn(Scheme, Family) -> u64) {
        for scheme in Scheme::ALL {
            for family in Family::ALL {
                self.0[scheme as usize][family as usize].set(place, weight(scheme, family));
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Of all weights below it.
    sum: u64,
    /// The largest of them.
    most: u64,
}

impl Weights {
    /// Sets the weight of a place.
    pub(super) fn set(&mut self, place: usize, weight: u64) {
        let weight = weight.min(MAX_WEIGHT);
        if place >= self.leaves {
            if weight == 0 {
                return;
            }
            self.grow(place + 1);
        }
        let mut at = self.leaves + place;
        if self.nodes[at].sum == weight {
            return;
        }
        self.nodes[at] = Node {
            sum: weight,
            most: weight,
        };
        while at > 1 {
            at /= 2;
            self.add_up(at);
        }
    }

    fn add_up(&mut self, at: usize) {
        let (left, right) = (self.nodes[2 * at], self.nodes[2 * at + 1]);
        self.nodes[at] = Node {
            sum: left.sum + right.sum,
            most: left.most.max(right.most),
        };
    }

    fn grow(&mut self, places: usize) {
        let leaves = places.next_power_of_two();
        let mut nodes = vec![Node::default(); 2 * leaves];
        nodes[leaves..leaves + self.leaves].copy_from_slice(&self.nodes[self.leaves..]);
        self.nodes = nodes;
        self.leaves = leaves;
        (1..leaves).rev().for_each(|at| self.add_up(at));
    }

    /// The largest weight.
    pub(super) fn most(&self) -> u64 {
        self.nodes.get(1).map_or(0, |root| root.most)
    }

    /// A place in proportion to its weight.
    pub(super) fn draw(&self, random: Random<'_>) -> Option<usize> {
        let mut left = below(self.nodes.get(1)?.sum, random)?;
        let mut at = 1;
        while at < self.leaves {
            at *= 2;
            let here = self.nodes[at].sum;
            if left >= here {
                left -= here;
                at += 1;
            }
        }
        Some(at - self.leaves)
    }

    /// A place with a weight of `floor` or more, nearly in proportion: smaller weights are never drawn, and still weigh
    /// a little for their neighbours.
    pub(super) fn draw_from(&self, floor: u64, random: Random<'_>) -> Option<usize> {
        let floor = floor.max(1);
        if self.most() < floor {
            return None;
        }
        let mut at = 1;
        while at < self.leaves {
            let (left, right) = (2 * at, 2 * at + 1);
            at = match (self.nodes[left].most >= floor, self.nodes[right].most >= floor) {
                (true, false) => left,
                (false, _) => right,
                (true, true) if below(self.nodes[at].sum, random)? < self.nodes[left].sum => left,
                (true, true) => right,
            };
        }
        Some(at - self.leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::testing::Dice;

    #[test]
    fn draws_follow_the_weights_as_they_change() {
        let mut weights = Weights::default();
        let mut dice = Dice::new(3);
        assert_eq!(weights.draw(&mut || dice.roll()), None);
        for (place, weight) in [(0, 10), (6, 30), (2, 40)] {
            weights.set(place, weight);
        }
        weights.set(2, 0);
        let mut seen = [0_u32; 8];
        for _ in 0..10_000 {
            seen[weights.draw(&mut || dice.roll()).unwrap()] += 1;
        }
        assert_eq!(seen[0] + seen[6], 10_000);
        assert!((7_300..7_700).contains(&seen[6]), "{seen:?}");
        weights.set(0, 0);
        weights.set(6, 0);
        assert_eq!((weights.most(), weights.draw(&mut || 0)), (0, None));
    }

    #[test]
    fn the_only_one_with_room_is_found_among_thousands_without() {
        let mut weights = Weights::default();
        (0..5_000).for_each(|place| weights.set(place, 999));
        weights.set(3_333, 1_000);
        let mut dice = Dice::new(4);
        for _ in 0..100 {
            assert_eq!(weights.draw_from(1_000, &mut || dice.roll()), Some(3_333));
        }
        assert_eq!(weights.draw_from(1_001, &mut || dice.roll()), None);
    }

    #[test]
    fn no_weight_is_too_large() {
        let mut weights = Weights::default();
        (0..20_000).for_each(|place| weights.set(place, u64::MAX));
        assert_eq!(weights.draw(&mut || u64::MAX), Some(19_999));
        assert_eq!(weights.draw(&mut || 0), Some(0));
    }
}
