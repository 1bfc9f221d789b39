//! The one output timeline of a stream: 32-bit times of an encoder in, 64-bit times that never go back out.
//!
//! Per epoch, one offset maps the encoder's clock onto the output, the same for audio and video, so that what the
//! encoder keeps in step stays in step (R06). Times that are fit to be sent pass unchanged but for that offset (R40).
//! Only two things are ever changed, and both are counted: a track's small step back is held at that track's last time
//! (a *repair*), and a *leap*, the encoder's clock starting anew or jumping within a session, gets a new common offset.

use crate::clock::Now;
use crate::flv::TagKind;

/// A track that steps back further than this has leapt; up to it, its tags are held at the track's last time.
///
/// Encoders that stamp B-frames by presentation step back by a few frames, 200 ms at worst; holding a track for more
/// than a second would be seen and heard as a freeze.
pub const LEAP_BACK_MS: i64 = 1_000;

/// A tag that is ahead of the stream by more than this, on top of the time that passed since the last one, has leapt.
///
/// Real gaps pass (R41: repairs must not distort them): tracks reach us up to seconds apart, and a burst after a stall
/// of the network brings what was sent meanwhile. No encoder buffers ten seconds.
pub const LEAP_AHEAD_MS: i64 = 10_000;

/// The mappings that a tag may follow: the newest offset, and the one before it for a track that has yet to leap.
const MAPPINGS: usize = 2;

/// Where a tag goes on the output timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// At this output time.
    At(u64),
    /// Nowhere: it is older than the epoch's first tag, so it belongs to what was before the splice.
    BeforeStart,
}

/// What was done to times, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Tags held at their track's last time.
    pub held: u64,
    /// New offsets within a session.
    pub leaps: u64,
}

/// The timeline of one stream.
///
/// Per epoch: [`begin`](Self::begin), then each tag in arrival order through [`place`](Self::place), or
/// [`place_beside`](Self::place_beside) if it carries no frame.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    first: i64,
    /// Output = unwrapped encoder time + offset; newest first.
    offsets: [Option<i64>; MAPPINGS],
    tracks: [Track; 3],
    /// The highest output time, and when it came.
    head: i64,
    head_at_ms: u64,
    /// The unwrapped encoder time of the newest frame, of any track.
    newest_source: Option<i64>,
    repairs: Repairs,
}

/// One track within an epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Unwrapped encoder time of its newest frame.
    source: Option<i64>,
    /// Its newest output time.
    out: Option<i64>,
}

impl Timeline {
    /// Starts an epoch: the next frame lands at `first_time`, and nothing after it lies before that.
    pub fn begin(&mut self, first_time: u64, now: Now) {
        let first = i64::try_from(first_time).unwrap_or(i64::MAX);
        *self = Self {
            first,
            head: first,
            head_at_ms: now.mono_ms,
            repairs: self.repairs,
            ..Self::default()
        };
    }

    /// Places a frame that the encoder stamped `time`.
    pub fn place(&mut self, kind: TagKind, time: u32, now: Now) -> Placed {
        let source = self.unwrap(kind, time);
        let waited = self.waited(now);
        let offset = match self.mapping(kind, source, waited) {
            Some(offset) => offset,
            None => self.remap(source, waited),
        };
        self.newest_source = Some(source);
        self.track_mut(kind).source = Some(source);
        self.settle(kind, source.saturating_add(offset), now)
    }

    /// Places a tag that carries no frame: metadata, other script data, a sequence header, an end of sequence.
    ///
    /// Encoders stamp these as they like (0 is common), so they never move a mapping: one whose time is not near the
    /// newest tag's gets that tag's time.
    pub fn place_beside(&mut self, kind: TagKind, time: u32) -> u64 {
        let source = self.unwrap(kind, time);
        let bound = self.track(kind).out.unwrap_or(self.first);
        let near = bound..=self.head.saturating_add(LEAP_BACK_MS);
        let out = self
            .offsets
            .iter()
            .flatten()
            .map(|offset| source.saturating_add(*offset))
            .find(|out| near.contains(out))
            .unwrap_or(self.head);
        self.head = self.head.max(out);
        self.track_mut(kind).out = Some(out);
        unsigned(out)
    }

