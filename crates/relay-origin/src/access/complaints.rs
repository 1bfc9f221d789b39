//! How often a wrong key is worth a line in the log. Anybody can send one, so that a line for each would fill a disk; none at all
//! would leave an operator in the dark whose encoder has an old key.

use relay_core::clock::Now;

/// A line in so long.
const EVERY_MS: u64 = 60_000;

/// Says what is worth a line.
#[derive(Debug, Default)]
pub struct Complaints {
    last_ms: Option<u64>,
    unsaid: u64,
}

impl Complaints {
    /// One more. `Some` if it is to be said, with how many were not said before it.
    pub fn one_more(&mut self, now: Now) -> Option<u64> {
        let is_due = self
            .last_ms
            .is_none_or(|last| now.mono_ms.saturating_sub(last) >= EVERY_MS);
        if !is_due {
            self.unsaid += 1;
            return None;
        }
        self.last_ms = Some(now.mono_ms);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_then_one_a_minute() {
        let mut complaints = Complaints::default();
        let now = Now {
            mono_ms: 5,
            unix_us: 0,
        };
        let said = [0, 1, 59_999, 60_000, 60_001, 130_000].map(|ms| complaints.one_more(now.plus_ms(ms)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
