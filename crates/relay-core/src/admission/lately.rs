//! How often something happened in the last minute.

/// What "lately" is, in seconds: long enough to be seen by somebody who looks now and then, short enough to be over soon.
const SECONDS: u64 = 60;

/// How often something happened in the last minute: a count for each second, in a ring.
#[derive(Clone, Debug)]
pub struct Lately {
    /// Which second, and how often in it.
    seconds: [(u64, u64); SECONDS as usize],
}

impl Default for Lately {
    fn default() -> Self {
        Self {
            seconds: [(0, 0); SECONDS as usize],
        }
    }
}

impl Lately {
    /// It happened at `now_ms`.
    pub fn note(&mut self, now_ms: u64) {
        let second = now_ms / 1000;
        // A remainder of sixty is in the ring.
        let place = &mut self.seconds[(second % SECONDS) as usize];
        if place.0 != second {
            *place = (second, 0);
        }
        place.1 = place.1.saturating_add(1);
    }

    /// How often it did in the minute before `now_ms`.
    pub fn count(&self, now_ms: u64) -> u64 {
        let now = now_ms / 1000;
        let recent = |(second, _): &&(u64, u64)| *second <= now && now - *second < SECONDS;
        self.seconds.iter().filter(recent).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_later_it_is_forgotten() {
        let mut lately = Lately::default();
        assert_eq!(lately.count(3_600_000), 0);
        for ms in [3_600_000, 3_600_999, 3_630_000] {
            lately.note(ms);
        }
        assert_eq!(lately.count(3_630_000), 3);
        assert_eq!(lately.count(3_659_999), 3);
        assert_eq!(lately.count(3_660_000), 1);
        lately.note(3_660_000);
        assert_eq!(
            lately.count(3_660_000),
            2,
            "the place of an old second is taken over"
        );
        assert_eq!(lately.count(9_999_999), 0);
    }
}
