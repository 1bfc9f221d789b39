//! What outlives a publisher and a process: a stream's epoch number and the anchor of its timeline.
//!
//! Each incarnation of a publisher's time on a stream is an *epoch*. Two promises are kept here, whatever was lost
//! between two epochs (the publisher, the process, the state folder, the clock's setting): a later epoch has a higher
//! number, and its first output time lies beyond every time that this node or a child of it knows to have been sent.
//! Sources of that knowledge, best first: this process's memory, the children's Hellos, the anchor in the state folder.

use serde::{Deserialize, Serialize};

use crate::clock::Now;

/// The highest epoch or time that a child may claim: 2^52, the year 144,683 in milliseconds.
///
/// Each claim is one that the origin goes beyond, so a broken child could otherwise push a stream to the end of the
/// number line. What remains above leaves room for as many epochs again, and is still exact in JSON.
pub const MAX_CLAIM: u64 = 1 << 52;

/// What the state folder keeps of a stream: enough to go on beyond it after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest epoch's number.
    pub epoch: u64,
    /// The wall clock, in Unix milliseconds, at which the output timeline reads 0. Negative if the timeline has run
    /// longer than the clock says: it was set back, or the state was lost and a child knew better.
    pub anchor_ms: i64,
}

/// The end of what someone holds of a stream: the newest epoch and the newest output time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The newest epoch's number.
    pub epoch: u64,
    /// The highest output time, of any track.
    pub time: u64,
}

/// A child's Hello names an epoch or a time beyond [`MAX_CLAIM`], which no origin has ever given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a child claims epoch {epoch} at time {time}, beyond anything an origin gives out")]
pub struct AbsurdClaim {
    /// The epoch it claims.
    pub epoch: u64,
    /// The time it claims.
    pub time: u64,
}

/// An epoch's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Its number, higher than every epoch's known before.
    pub epoch: u64,
    /// Its first output time; no tag of the epoch lies before it, every tag of an earlier one does.
    pub first_time: u64,
}

/// The line of a stream's epochs, seen from the node that makes them.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    mark: Option<Mark>,
    begun: Option<Beginning>,
    sent: Option<Sent>,
    claimed: Option<Held>,
}

/// The newest output time of this process's own making.
#[derive(Clone, Copy, Debug)]
struct Sent {
    time: u64,
    at_mono_ms: u64,
}

impl Lineage {
    /// A line that goes on beyond what the state folder has kept, if it has.
    pub fn restored(mark: Option<Mark>) -> Self {
        Self {
            mark,
            ..Self::default()
        }
    }

    /// Begins the next epoch: number = max(Unix ms, last + 1), first time = max(wall clock − anchor, last known + 1).
    ///
    /// While this process knows the stream's last time, the wall clock may not move the timeline further than the
    /// pause was long: a jump of it is no outage.
    pub fn begin(&mut self, now: Now) -> Beginning {
        let last_epoch = self
            .mark
            .map(|mark| mark.epoch)
            .max(self.claimed.map(|held| held.epoch));
        let beyond = last_epoch.map_or(0, |epoch| epoch.saturating_add(1));
        let beginning = Beginning {
            epoch: now.unix_ms().max(beyond),
            first_time: self.wall_time(now).max(self.least_time()),
        };
        self.mark = Some(Mark {
            epoch: beginning.epoch,
            anchor_ms: signed(now.unix_ms()).saturating_sub(signed(beginning.first_time)),
        });
        self.begun = Some(beginning);
        self.note_sent(beginning.first_time, now);
        beginning
    }

    /// Remembers a time that was given out.
    pub fn note_sent(&mut self, time: u64, now: Now) {
        if self.sent.is_none_or(|sent| time >= sent.time) {
            self.sent = Some(Sent {
                time,
                at_mono_ms: now.mono_ms,
            });
        }
    }

    /// Hears what a child holds. True if the running epoch does not lie beyond it, so that a new one is due.
    ///
    /// # Errors
    /// The claim is absurd, and ignored.
    pub fn raise(&mut self, held: Held) -> Result<bool, AbsurdClaim> {
        if held.epoch > MAX_CLAIM || held.time > MAX_CLAIM {
            return Err(AbsurdClaim {
                epoch: held.epoch,
                time: held.time,
            });
        }
        let claimed = self.claimed.get_or_insert(held);
        claimed.epoch = claimed.epoch.max(held.epoch);
        claimed.time = claimed.time.max(held.time);
        Ok(self.is_behind(held))
    }

    /// What to keep: the newest epoch, and an anchor by which the wall clock now reads no less than the last time sent.
    pub fn mark(&self, now: Now) -> Option<Mark> {
        let mark = self.mark?;
        let reached = self.sent.map_or(0, |sent| sent.time);
        Some(Mark {
            anchor_ms: mark
                .anchor_ms
                .min(signed(now.unix_ms()).saturating_sub(signed(reached))),
            ..mark
        })
    }

    /// The epoch that runs or ran last in this process.
    pub const fn newest(&self) -> Option<Beginning> {
        self.begun
    }

