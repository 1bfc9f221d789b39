//! The watch second by second: who got less media time than the source gave.

use super::tally::Tally;
use super::viewer::Viewer;
use super::{Role, SECOND_US};
use crate::report::Second;

/// A viewer is starved that got so much less media time in a second than the source gave, in microseconds.
const STARVED_US: u64 = 500_000;

/// A source that gave less than this in a second stalled, in microseconds. The rest of a second may lie in a burst that a
/// server holds back for a quarter of one, and in one frame.
const STALLED_BELOW_US: u64 = 700_000;

/// What all measured seconds together came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Viewers starved, summed over the seconds.
    pub(super) starved: u64,
    /// Seconds in which a stream's source stalled.
    pub(super) stalled: u64,
    /// Viewers that could have been starved, summed over the seconds.
    pub(super) viewer_seconds: u64,
}

/// The seconds so far.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    timeline: Vec<Second>,
    totals: Totals,
    /// Of each stream, what its source gave in the second that ends.
    given_us: Vec<u64>,
}

impl Seconds {
    /// Ends a second, and says how many viewers were starved in it; 0 if it does not count.
    pub(super) fn end(&mut self, viewers: &mut [Viewer], tally: &mut Tally, counts: bool) -> u64 {
        self.given_us.clear();
        self.given_us
            .extend(tally.supplies.iter_mut().map(|supply| supply.take_second_us()));
        for viewer in viewers
            .iter()
            .filter(|viewer| viewer.media.role() == Role::Watching)
        {
            let stream = usize::from(viewer.media.stream());
            // Without marks, the source gave what the best viewer got.
            if let (Some(supply), Some(given)) = (tally.supplies.get(stream), self.given_us.get_mut(stream))
                && !supply.is_marked()
            {
                *given = viewer.media.second_us().max(*given);
            }
        }
        let mut starved = 0;
        for viewer in viewers {
            let got_us = viewer.media.take_second_us();
            if !counts || !viewer.joined || viewer.media.role() != Role::Watching {
                continue;
            }
            let given_us = self
                .given_us
                .get(usize::from(viewer.media.stream()))
                .copied()
                .unwrap_or(0);
            if given_us >= STALLED_BELOW_US {
                self.totals.viewer_seconds += 1;
                starved += u64::from(is_starved(given_us, got_us));
            }
        }
        if counts {
            let stalled = self.given_us.iter().filter(|given| **given < STALLED_BELOW_US);
            self.totals.stalled += stalled.count() as u64;
        }
        self.totals.starved += starved;
        starved
    }

    pub(super) fn push(&mut self, second: Second) {
        self.timeline.push(second);
    }

    pub(super) fn last(&self) -> Option<&Second> {
        self.timeline.last()
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn into_timeline(self) -> Vec<Second> {
        self.timeline
    }
}

/// Whether a viewer is starved that got `got_us` of media time while the source gave `given_us`. A source that gives more
/// than a second in a second makes up for a stall, and nobody need keep up with that.
fn is_starved(given_us: u64, got_us: u64) -> bool {
    given_us.min(SECOND_US).saturating_sub(got_us) > STARVED_US
}

#[cfg(test)]
mod tests {
    use relay_core::flv::TagKind;

    use super::super::media::{Media, Seen};
    use super::super::tally::Moment;
    use super::*;
    use crate::mark::{MARK_END, Mark};

    fn viewers(count: usize) -> Vec<Viewer> {
        let new = || Viewer::new(0, false, Media::new(Role::Watching, 0));
        let mut viewers: Vec<Viewer> = std::iter::repeat_with(new).take(count).collect();
        viewers.iter_mut().for_each(|viewer| viewer.joined = true);
        viewers
    }

    /// Frames of 40 ms, to one viewer.
    fn frames(viewer: &mut Viewer, tally: &mut Tally, sequences: std::ops::Range<u64>) {
        for sequence in sequences {
            let mark = Mark {
                sequence,
                made_us: 1_000_000 + sequence * 40_000,
            };
            let payload = mark.frame(*b"\x17\x01\0\0\0", &[]);
            let seen = Seen {
                kind: TagKind::Video,
                time: sequence as u32 * 40,
                length: payload.len() as u32,
                head: &payload[..MARK_END],
                whole: None,
            };
            let at = Moment {
                at_us: 0,
                wall_us: mark.made_us,
            };
            viewer.media.tag(&seen, at, tally);
        }
    }

    #[test]
    fn who_got_half_a_second_less_than_the_source_gave_is_starved() {
        let (mut viewers, mut tally) = (viewers(3), Tally::new(1, 0).unwrap());
        let mut seconds = Seconds::default();
        for viewer in &mut viewers {
            frames(viewer, &mut tally, 0..10);
        }
        assert_eq!(
            seconds.end(&mut viewers, &mut tally, false),
            0,
            "it does not count"
        );
        for (viewer, until) in viewers.iter_mut().zip([35, 23, 22]) {
            frames(viewer, &mut tally, 10..until);
        }
        assert_eq!(
            seconds.end(&mut viewers, &mut tally, true),
            1,
            "480 ms of 1000 are too few, 520 are not"
        );
        let totals = Totals {
            starved: 1,
            stalled: 0,
            viewer_seconds: 3,
        };
        assert_eq!(seconds.totals(), totals);
    }

    #[test]
    fn a_source_that_stalls_starves_nobody() {
        let (mut viewers, mut tally) = (viewers(2), Tally::new(1, 0).unwrap());
        let mut seconds = Seconds::default();
        frames(&mut viewers[0], &mut tally, 0..10);
        assert_eq!(seconds.end(&mut viewers, &mut tally, true), 0);
        assert_eq!(seconds.totals().stalled, 1);
        assert_eq!(seconds.totals().viewer_seconds, 0);
    }

    #[test]
    fn who_jumps_ahead_has_not_got_what_it_jumped_over() {
        let (mut viewers, mut tally) = (viewers(2), Tally::new(1, 0).unwrap());
        let mut seconds = Seconds::default();
        for viewer in &mut viewers {
            frames(viewer, &mut tally, 0..10);
        }
        seconds.end(&mut viewers, &mut tally, false);
        frames(&mut viewers[0], &mut tally, 10..35);
        frames(&mut viewers[1], &mut tally, 30..35);
        assert_eq!(seconds.end(&mut viewers, &mut tally, true), 1);
    }
}