    /// The highest output time so far; before any tag, the epoch's first.
    pub fn head(&self) -> u64 {
        unsigned(self.head)
    }

    /// What was changed, over all epochs.
    pub const fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// Unwraps a 32-bit time: the value nearest to the track's last, or to the stream's for a track's first.
    fn unwrap(&self, kind: TagKind, time: u32) -> i64 {
        let Some(last) = self.track(kind).source.or(self.newest_source) else {
            return i64::from(time);
        };
        // The lowest 32 bits of the last time, which is what the encoder's clock shows.
        let shown = last as u32;
        // Half the circle back is a step back.
        let step = time.wrapping_sub(shown) as i32;
        last.saturating_add(i64::from(step))
    }

    /// The offset under which this frame goes on, if there is one.
    fn mapping(&self, kind: TagKind, source: i64, waited: i64) -> Option<i64> {
        let low = match self.track(kind).out {
            Some(last) => last.saturating_sub(LEAP_BACK_MS),
            None => self.head.saturating_sub(LEAP_AHEAD_MS),
        };
        let high = self.head.saturating_add(waited).saturating_add(LEAP_AHEAD_MS);
        self.offsets
            .into_iter()
            .flatten()
            .find(|offset| (low..=high).contains(&source.saturating_add(*offset)))
    }

    /// Makes the mapping under which this frame is the next one.
    fn remap(&mut self, source: i64, waited: i64) -> i64 {
        let lands_at = if self.offsets[0].is_none() {
            self.first
        } else {
            self.repairs.leaps += 1;
            self.head.saturating_add(waited.max(1))
        };
        let offset = lands_at.saturating_sub(source);
        self.offsets = [Some(offset), self.offsets[0]];
        offset
    }

    /// Keeps the track from going back, and the epoch from reaching before its start.
    fn settle(&mut self, kind: TagKind, wanted: i64, now: Now) -> Placed {
        let out = match self.track(kind).out {
            None if wanted < self.first => return Placed::BeforeStart,
            Some(last) if wanted < last => {
                self.repairs.held += 1;
                last
            }
            _ => wanted,
        };
        if out >= self.head {
            self.head = out;
            self.head_at_ms = now.mono_ms;
        }
        self.track_mut(kind).out = Some(out);
        Placed::At(unsigned(out))
    }

    /// Time passed since the stream's head moved.
    fn waited(&self, now: Now) -> i64 {
        i64::try_from(now.mono_ms.saturating_sub(self.head_at_ms)).unwrap_or(i64::MAX)
    }

    const fn track(&self, kind: TagKind) -> &Track {
        &self.tracks[index(kind)]
    }

    const fn track_mut(&mut self, kind: TagKind) -> &mut Track {
        &mut self.tracks[index(kind)]
    }
}

const fn index(kind: TagKind) -> usize {
    match kind {
        TagKind::Audio => 0,
        TagKind::Video => 1,
        TagKind::Script => 2,
    }
}

