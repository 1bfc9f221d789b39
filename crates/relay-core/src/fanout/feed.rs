//! A feed: one flavour of one stream with those of a shard's viewers that watch it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use slab::Slab;

use super::side::Side;
use super::step::{Moment, Outcome, Sink, Step, Tally};
use super::viewer::{Cold, Hot};
use crate::clock::Now;
use crate::flavour::Flavour;
use crate::stream::{Headers, Lease, Stream, View};

/// One flavour of one stream in one shard.
pub(super) struct Feed {
    pub(super) stream: Arc<Stream>,
    pub(super) flavour: Flavour,
    pub(super) view: View,
    /// Viewers by slot of the period.
    pub(super) slots: Vec<Vec<Hot>>,
    pub(super) viewers: usize,
    /// The newest prelude made: joiners between two keyframes share it.
    prelude: Option<Prelude>,
    /// The moment for which `late_below` was looked up, and what it was.
    late: (u64, u64),
    /// Keeps the flavour being made.
    _lease: Lease,
}

impl Feed {
    pub(super) fn new(stream: Arc<Stream>, flavour: Flavour, lease: Lease, slots: usize) -> Self {
        let slots = (0..slots).map(|_| Vec::new()).collect();
        Self {
            stream,
            flavour,
            view: View::default(),
            slots,
            viewers: 0,
            prelude: None,
            late: (0, 0),
            _lease: lease,
        }
    }

    /// Whether this feed is of that very stream: a name that ended and came back is another one.
    pub(super) fn is_of(&self, stream: &Arc<Stream>, flavour: Flavour) -> bool {
        Arc::ptr_eq(&self.stream, stream) && self.flavour == flavour
    }

    /// Brings the view up to date; false if the flavour is no longer made.
    pub(super) fn sync(&mut self) -> bool {
        self.stream.sync(self.flavour, &mut self.view)
    }

    /// Cursors below this are at a byte that was appended more than `max_late_ms` ago. Looked up once per moment.
    pub(super) fn late_below(&mut self, now: Now, max_late_ms: u32) -> u64 {
        if self.late.0 != now.mono_ms {
            let since = now.mono_ms.saturating_sub(max_late_ms.into());
            self.late = (now.mono_ms, self.view.first_appended_since(since));
        }
        self.late.1
    }

    /// What its viewers take together, in bytes per second.
    pub(super) fn weight(&self) -> u64 {
        self.viewers as u64 * self.stream.weight()
    }

    /// One of its viewers, by the index among the cold.
    pub(super) fn anyone(&self) -> Option<usize> {
        self.slots.iter().flatten().next().map(|hot| hot.cold as usize)
    }

    /// A step of those viewers of `slot` who stand at `places`. Who is at an end is put into `partings`.
    pub(super) fn step<S: Sink>(
        &mut self,
        slot: usize,
        places: Range<usize>,
        moment: Moment,
        sink: S,
        colds: &mut Slab<Cold>,
        partings: &mut Vec<(usize, Outcome)>,
    ) -> Tally {
        let mut step = Step {
            view: &self.view,
            flavour: self.flavour,
            moment,
            sink,
            tally: Tally::default(),
        };
        // Every viewer has its cold part; were one lost, it would have nothing to say.
        let mut silent = Side::default();
        for hot in self.slots[slot].get_mut(places).into_iter().flatten() {
            let cold = hot.cold as usize;
            let skips = step.tally.skips;
            let (reborrowed, silent) = (&mut *colds, &mut silent);
            let side = move || reborrowed.get_mut(cold).map_or(silent, |cold| &mut cold.side);
            let outcome = step.run(hot, side);
            if step.tally.skips != skips
                && let Some(cold) = colds.get_mut(cold)
            {
                cold.skips = cold.skips.saturating_add(1);
            }
            if outcome != Outcome::Stays {
                partings.push((cold, outcome));
            }
        }
        step.tally
    }

    /// Where a joiner begins, and what it gets first. Without any start point left it begins at the live edge and waits
    /// for the next one there.
    pub(super) fn join(&mut self) -> (u64, Bytes) {
        let newest = self.view.newest_start();
        let headers = self.stream.joiners_headers(newest.map(|newest| &newest.start));
        let Some(newest) = newest else {
            let time = self.stream.last_time().unwrap_or(0);
            return (self.view.end(), self.flavour.prelude(&headers, time));
        };
        let sequence = newest.start.sequence;
        let made = self.prelude.take();
        let made = made.filter(|made| made.sequence == sequence && made.headers == headers);
        let prelude = made.unwrap_or_else(|| Prelude {
            sequence,
            bytes: self.flavour.prelude(&headers, newest.start.time),
            headers,
        });
        let bytes = prelude.bytes.clone();
        self.prelude = Some(prelude);
        (newest.offset, bytes)
    }
}

/// What joiners get first at one start point.
struct Prelude {
    /// The start point's record.
    sequence: u64,
    /// What it says.
    headers: Headers,
    bytes: Bytes,
}

#[cfg(test)]
mod tests;
