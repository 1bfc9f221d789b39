//! The ear: viewers ask for their stream, and what comes is read.

use super::Audience;
use super::due::SLOW_TICK_US;
use crate::watch::fate::Fate;
use crate::watch::sys::{self, Readiness};
use crate::watch::{Role, SECOND_US};

/// What is read at a time: a burst of a second at 2 Mbit/s, and a fourth of a core's second-level cache.
pub(super) const SCRATCH_BYTES: usize = 256 << 10;

/// Full reads of one viewer before the others have their turn.
const READS_PER_TURN: usize = 4;

impl Audience {
    pub(super) fn handle(&mut self, event: Readiness) {
        let index = event.token;
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return;
        };
        if event.output
            && viewer.has_to_say()
            && let Some(place) = self.places.get(viewer.place)
            && let Err(fate) = viewer.write(index, place, self.clock.now())
        {
            return self.ended(index, &fate);
        }
        if viewer.is_deaf() {
            self.joined(index);
            if event.closed {
                self.ended(index, &Fate::Closed);
            }
        } else if viewer.media.role() != Role::Slow || !viewer.joined {
            self.read(index, event.closed);
        }
    }

    /// Reads all that there is for one viewer, or as much as its turn allows. The end of one that is `closed` has no event
    /// to come, and is looked for; else less than there was room for is all there is, at the price of one call.
    pub(super) fn read(&mut self, index: u32, closed: bool) {
        for _ in 0..READS_PER_TURN {
            match self.read_once(index, SCRATCH_BYTES) {
                Some(count) if count == SCRATCH_BYTES || closed => {}
                _ => return,
            }
        }
        self.again.push(index);
    }

    /// Reads at most `most` bytes; says how many came.
    fn read_once(&mut self, index: u32, most: usize) -> Option<usize> {
        let viewer = self.viewers.get_mut(index as usize)?;
        let socket = viewer.socket.as_ref()?;
        let room = self.scratch.get_mut(..most)?;
        let result = match sys::receive(socket, room) {
            Ok(None) => return None,
            Ok(Some(0)) => Err(Fate::Closed),
            Err(error) => Err(Fate::from_send(error)),
            Ok(Some(count)) => {
                let at = self.clock.now();
                self.tally.count(count as u64);
                let input = room.get(..count).unwrap_or_default();
                viewer.take(input, at, &mut self.tally).map(|()| count)
            }
        };
        if viewer.media.has_tag() && !viewer.joined {
            self.joined(index);
        }
        match result {
            Ok(count) => Some(count),
            Err(Fate::Redirected(location)) => {
                self.redirect(index, &location);
                None
            }
            Err(fate) => {
                self.ended(index, &fate);
                None
            }
        }
    }

    /// Gives each slow viewer what it may read in a slow tick, and lets it read.
    pub(super) fn read_slowly(&mut self) {
        let more = u32::try_from(self.plan.slow_rate.bytes() * SLOW_TICK_US / SECOND_US).unwrap_or(u32::MAX);
        for position in 0..self.plan.slow.len() {
            let index = self.plan.slow[position];
            let Some(viewer) = self
                .viewers
                .get_mut(index as usize)
                .filter(|viewer| viewer.joined)
            else {
                continue;
            };
            // What was not used of the last tick may be made up for, but no more.
            viewer.credit = viewer.credit.min(more).saturating_add(more);
            let most = (viewer.credit as usize).min(SCRATCH_BYTES);
            let count = self.read_once(index, most).unwrap_or(0);
            if let Some(viewer) = self.viewers.get_mut(index as usize) {
                viewer.credit -= count as u32; // fits: at most the credit
            }
        }
    }
}
