//! How many answers a network may have over UDP, where anybody can pretend to be anybody.
//!
//! Who asks in another's name turns a name server into a weapon: the answers, larger than the questions, go to the victim.
//! So each network has an allowance. Beyond it every second question gets an empty answer with the truncation bit, no larger
//! than itself, which tells an honest resolver to come by TCP, where nobody can pretend; the rest get none (Vixie and Schryver,
//! "Response Rate Limiting in the Domain Name System", 2012).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// Allowances that are kept. Networks share them by a keyed hash: a flood from any number of addresses takes no more memory,
/// and two busy networks meet in one with a chance of 1 in 16,384. 400 KB.
const ALLOWANCES: usize = 1 << 14;

/// So many seconds' allowance may be used at once: a resolver's cache expires at one moment.
const BURST_SECONDS: u64 = 1;

const MICROS: u64 = 1_000_000;

/// What a question over UDP may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An answer.
    Answer,
    /// "Come by TCP", no larger than the question.
    Truncate,
    /// Nothing.
    Drop,
}

/// The allowances of all networks: a value that is fed with sources and time.
#[derive(Debug)]
pub struct Limiter {
    allowances: Box<[Allowance]>,
    /// Microseconds that one answer uses up; 0 is no limit.
    cost: u64,
    hashing: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// Until when, in microseconds, answers are used up (the virtual scheduling form of a leaky bucket, ITU-T I.371).
    answers: u64,
    /// The same for truncated ones: a victim gets no more than so many of those either.
    slips: u64,
    /// Whether the last question over the limit got a truncated answer.
    slipped: bool,
}

impl Limiter {
    /// Allows each network `rate` answers per second, and as many truncated ones beyond; 0 is no limit. `hashing` decides which
    /// networks share an allowance, and is random where strangers should not know.
    pub fn new(rate: u32, hashing: RandomState) -> Self {
        let kept = if rate == 0 { 0 } else { ALLOWANCES };
        Self {
            allowances: vec![Allowance::default(); kept].into_boxed_slice(),
            cost: MICROS.checked_div(rate.into()).unwrap_or_default(),
            hashing,
        }
    }

    /// What a question that came from `source` at `now_ms` may have.
    pub fn judge(&mut self, source: IpAddr, now_ms: u64) -> Verdict {
        if self.cost == 0 {
            return Verdict::Answer;
        }
        let now = now_ms.saturating_mul(1000);
        let hash = self.hashing.hash_one(network(source));
        let index = usize::try_from(hash % ALLOWANCES as u64).unwrap_or_default();
        let allowance = &mut self.allowances[index];
        if take(&mut allowance.answers, self.cost, now) {
            allowance.slipped = false;
            return Verdict::Answer;
        }
        allowance.slipped = !allowance.slipped;
        if allowance.slipped && take(&mut allowance.slips, self.cost, now) {
            return Verdict::Truncate;
        }
        Verdict::Drop
    }
}

/// Takes one answer off an allowance, if there is one left.
fn take(used_until: &mut u64, cost: u64, now: u64) -> bool {
    let until = (*used_until).max(now) + cost;
    let free = until <= now + BURST_SECONDS * MICROS;
    if free {
        *used_until = until;
    }
    free
}

/// The network that a source counts as: /24, as it is routed, or /56, what one customer gets.
pub(super) fn network(source: IpAddr) -> (u8, u64) {
    match source.to_canonical() {
        IpAddr::V4(address) => (4, u64::from(address.to_bits() >> 8)),
        IpAddr::V6(address) => (6, u64::try_from(address.to_bits() >> 72).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn count(limiter: &mut Limiter, source: &str, questions: u32, now_ms: u64) -> [u32; 3] {
        let mut counts = [0; 3];
        for _ in 0..questions {
            counts[limiter.judge(source.parse().unwrap(), now_ms) as usize] += 1;
        }
        counts
    }

    #[test]
    fn a_second_of_answers_may_come_at_once_and_then_the_rate_holds() {
        let mut limiter = Limiter::new(10, RandomState::new());
        assert_eq!(count(&mut limiter, "192.0.2.1", 10, HOUR_MS), [10, 0, 0]);
        // Over the limit every second question is told to come by TCP.
        assert_eq!(count(&mut limiter, "192.0.2.1", 10, HOUR_MS), [0, 5, 5]);
        assert_eq!(count(&mut limiter, "192.0.2.1", 2, HOUR_MS + 99), [0, 1, 1]);
        assert_eq!(count(&mut limiter, "192.0.2.1", 2, HOUR_MS + 100), [1, 1, 0]);
        assert_eq!(count(&mut limiter, "192.0.2.1", 10, HOUR_MS + 10_000), [10, 0, 0]);
    }

    #[test]
    fn even_truncated_answers_are_bounded() {
        let mut limiter = Limiter::new(10, RandomState::new());
        let [answers, slips, dropped] = count(&mut limiter, "192.0.2.1", 100_000, HOUR_MS);
        assert_eq!((answers, slips, dropped), (10, 10, 99_980));
    }

    #[test]
    fn over_a_minute_of_flood_each_second_has_its_allowance() {
        let mut limiter = Limiter::new(100, RandomState::new());
        let mut sums = [0; 3];
        for ms in 0..60_000 {
            let counts = count(&mut limiter, "2001:db8::1", 10, HOUR_MS + ms);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        assert!((6000..=6100).contains(&sums[0]), "{sums:?}");
        assert!((6000..=6100).contains(&sums[1]), "{sums:?}");
    }

    #[test]
    fn networks_have_allowances_of_their_own() {
        // Which of them share one is chance; that all twenty do is none.
        let mut limiter = Limiter::new(10, RandomState::new());
        assert_eq!(count(&mut limiter, "192.0.2.1", 10, HOUR_MS), [10, 0, 0]);
        assert_eq!(count(&mut limiter, "192.0.2.254", 1, HOUR_MS)[0], 0, "one /24");
        assert_eq!(
            count(&mut limiter, "::ffff:192.0.2.3", 1, HOUR_MS)[0],
            0,
            "mapped"
        );
        let others = (0..20).filter(|n| count(&mut limiter, &format!("198.51.{n}.1"), 1, HOUR_MS)[0] == 1);
        assert!(others.count() > 15);
        assert_eq!(count(&mut limiter, "2001:db8:0:ff::1", 10, HOUR_MS)[0], 10);
        assert_eq!(count(&mut limiter, "2001:db8::1", 1, HOUR_MS)[0], 0, "one /56");
    }

    #[test]
    fn a_flood_in_everybodys_name_starves_nobody_and_takes_no_memory() {
        let mut limiter = Limiter::new(100, RandomState::new());
        let kept = limiter.allowances.len();
        for n in 0..200_000_u32 {
            limiter.judge(
                std::net::Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)).into(),
                HOUR_MS,
            );
        }
        assert_eq!(count(&mut limiter, "203.0.113.1", 10, HOUR_MS), [10, 0, 0]);
        assert_eq!(limiter.allowances.len(), kept);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut limiter = Limiter::new(0, RandomState::new());
        assert_eq!(count(&mut limiter, "192.0.2.1", 10_000, HOUR_MS), [10_000, 0, 0]);
        assert!(limiter.allowances.is_empty());
    }
}
