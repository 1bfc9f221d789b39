//! Who gets a stream: a publisher's offer, and what becomes of those that are there already.

use super::standby::Group;
use super::{Publisher, Role, SessionId, Stay, Step, Switch};
use crate::clock::Now;
use crate::stream::policy::{Caller, Dismissal, SecondPublisher, Taken};
use crate::stream::session::Session;

/// Replaced publishers whose return is refused, per stream: more encoders than ever fight over one name. The oldest
/// is forgotten first.
const MAX_LOSERS: usize = 8;

/// A publisher that was replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loser {
    place: std::net::IpAddr,
    until_ms: u64,
}

impl Publisher {
    /// A publisher wants the stream. Do the steps, whatever comes of it.
    ///
    /// # Errors
    /// Others have it, and it is not of a kind that they give way to; they are not disturbed (R04).
    pub fn offer(&mut self, caller: Caller, now: Now) -> Result<SessionId, Taken> {
        match self.patience.second {
            SecondPublisher::Backup => self.offer_beside(caller, now),
            policy => self.offer_instead(policy, caller, now),
        }
    }

    fn offer_instead(
        &mut self,
        policy: SecondPublisher,
        caller: Caller,
        now: Now,
    ) -> Result<SessionId, Taken> {
        let Some(holder) = &self.on_air else {
            return Ok(self.let_in(caller, Role::Primary, now));
        };
        let (silent_ms, loser) = (holder.silent_ms(now), holder.caller);
        let idle = silent_ms >= self.patience.replace_idle_ms;
        if !idle && let Some(wait_ms) = self.hold_off(&caller, now) {
            return Err(Taken::HeldOff { wait_ms });
        }
        let gives_way = match policy {
            SecondPublisher::Reject => false,
            SecondPublisher::Replace => true,
            SecondPublisher::ReplaceIfIdle | SecondPublisher::Backup => idle,
        };
        if !gives_way {
            return Err(Taken::Busy { silent_ms });
        }
        self.dismiss_on_air(Dismissal::Replaced);
        // In this order: who has won is no loser any more, unless both come from one place.
        self.forgive(&caller);
        self.note_loser(&loser, now);
        Ok(self.let_in(caller, Role::Primary, now))
    }

    /// Two publishers have their places side by side, each its own; who is silent in a place gives way there.
    fn offer_beside(&mut self, caller: Caller, now: Now) -> Result<SessionId, Taken> {
        let role = match caller.backup || !self.has_room_for(Role::Primary, now) {
            true => Role::Backup,
            false => Role::Primary,
        };
        if let Some(holder) = self.stay_as(role) {
            let silent_ms = holder.silent_ms(now);
            if silent_ms < self.patience.replace_idle_ms {
                return Err(Taken::Busy { silent_ms });
            }
            self.dismiss_as(role, now);
        }
        Ok(self.let_in(caller, role, now))
    }

    fn let_in(&mut self, caller: Caller, role: Role, now: Now) -> SessionId {
        self.sessions += 1;
        let stay = Stay {
            session: Session::new(self.sessions, now),
            caller,
            role,
            held: Group::default(),
            steady_since_ms: now.mono_ms,
        };
        if self.on_air.is_none() {
            self.on_air = Some(stay);
            self.vacant_since_ms = None;
        } else {
            self.standby = Some(stay);
        }
        SessionId(self.sessions)
    }

    fn has_room_for(&self, role: Role, now: Now) -> bool {
        let holder = self.stay_as(role);
        holder.is_none_or(|stay| stay.silent_ms(now) >= self.patience.replace_idle_ms)
    }

    fn stay_as(&self, role: Role) -> Option<&Stay> {
        self.stays().find(|stay| stay.role == role)
    }

    /// Lets the silent publisher in a place go. The other one goes on air if it is any better.
    fn dismiss_as(&mut self, role: Role, now: Now) {
        if self.on_air.as_ref().is_none_or(|stay| stay.role != role) {
            self.dismiss_standby(Dismissal::Replaced);
            return;
        }
        self.dismiss_on_air(Dismissal::Replaced);
        let idle_ms = self.patience.replace_idle_ms;
        if self
            .standby
            .as_ref()
            .is_some_and(|standby| standby.silent_ms(now) < idle_ms)
        {
            self.switch(Switch::Lost, now);
        }
    }

    pub(super) fn dismiss_on_air(&mut self, why: Dismissal) {
        let dismissed = self.on_air.take();
        self.steps
            .extend(dismissed.map(|stay| Step::Stop(stay.id(), why)));
    }

    pub(super) fn dismiss_standby(&mut self, why: Dismissal) {
        let dismissed = self.standby.take();
        self.steps
            .extend(dismissed.map(|stay| Step::Stop(stay.id(), why)));
    }

    // ---- those who were replaced ----

    /// For how long this publisher is refused, if it was replaced a moment ago; that time begins anew.
    fn hold_off(&mut self, caller: &Caller, now: Now) -> Option<u64> {
        let place = caller.place()?;
        let wait_ms = self.patience.replace_hold_ms;
        let loser = self
            .losers
            .iter_mut()
            .find(|loser| loser.place == place && now.mono_ms < loser.until_ms)?;
        loser.until_ms = now.mono_ms.saturating_add(wait_ms);
        Some(wait_ms)
    }

    fn note_loser(&mut self, caller: &Caller, now: Now) {
        self.losers.retain(|loser| now.mono_ms < loser.until_ms);
        if self.losers.len() == MAX_LOSERS {
            self.losers.remove(0);
        }
        let until_ms = now.mono_ms.saturating_add(self.patience.replace_hold_ms);
        let loser = caller.place().map(|place| Loser { place, until_ms });
        self.losers.extend(loser);
    }

    fn forgive(&mut self, caller: &Caller) {
        let place = caller.place();
        self.losers.retain(|loser| Some(loser.place) != place);
    }
}
