//! How long to wait before trying again: growing, capped, and scattered, so that a thousand edges that lost their
//! origin in one moment do not come back in one moment.

use std::time::Duration;

/// Waits between attempts that go on for ever. Sans-IO: the caller sleeps.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    /// Waits from about `first` to about `cap`. The seed scatters them; zero is as good as any.
    pub const fn new(first: Duration, cap: Duration, seed: u64) -> Self {
        Self {
            first,
            cap,
            next: first,
            // xorshift stands still at zero.
            random: seed | 1,
        }
    }

    /// The wait before the next attempt: between half of and the whole current step, which then doubles.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.next.min(self.cap);
        self.next = step.saturating_mul(2);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = u32::try_from(self.random % 1024).unwrap_or_default();
        step / 2 + step / 2 * share / 1024
    }

    /// It worked: the next failure starts from the first step again.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_scatters() {
        let (first, cap) = (Duration::from_millis(200), Duration::from_millis(1500));
        let mut backoff = Backoff::new(first, cap, 7);
        let waits: Vec<_> = (0..50).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] >= first / 2 && waits[0] <= first, "{waits:?}");
        assert!(
            waits[10..].iter().all(|w| *w >= cap / 2 && *w <= cap),
            "{waits:?}"
        );
        assert!(waits[10..].windows(2).all(|w| w[0] != w[1]), "{waits:?}");
        assert_ne!(Backoff::new(first, cap, 99).next_wait(), waits[0]);
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }

    #[test]
    fn no_duration_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(u64::MAX / 4096), 0);
        for _ in 0..200 {
            backoff.next_wait();
        }
    }
}
