//! What the source of a stream gave: the union of the frames that any viewer got. Viewers are measured against it, so that
//! a source that stalls is nobody's fault.

use super::window::Window;
use crate::mark::Mark;

/// Frames of the past that are remembered, to tell those that nobody had before: half a minute at 120 a second.
const REMEMBERED: usize = 4096;

/// The time between two frames until it is known.
const USUAL_STEP_US: u64 = 40_000;

/// What one stream's source gave.
#[derive(Debug)]
pub(super) struct Supply {
    newest: Option<Mark>,
    /// When the frames of the past were made, each at its sequence's place.
    seen: Box<[u64]>,
    step_us: u64,
    window_bytes: u64,
    second_us: u64,
}

impl Supply {
    pub(super) fn new() -> Self {
        Self {
            newest: None,
            seen: vec![0; REMEMBERED].into(),
            step_us: USUAL_STEP_US,
            window_bytes: 0,
            second_us: 0,
        }
    }

    /// Takes a frame that some viewer got; `bytes` is its tag's size.
    pub(super) fn frame(&mut self, mark: Mark, bytes: u32, window: &Window) {
        let place = (mark.sequence % REMEMBERED as u64) as usize;
        // A place that holds a later frame has forgotten this one, which somebody had: it is too old to be new.
        if self.seen[place] >= mark.made_us {
            return;
        }
        self.seen[place] = mark.made_us;
        if window.holds(mark.made_us) {
            self.window_bytes += u64::from(bytes);
        }
        let Some(newest) = self.newest else {
            self.newest = Some(mark);
            return;
        };
        if let Some(step) = mark.made_us.checked_sub(newest.made_us) {
            if mark.sequence == newest.sequence + 1 {
                self.step_us = step;
            }
            self.second_us += step;
            self.newest = Some(mark);
        }
    }

    /// Whether any frame carried a mark.
    pub(super) const fn is_marked(&self) -> bool {
        self.newest.is_some()
    }

    /// From one frame to the next, in microseconds.
    pub(super) const fn step_us(&self) -> u64 {
        self.step_us
    }

    /// Bytes of the frames that were made within the window.
    pub(super) const fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    /// Media time that the source gave since the last call.
    pub(super) const fn take_second_us(&mut self) -> u64 {
        std::mem::replace(&mut self.second_us, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(sequence: u64) -> Mark {
        Mark {
            sequence,
            made_us: 1_000_000 + sequence * 40_000,
        }
    }

    fn window() -> Window {
        Window::between(mark(10).made_us, mark(20).made_us)
    }

    #[test]
    fn each_frame_counts_once_whoever_brings_it() {
        let mut supply = Supply::new();
        for viewer in 0..3 {
            // Each misses a frame that the others have.
            for sequence in (0..30).filter(|sequence| sequence % 5 != viewer) {
                supply.frame(mark(sequence), 100, &window());
            }
        }
        assert_eq!(supply.window_bytes(), 10 * 100);
        assert_eq!(
            supply.take_second_us(),
            28 * 40_000,
            "from frame 1, the first that came, to 29"
        );
        assert_eq!(supply.take_second_us(), 0);
        assert_eq!(supply.step_us(), 40_000);
    }

    #[test]
    fn frames_far_back_are_nothing_new() {
        let mut supply = Supply::new();
        let window = Window::between(0, u64::MAX);
        for sequence in 0..2 * REMEMBERED as u64 {
            supply.frame(mark(sequence), 1, &window);
        }
        supply.frame(mark(5), 1, &window);
        assert_eq!(supply.window_bytes(), 2 * REMEMBERED as u64);
    }

    #[test]
    fn a_publisher_that_begins_anew_gives_new_frames() {
        let mut supply = Supply::new();
        let window = Window::between(0, u64::MAX);
        for sequence in 0..10 {
            supply.frame(mark(sequence), 1, &window);
        }
        for sequence in 0..10 {
            let made_us = mark(20 + sequence).made_us;
            supply.frame(Mark { sequence, made_us }, 1, &window);
        }
        assert_eq!(supply.window_bytes(), 20);
    }
}
