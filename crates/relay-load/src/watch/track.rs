//! What one viewer's frames say of its way through the stream: whether each follows the one before.

use relay_core::flv::TagKind;

use crate::mark::Mark;

/// How a frame stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first.
    First,
    /// The next one, made so many microseconds after the one before.
    Next(u64),
    /// So many frames before it never came.
    Gap(u64),
    /// A jump ahead that lands on a keyframe, as a slow viewer makes it.
    Skip,
    /// The publisher has begun to count anew.
    Restart,
    /// It came already, or its turn is past.
    Again,
}

/// One viewer's way through the frames of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    last: Option<Mark>,
}

impl Track {
    /// Whether a marked frame has come.
    pub(super) const fn is_marked(&self) -> bool {
        self.last.is_some()
    }

    /// Takes a corrupt frame that says it is this one. It came, so it is not missing; but where it is not the next, what it
    /// says is as little to be trusted as the rest of it.
    pub(super) fn spoilt(&mut self, sequence: u64) {
        if let Some(last) = &mut self.last
            && sequence == last.sequence.saturating_add(1)
        {
            last.sequence = sequence;
        }
    }

    /// Takes the next frame and says how it stands to those before it.
    pub(super) fn place(&mut self, mark: Mark, keyframe: bool) -> Arrival {
        let Some(last) = self.last.replace(mark) else {
            return Arrival::First;
        };
        let newer = mark.made_us > last.made_us;
        match mark.sequence.checked_sub(last.sequence.saturating_add(1)) {
            Some(0) => Arrival::Next(mark.made_us.saturating_sub(last.made_us)),
            Some(_) if keyframe => Arrival::Skip,
            Some(missing) => Arrival::Gap(missing),
            None if keyframe && newer => Arrival::Restart,
            None => {
                self.last = Some(last);
                Arrival::Again
            }
        }
    }
}

/// The times of one viewer's tags, track by track.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    audio: Option<u32>,
    video: Option<u32>,
    newest: Option<u32>,
}

/// What a tag's time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// It is before that of the track's last tag.
    pub(super) back: bool,
    /// Milliseconds by which it is beyond the newest of any track.
    pub(super) ahead_ms: u32,
}

impl Times {
    /// Takes a tag's time, which wraps at 32 bits.
    pub(super) fn step(&mut self, kind: TagKind, time: u32) -> Step {
        let track = match kind {
            TagKind::Audio => &mut self.audio,
            TagKind::Video => &mut self.video,
            // Script data has a clock of its own as often as not.
            TagKind::Script => {
                return Step {
                    back: false,
                    ahead_ms: 0,
                };
            }
        };
        let back = track.is_some_and(|last| behind(last, time));
        *track = Some(time);
        let ahead_ms = match self.newest {
            Some(newest) if behind(newest, time) => 0,
            Some(newest) => time.wrapping_sub(newest),
            None => 0,
        };
        if self.newest.is_none() || ahead_ms > 0 {
            self.newest = Some(time);
        }
        Step { back, ahead_ms }
    }
}

/// Whether `time` is before `last`, on a clock that wraps.
const fn behind(last: u32, time: u32) -> bool {
    last != time && last.wrapping_sub(time) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(sequence: u64) -> Mark {
        Mark {
            sequence,
            made_us: 1_000_000 + sequence * 40_000,
        }
    }

    fn places(frames: &[(u64, bool)]) -> Vec<Arrival> {
        let mut track = Track::default();
        let places = frames
            .iter()
            .map(|(sequence, key)| track.place(mark(*sequence), *key));
        places.collect()
    }

    #[test]
    fn a_jump_is_a_skip_if_it_lands_on_a_keyframe_and_a_gap_else() {
        use Arrival::*;
        assert_eq!(
            places(&[(7, true), (8, false), (9, false)]),
            [First, Next(40_000), Next(40_000)]
        );
        assert_eq!(
            places(&[(7, true), (9, false), (10, false)]),
            [First, Gap(1), Next(40_000)]
        );
        assert_eq!(
            places(&[(7, true), (50, true), (51, false)]),
            [First, Skip, Next(40_000)]
        );
        assert_eq!(places(&[(7, true), (50, false)]), [First, Gap(42)]);
    }

    #[test]
    fn what_came_already_is_none_and_changes_nothing() {
        use Arrival::*;
        let seen = places(&[(7, true), (8, false), (8, false), (7, true), (9, false)]);
        assert_eq!(seen, [First, Next(40_000), Again, Again, Next(40_000)]);
    }

    #[test]
    fn a_publisher_that_begins_anew_is_neither_a_gap_nor_a_duplicate() {
        let mut track = Track::default();
        track.place(mark(900), false);
        let anew = Mark {
            sequence: 0,
            made_us: mark(901).made_us,
        };
        assert_eq!(track.place(anew, true), Arrival::Restart);
        assert!(track.is_marked());
    }

    #[test]
    fn a_corrupt_frame_is_not_missing_but_leads_nowhere() {
        let mut track = Track::default();
        track.place(mark(7), true);
        track.spoilt(8);
        track.spoilt(u64::MAX);
        assert_eq!(track.place(mark(9), false), Arrival::Next(80_000));
    }

    #[test]
    fn times_that_go_back_within_a_track_show() {
        use TagKind::{Audio, Script, Video};
        let mut times = Times::default();
        let mut step = |kind, time| {
            let step = times.step(kind, time);
            (step.back, step.ahead_ms)
        };
        assert_eq!(step(Video, u32::MAX - 9), (false, 0));
        assert_eq!(step(Audio, u32::MAX - 19), (false, 0), "another track");
        assert_eq!(step(Video, u32::MAX - 9), (false, 0), "the same again");
        assert_eq!(step(Video, 30), (false, 40), "it wraps");
        assert_eq!(step(Audio, 20), (false, 0));
        assert_eq!(step(Video, 29), (true, 0));
        assert_eq!(step(Script, 0), (false, 0));
        assert_eq!(step(Video, 31), (false, 1));
    }
}
