//! The desk: viewers dial, are sent elsewhere, let in, and seen off.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::Audience;
use crate::watch::fate::{Fate, REDIRECTED, SERVED};
use crate::watch::place::redirected;
use crate::watch::sources::Sources;
use crate::watch::tally::Moment;
use crate::watch::window::due_us;
use crate::watch::{Role, SECOND_US, sys};

/// Viewers that begin before those who are there have their turn.
const DIALS_PER_TURN: u32 = 64;

/// How long a viewer may take from its beginning to its first tag.
const JOIN_PATIENCE_US: u64 = 10 * SECOND_US;

/// How often a viewer follows a redirect.
const MAX_HOPS: u8 = 2;

/// The receive buffer that a slow viewer asks for (the kernel doubles it): small, so that its slowness is felt at the other
/// end and not hidden here.
const SLOW_RECEIVE_BUFFER: usize = 16 << 10;

impl Audience {
    pub(super) fn dial_those_due(&mut self, at: Moment) {
        for _ in 0..DIALS_PER_TURN {
            let index = self.begun;
            if due_us(index, self.plan.ramp) > at.at_us || index as usize >= self.viewers.len() {
                return;
            }
            self.begun += 1;
            let at = self.clock.now();
            if let Some(viewer) = self.viewers.get_mut(index as usize) {
                viewer.media.begin(at.at_us);
            }
            self.joining.push_back((at.at_us + JOIN_PATIENCE_US, index));
            self.dial(index);
        }
    }

    fn dial(&mut self, index: u32) {
        if let Err(error) = self.try_dial(index) {
            self.ended(index, &Fate::from_connect(error));
        }
    }

    fn try_dial(&mut self, index: u32) -> Result<(), Errno> {
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return Ok(());
        };
        let addresses = self
            .places
            .get(viewer.place)
            .map_or(&[][..], |place| &place.addresses);
        // Viewers of each stream take turns among the addresses.
        let turn = index as usize / self.plan.streams;
        let Some(target) = addresses.get(turn % addresses.len().max(1)) else {
            return Err(Errno::ADDRNOTAVAIL);
        };
        let source = Sources::choose(self.plan.sources, *target, index);
        let buffer = (viewer.media.role() == Role::Slow).then_some(SLOW_RECEIVE_BUFFER);
        let socket = sys::connect(*target, source, buffer)?;
        self.poller.add(&socket, index)?;
        viewer.dials(socket);
        Ok(())
    }

    pub(super) fn redirect(&mut self, index: u32, location: &str) {
        let Some(viewer) = self.viewers.get_mut(index as usize) else {
            return;
        };
        if viewer.hops == 0 {
            count(&mut self.joins, viewer.media.role(), REDIRECTED);
        }
        viewer.hops += 1;
        if viewer.hops > MAX_HOPS {
            return self.ended(index, &Fate::TooManyRedirects);
        }
        let from = self.places.get(viewer.place).map_or("", |place| &place.url);
        let url = redirected(from, location);
        match self.places.find(&url) {
            Ok(place) => {
                viewer.place = place;
                self.dial(index);
            }
            Err(_) => self.ended(index, &Fate::BadRedirect),
        }
    }

    pub(super) fn joined(&mut self, index: u32) {
        let Some(viewer) = self
            .viewers
            .get_mut(index as usize)
            .filter(|viewer| !viewer.joined)
        else {
            return;
        };
        viewer.joined = true;
        count(&mut self.joins, viewer.media.role(), SERVED);
        if viewer.media.role() == Role::Watching {
            self.serving += 1;
        }
    }

    pub(super) fn ended(&mut self, index: u32, fate: &Fate) {
        let at = self.clock.now();
        let Some(viewer) = self
            .viewers
            .get_mut(index as usize)
            .filter(|viewer| !viewer.is_over())
        else {
            return;
        };
        viewer.ends();
        let role = viewer.media.role();
        if !viewer.joined {
            return count(&mut self.joins, role, &fate.name());
        }
        match role {
            Role::Watching => {
                self.closed.watching += 1;
                self.serving = self.serving.saturating_sub(1);
            }
            Role::Slow => self.closed.slow += 1,
            Role::Stalled => {
                self.closed.stalled += 1;
                let after = at.at_us - viewer.media.began_us();
                self.tally.stalled_until_closed.saturating_record(after);
            }
        }
    }

    pub(super) fn give_up_joining(&mut self, at: Moment) {
        while let Some((_, index)) = self.joining.pop_front_if(|(due_us, _)| *due_us <= at.at_us) {
            let waits = self
                .viewers
                .get(index as usize)
                .is_some_and(|viewer| !viewer.joined);
            if waits {
                self.ended(index, &Fate::TimedOut);
            }
        }
    }
}

/// Counts an outcome under its name, and under that of the kind of viewer.
fn count(joins: &mut BTreeMap<String, u64>, role: Role, outcome: &str) {
    let name = match role {
        Role::Watching => outcome.to_owned(),
        Role::Slow => format!("slow_{outcome}"),
        Role::Stalled => format!("stalled_{outcome}"),
    };
    *joins.entry(name).or_default() += 1;
}
