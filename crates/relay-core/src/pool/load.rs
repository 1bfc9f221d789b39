//! What an edge can carry and what it does carry: as it reports, as its reports measure it, and as it was promised more.

use crate::cascade::message::Report;

/// The most that one machine is believed to send, in bits a second: 1 Tbit/s. A claim beyond it is a mistake or a lie, and
/// must not draw all viewers.
const MAX_CAPACITY: u64 = 1_000_000_000_000;

/// How finely promises are told apart by age.
const BUCKET_MS: u64 = 500;

/// Buckets that count: a viewer counts for 3 s at least, and 3.5 s at most. By then two reports have it.
const BUCKETS: u64 = 7;

/// Reports that a rate is measured over: two seconds or more, so that one report that came late does not look like a
/// second of twice the rate.
const SAMPLES: usize = 3;

/// The least time to measure a rate over, in milliseconds: reports that were held up arrive together.
const LEAST_SPAN_MS: u64 = 500;

/// The figures of one edge.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// Bits a second that it can send, by its own word.
    pub(super) capacity: Option<u64>,
    /// Bits a second that it has promised to its viewers, by its own word.
    pub(super) committed: Option<u64>,
    /// Whether it says that it takes nobody.
    pub(super) full: bool,
    /// Whether it says that it drains.
    pub(super) draining: bool,
    /// Its viewers.
    pub(super) viewers: u32,
    /// How far it is behind the origin.
    pub(super) lag_ms: Option<u64>,
    /// Groups that it got wrong.
    pub(super) hash_mismatches: u64,
    pub(super) egress: Egress,
    pub(super) promised: Promised,
}

impl Load {
    /// Takes the newest report.
    pub(super) fn reported(&mut self, report: &Report, now_ms: u64) {
        if report.capacity.is_some() {
            self.capacity = report.capacity;
        }
        self.committed = report.committed;
        self.full = report.full;
        self.draining = report.draining;
        self.viewers = report.viewers;
        self.lag_ms = report.lag_ms;
        self.hash_mismatches = report.hash_mismatches;
        self.egress.sample(report.egress_bytes, now_ms);
    }

    /// Bits a second that it is taken to be able to send.
    pub(super) fn capacity(&self, assumed: u64) -> u64 {
        self.capacity.unwrap_or(assumed).min(MAX_CAPACITY)
    }

    /// Bits a second that are spoken for already, whichever way of reckoning says more; what was promised is not in it.
    pub(super) fn carried(&self) -> u64 {
        self.committed.unwrap_or(0).max(self.egress.bits())
    }

    /// Bits a second that it has left for more viewers.
    pub(super) fn headroom(&self, assumed: u64, now_ms: u64) -> u64 {
        if self.full {
            return 0;
        }
        self.capacity(assumed)
            .saturating_sub(self.carried())
            .saturating_sub(self.promised.bits(now_ms))
    }
}

/// A rate, measured by the differences of a counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Egress {
    /// When, and the counter: the oldest first.
    samples: [(u64, u64); SAMPLES],
    known: usize,
}

impl Egress {
    fn sample(&mut self, bytes: u64, now_ms: u64) {
        let newest = self.samples[SAMPLES - 1];
        if self.known > 0 && bytes < newest.1 {
            // The counter began anew, so nothing before it says anything.
            self.known = 0;
        }
        if self.known > 1 && now_ms.saturating_sub(newest.0) < LEAST_SPAN_MS {
            // Held up together: the later of the two has the count that belongs to this moment.
            self.samples[SAMPLES - 1].1 = bytes;
            return;
        }
        self.samples = [self.samples[1], self.samples[2], (now_ms, bytes)];
        self.known = (self.known + 1).min(SAMPLES);
    }

    /// Bits a second; 0 until there are two samples.
    pub(super) fn bits(&self) -> u64 {
        if self.known < 2 {
            return 0;
        }
        let (from, to) = (self.samples[SAMPLES - self.known], self.samples[SAMPLES - 1]);
        let span = to.0.saturating_sub(from.0);
        if span < LEAST_SPAN_MS {
            return 0;
        }
        // In 128 bits, since the counter is whatever the edge says.
        let bits = u128::from(to.1.saturating_sub(from.1)) * 8000 / u128::from(span);
        u64::try_from(bits).unwrap_or(u64::MAX)
    }
}

