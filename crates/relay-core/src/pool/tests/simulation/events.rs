//! What happens to the pool: edges come, report, drain, lie and go, clocks jump, the origin restarts.

use std::net::{IpAddr, Ipv4Addr};

use super::{DRAIN_SECONDS, Edge, Life, World, number, rules};
use crate::cascade::message::Report;
use crate::pool::tests::MBIT;
use crate::pool::{Arrival, Endpoint, Finding, Roster, Scheme};

impl World {
    /// What happens to the pool, in turn.
    pub(super) fn change(&mut self, turn: u64) {
        let few = self.plan.edges * self.plan.blow / 100;
        match turn % 7 {
            1 => self.befalls(few, |_| Life::Gone),
            2 => self.edges_join(2 * few),
            3 => self.befalls(few, |second| Life::Draining(second + DRAIN_SECONDS)),
            4 if self.plan.probes > 0 => self.befalls((few / 5).max(1), |second| Life::Lying(second + 30)),
            5 => self.clocks_jump(),
            6 => self.origin_restarts(),
            _ => {}
        }
    }

    fn befalls(&mut self, count: usize, what: impl Fn(u64) -> Life) {
        for _ in 0..count {
            let n = self.dice.below(self.edges.len() as u64) as usize;
            if self.edges[n].life == Life::Up {
                self.edges[n].life = what(self.second);
                if self.edges[n].life == Life::Gone {
                    self.scatter_viewers(n);
                }
            }
        }
    }

    pub(super) fn edges_join(&mut self, count: usize) {
        for _ in 0..count {
            let n = self.edges.len();
            let [_, a, b, c] = (n as u32).to_be_bytes();
            let ip = IpAddr::V4(Ipv4Addr::new(10, a, b, c));
            self.edges.push(Edge {
                instance: format!("e{n}").parse().unwrap(),
                endpoint: Endpoint::new(Scheme::Http, ip, 80).unwrap(),
                capacity: (500 + 250 * self.dice.below(5)) * MBIT,
                life: Life::Up,
                linked: false,
                committed: 0,
                viewers: 0,
                sent: 0,
                view: None,
                placed: 0.0,
                share: 0.0,
                placed_ever: 0.0,
                expected_ever: 0.0,
                named: [0.0; 2],
            });
        }
    }

    fn clocks_jump(&mut self) {
        self.now.unix_us = match self.now.unix_us > 1_000_000_000_000_000 {
            true => 0,
            false => 2_000_000_000_000_000,
        };
    }

    fn origin_restarts(&mut self) {
        let remembered = self.roster.remember(self.now);
        self.roster = Roster::new(rules(&self.plan), remembered, self.now);
        self.edges.iter_mut().for_each(|edge| edge.linked = false);
    }

    /// Drains and lies end: the edge is gone, properly this time.
    pub(super) fn lives_end(&mut self) {
        for n in 0..self.edges.len() {
            let edge = &mut self.edges[n];
            match edge.life {
                Life::Draining(until) if until == self.second => {
                    self.roster.unlinked(&edge.instance, self.now);
                }
                Life::Lying(until) if until == self.second => {
                    self.roster.revoked(&edge.instance);
                }
                _ => continue,
            }
            edge.life = Life::Gone;
            self.scatter_viewers(n);
        }
    }

    /// The viewers of an edge that is gone come again within five seconds.
    fn scatter_viewers(&mut self, n: usize) {
        let viewers = u64::from(std::mem::take(&mut self.edges[n].viewers));
        self.edges[n].committed = 0;
        for later in 1..=5 {
            self.again[later] += viewers / 5 + u64::from(viewers % 5 > later as u64 - 1);
        }
    }

    pub(super) fn viewers_leave(&mut self) {
        for leaver in self.leaving.pop_front().unwrap_or_default() {
            let edge = &mut self.edges[leaver.edge as usize];
            if edge.life != Life::Gone {
                edge.viewers -= 1;
                edge.committed -= u64::from(leaver.bits);
            }
        }
    }

    /// After a restart of the origin half of the edges find it at once, and half with the next report.
    pub(super) fn edges_report(&mut self) {
        let turn = self.second / self.plan.report_seconds;
        let mut report = Report::default();
        for (n, edge) in self.edges.iter_mut().enumerate() {
            if edge.life == Life::Gone {
                continue;
            }
            if !edge.linked {
                if turn > 0 && n as u64 % 2 != turn % 2 {
                    continue;
                }
                edge.linked = true;
                let arrival = Arrival {
                    version: "1".to_owned(),
                    public: vec![edge.endpoint.clone()],
                    remote: edge.endpoint.ip().unwrap(),
                    capacity: Some(edge.capacity),
                    parent: None,
                };
                let instance = edge.instance.clone();
                self.roster.linked(instance, arrival, self.now).unwrap();
            }
            edge.sent += edge.committed / 8 * self.plan.report_seconds;
            report.viewers = edge.viewers;
            report.egress_bytes = edge.sent;
            report.capacity = Some(edge.capacity);
            report.committed = Some(edge.committed);
            report.draining = matches!(edge.life, Life::Draining(_));
            self.roster.reported(&edge.instance, &report, self.now);
        }
    }

    pub(super) fn probe(&mut self) {
        for (instance, endpoint) in self.roster.to_probe(self.plan.probes, self.now) {
            let finding = match self.edges[number(&endpoint)].life {
                Life::Gone => Finding::Failed("no answer".to_owned()),
                Life::Lying(_) => Finding::Wrong("another hash".to_owned()),
                Life::Up | Life::Draining(_) => Finding::Good,
            };
            self.roster.probed(&instance, &endpoint, finding, self.now);
        }
    }
}
