//! What all viewers together may be sent: a bucket that fills at the uplink's speed, less what the children take.
//!
//! Admission keeps viewers below it. This is for what admission could not know: a stream whose rate leaps, bursts that come all at
//! once. Then viewers wait and skip, and the children, through whom thousands watch, keep their share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The bucket. Clones are the same one. Until it is first filled there is no bound.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bounded: AtomicBool,
    /// Bytes that may be sent; below zero when the last one took more than there was.
    left: AtomicI64,
}

impl Allowance {
    /// Adds bytes, up to `most` in all. Unused bytes are no debt of the uplink's: a bucket that kept them for long would let a
    /// burst through that fills it.
    pub fn fill(&self, bytes: u64, most: u64) {
        let (bytes, most) = (signed(bytes), signed(most));
        // It cannot fail: the closure always gives a value.
        let _ = self
            .0
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_add(bytes).min(most))
            });
        self.0.bounded.store(true, Ordering::Relaxed);
    }

    /// Whether something may be sent now.
    pub(super) fn allows(&self) -> bool {
        !self.0.bounded.load(Ordering::Relaxed) || self.0.left.load(Ordering::Relaxed) > 0
    }

    /// So many bytes were sent.
    pub(super) fn spend(&self, bytes: usize) {
        if self.0.bounded.load(Ordering::Relaxed) {
            self.0.left.fetch_sub(signed(bytes as u64), Ordering::Relaxed);
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bound_everything_is_allowed() {
        let allowance = Allowance::default();
        allowance.spend(1 << 40);
        assert!(allowance.allows());
    }

    #[test]
    fn what_is_spent_is_gone_until_it_is_filled() {
        let allowance = Allowance::default();
        allowance.fill(1000, 5000);
        allowance.spend(999);
        assert!(allowance.allows());
        allowance.spend(3000);
        assert!(!allowance.allows(), "a burst took more than there was");
        allowance.fill(3000, 5000);
        assert!(allowance.allows());
        allowance.fill(u64::MAX, 5000);
        allowance.spend(4999);
        assert!(allowance.allows());
        allowance.spend(1);
        assert!(!allowance.allows(), "no more than the most was kept");
    }
}
