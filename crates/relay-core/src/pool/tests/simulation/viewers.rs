//! How viewers come, are sent on, and stay.

use super::{Failure, Leaver, Life, MAX_HOPS, Others, Outcome, STEP_MS, VIEW_MS, World, number};
use crate::cascade::message::View;
use crate::pool::pick_one;
use crate::pool::tests::{MBIT, wish};

impl World {
    /// Three times as many in the first twelfth of the evening as later.
    pub(super) fn viewers_come(&mut self, step: u64) {
        let weight = if self.second < self.plan.seconds / 12 {
            3
        } else {
            1
        };
        // 1/12 × 3 + 11/12 × 1 = 14/12.
        let per_second = self.plan.viewers * weight * 12 / (14 * self.plan.seconds);
        let due = per_second * (step + 1) * STEP_MS / 1000 - per_second * step * STEP_MS / 1000;
        for _ in 0..due {
            self.viewer_comes(true);
        }
        if step == 0 {
            let again = self.again.pop_front().unwrap_or(0);
            self.again.push_back(0);
            for _ in 0..again {
                self.viewer_comes(false);
            }
        }
    }

    fn viewer_comes(&mut self, new: bool) {
        let bits = MBIT + self.dice.below(1_500_000);
        let outcome = match self.dice.below(2) {
            0 => self.comes_to_the_origin(bits),
            _ => self.comes_by_dns(bits),
        };
        if outcome.is_err() {
            // The player tries again in a second or two.
            self.again[1] += 1;
        }
        if new {
            self.all.count(outcome);
            self.normal.count(outcome);
        }
    }

    fn comes_to_the_origin(&mut self, bits: u64) -> Outcome {
        let dice = &mut self.dice;
        let endpoint = self.roster.place(&wish(bits), self.now, &mut || dice.roll());
        let n = number(&endpoint.ok_or(Failure::Refused)?);
        self.edges[n].placed += 1.0;
        if !self.edges[n].has_room(bits) && self.edges[n].life == Life::Up {
            self.all.misplaced += 1;
        }
        self.comes_to_an_edge(n, bits, 1)
    }

    pub(super) fn comes_to_an_edge(&mut self, mut n: usize, bits: u64, mut hops: u32) -> Outcome {
        loop {
            match self.edges[n].life {
                Life::Gone => return Err(Failure::Dead),
                Life::Lying(_) => return Err(Failure::Wrong),
                Life::Up if self.edges[n].has_room(bits) => {
                    self.stays(n, bits);
                    return Ok(hops);
                }
                Life::Up | Life::Draining(_) => {}
            }
            hops += 1;
            if hops > MAX_HOPS {
                return Err(Failure::Refused);
            }
            n = self.sent_on(n).ok_or(Failure::Refused)?;
        }
    }

    /// Where an edge sends one whom it does not take.
    fn sent_on(&mut self, n: usize) -> Option<usize> {
        let dice = &mut self.dice;
        let old = |view: &(u64, Others)| self.now.mono_ms - view.0 >= VIEW_MS;
        if self.edges[n].view.as_ref().is_none_or(old) {
            let view = self.roster.view(24, self.now, &mut || dice.roll());
            self.edges[n].view = Some((self.now.mono_ms, others(&view)));
        }
        let (_, others) = self.edges[n].view.as_ref()?;
        let place = pick_one(&others.weights, &mut || dice.roll())?;
        Some(others.edges[place])
    }

    fn stays(&mut self, n: usize, bits: u64) {
        let edge = &mut self.edges[n];
        edge.committed += bits;
        edge.viewers += 1;
        // So long on average that the pool gets about as full as planned.
        let capacity = self.plan.edges as u64 * 1_000 * MBIT;
        let concurrent = capacity * self.plan.fill / 100 / (1_750_000);
        let mean = (concurrent * 14 * self.plan.seconds / (12 * self.plan.viewers)).max(1);
        let stay = 1 + self.dice.below(2 * mean);
        if let Some(leaving) = self.leaving.get_mut(stay as usize) {
            leaving.push(Leaver {
                edge: n as u32,
                bits: bits as u32,
            });
        }
    }
}

pub(super) fn others(view: &View) -> Others {
    let mut others = Others::default();
    for offer in &view.offers {
        others
            .edges
            .push(offer.instance.to_string()[1..].parse().unwrap());
        others.weights.push(offer.headroom);
    }
    others
}