/// Output times start at an epoch's first time, which is not negative.
fn unsigned(out: i64) -> u64 {
    u64::try_from(out).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TagKind::{Audio, Script, Video};

    const START: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 1_700_000_000_000_000,
    };

    fn begun(first_time: u64) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.begin(first_time, START);
        timeline
    }

    #[test]
    fn one_offset_for_both_tracks() {
        let mut timeline = begun(90_000);
        assert_eq!(timeline.place(Video, 5_000, START), Placed::At(90_000));
        assert_eq!(timeline.place(Audio, 5_013, START), Placed::At(90_013));
        assert_eq!(timeline.place(Video, 5_040, START), Placed::At(90_040));
        assert_eq!(timeline.place(Audio, 5_036, START), Placed::At(90_036));
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn what_is_older_than_the_first_keyframe_belongs_before_the_splice() {
        let mut timeline = begun(100);
        assert_eq!(timeline.place(Video, 500, START), Placed::At(100));
        assert_eq!(timeline.place(Audio, 480, START), Placed::BeforeStart);
        assert_eq!(timeline.place(Audio, 503, START), Placed::At(103));
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn time_wraps_at_32_bits_on_both_tracks() {
        let mut timeline = begun(0);
        assert_eq!(timeline.place(Video, u32::MAX - 39, START), Placed::At(0));
        assert_eq!(timeline.place(Audio, 10, START), Placed::At(50), "wrapped first");
        assert_eq!(timeline.place(Video, 0, START), Placed::At(40));
        assert_eq!(timeline.place(Video, 40, START), Placed::At(80));
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn goes_on_for_years() {
        let mut timeline = begun(0);
        let step = 9_000_u64;
        for n in 0..1_000_000_u64 {
            let wire = (n * step) as u32;
            assert_eq!(timeline.place(Video, wire, START), Placed::At(n * step));
        }
        assert_eq!(timeline.repairs(), Repairs::default());
    }

    #[test]
    fn a_small_step_back_is_held_on_its_own_track_only() {
        let mut timeline = begun(0);
        timeline.place(Video, 1_000, START);
        timeline.place(Video, 1_080, START);
        assert_eq!(timeline.place(Video, 1_040, START), Placed::At(80));
        assert_eq!(timeline.place(Audio, 1_050, START), Placed::At(50));
        assert_eq!(timeline.place(Video, 1_120, START), Placed::At(120));
        assert_eq!(timeline.repairs(), Repairs { held: 1, leaps: 0 });
    }

    #[test]
    fn a_restart_at_zero_moves_both_tracks_by_one_offset() {
        let mut timeline = begun(0);
        timeline.place(Video, 8_000, START);
        timeline.place(Audio, 8_010, START);
        let later = START.plus_ms(40);
        assert_eq!(
            timeline.place(Video, 0, later),
            Placed::At(50),
            "head 10 + 40 waited"
        );
        assert_eq!(timeline.place(Audio, 13, later), Placed::At(63));
        assert_eq!(timeline.place(Video, 40, later), Placed::At(90));
        assert_eq!(timeline.repairs(), Repairs { held: 0, leaps: 1 });
    }

    #[test]
    fn a_track_that_has_yet_to_leap_keeps_its_mapping() {
        let mut timeline = begun(0);
        timeline.place(Video, 7_000_000, START);
        timeline.place(Audio, 7_000_000, START);
        let later = START.plus_ms(20);
        assert_eq!(timeline.place(Audio, 0, later), Placed::At(20));
        // Still on the way from before the encoder's restart.
        assert_eq!(timeline.place(Video, 7_000_040, later), Placed::At(40));
        assert_eq!(timeline.place(Video, 25, later), Placed::At(45));
        assert_eq!(timeline.place(Audio, 23, later), Placed::At(43));
        assert_eq!(timeline.repairs(), Repairs { held: 0, leaps: 1 });
    }

    #[test]
    fn a_leap_ahead_is_taken_back_and_a_real_gap_is_kept() {
        let mut timeline = begun(0);
        timeline.place(Video, 0, START);
        let leapt = timeline.place(Video, 3_600_000, START.plus_ms(40));
        assert_eq!(leapt, Placed::At(40));
        assert_eq!(timeline.repairs().leaps, 1);
        // The camera was covered for a minute, and said so in its times.
        let after = timeline.place(Video, 3_660_000, START.plus_ms(60_040));
        assert_eq!(after, Placed::At(60_040));
        assert_eq!(timeline.repairs().leaps, 1);
    }

    #[test]
    fn a_stall_within_an_encoders_restart_passes_on_the_output_too() {
        let mut timeline = begun(0);
        timeline.place(Video, 50_000, START);
        let back = timeline.place(Video, 0, START.plus_ms(20_000));
        assert_eq!(back, Placed::At(20_000));
    }

    #[test]
    fn script_data_never_moves_the_mapping() {
        let mut timeline = begun(0);
        timeline.place(Video, 600_000, START);
        timeline.place(Video, 600_040, START);
        assert_eq!(timeline.place_beside(Script, 0), 40, "stamped 0 in mid-stream");
        assert_eq!(timeline.place_beside(Script, 600_050), 50, "near: its own time");
        assert_eq!(timeline.place(Video, 600_080, START), Placed::At(80));
        assert_eq!(timeline.repairs(), Repairs::default());
    }
}
