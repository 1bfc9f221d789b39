//! Stories of the pool's brain, and a simulation of a whole evening.

mod endpoint;
mod roster;
mod scale;
mod simulation;
mod steering;
mod watching;

use std::net::IpAddr;

use super::testing::Dice;
use super::{Arrival, Finding, Remembered, Roster, RosterConfig, Scheme, State, Wish};
use crate::cascade::Instance;
use crate::cascade::message::Report;
use crate::clock::Now;
use crate::family::Family;

const MBIT: u64 = 1_000_000;

/// A pool whose clock is moved by hand. Edge `n` is `edge-n` at 192.0.2.n.
struct Pool {
    roster: Roster,
    now: Now,
    dice: Dice,
}

impl Pool {
    fn new(probing: bool) -> Self {
        Self::remembering(probing, Vec::new())
    }

    fn remembering(probing: bool, remembered: Vec<Remembered>) -> Self {
        Self::with(
            RosterConfig {
                probing,
                ..RosterConfig::default()
            },
            remembered,
        )
    }

    fn with(rules: RosterConfig, remembered: Vec<Remembered>) -> Self {
        let now = Now {
            mono_ms: 3_600_000,
            unix_us: 1_800_000_000_000_000,
        };
        Self {
            roster: Roster::new(rules, remembered, now),
            now,
            dice: Dice::new(7),
        }
    }

    /// An edge links and reports that it carries nothing.
    fn joins(&mut self, n: u8, capacity: u64) {
        self.links(n, capacity);
        self.reports(n, 0);
    }

    fn links(&mut self, n: u8, capacity: u64) {
        let arrival = Arrival {
            capacity: Some(capacity),
            ..arrival(n, &["http://0.0.0.0:8080", "rtmp://0.0.0.0"])
        };
        self.roster.linked(edge(n), arrival, self.now).unwrap();
    }

    fn reports(&mut self, n: u8, committed: u64) {
        let report = Report {
            committed: Some(committed),
            ..Report::default()
        };
        self.roster.reported(&edge(n), &report, self.now);
    }

    fn is_probed(&mut self, n: u8, finding: &Finding) {
        for text in [format!("http://192.0.2.{n}:8080"), format!("rtmp://192.0.2.{n}")] {
            let endpoint = text.parse().unwrap();
            self.roster.probed(&edge(n), &endpoint, finding.clone(), self.now);
        }
    }

    fn passes(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    fn state(&self, n: u8) -> Option<State> {
        self.roster.state(&edge(n), self.now)
    }

    fn why(&self, n: u8) -> String {
        let rows = self.roster.list(self.now);
        let row = rows.into_iter().find(|row| row.instance == edge(n));
        row.unwrap().why
    }

    /// Where the next viewer of a stream of so many bits a second goes: the edge's number.
    fn places(&mut self, bits: u64) -> Option<u8> {
        let dice = &mut self.dice;
        let endpoint = self.roster.place(&wish(bits), self.now, &mut || dice.roll())?;
        match endpoint.ip()? {
            IpAddr::V4(ip) => Some(ip.octets()[3]),
            IpAddr::V6(_) => None,
        }
    }
}

/// A viewer by HTTP, who has IPv4.
fn wish(bits: u64) -> Wish {
    Wish {
        scheme: Scheme::Http,
        bits,
        family: Family::V4,
    }
}

fn edge(n: u8) -> Instance {
    format!("edge-{n}").parse().unwrap()
}

fn arrival(n: u8, public: &[&str]) -> Arrival {
    Arrival {
        version: "1.2.3".to_owned(),
        public: public.iter().map(|text| text.parse().unwrap()).collect(),
        remote: format!("192.0.2.{n}").parse().unwrap(),
        capacity: None,
        parent: None,
    }
}
