//! One edge as the origin knows it, and how it stands.

use std::net::IpAddr;

use super::config::RosterConfig;
use super::endpoint::Endpoint;
use super::front::{Front, Fronts};
use super::health::Standing;
use super::load::Load;
use crate::cascade::Instance;
use crate::cascade::message::Report;
use crate::config::Bitrate;

/// How an edge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has just come: it has not reported, or no endpoint has been tried with success.
    Joining,
    /// Viewers cannot reach it, or it gives them something wrong. It may still be a parent of other edges.
    Unreachable,
    /// It takes viewers.
    Serving,
    /// It has no room for more.
    Full,
    /// It takes nobody new and will be gone, by its own word or an operator's.
    Draining,
    /// It was there before the origin's restart and has not come back yet. It is offered as it was then.
    Presumed,
    /// Its link has ended, or it is silent.
    Lost,
}

impl State {
    /// Each of them, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Joining,
        Self::Unreachable,
        Self::Serving,
        Self::Full,
        Self::Draining,
        Self::Presumed,
        Self::Lost,
    ];

    /// Its name, as a label and in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Unreachable => "unreachable",
            Self::Serving => "serving",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Presumed => "presumed",
            Self::Lost => "lost",
        }
    }
}

/// What an edge says of itself when its link comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its program version.
    pub version: String,
    /// Where viewers reach it; of more than [`MAX_ENDPOINTS`](crate::cascade::message::MAX_ENDPOINTS) the first.
    pub public: Vec<Endpoint>,
    /// Where its link comes from: the address of endpoints that leave it open.
    pub remote: IpAddr,
    /// Bits a second that it believes it can send.
    pub capacity: Option<u64>,
    /// Whom its media comes from, if not from the origin.
    pub parent: Option<Instance>,
}

/// An edge, its load, and when it was heard last. Times are on the monotonic clock.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Instance,
    pub(super) version: String,
    pub(super) remote: Option<IpAddr>,
    pub(super) parent: Option<Instance>,
    pub(super) fronts: Fronts,
    pub(super) load: Load,
    /// Where its metrics can be scraped.
    pub(super) metrics: Option<String>,
    /// Whether the load is known: reported on this link, or remembered.
    pub(super) load_known: bool,
    /// Those who watch it for the probe, and are no viewers.
    pub(super) watchers: u32,
    /// Its links: two for a moment, while a new one replaces an old one.
    pub(super) links: u32,
    /// When it linked or reported last.
    pub(super) heard_ms: u64,
    /// Until when it is taken to be there without a link.
    pub(super) presumed_until_ms: Option<u64>,
    /// Whether an operator wants it to drain.
    pub(super) ordered_to_drain: bool,
    /// When it came, and how old it was by then: more than nothing after a restart of the origin.
    pub(super) came_ms: u64,
    pub(super) age_then_ms: u64,
}

impl Member {
    /// A member of whom only the name is known.
    pub(super) fn new(instance: Instance, rules: &RosterConfig, now_ms: u64) -> Self {
        Self {
            instance,
            version: String::new(),
            remote: None,
            parent: None,
            fronts: Fronts::new(std::iter::empty(), rules),
            load: Load::default(),
            metrics: None,
            load_known: false,
            watchers: 0,
            links: 0,
            heard_ms: now_ms,
            presumed_until_ms: None,
            ordered_to_drain: false,
            came_ms: now_ms,
            age_then_ms: 0,
        }
    }

    /// Its link came up, or a second one beside the first.
    pub(super) fn linked(&mut self, arrival: Arrival, rules: &RosterConfig, now_ms: u64) {
        if self.is_presumed(now_ms) {
            self.load.promised.renew(self.heard_ms, now_ms);
        } else if !self.is_present(rules, now_ms) {
            // It may have won or lost any number of viewers since.
            self.load_known = false;
        }
        let stale = self.silence_ms(now_ms) > rules.presume_ms;
        self.fronts = (self.fronts).renamed(&arrival.public, arrival.remote, stale, rules, now_ms);
        self.version = arrival.version;
        self.remote = Some(arrival.remote.to_canonical());
        self.parent = arrival.parent;
        if arrival.capacity.is_some() {
            self.load.capacity = arrival.capacity;
        }
        self.presumed_until_ms = None;
        self.links = self.links.saturating_add(1);
        self.heard_ms = now_ms;
    }

    /// It reported.
    pub(super) fn reported(&mut self, report: &Report, now_ms: u64) {
        self.load.reported(report, now_ms);
        if self.metrics != report.metrics {
            self.metrics.clone_from(&report.metrics);
        }
        self.load_known = true;
        self.heard_ms = now_ms;
    }

    /// One of its links ended.
    pub(super) const fn unlinked(&mut self) {
        self.links = self.links.saturating_sub(1);
    }