    /// A child holds a higher epoch than the running one, or in an older (or the same) epoch a time that the running
    /// one has yet to pass.
    fn is_behind(&self, held: Held) -> bool {
        let (Some(begun), Some(sent)) = (self.begun, self.sent) else {
            return false;
        };
        match held.epoch.cmp(&begun.epoch) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => held.time > sent.time,
            std::cmp::Ordering::Less => held.time >= begun.first_time,
        }
    }

    /// One more than any time known to have been sent.
    fn least_time(&self) -> u64 {
        let known = self
            .sent
            .map(|sent| sent.time)
            .max(self.claimed.map(|held| held.time));
        known.map_or(0, |time| time.saturating_add(1))
    }

    /// Where the wall clock would have the timeline.
    fn wall_time(&self, now: Now) -> u64 {
        let Some(mark) = self.mark else { return 0 };
        let since_anchor = signed(now.unix_ms()).saturating_sub(mark.anchor_ms);
        let by_clock = u64::try_from(since_anchor).unwrap_or(0).min(MAX_CLAIM);
        match self.sent {
            Some(sent) => by_clock.min(sent.time + now.mono_ms.saturating_sub(sent.at_mono_ms)),
            None => by_clock,
        }
    }
}

/// Milliseconds as a signed number; what no clock reads is cut off.
fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const NOON: Now = Now {
        mono_ms: HOUR_MS,
        unix_us: 1_700_000_000_000_000,
    };

    /// The same process-independent moment on a machine whose clock was set back, in a process just started.
    fn set_back(now: Now, ms: u64) -> Now {
        Now {
            mono_ms: now.mono_ms,
            unix_us: now.unix_us - ms * 1000,
        }
    }

    #[test]
    fn first_epoch_is_the_clock_and_time_starts_at_zero() {
        let mut lineage = Lineage::default();
        let first = lineage.begin(NOON);
        assert_eq!(first.epoch, NOON.unix_ms());
        assert_eq!(first.first_time, 0);
    }

    #[test]
    fn an_outage_leaves_a_gap_of_its_own_length() {
        let mut lineage = Lineage::default();
        lineage.begin(NOON);
        lineage.note_sent(10_000, NOON.plus_ms(10_000));
        let next = lineage.begin(NOON.plus_ms(15_000));
        assert_eq!(next.first_time, 15_000);
        assert_eq!(next.epoch, NOON.unix_ms() + 15_000);
    }

    #[test]
    fn a_restart_goes_on_by_the_anchor() {
        let mut before = Lineage::default();
        before.begin(NOON);
        before.note_sent(60_000, NOON.plus_ms(60_000));
        let mut after = Lineage::restored(before.mark(NOON.plus_ms(60_000)));
        let next = after.begin(NOON.plus_ms(63_000));
        assert_eq!(next.first_time, 63_000);
    }

    #[test]
    fn a_publisher_ahead_of_the_clock_moves_the_kept_anchor() {
        let mut before = Lineage::default();
        before.begin(NOON);
        // It sent a minute of media within a second.
        before.note_sent(60_000, NOON.plus_ms(1_000));
        let mut after = Lineage::restored(before.mark(NOON.plus_ms(1_000)));
        assert_eq!(after.begin(NOON.plus_ms(2_000)).first_time, 61_000);
    }

    #[test]
    fn state_lost_and_clock_set_back_still_go_beyond_what_a_child_holds() {
        let mut before = Lineage::default();
        let old = before.begin(NOON);
        let mut after = Lineage::default();
        let now = set_back(NOON, HOUR_MS);
        let held = Held {
            epoch: old.epoch,
            time: 90_000,
        };
        assert_eq!(after.raise(held), Ok(false), "nothing runs yet");
        let next = after.begin(now);
        assert!(next.epoch > old.epoch);
        assert_eq!(next.first_time, 90_001);
        // And the new anchor carries that on through the next restart.
        let mut third = Lineage::restored(after.mark(now));
        assert_eq!(third.begin(now.plus_ms(5_000)).first_time, 95_001);
    }

    #[test]
    fn a_claim_beyond_the_running_epoch_makes_a_new_one_due() {
        let mut lineage = Lineage::default();
        let running = lineage.begin(NOON);
        lineage.note_sent(5_000, NOON);
        let held = |epoch, time| Held { epoch, time };
        assert_eq!(lineage.raise(held(running.epoch, 5_000)), Ok(false), "our own");
        assert_eq!(lineage.raise(held(running.epoch, 5_001)), Ok(true));
        assert_eq!(lineage.raise(held(running.epoch + 1, 0)), Ok(true));
        assert_eq!(
            lineage.raise(held(running.epoch - 1, 0)),
            Ok(true),
            "0 was sent twice"
        );
        let next = lineage.begin(NOON);
        assert!(next.epoch > running.epoch + 1 && next.first_time == 5_002);
        assert_eq!(
            lineage.raise(held(running.epoch, 5_001)),
            Ok(false),
            "well before"
        );
    }

    #[test]
    fn an_absurd_claim_is_refused_and_changes_nothing() {
        let mut lineage = Lineage::default();
        let absurd = Held {
            epoch: u64::MAX,
            time: 0,
        };
        assert!(lineage.raise(absurd).is_err());
        assert_eq!(lineage.begin(NOON).epoch, NOON.unix_ms());
    }

    #[test]
    fn a_wall_clock_jump_is_no_outage() {
        let mut lineage = Lineage::default();
        lineage.begin(NOON);
        lineage.note_sent(10_000, NOON.plus_ms(10_000));
        let jumped = Now {
            unix_us: NOON.unix_us + 1000 * HOUR_MS * 24 * 365,
            ..NOON.plus_ms(12_000)
        };
        assert_eq!(lineage.begin(jumped).first_time, 12_000);
    }
}
