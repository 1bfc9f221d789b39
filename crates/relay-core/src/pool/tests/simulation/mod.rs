//! A pool through a whole evening: thousands of edges, a million viewers, one hour, in seconds.
//!
//! It is a model, and a plain one. Time goes in half seconds; nothing takes time on the way; a viewer is a rate and a moment of
//! leaving. Half of the viewers come to the origin, which sends them on; half ask DNS, a fifth of all through one cache, the others
//! through 300 resolvers of which a third keep an answer for 60 s whatever it says. A player takes the first of at most four
//! addresses. An edge takes a viewer only if its budget has room, and else sends them on by a view that is up to 2 s old.
//!
//! What is real is the roster: each edge reports to it, each redirect and each answer comes out of it. So "nobody over budget" is
//! kept by the edges' own admission, and what is judged of the roster is that viewers hardly ever need it: they join at the first
//! try, by two redirects at most, and where the origin sends them is in proportion to headroom. How even DNS is by itself is
//! judged in [`names`]. Those who lost their edge and come again are served like the others, and not counted among the joins.
//! What the model leaves out: packet loss, late reports, viewers who differ in patience, and how media gets to the edges.

mod events;
mod names;
mod verdict;
mod viewers;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use names::{Asked, Resolver};
use viewers::others;

use crate::cascade::Instance;
use crate::clock::Now;
use crate::pool::testing::Dice;
use crate::pool::{Endpoint, Finding, Roster, RosterConfig};

const STEP_MS: u64 = 500;
/// How often something happens to the pool.
const CHANGE_SECONDS: u64 = 60;
/// When everything has to be back to normal after that.
const NORMAL_SECONDS: u64 = 10;
/// The part of a change's minute in which the spread of load is judged: 30 s.
const JUDGED: std::ops::Range<u64> = 15..45;
/// The least number of viewers that a judged group of edges has to expect: chance alone makes that 5 %.
const LEAST_EXPECTED: f64 = 400.0;
const VIEW_MS: u64 = 2_000;
const MAX_HOPS: u32 = 2;
const DRAIN_SECONDS: u64 = 20;

struct Plan {
    seed: u64,
    edges: usize,
    viewers: u64,
    seconds: u64,
    /// How full the pool gets, in hundredths of its capacity.
    fill: u64,
    /// What each blow hits, in hundredths of the edges.
    blow: usize,
    /// Probes that the origin can make each second; with none, reports alone have to tell, and nobody lies.
    probes: usize,
    /// How often edges report, and the roster's silence is three of it. The largest run takes 2 s, to halve its work: that
    /// makes it slower to see a dead edge than the product is, and no claim is lowered for it.
    report_seconds: u64,
}

#[test]
fn small_pools_that_are_nearly_full() {
    for seed in 1..=4 {
        World::new(Plan {
            seed,
            edges: 100,
            viewers: 200_000,
            seconds: 720,
            fill: 84,
            blow: 2,
            probes: if seed <= 2 { 50 } else { 0 },
            report_seconds: 1,
        })
        .run();
    }
}

#[test]
fn ten_thousand_edges_and_a_million_viewers() {
    World::new(Plan {
        seed: 5,
        edges: 10_000,
        viewers: 1_000_000,
        seconds: 3_600,
        fill: 12,
        blow: 1,
        probes: 1_000,
        report_seconds: 2,
    })
    .run();
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Up,
    /// Until this second.
    Draining(u64),
    /// It takes viewers and gives them something wrong, until an operator ends it at this second.
    Lying(u64),
    Gone,
}

struct Edge {
    instance: Instance,
    endpoint: Endpoint,
    capacity: u64,
    life: Life,
    linked: bool,
    committed: u64,
    viewers: u32,
    sent: u64,
    /// Where it sends viewers on, and when it was told.
    view: Option<(u64, Others)>,
    /// Viewers that the origin sent there in this window, and what it should have been in it.
    placed: f64,
    share: f64,
    /// The same over all windows.
    placed_ever: f64,
    expected_ever: f64,
    /// Viewers that came by DNS in this window, through the one cache and through others.
    named: [f64; 2],
}

/// Edges by number, with their weights.
#[derive(Default)]
struct Others {
    edges: Vec<usize>,
    weights: Vec<u64>,
}

struct Leaver {
    edge: u32,
    bits: u32,
}

