//! All edges of a pool: what happens to them goes in, and lists come out. Where viewers go is worked out in `steering`.

use std::collections::HashMap;

use super::config::RosterConfig;
use super::endpoint::Endpoint;
use super::health::{Finding, Standing};
use super::member::{Arrival, Member, State};
use super::remembered::Remembered;
use super::row::Row;
use super::weights::{Kinds, Weights};
use crate::cascade::Instance;
use crate::cascade::message::Report;
use crate::clock::Now;

/// How often those who have gone silent are looked for, in milliseconds. It costs a look at each member; one that was drawn
/// is looked at anyway, so that nobody is sent to a silent one in between.
const SWEEP_MS: u64 = 250;

/// The pool as its origin knows it.
///
/// Each event is told as it comes; each question may be asked at any time, tens of thousands of times a second. Only the
/// monotonic half of `now` is looked at, so that a jump of the wall clock changes nothing.
#[derive(Debug)]
pub struct Roster {
    pub(super) rules: RosterConfig,
    pub(super) members: Vec<Member>,
    places: HashMap<Instance, usize>,
    /// What each member is offered with, at its place in `members`: to any viewers, and to each kind of them.
    pub(super) any: Weights,
    pub(super) kinds: Kinds,
    /// The member at which the next round of probes begins, if it is there.
    next_probe: usize,
    /// Edges that came and had not been known before.
    pub(super) newcomers: u64,
    swept_ms: u64,
    now_ms: u64,
}

/// A newcomer was refused: the pool has as many edges as it may, and none of them is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pool has {0} edges, which is as many as it may have, and none of them is lost")]
pub struct RosterFull(pub usize);

impl Roster {
    /// A pool of those who were there before, at the origin's start.
    pub fn new(rules: RosterConfig, remembered: Vec<Remembered>, now: Now) -> Self {
        let mut roster = Self {
            rules,
            members: Vec::new(),
            places: HashMap::new(),
            any: Weights::default(),
            kinds: Kinds::default(),
            next_probe: 0,
            newcomers: 0,
            swept_ms: now.mono_ms,
            now_ms: now.mono_ms,
        };
        for kept in remembered.into_iter().take(rules.max_members) {
            roster.insert(Member::presumed(kept, &rules, now.mono_ms));
        }
        roster
    }

    /// An edge's control link came up: it is new, or comes back, or replaces its link by another. Each call is matched by
    /// one of [`unlinked`](Self::unlinked), in any order.
    ///
    /// # Errors
    /// The pool is full. Nothing was changed.
    pub fn linked(&mut self, instance: Instance, arrival: Arrival, now: Now) -> Result<(), RosterFull> {
        let now_ms = self.advance(now);
        let place = match self.places.get(&instance) {
            Some(place) => *place,
            None => {
                self.make_room(now_ms)?;
                self.newcomers += 1;
                self.insert(Member::new(instance, &self.rules, now_ms))
            }
        };
        self.members[place].linked(arrival, &self.rules, now_ms);
        self.settle(place, now_ms);
        Ok(())
    }

    /// An edge reported. One that is not known, since it was revoked a moment ago, is ignored.
    pub fn reported(&mut self, instance: &Instance, report: &Report, now: Now) {
        let now_ms = self.advance(now);
        self.change(instance, now_ms, |member, _| member.reported(report, now_ms));
    }

    /// A control link of an edge ended.
    pub fn unlinked(&mut self, instance: &Instance, now: Now) {
        let now_ms = self.advance(now);
        self.change(instance, now_ms, |member, _| member.unlinked());
    }

    /// The probe found something at an endpoint of an edge. If it has no such endpoint any more, nothing changes. It tells how
    /// the endpoint stands from now on, if it stood otherwise before.
    pub fn probed(
        &mut self,
        instance: &Instance,
        endpoint: &Endpoint,
        finding: Finding,
        now: Now,
    ) -> Option<Standing> {
        let now_ms = self.advance(now);
        let mut news = None;
        self.change(instance, now_ms, |member, rules| {
            news = member.fronts.found(endpoint, finding, rules, now_ms);
        });
        news
    }

