//! What was given away so lately that no counter shows it yet.

/// How long a viewer's first burst is taken to last, in milliseconds. It comes as fast as the path carries it; who is far away
/// takes about as long as the group of pictures is.
pub(super) const BURST_MS: u64 = 2000;

/// How finely bursts are told apart, in milliseconds.
const STEP_MS: u64 = 100;

const STEPS: usize = (BURST_MS / STEP_MS) as usize;

/// First bursts under way, in bits per second: a ring of moments, each of which forgets what is older than a burst lasts.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    started: [u64; STEPS],
    /// The newest moment, in steps.
    newest: u64,
}

impl Bursts {
    fn turn(&mut self, now_ms: u64) {
        let step = now_ms / STEP_MS;
        let passed = step.saturating_sub(self.newest).min(STEPS as u64);
        for back in 0..passed {
            let at = (step - back) % STEPS as u64;
            self.started[at as usize] = 0;
        }
        self.newest = self.newest.max(step);
    }

    /// A burst of so many bytes begins.
    pub(super) fn begin(&mut self, bytes: u64, now_ms: u64) {
        self.turn(now_ms);
        let at = (self.newest % STEPS as u64) as usize;
        self.started[at] = self.started[at].saturating_add(rate(bytes));
    }

    /// What those under way take, in bits per second.
    pub(super) fn bits(&mut self, now_ms: u64) -> u64 {
        self.turn(now_ms);
        self.started.iter().fold(0, |sum, bits| sum.saturating_add(*bits))
    }
}

/// What a burst of so many bytes takes while it lasts, in bits per second.
pub(super) const fn rate(bytes: u64) -> u64 {
    bytes.saturating_mul(8000) / BURST_MS
}

/// Viewers let in whom the fan-out may not have counted yet: between two looks, and between the two before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) viewers: u64,
    pub(super) bits: u64,
}

impl Admitted {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            viewers: self.viewers.saturating_add(other.viewers),
            bits: self.bits.saturating_add(other.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_counts_while_it_lasts() {
        let mut bursts = Bursts::default();
        bursts.begin(250_000, 10_000);
        bursts.begin(250_000, 10_950);
        for (ms, bits) in [
            (11_000, 2_000_000),
            (11_999, 2_000_000),
            (12_000, 1_000_000),
            (12_999, 0),
        ] {
            assert_eq!(bursts.bits(ms), bits, "at {ms}");
        }
        assert_eq!(bursts.bits(u64::MAX), 0);
    }

    #[test]
    fn time_that_stands_still_forgets_nothing() {
        let mut bursts = Bursts::default();
        for _ in 0..3 {
            bursts.begin(250_000, 5000);
        }
        assert_eq!(bursts.bits(4000), 3_000_000);
    }
}