    /// How long nothing was heard of it.
    pub(super) const fn silence_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.heard_ms)
    }

    /// Whether it is linked and speaks.
    pub(super) const fn is_present(&self, rules: &RosterConfig, now_ms: u64) -> bool {
        self.links > 0 && self.silence_ms(now_ms) < rules.silence_ms
    }

    /// Whether it is taken to be there as it was before the origin's restart.
    pub(super) fn is_presumed(&self, now_ms: u64) -> bool {
        self.links == 0 && self.presumed_until_ms.is_some_and(|until| now_ms < until)
    }

    /// Whether it takes nobody new because it will be gone.
    pub(super) const fn is_draining(&self) -> bool {
        self.ordered_to_drain || self.load.draining
    }

    /// Whether somebody should stay there for a while, to see how evenly the stream comes.
    pub(super) fn is_worth_watching(&self, rules: &RosterConfig, now_ms: u64) -> bool {
        self.is_present(rules, now_ms) && !self.is_draining() && self.headroom(rules, now_ms) > 0
    }

    /// The moment that its promises are reckoned at: it stands still while no report can take them over.
    pub(super) fn promise_ms(&self, now_ms: u64) -> u64 {
        match self.is_presumed(now_ms) {
            true => self.heard_ms,
            false => now_ms,
        }
    }

    /// Bits a second that it has left.
    pub(super) fn headroom(&self, rules: &RosterConfig, now_ms: u64) -> u64 {
        self.load
            .headroom(rules.assumed_capacity, self.promise_ms(now_ms))
    }

    /// A viewer of `bits` a second was sent there.
    pub(super) fn promise(&mut self, bits: u64, now_ms: u64) {
        let at = self.promise_ms(now_ms);
        self.load.promised.add(bits, at);
    }

    /// How it stands.
    pub(super) fn state(&self, rules: &RosterConfig, now_ms: u64) -> State {
        if self.is_presumed(now_ms) {
            return State::Presumed;
        }
        if !self.is_present(rules, now_ms) {
            return State::Lost;
        }
        if self.is_draining() {
            return State::Draining;
        }
        if !self.fronts.is_open() {
            let hopeless = self.fronts.is_empty() || self.fronts.iter().any(|front| front.gave_up(rules));
            return if hopeless {
                State::Unreachable
            } else {
                State::Joining
            };
        }
        if !self.load_known {
            return State::Joining;
        }
        match self.headroom(rules, now_ms) {
            0 => State::Full,
            _ => State::Serving,
        }
    }

    /// Whether it is there and will stay, with room or without: [serving](State::Serving), [full](State::Full), or presumed to be.
    pub(super) fn stays(&self, rules: &RosterConfig, now_ms: u64) -> bool {
        let there = match self.links {
            0 => self.is_presumed(now_ms),
            _ => self.load_known && self.is_present(rules, now_ms),
        };
        there && !self.is_draining()
    }

    /// The weight that it is offered with wherever an endpoint of it is good, in bits a second: its headroom if it
    /// [stays](Self::stays), else 0.
    pub(super) fn weight(&self, rules: &RosterConfig, now_ms: u64) -> u64 {
        match self.stays(rules, now_ms) {
            true => self.headroom(rules, now_ms),
            false => 0,
        }
    }

    /// Why it stands so, as a sentence for the operator.
    pub(super) fn why(&self, rules: &RosterConfig, now_ms: u64) -> String {
        let silent = seconds(self.silence_ms(now_ms));
        match self.state(rules, now_ms) {
            State::Presumed => {
                let left = self.presumed_until_ms.unwrap_or(now_ms).saturating_sub(now_ms);
                format!(
                    "known from before the origin's start; it has {} to come back",
                    seconds(left)
                )
            }
            State::Lost if self.links == 0 => format!("its link has ended; it was last heard {silent} ago"),
            State::Lost => format!("it is linked, and silent for {silent}"),
            State::Draining if self.ordered_to_drain => "it was ordered to drain".to_owned(),
            State::Draining => "it drains, by its own word".to_owned(),
            State::Unreachable if self.fronts.is_empty() => {
                "it names no endpoint for viewers: set `public` in its [edge] table".to_owned()
            }
            State::Unreachable => self.why_unreachable(),
            State::Joining => self.why_joining(),
            State::Full if self.load.full => "it says that it is full".to_owned(),
            State::Full => format!(
                "its {} are given away: {} to viewers it has, {} to those on their way",
                spoken(self.load.capacity(rules.assumed_capacity)),
                spoken(self.load.carried()),
                spoken(self.load.promised.bits(self.promise_ms(now_ms))),
            ),
            State::Serving => match self.troubles() {
                troubles if rules.probing && !troubles.is_empty() => {
                    format!("it takes viewers, but {troubles}")
                }
                _ => "it takes viewers".to_owned(),
            },
        }
    }

    fn why_unreachable(&self) -> String {
        let never = |front: &Front| front.health.standing() == Standing::Unreachable;
        let hint = match self.fronts.iter().any(never) {
            true => "; open that port, or name where viewers reach it as `public` in its [edge] table",
            false => "",
        };
        format!("{}{hint}", self.troubles())
    }

    fn why_joining(&self) -> String {
        let troubles = self.troubles();
        if !troubles.is_empty() {
            return format!("not reached yet: {troubles}");
        }
        match self.load_known {
            true => "its endpoints have not been tried yet".to_owned(),
            false => "it has not reported yet".to_owned(),
        }
    }

    /// The endpoints that viewers are kept from, each with the reason. An endpoint and a reason have their bounds, and fit into a
    /// text of a message together.
    pub(super) fn given_up(&self, rules: &RosterConfig) -> Vec<String> {
        let fronts = self.fronts.iter().filter(|front| front.gave_up(rules));
        fronts
            .map(|front| {
                let reason = front.health.reason().unwrap_or("it has not proved itself yet");
                format!("{}: {reason}", front.text)
            })
            .collect()
    }

    /// What is wrong with its endpoints.
    fn troubles(&self) -> String {
        let troubled = self
            .fronts
            .iter()
            .filter_map(|front| Some(format!("{}: {}", front.text, front.health.reason()?)));
        troubled.collect::<Vec<_>>().join("; ")
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn spoken(bits: u64) -> String {
    Bitrate::from_bits(bits).spoken()
}
