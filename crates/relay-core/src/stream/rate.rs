//! How many bytes per second a stream has lately.

/// Seconds that the rate is a mean over: long enough to hold a whole group of pictures of most encoders.
const SECONDS: usize = 5;

/// Means that the peak is looked for among, one each second: scenes change, and what a stream took half a minute ago it may take
/// again.
const MEANS: usize = 30;

/// A stream's rate over its last whole seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The second being filled, on the monotonic clock, and what came in it.
    present: Option<(u64, u64)>,
    /// What came in the seconds before it, the newest last.
    past: [u64; SECONDS],
    known: usize,
    /// The mean at the end of each of the last seconds, in a ring.
    means: [u64; MEANS],
    next_mean: usize,
}

impl Rate {
    /// Counts bytes that came at `now_ms`.
    pub(super) fn note(&mut self, bytes: usize, now_ms: u64) {
        let second = now_ms / 1000;
        let (at, sum) = self.present.unwrap_or((second, 0));
        let over = second.saturating_sub(at);
        if over == 0 {
            self.present = Some((at, sum + bytes as u64));
            return;
        }
        self.push(sum);
        // Silent seconds count too; more than the window holds change nothing more.
        for _ in 1..over.min(SECONDS as u64 + 1) {
            self.push(0);
        }
        self.present = Some((second, bytes as u64));
    }

    fn push(&mut self, bytes: u64) {
        self.past.rotate_left(1);
        self.past[SECONDS - 1] = bytes;
        self.known = (self.known + 1).min(SECONDS);
        self.means[self.next_mean] = self.bytes_per_second();
        self.next_mean = (self.next_mean + 1) % MEANS;
    }

    /// The highest mean of the last half minute, in bytes per second.
    pub(super) fn peak(&self) -> u64 {
        self.means.iter().copied().fold(self.bytes_per_second(), u64::max)
    }

    /// Bytes per second; of the present second, as far as it has come, while no other is known.
    pub(super) fn bytes_per_second(&self) -> u64 {
        match self.known {
            0 => self.present.map_or(0, |(_, sum)| sum),
            known => self.past[SECONDS - known..].iter().sum::<u64>() / known as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_mean_of_the_last_whole_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.bytes_per_second(), 0);
        for ms in (0..20_000).step_by(40) {
            rate.note(if ms % 2000 == 0 { 9000 } else { 1000 }, 7_000_000 + ms);
        }
        // 25 tags a second, and a keyframe of 8000 bytes more in every second one of the five.
        assert!((25_000 + 2 * 8000 / 5..=25_000 + 3 * 8000 / 5).contains(&rate.bytes_per_second()));
    }

    #[test]
    fn a_stream_that_has_just_begun_has_what_came_so_far() {
        let mut rate = Rate::default();
        rate.note(500, 1000);
        rate.note(500, 1900);
        assert_eq!(rate.bytes_per_second(), 1000);
        rate.note(1, 2000);
        assert_eq!(rate.bytes_per_second(), 1000);
    }

    #[test]
    fn the_peak_stays_for_half_a_minute() {
        let mut rate = Rate::default();
        for second in 0..10 {
            rate.note(3000, second * 1000);
        }
        for second in 10..39 {
            rate.note(1000, second * 1000);
        }
        assert_eq!((rate.bytes_per_second(), rate.peak()), (1000, 3000));
        for second in 39..60 {
            rate.note(1000, second * 1000);
        }
        assert_eq!((rate.bytes_per_second(), rate.peak()), (1000, 1000));
    }

    #[test]
    fn silence_brings_it_down() {
        let mut rate = Rate::default();
        rate.note(5000, 0);
        rate.note(1, 4000);
        assert_eq!(rate.bytes_per_second(), 5000 / 4);
        rate.note(1, 9_999_000);
        assert_eq!(rate.bytes_per_second(), 0);
    }
}