    /// The endpoints of an edge at which the probe has given up on it, each with the reason: what its operator should know.
    pub fn unreachable(&self, instance: &Instance) -> Vec<String> {
        let place = self.places.get(instance);
        place.map_or_else(Vec::new, |place| self.members[*place].given_up(&self.rules))
    }

    /// An operator wants an edge to drain, or takes that back. It tells whether there is such an edge.
    pub fn order_drain(&mut self, instance: &Instance, drain: bool) -> bool {
        self.change(instance, self.now_ms, |member, _| member.ordered_to_drain = drain)
    }

    /// Whether an operator wants an edge to drain.
    pub fn is_ordered_to_drain(&self, instance: &Instance) -> bool {
        let place = self.places.get(instance);
        place.is_some_and(|place| self.members[*place].ordered_to_drain)
    }

    /// An edge is no member any more. It tells whether there was such an edge.
    pub fn revoked(&mut self, instance: &Instance) -> bool {
        let Some(place) = self.places.get(instance).copied() else {
            return false;
        };
        self.remove(place);
        true
    }

    /// How many edges are known, lost ones included.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no edge is known.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Notes something of a member that does not change what it is offered with.
    pub(super) fn note(&mut self, instance: &Instance, how: impl FnOnce(&mut Member)) {
        if let Some(place) = self.places.get(instance) {
            how(&mut self.members[*place]);
        }
    }

    pub(super) fn member(&self, instance: &Instance) -> Option<&Member> {
        self.places.get(instance).map(|place| &self.members[*place])
    }

    /// How an edge stands, if it is known.
    pub fn state(&self, instance: &Instance, now: Now) -> Option<State> {
        let member = &self.members[*self.places.get(instance)?];
        Some(member.state(&self.rules, now.mono_ms))
    }

    /// How many edges stand so, for each state there is.
    pub fn tally(&self, now: Now) -> [(State, usize); State::ALL.len()] {
        let mut tally = State::ALL.map(|state| (state, 0));
        for member in &self.members {
            let state = member.state(&self.rules, now.mono_ms);
            if let Some((_, count)) = tally.iter_mut().find(|(other, _)| *other == state) {
                *count += 1;
            }
        }
        tally
    }

    /// All edges as an operator sees them, by name.
    pub fn list(&self, now: Now) -> Vec<Row> {
        let rows = self
            .members
            .iter()
            .map(|member| member.row(&self.rules, now.mono_ms));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by(|a, b| a.instance.cmp(&b.instance));
        rows
    }

    /// What to keep over a restart: those who are there, and those who have an operator's order.
    pub fn remember(&self, now: Now) -> Vec<Remembered> {
        let kept = self.members.iter().filter_map(|member| {
            let lost = member.state(&self.rules, now.mono_ms) == State::Lost;
            (!lost || member.ordered_to_drain).then(|| member.remember(&self.rules, lost, now.mono_ms))
        });
        kept.collect()
    }

    /// At most `count` endpoints that are due for a probe: first those of newcomers, then the others in turn. Whoever asks goes
    /// and probes them, and tells what it [found](Self::probed); they are due again in a while, in any case.
    pub fn to_probe(&mut self, count: usize, now: Now) -> Vec<(Instance, Endpoint)> {
        let now_ms = self.advance(now);
        let mut due = Vec::new();
        if self.rules.probing {
            self.take_due(count, now_ms, 0, false, &mut due);
            self.next_probe = self.take_due(count, now_ms, self.next_probe, true, &mut due);
        }
        due
    }

