//! Whom the service let in before: what holds while it does not answer.

use std::collections::HashMap;
use std::time::Duration;

use relay_core::clock::Now;

/// Visits that are remembered, at 40 bytes each: more than a node has streams. Beyond it the oldest is forgotten.
pub const MAX_REMEMBERED: usize = 4096;

/// The last word on each visit's likeness.
#[derive(Debug)]
pub struct Memory {
    life_ms: u64,
    allowed: HashMap<[u8; 32], u64>,
}

impl Memory {
    /// Remembers nothing yet, and each for so long.
    pub fn new(life: Duration) -> Self {
        Self {
            life_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            allowed: HashMap::new(),
        }
    }

    /// It was let in.
    pub fn allow(&mut self, likeness: [u8; 32], now: Now) {
        if self.life_ms == 0 {
            return;
        }
        if self.allowed.len() >= MAX_REMEMBERED && !self.allowed.contains_key(&likeness) {
            let oldest = self.allowed.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(likeness, _)| *likeness) {
                self.allowed.remove(&oldest);
            }
        }
        self.allowed.insert(likeness, now.mono_ms);
    }

    /// It was turned away.
    pub fn deny(&mut self, likeness: &[u8; 32]) {
        self.allowed.remove(likeness);
    }

    /// Whether the last word on it was that it is let in, and not too long ago.
    pub fn allows(&self, likeness: &[u8; 32], now: Now) -> bool {
        let at = self.allowed.get(likeness);
        at.is_some_and(|at| now.mono_ms.saturating_sub(*at) < self.life_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ms: 1_000,
        unix_us: 0,
    };

    #[test]
    fn the_last_word_holds_for_its_time() {
        let mut memory = Memory::new(Duration::from_secs(10));
        assert!(!memory.allows(&[1; 32], NOW));
        memory.allow([1; 32], NOW);
        assert!(memory.allows(&[1; 32], NOW.plus_ms(9_999)) && !memory.allows(&[2; 32], NOW));
        assert!(!memory.allows(&[1; 32], NOW.plus_ms(10_000)));
        memory.deny(&[1; 32]);
        assert!(!memory.allows(&[1; 32], NOW));
        let mut none = Memory::new(Duration::ZERO);
        none.allow([1; 32], NOW);
        assert!(!none.allows(&[1; 32], NOW));
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut memory = Memory::new(Duration::from_secs(3600));
        let likeness = |number: usize| {
            let mut likeness = [0; 32];
            likeness[..8].copy_from_slice(&(number as u64).to_be_bytes());
            likeness
        };
        for number in 0..=MAX_REMEMBERED {
            memory.allow(likeness(number), NOW.plus_ms(number as u64));
        }
        assert_eq!(memory.allowed.len(), MAX_REMEMBERED);
        let late = NOW.plus_ms(10_000);
        assert!(!memory.allows(&likeness(0), late) && memory.allows(&likeness(MAX_REMEMBERED), late));
    }
}