/// What was sent to an edge a moment ago, and no report has yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promised {
    /// The number of the half second, and bits a second promised in it.
    buckets: [(u64, u64); BUCKETS as usize],
    /// The newest of the numbers: most edges were promised nothing lately.
    newest: u64,
}

impl Promised {
    /// One more viewer was sent there.
    pub(super) fn add(&mut self, bits: u64, now_ms: u64) {
        let number = now_ms / BUCKET_MS;
        // Less than the number of buckets, so it fits.
        let bucket = &mut self.buckets[(number % BUCKETS) as usize];
        if bucket.0 != number {
            *bucket = (number, 0);
        }
        bucket.1 = bucket.1.saturating_add(bits);
        self.newest = self.newest.max(number);
    }

    /// What still counts.
    pub(super) fn bits(&self, now_ms: u64) -> u64 {
        let number = now_ms / BUCKET_MS;
        let counts = |of: u64| number.saturating_sub(of) < BUCKETS;
        if !counts(self.newest) {
            return 0;
        }
        let mut sum = 0_u64;
        for (of, bits) in &self.buckets {
            if counts(*of) {
                sum = sum.saturating_add(*bits);
            }
        }
        sum
    }

    /// Takes all that counted at `then` as promised just now.
    pub(super) fn renew(&mut self, then_ms: u64, now_ms: u64) {
        let bits = self.bits(then_ms);
        *self = Self::default();
        self.add(bits, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: u64 = 1_000_000;

    #[test]
    fn a_promise_counts_until_the_reports_have_it() {
        let mut promised = Promised::default();
        promised.add(2, 10_000);
        promised.add(3, 10_900);
        assert_eq!(promised.bits(13_000), 5);
        assert_eq!(
            promised.bits(13_900),
            3,
            "the first is over after 3 s, or half a second later"
        );
        assert_eq!(promised.bits(14_500), 0);
        for ms in 0..1_000_000 {
            promised.add(u64::MAX, ms);
        }
        assert_eq!(promised.bits(1_000_000), u64::MAX);
    }

    #[test]
    fn a_rate_is_measured_over_three_reports() {
        let mut egress = Egress::default();
        egress.sample(1_000_000, 1_000);
        assert_eq!(egress.bits(), 0);
        egress.sample(1_125_000, 2_000);
        assert_eq!(egress.bits(), MBIT);
        egress.sample(1_375_000, 3_000);
        assert_eq!(egress.bits(), 3 * MBIT / 2);
    }

    #[test]
    fn reports_that_were_held_up_do_not_look_like_a_burst() {
        let mut egress = Egress::default();
        for (second, ms) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 4_010), (5, 5_000)] {
            egress.sample(second * 125_000, ms);
        }
        assert!(
            (MBIT * 9 / 10..=MBIT * 11 / 10).contains(&egress.bits()),
            "{}",
            egress.bits()
        );
    }

    #[test]
    fn no_counter_is_too_odd() {
        let mut egress = Egress::default();
        for (bytes, ms) in [
            (0, 0),
            (u64::MAX, 0),
            (u64::MAX, 600),
            (5, 1_200),
            (u64::MAX, 2_400),
            (0, 3_000),
        ] {
            egress.sample(bytes, ms);
            let load = Load {
                egress,
                ..Load::default()
            };
            assert!(load.headroom(MBIT, ms) <= MBIT);
        }
        assert_eq!(egress.bits(), 0, "a counter that began anew says nothing yet");
    }

    #[test]
    fn headroom_believes_the_larger_figure() {
        let mut load = Load {
            capacity: Some(100 * MBIT),
            committed: Some(30 * MBIT),
            ..Load::default()
        };
        load.promised.add(5 * MBIT, 0);
        assert_eq!(load.headroom(0, 0), 65 * MBIT);
        load.egress.sample(0, 0);
        load.egress.sample(5_000_000, 1_000);
        assert_eq!(load.headroom(0, 0), 55 * MBIT, "40 Mbit/s are on the wire");
        load.full = true;
        assert_eq!(load.headroom(0, 0), 0);
        let boaster = Load {
            capacity: Some(u64::MAX),
            ..Load::default()
        };
        assert_eq!(boaster.headroom(0, 0), MAX_CAPACITY);
        assert_eq!(Load::default().headroom(7, 0), 7, "what is not said is assumed");
    }
}