    /// Takes what is due, proven or not, from the member at `start` on and once around, until `due` has `count`. It tells
    /// where to go on.
    fn take_due(
        &mut self,
        count: usize,
        now_ms: u64,
        start: usize,
        proven: bool,
        due: &mut Vec<(Instance, Endpoint)>,
    ) -> usize {
        let all = self.members.len();
        for step in 0..all {
            let place = (start + step) % all;
            let member = &mut self.members[place];
            if !member.fronts.is_due(proven, now_ms) || (member.links == 0 && !member.is_presumed(now_ms)) {
                continue;
            }
            let left = count - due.len();
            let scatter = scatter(&member.instance);
            let taken = (member.fronts).take_due(left, proven, scatter, &self.rules, now_ms);
            due.extend(
                taken
                    .into_iter()
                    .map(|endpoint| (member.instance.clone(), endpoint)),
            );
            if due.len() == count {
                return (place + 1) % all;
            }
        }
        start
    }

    /// Takes the time, and looks for those who have gone silent. Time that seems to step back stands still.
    pub(super) fn advance(&mut self, now: Now) -> u64 {
        self.now_ms = self.now_ms.max(now.mono_ms);
        if self.now_ms - self.swept_ms >= SWEEP_MS {
            self.swept_ms = self.now_ms;
            self.sweep(self.now_ms);
        }
        self.now_ms
    }

    fn sweep(&mut self, now_ms: u64) {
        let half = self.rules.silence_ms / 2;
        for place in (0..self.members.len()).rev() {
            let member = &self.members[place];
            let silence = member.silence_ms(now_ms);
            if member.links > 0 && silence < half {
                // Its next report settles it.
                continue;
            }
            if silence >= self.rules.forget_ms && member.links == 0 {
                self.remove(place);
            } else {
                self.settle(place, now_ms);
            }
        }
    }

    /// Changes a member and what it is offered with. It tells whether there is such a member.
    fn change(
        &mut self,
        instance: &Instance,
        now_ms: u64,
        how: impl FnOnce(&mut Member, &RosterConfig),
    ) -> bool {
        let Some(place) = self.places.get(instance).copied() else {
            return false;
        };
        how(&mut self.members[place], &self.rules);
        self.settle(place, now_ms);
        true
    }

    /// Works out what a member is offered with now, to any viewers.
    pub(super) fn settle(&mut self, place: usize, now_ms: u64) -> u64 {
        let member = &self.members[place];
        let headroom = member.weight(&self.rules, now_ms);
        let fronts = &member.fronts;
        let weight = |serves| if serves { headroom } else { 0 };
        let any = weight(fronts.is_open());
        (self.kinds).set(place, |scheme, family| weight(fronts.serves(scheme, family)));
        self.any.set(place, any);
        any
    }

    /// Makes the one that has been lost longest give way, if need be.
    fn make_room(&mut self, now_ms: u64) -> Result<(), RosterFull> {
        if self.members.len() < self.rules.max_members {
            return Ok(());
        }
        let lost = |(_, member): &(usize, &Member)| member.state(&self.rules, now_ms) == State::Lost;
        let longest = self
            .members
            .iter()
            .enumerate()
            .filter(lost)
            .min_by_key(|(_, member)| member.heard_ms);
        let (place, _) = longest.ok_or(RosterFull(self.members.len()))?;
        self.remove(place);
        Ok(())
    }

    fn insert(&mut self, member: Member) -> usize {
        if let Some(place) = self.places.get(&member.instance) {
            return *place;
        }
        let (place, now_ms) = (self.members.len(), self.now_ms);
        self.places.insert(member.instance.clone(), place);
        self.members.push(member);
        self.settle(place, now_ms);
        place
    }

    /// Takes a member out; the last one takes its place.
    fn remove(&mut self, place: usize) {
        let last = self.members.len() - 1;
        let gone = self.members.swap_remove(place);
        self.places.remove(&gone.instance);
        self.any.set(last, 0);
        self.kinds.set(last, |_, _| 0);
        if let Some(moved) = self.members.get(place) {
            self.places.insert(moved.instance.clone(), place);
            self.settle(place, self.now_ms);
        }
    }
}

/// A number to scatter an edge's probes by, from its name (FNV-1a).
fn scatter(instance: &Instance) -> u64 {
    let name = instance.to_string();
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
