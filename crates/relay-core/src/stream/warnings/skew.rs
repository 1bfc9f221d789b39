//! How far sound and pictures of one time come apart.

use crate::flv::TagKind;

/// So far apart is warned of: players hold a second or so of either while they wait for the other.
const RAISE_MS: u64 = 1_000;

/// Less than this lifts it.
const LIFT_MS: u64 = 500;

/// The time in which the smallest distance counts: tracks take turns, and slides are rare.
const WINDOW_MS: u64 = 5_000;

/// So many windows in a row have to be good before the warning is lifted.
const GOOD_WINDOWS: u32 = 2;

/// The distance of the two tracks, pictures less sound.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skew {
    audio: Option<u64>,
    video: Option<u64>,
    /// The window's beginning, and the smallest distance in it once both tracks have shown.
    window: Option<u64>,
    least: Option<i64>,
    shown: (bool, bool),
    raised: Option<i64>,
    good: u32,
}

impl Skew {
    /// Takes a frame.
    pub(super) fn note(&mut self, kind: TagKind, time: u64) {
        match kind {
            TagKind::Audio => (self.audio, self.shown.0) = (Some(time), true),
            TagKind::Video => (self.video, self.shown.1) = (Some(time), true),
            TagKind::Script => return,
        }
        if let (Some(audio), Some(video)) = (self.audio, self.video) {
            let apart = video.cast_signed().saturating_sub(audio.cast_signed());
            if self.least.is_none_or(|least| apart.abs() < least.abs()) {
                self.least = Some(apart);
            }
        }
        let head = self.audio.max(self.video).unwrap_or(time);
        let since = *self.window.get_or_insert(head);
        if head.saturating_sub(since) >= WINDOW_MS {
            self.judge();
            (self.window, self.least, self.shown) = (Some(head), None, (false, false));
        }
    }

    fn judge(&mut self) {
        let (Some(least), (true, true)) = (self.least, self.shown) else {
            return; // One track alone is silence, not distance.
        };
        match least.unsigned_abs() {
            RAISE_MS.. => (self.raised, self.good) = (Some(least), 0),
            LIFT_MS.. => self.good = 0,
            _ => {
                self.good += 1;
                if self.good >= GOOD_WINDOWS {
                    self.raised = None;
                }
            }
        }
    }

    /// How far pictures are ahead of sound, if that is too far; less than 0 where sound is ahead.
    pub(super) const fn raised(&self) -> Option<i64> {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TagKind::{Audio, Video};

    /// 25 frames a second of each for `seconds`, with sound that is `ahead` ms ahead.
    fn play(skew: &mut Skew, from: u64, seconds: u64, ahead: u64) {
        for time in (from..from + seconds * 1000).step_by(40) {
            skew.note(Video, time);
            skew.note(Audio, time + ahead);
        }
    }

    #[test]
    fn tracks_in_step_are_well_and_tracks_apart_are_warned_of() {
        let mut skew = Skew::default();
        play(&mut skew, 10_000, 20, 300);
        assert_eq!(skew.raised(), None);
        play(&mut skew, 30_000, 11, 3_000);
        assert_eq!(skew.raised(), Some(-2_960), "sound ahead, at the nearest");
        play(&mut skew, 41_000, 6, 700);
        assert!(skew.raised().is_some(), "better, and not well");
        play(&mut skew, 47_000, 20, 0);
        assert_eq!(skew.raised(), None);
    }

    #[test]
    fn slides_beside_a_voice_are_in_step() {
        let mut skew = Skew::default();
        for time in (0..60_000).step_by(20) {
            skew.note(Audio, time);
            if time % 4_000 == 0 {
                skew.note(Video, time);
            }
        }
        assert_eq!(skew.raised(), None);
    }

    #[test]
    fn a_track_alone_is_no_distance() {
        let mut skew = Skew::default();
        skew.note(Video, 0);
        for time in (0..60_000).step_by(20) {
            skew.note(Audio, time);
        }
        assert_eq!(skew.raised(), None);
    }
}
