//! How far keyframes are apart.

/// Keyframes further apart are warned of: a joiner is behind by that much, and one who lost its way waits for as long (R44).
const LIMIT_MS: u64 = 4_000;

/// An encoder that was told four seconds counts frames, and is some of them late at odd rates.
const ROUNDING_MS: u64 = 100;

/// How much of the time between two frames counts: a camera that was covered has sent no interval.
const MAX_STEP_MS: u64 = 1_000;

/// So many intervals in a row have to be short enough before the warning is lifted.
const GOOD_INTERVALS: u32 = 3;

/// Keyframes' distances.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interval {
    /// The newest frame's time.
    newest: Option<u64>,
    /// The time of frames since the newest keyframe, or since the first frame.
    running: u64,
    keyed: bool,
    /// The newest that was too long, while it is warned of.
    raised: Option<u64>,
    good: u32,
}

impl Interval {
    /// Takes a frame of video.
    pub(super) fn note(&mut self, time: u64, is_start: bool) {
        let newest = self.newest.replace(time).unwrap_or(time);
        self.running += time.saturating_sub(newest).min(MAX_STEP_MS);
        if self.running > LIMIT_MS + ROUNDING_MS {
            self.raised = self.raised.max(Some(self.running));
            self.good = 0;
        }
        if !is_start {
            return;
        }
        if self.running > LIMIT_MS + ROUNDING_MS {
            self.raised = Some(self.running);
        } else if self.keyed {
            self.good += 1;
            if self.good >= GOOD_INTERVALS {
                self.raised = None;
            }
        }
        self.keyed = true;
        self.running = 0;
    }

    /// How far they are apart, if that is too far.
    pub(super) const fn raised(&self) -> Option<u64> {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Video at 25 frames a second with keyframes at these numbers.
    fn play(interval: &mut Interval, from: u64, frames: u64, every: u64) {
        for n in 0..frames {
            interval.note((from + n) * 40, (from + n).is_multiple_of(every));
        }
    }

    #[test]
    fn r44_ten_seconds_are_warned_of_and_two_are_not() {
        let mut interval = Interval::default();
        play(&mut interval, 0, 500, 50);
        assert_eq!(interval.raised(), None);
        play(&mut interval, 500, 500, 250);
        assert_eq!(interval.raised(), Some(10_000));
    }

    #[test]
    fn four_seconds_are_not_over_four() {
        let mut interval = Interval::default();
        for n in 0..1_000_u64 {
            interval.note(n * 1001 / 30, n % 120 == 0);
        }
        assert_eq!(interval.raised(), None, "4004 ms at 29.97 frames a second");
    }

    #[test]
    fn it_is_lifted_by_the_third_good_one() {
        let mut interval = Interval::default();
        play(&mut interval, 0, 251, 250);
        play(&mut interval, 251, 149, 50);
        assert!(interval.raised().is_some(), "two good ones are behind it");
        play(&mut interval, 400, 1, 50);
        assert_eq!(interval.raised(), None);
    }

    #[test]
    fn r44_no_keyframe_at_all_is_warned_of() {
        let mut interval = Interval::default();
        play(&mut interval, 1, 200, u64::MAX);
        interval.note(8_040, false);
        assert!(interval.raised() > Some(7_000));
    }

    #[test]
    fn a_covered_camera_is_no_interval() {
        let mut interval = Interval::default();
        interval.note(0, true);
        interval.note(60_000, false);
        interval.note(60_040, true);
        assert_eq!(interval.raised(), None);
    }
}
