//! The pool in a few sums: what it takes to tell whether there are edges enough.

use super::member::State;
use super::roster::Roster;
use crate::clock::Now;

/// What all edges are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Edges that are not lost, whatever else they are.
    pub edges: usize,
    /// Those of them that have just come and take nobody yet.
    pub joining: usize,
    /// Those of them that take viewers, or did until they were full.
    pub serving: usize,
    /// Bits a second that those can send.
    pub capacity: u64,
    /// Bits a second that they have left. One that says that it is full has nothing left, whatever its figures.
    pub headroom: u64,
    /// Edges that came since the roster was made and had not been known before.
    pub newcomers: u64,
}

impl Totals {
    /// Bits a second that are given away, or are not to be had.
    pub const fn committed(&self) -> u64 {
        self.capacity.saturating_sub(self.headroom)
    }
}

impl Roster {
    /// What all edges are together now. It costs a look at each member, so ask each second, not for each viewer.
    pub fn totals(&self, now: Now) -> Totals {
        let mut totals = Totals {
            newcomers: self.newcomers,
            ..Totals::default()
        };
        for member in &self.members {
            let state = member.state(&self.rules, now.mono_ms);
            totals.edges += usize::from(state != State::Lost);
            totals.joining += usize::from(state == State::Joining);
            let takes_viewers = match state {
                State::Serving | State::Full => true,
                State::Presumed => member.fronts.is_open() && !member.is_draining(),
                State::Joining | State::Unreachable | State::Draining | State::Lost => false,
            };
            if takes_viewers {
                let capacity = member.load.capacity(self.rules.assumed_capacity);
                let headroom = member.headroom(&self.rules, now.mono_ms);
                totals.serving += 1;
                totals.capacity = totals.capacity.saturating_add(capacity);
                totals.headroom = totals.headroom.saturating_add(headroom);
            }
        }
        totals
    }
}
