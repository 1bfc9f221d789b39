//! Whether a bitrate leaps: what the uplink was reckoned with is then no longer true.

/// Seconds that the rate is a mean over: a keyframe or two.
const PRESENT: usize = 5;

/// Seconds before them that say what is usual.
const PAST: usize = 60;

/// Seconds of the past without which nothing is usual yet.
const LEAST_PAST: usize = 20;

/// A rate of so many times the usual one has leapt, and one of less than the other is back.
const RAISE: u64 = 3;
const LIFT: u64 = 2;

/// What a leap is at least, in bytes per second (500 kbit/s): less is a still picture that moves, and strains no line.
const LEAST_LEAP: u64 = 62_500;

/// So many seconds in a row have to be good before the warning is lifted.
const GOOD_SECONDS: u32 = 5;

/// A stream's bytes by seconds of its own time.
#[derive(Clone, Debug, Default)]
pub(super) struct Leap {
    /// The second being filled, and what came in it.
    present: Option<(u64, u64)>,
    /// Whole seconds, the newest at `next` less one, in a ring.
    seconds: Vec<u64>,
    next: usize,
    raised: Option<(u64, u64)>,
    good: u32,
}

impl Leap {
    /// Takes a tag.
    pub(super) fn note(&mut self, time: u64, bytes: usize) {
        let (second, bytes) = (time / 1000, bytes as u64);
        let (at, sum) = self.present.unwrap_or((second, 0));
        let over = second.saturating_sub(at);
        if over == 0 {
            self.present = Some((at, sum + bytes));
            return;
        }
        if over > PRESENT as u64 {
            // A pause says nothing of a rate, and what comes after it leaps from nothing.
            *self = Self {
                present: Some((second, bytes)),
                ..Self::default()
            };
            return;
        }
        self.push(sum);
        for _ in 1..over {
            self.push(0);
        }
        self.present = Some((second, bytes));
        self.judge();
    }

    fn push(&mut self, bytes: u64) {
        if self.seconds.len() < PRESENT + PAST {
            self.seconds.push(bytes);
        } else {
            self.seconds[self.next] = bytes;
        }
        self.next = (self.next + 1) % (PRESENT + PAST);
    }

    fn judge(&mut self) {
        let known = self.seconds.len();
        if known < PRESENT + LEAST_PAST {
            return;
        }
        let all: u64 = self.seconds.iter().sum();
        let newest =
            (1..=PRESENT).map(|back| self.seconds[(self.next + PRESENT + PAST - back) % (PRESENT + PAST)]);
        let newest: u64 = newest.sum();
        let now = newest / PRESENT as u64;
        let usual = (all - newest) / (known - PRESENT) as u64;
        if now >= usual.saturating_mul(RAISE) && now - usual >= LEAST_LEAP {
            (self.raised, self.good) = (Some((usual, now)), 0);
        } else if now < usual.saturating_mul(LIFT) || now.saturating_sub(usual) < LEAST_LEAP {
            self.good += 1;
            if self.good >= GOOD_SECONDS {
                self.raised = None;
            }
        } else {
            self.good = 0;
        }
    }

    /// What was usual and what it is now, in bytes per second, if it has leapt.
    pub(super) const fn raised(&self) -> Option<(u64, u64)> {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` of so many bytes each, in 25 tags.
    fn play(leap: &mut Leap, from: u64, seconds: u64, bytes: u64) {
        for n in 0..seconds * 25 {
            leap.note(from * 1000 + n * 40, (bytes / 25) as usize);
        }
    }

    #[test]
    fn four_times_the_rate_has_leapt_and_becomes_usual() {
        let mut leap = Leap::default();
        play(&mut leap, 100, 120, 300_000);
        assert_eq!(leap.raised(), None);
        play(&mut leap, 220, 7, 1_200_000);
        let (usual, now) = leap.raised().unwrap();
        assert!(usual < 400_000 && now > 1_000_000, "{usual} {now}");
        play(&mut leap, 227, 60, 1_200_000);
        assert_eq!(leap.raised(), None, "a minute later it is what it is");
    }

    #[test]
    fn twice_the_rate_is_a_scene_and_a_beginning_is_nothing() {
        let mut leap = Leap::default();
        play(&mut leap, 0, 10, 30_000);
        play(&mut leap, 10, 12, 600_000);
        assert_eq!(leap.raised(), None, "nothing is usual yet");
        let mut leap = Leap::default();
        play(&mut leap, 0, 90, 300_000);
        play(&mut leap, 90, 60, 600_000);
        assert_eq!(leap.raised(), None);
    }

    #[test]
    fn a_whisper_that_becomes_a_voice_strains_no_line() {
        let mut leap = Leap::default();
        play(&mut leap, 0, 90, 2_000);
        play(&mut leap, 90, 30, 16_000);
        assert_eq!(leap.raised(), None);
    }

    #[test]
    fn what_comes_after_a_pause_has_not_leapt() {
        let mut leap = Leap::default();
        play(&mut leap, 0, 90, 300_000);
        play(&mut leap, 10_000_000, 60, 900_000);
        assert_eq!(leap.raised(), None);
        assert!(leap.seconds.len() <= PRESENT + PAST);
    }
}
