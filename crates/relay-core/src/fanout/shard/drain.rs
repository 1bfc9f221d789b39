//! Letting all viewers go, a few at a time.

use std::time::Duration;

use super::Shard;
use crate::clock::Now;
use crate::fanout::viewer::LEAVING;

/// A drain under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    began_ms: u64,
    window_ms: u64,
}

impl Drain {
    /// Whether it is a viewer's turn by now. Ids are given out in the order of joins; their turns are spread over the window
    /// whatever that order was.
    fn is_turn_of(self, id: u64, now_ms: u64) -> bool {
        let since = now_ms.saturating_sub(self.began_ms);
        // Multiplying by an odd number with its bits well mixed (the golden ratio's) spreads neighbours far apart.
        let turn = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        since >= self.window_ms || since << 32 >= turn * self.window_ms
    }
}

impl Shard {
    /// From now on viewers leave, spread over the window, or stay if there is none. A second window changes nothing.
    pub(super) fn set_drain(&mut self, window: Option<Duration>) {
        let Some(window) = window else {
            self.drain = None;
            let hots = self
                .feeds
                .iter_mut()
                .flat_map(|(_, feed)| feed.slots.iter_mut().flatten());
            hots.for_each(|hot| hot.flags &= !LEAVING);
            return;
        };
        let began_ms = self.clock.now().mono_ms;
        self.drain.get_or_insert_with(|| Drain {
            began_ms,
            // A day at most, so that no product overflows.
            window_ms: u64::try_from(window.as_millis())
                .unwrap_or(u64::MAX)
                .min(86_400_000),
        });
    }

    /// Marks those whose turn it is by now, once a period: they leave before the next start point.
    pub(super) fn let_go(&mut self, now: Now) {
        let Some(drain) = self.drain else { return };
        for (_, cold) in &self.colds {
            if cold.closing.is_some() || !drain.is_turn_of(cold.id, now.mono_ms) {
                continue;
            }
            let place = cold.place;
            let hot = self
                .feeds
                .get_mut(place.feed)
                .and_then(|feed| feed.slots[place.slot].get_mut(place.index));
            if let Some(hot) = hot {
                hot.flags |= LEAVING;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_over_the_window() {
        let drain = Drain {
            began_ms: 1000,
            window_ms: 20_000,
        };
        let gone = |ms| (1..=2000).filter(|id| drain.is_turn_of(*id, ms)).count();
        for tenth in 1..=200 {
            let (before, after) = (gone(1000 + (tenth - 1) * 100), gone(1000 + tenth * 100));
            // A two-hundredth of them is ten.
            assert!((5..=15).contains(&(after - before)), "{before} {after}");
        }
        assert_eq!(gone(21_000), 2000);
        assert_eq!(gone(0), 0);
    }

    #[test]
    fn without_a_window_it_is_everybodys_turn() {
        let drain = Drain {
            began_ms: 5,
            window_ms: 0,
        };
        assert!((0..100).all(|id| drain.is_turn_of(id, 5)));
    }
}
