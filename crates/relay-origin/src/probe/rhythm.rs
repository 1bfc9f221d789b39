//! Whether a stream comes as evenly as it came to the origin.

/// By so much more than usual something may be lacking, in milliseconds: about what players hold in hand.
const GAP_MS: u64 = 1_000;

/// From here on something may come to be a gap, in milliseconds.
const UNEVEN_MS: u64 = 300;

/// Looks that are further apart say that the one who looks was held up, and so tell nothing, in milliseconds.
const LATE_LOOK_MS: u64 = 400;

/// Fed, some times a second, with the time for which a viewer has been lacking something that the origin has.
///
/// A path takes its time, and whoever is always so much behind sees no gap: what counts is by how much it is more than usual.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    usual_ms: Option<u64>,
    gap_ms: u64,
    worst_ms: u64,
    looked_ms: Option<u64>,
    stalls: bool,
}

impl Rhythm {
    /// One who is used to so much.
    pub(super) fn used_to(usual_ms: u64) -> Self {
        Self {
            usual_ms: Some(usual_ms),
            ..Self::default()
        }
    }

    /// Takes a look. True where a gap comes to be.
    pub(super) fn look(&mut self, lacking_ms: u64, now_ms: u64) -> bool {
        let before = self.looked_ms.replace(now_ms).unwrap_or(now_ms);
        if now_ms.saturating_sub(before) > LATE_LOOK_MS {
            return false;
        }
        let usual_ms = self.usual_ms.map_or(lacking_ms, |usual| usual.min(lacking_ms));
        self.usual_ms = Some(usual_ms);
        self.gap_ms = lacking_ms - usual_ms;
        self.worst_ms = self.worst_ms.max(self.gap_ms);
        let stalled = std::mem::replace(&mut self.stalls, self.gap_ms > GAP_MS);
        self.stalls && !stalled
    }

    /// Whether a gap may be in the making.
    pub(super) const fn is_uneven(&self) -> bool {
        self.gap_ms > UNEVEN_MS && !self.stalls
    }

    /// The longest gap so far, in milliseconds, those that are none included.
    pub(super) const fn worst_ms(&self) -> u64 {
        self.worst_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second at what is lacking; when a gap came to be.
    fn gaps(lacking: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut rhythm = Rhythm::default();
        let looks = (1..).map(|n| n * 100).zip(lacking);
        looks
            .filter_map(|(now_ms, lacking_ms)| rhythm.look(lacking_ms, now_ms).then_some(now_ms))
            .collect()
    }

    #[test]
    fn a_stall_is_noticed_once_it_is_longer_than_a_second() {
        let two_seconds = (0..20).map(|n| n * 100);
        let even = [0, 40, 20];
        let stalled = even
            .into_iter()
            .chain(two_seconds.clone())
            .chain(even)
            .chain(two_seconds);
        assert_eq!(gaps(stalled), [1_500, 3_800], "each of two once");
        assert_eq!(gaps((0..11).map(|n| n * 100)), [0; 0]);
    }

    #[test]
    fn a_path_that_takes_its_time_is_no_gap() {
        // First all since a keyframe comes at once, then it is always a second and a half behind.
        let far = [3_000, 2_000, 1_500, 1_540, 1_500, 2_400, 1_500];
        assert_eq!(gaps(far), [0; 0]);
        let breaks = [3_000, 1_500, 1_500, 2_501, 2_600, 1_500];
        assert_eq!(gaps(breaks), [400]);
    }

    #[test]
    fn one_who_is_late_himself_blames_nobody() {
        let mut rhythm = Rhythm::default();
        assert!(!rhythm.look(0, 100) && !rhythm.look(0, 200));
        assert!(!rhythm.look(2_000, 2_200), "it was the looker who slept");
        assert!(!rhythm.look(0, 2_300) && !rhythm.is_uneven());
        assert!(!rhythm.look(400, 2_700) && rhythm.is_uneven());
        assert!(!rhythm.look(0, 2_800) && !rhythm.is_uneven());
        assert_eq!(rhythm.worst_ms(), 400);
    }
}
