//! Which endpoints somebody stays at for a while, to see whether what comes from there comes evenly.

use super::front::Watchable;
use super::roster::Roster;
use crate::cascade::Instance;
use crate::clock::Now;
use crate::pool::Endpoint;

/// For how long one endpoint is watched at a stretch, in milliseconds. A few groups of a stream, and short enough that many edges
/// take turns.
pub const WATCH_MS: u64 = 10_000;

impl Roster {
    /// At most `count` endpoints, each to be watched from now on for [`WATCH_MS`]: those first whose edge stalled lately, then those
    /// that were watched longest ago, one of each edge at a time.
    pub fn to_watch(&mut self, count: usize, now: Now) -> Vec<(Instance, Endpoint)> {
        let now_ms = self.advance(now);
        if count == 0 || !self.rules.probing {
            return Vec::new();
        }
        let mut waiting: Vec<(Watchable, usize)> = Vec::new();
        for (place, member) in self.members.iter().enumerate() {
            if member.is_worth_watching(&self.rules, now_ms) {
                let fronts = member.fronts.watchable(now_ms).into_iter();
                waiting.extend(fronts.map(|front| (front, place)));
            }
        }
        waiting.sort_unstable();
        waiting.truncate(count);
        let taken = waiting.into_iter().filter_map(|(front, place)| {
            let member = &mut self.members[place];
            let endpoint = member.fronts.is_watched(front, now_ms)?;
            Some((member.instance.clone(), endpoint))
        });
        taken.collect()
    }

    /// Whether whoever watches an edge should go on: it is linked and takes viewers. To one that drains a watcher would be one more
    /// to be let go.
    pub fn is_worth_watching(&self, instance: &Instance, now: Now) -> bool {
        let member = self.member(instance);
        member.is_some_and(|member| member.is_worth_watching(&self.rules, now.mono_ms))
    }
}