#[derive(Default)]
struct Tally {
    tries: u64,
    at_first: u64,
    /// By what a first try failed.
    dead: u64,
    wrong: u64,
    refused: u64,
    redirects: u64,
    /// Sent by the origin to an edge that was full.
    misplaced: u64,
}

struct World {
    plan: Plan,
    dice: Dice,
    now: Now,
    second: u64,
    roster: Roster,
    edges: Vec<Edge>,
    resolvers: Vec<Resolver>,
    asked: Asked,
    /// By second.
    leaving: VecDeque<Vec<Leaver>>,
    /// Viewers who lost their edge and come again, by second.
    again: VecDeque<u64>,
    /// In this minute, from when all has to be normal.
    normal: Tally,
    all: Tally,
    worst_share: f64,
    worst_normal: f64,
    peak: u64,
}

fn rules(plan: &Plan) -> RosterConfig {
    RosterConfig {
        probing: plan.probes > 0,
        max_members: 20_000,
        silence_ms: 3_000 * plan.report_seconds,
        ..RosterConfig::default()
    }
}

impl World {
    fn new(plan: Plan) -> Self {
        let now = Now {
            mono_ms: 3_600_000,
            unix_us: 1_800_000_000_000_000,
        };
        let resolver = |n: u64| Resolver::new(if n % 3 == 1 { 60_000 } else { 5_000 });
        let mut world = Self {
            dice: Dice::new(plan.seed),
            now,
            second: 0,
            roster: Roster::new(rules(&plan), Vec::new(), now),
            edges: Vec::new(),
            resolvers: (0..301).map(resolver).collect(),
            asked: Asked::default(),
            leaving: (0..=plan.seconds).map(|_| Vec::new()).collect(),
            again: (0..16).map(|_| 0).collect(),
            normal: Tally::default(),
            all: Tally::default(),
            worst_share: 0.0,
            worst_normal: 1.0,
            peak: 0,
            plan,
        };
        world.edges_join(world.plan.edges);
        world.edges_report();
        for (instance, endpoint) in world.roster.to_probe(usize::MAX, now) {
            world.roster.probed(&instance, &endpoint, Finding::Good, now);
        }
        world
    }

    fn run(mut self) {
        let started = Instant::now();
        for second in 0..self.plan.seconds {
            self.second = second;
            let phase = second % CHANGE_SECONDS;
            if phase == 0 {
                self.change(second / CHANGE_SECONDS);
            }
            if phase == NORMAL_SECONDS {
                self.normal = Tally::default();
            }
            if phase == JUDGED.start {
                self.open_window();
                self.open_asked();
            }
            if phase == JUDGED.end {
                self.judge_asked();
                self.judge_window();
            }
            if phase == CHANGE_SECONDS - 1 {
                self.judge_joins();
            }
            self.lives_end();
            self.viewers_leave();
            if second % self.plan.report_seconds == 0 {
                self.edges_report();
            }
            self.probe();
            for step in 0..1000 / STEP_MS {
                self.viewers_come(step);
                self.now = self.now.plus_ms(STEP_MS);
            }
            self.check_budgets();
        }
        self.judge_edges();
        // Nor does the origin send viewers to where they are sent on again.
        assert!(
            self.all.misplaced * 200 <= self.all.tries,
            "{} misplaced",
            self.all.misplaced
        );
        self.tell(started.elapsed().as_secs_f64());
    }
}

#[derive(Clone, Copy)]
enum Failure {
    Dead,
    Wrong,
    Refused,
}

/// By how many redirects one joined.
type Outcome = Result<u32, Failure>;

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        self.tries += 1;
        match outcome {
            Ok(hops) => {
                self.at_first += 1;
                self.redirects += u64::from(hops);
            }
            Err(Failure::Dead) => self.dead += 1,
            Err(Failure::Wrong) => self.wrong += 1,
            Err(Failure::Refused) => self.refused += 1,
        }
    }
}

impl Edge {
    fn has_room(&self, bits: u64) -> bool {
        self.committed + bits <= self.capacity
    }

    /// What it has left, if it takes anybody.
    fn headroom(&self) -> u64 {
        match self.life {
            Life::Up => self.capacity - self.committed,
            _ => 0,
        }
    }
}

/// The number of the edge that has this endpoint.
fn number(endpoint: &Endpoint) -> usize {
    let Some(IpAddr::V4(ip)) = endpoint.ip() else {
        panic!("{endpoint}");
    };
    let [_, a, b, c] = ip.octets();
    u32::from_be_bytes([0, a, b, c]) as usize
}
