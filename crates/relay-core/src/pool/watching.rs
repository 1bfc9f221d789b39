//! Which endpoints somebody stays at for a while, to see whether what comes from there comes evenly.

use super::front::Watchable;
use super::roster::Roster;
use crate::cascade::Instance;
use crate::clock::Now;
use crate::pool::Endpoint;

/// For how long one endpoint is watched at a stretch, in milliseconds. A few groups of a stream, and short enough that many edges
/// take turns.
pub const WATCH_MS: u64 = 10_000;

/// Whoever stays takes a viewer's worth of an edge: only where that is no more than one part in so many of what it can send.
const LEAST_SHARE: u64 = 10;

impl Roster {
    /// At most `count` endpoints, each to be watched from now on for [`WATCH_MS`] by one who takes `bits` a second: those first whose
    /// edge stalled lately, then those that were watched longest ago, one of each edge at a time. Each is matched by one of
    /// [`watched`](Self::watched).
    pub fn to_watch(&mut self, count: usize, bits: u64, now: Now) -> Vec<(Instance, Endpoint)> {
        let now_ms = self.advance(now);
        if count == 0 || !self.rules.probing {
            return Vec::new();
        }
        let mut waiting: Vec<(Watchable, usize)> = Vec::new();
        for (place, member) in self.members.iter().enumerate() {
            let capacity = member.load.capacity(self.rules.assumed_capacity);
            let is_cheap = bits.saturating_mul(LEAST_SHARE) <= capacity;
            if is_cheap && member.is_worth_watching(&self.rules, now_ms) {
                let fronts = member.fronts.watchable(now_ms).into_iter();
                waiting.extend(fronts.map(|front| (front, place)));
            }
        }
        waiting.sort_unstable();
        waiting.truncate(count);
        let taken = waiting.into_iter().filter_map(|(front, place)| {
            let member = &mut self.members[place];
            let endpoint = member.fronts.is_watched(front, now_ms)?;
            member.watchers = member.watchers.saturating_add(1);
            Some((member.instance.clone(), endpoint))
        });
        taken.collect()
    }

    /// One who watched an edge has gone.
    pub fn watched(&mut self, instance: &Instance) {
        self.note(instance, |member| {
            member.watchers = member.watchers.saturating_sub(1)
        });
    }

    /// Whether whoever watches an edge should go on: it is linked, and has room for viewers. To one that drains a watcher would be one
    /// more to be let go, and of one that is full it would take a viewer's place.
    pub fn is_worth_watching(&self, instance: &Instance, now: Now) -> bool {
        let member = self.member(instance);
        member.is_some_and(|member| member.is_worth_watching(&self.rules, now.mono_ms))
    }
}
