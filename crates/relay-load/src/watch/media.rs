//! What one viewer got of a stream, tag by tag.

use relay_core::codec;
use relay_core::flv::TagKind;
use relay_core::flv::tag::encoded_len;

use super::Role;
use super::tally::{Moment, Tally};
use super::track::{Arrival, Times, Track};
use crate::mark::{Mark, MarkError};
use crate::report::Faults;

/// A frame younger than this is the live edge, in microseconds.
const LIVE_US: u64 = 1_000_000;

/// The most media time that a tag without a mark is taken for, in milliseconds: more is a jump of its clock.
const MAX_STEP_MS: u32 = 2000;

/// A tag that came whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) kind: TagKind,
    pub(super) time: u32,
    pub(super) length: u32,
    /// Its payload's beginning, as far as a mark reaches.
    pub(super) head: &'a [u8],
    /// All of its payload, where that is looked at.
    pub(super) whole: Option<&'a [u8]>,
}

/// What one viewer got: some hundred bytes, whatever comes.
#[derive(Debug)]
pub(super) struct Media {
    role: Role,
    stream: u16,
    has_byte: bool,
    has_tag: bool,
    has_keyframe: bool,
    is_live: bool,
    began_us: u64,
    track: Track,
    times: Times,
    second_us: u64,
    /// Bytes of frames that were made within the window, and those of them that were on time.
    window_bytes: u64,
    on_time_bytes: u64,
    /// Bytes of all tags that came during the measurement: what counts where there are no marks.
    loose_bytes: u64,
}

impl Media {
    pub(super) fn new(role: Role, stream: u16) -> Self {
        Self {
            role,
            stream,
            has_byte: false,
            has_tag: false,
            has_keyframe: false,
            is_live: false,
            began_us: 0,
            track: Track::default(),
            times: Times::default(),
            second_us: 0,
            window_bytes: 0,
            on_time_bytes: 0,
            loose_bytes: 0,
        }
    }

    /// Says when the viewer began to connect: what first times are counted from.
    pub(super) const fn begin(&mut self, at_us: u64) {
        self.began_us = at_us;
    }

    /// Says that a byte of the stream has come.
    pub(super) fn first_byte(&mut self, at: Moment, tally: &mut Tally) {
        if !std::mem::replace(&mut self.has_byte, true) && self.role == Role::Watching {
            tally.first_byte.saturating_record(at.at_us - self.began_us);
        }
    }

    /// Takes a tag.
    pub(super) fn tag(&mut self, seen: &Seen<'_>, at: Moment, tally: &mut Tally) {
        self.has_tag = true;
        let info = codec::classify(seen.kind, seen.head);
        let step = self.times.step(seen.kind, seen.time);
        if step.back {
            self.faults(tally).backwards += 1;
        }
        if info.keyframe && !self.has_keyframe {
            self.has_keyframe = true;
            if self.role == Role::Watching {
                tally.first_keyframe.saturating_record(at.at_us - self.began_us);
            }
        }
        let bytes = encoded_len(seen.length as usize) as u32; // fits: a length has 24 bits
        if tally.measuring {
            self.loose_bytes += u64::from(bytes);
        }
        let frame = seen.kind == TagKind::Video && !info.sequence_header && !info.end_of_sequence;
        let mark = match seen.whole {
            _ if !frame => Err(MarkError::None),
            Some(whole) => Mark::verify(whole),
            None => Mark::read(seen.head),
        };
        match mark {
            Ok(mark) => self.frame(mark, info.keyframe, bytes, at, tally),
            Err(MarkError::Corrupt { sequence, .. }) => {
                self.track.spoilt(sequence);
                self.faults(tally).corrupt += 1;
            }
            // Each frame of a marked stream has one.
            Err(MarkError::None) if frame && self.track.is_marked() => self.faults(tally).corrupt += 1,
            Err(MarkError::None) if !self.track.is_marked() && step.ahead_ms <= MAX_STEP_MS => {
                self.second_us += u64::from(step.ahead_ms) * 1000;
            }
            Err(MarkError::None) => {}
        }
    }

    /// Counts framing that cannot be read, or a size that is not its tag's.
    pub(super) const fn corrupt(&self, tally: &mut Tally) {
        self.faults(tally).corrupt += 1;
    }

    fn frame(&mut self, mark: Mark, keyframe: bool, bytes: u32, at: Moment, tally: &mut Tally) {
        let arrival = self.track.place(mark, keyframe);
        let faults = self.faults(tally);
        match arrival {
            Arrival::First | Arrival::Next(_) | Arrival::Restart => {}
            Arrival::Gap(missing) => faults.gaps += missing,
            Arrival::Skip => faults.skips += 1,
            Arrival::Again => {
                faults.duplicates += 1;
                return;
            }
        }
        let Some(supply) = tally.supplies.get_mut(usize::from(self.stream)) else {
            return;
        };
        supply.frame(mark, bytes, &tally.window);
        self.second_us += match arrival {
            Arrival::Next(step) => step,
            _ => supply.step_us(),
        };
        let late_us = at.wall_us.saturating_sub(mark.made_us);
        if self.role == Role::Watching {
            self.time(mark, late_us, at, tally);
        }
        if tally.window.holds(mark.made_us) {
            self.window_bytes += u64::from(bytes);
            if late_us <= tally.on_time_us {
                self.on_time_bytes += u64::from(bytes);
            }
        }
    }

    /// Counts how late a frame was. What a joiner gets of the past is not late; but within the window all is counted.
    fn time(&mut self, mark: Mark, late_us: u64, at: Moment, tally: &mut Tally) {
        if !self.is_live && late_us < LIVE_US {
            self.is_live = true;
            tally.live_edge.saturating_record(at.at_us - self.began_us);
        }
        let measured = tally.window.holds(mark.made_us);
        if self.is_live || measured {
            tally.second_lateness.saturating_record(late_us);
        }
        if measured {
            tally.lateness.saturating_record(late_us);
        }
    }

    const fn faults<'a>(&self, tally: &'a mut Tally) -> &'a mut Faults {
        match self.role {
            Role::Slow => &mut tally.slow_faults,
            Role::Watching | Role::Stalled => &mut tally.faults,
        }
    }

    pub(super) const fn role(&self) -> Role {
        self.role
    }

    pub(super) const fn stream(&self) -> u16 {
        self.stream
    }

    pub(super) const fn began_us(&self) -> u64 {
        self.began_us
    }

    pub(super) const fn has_tag(&self) -> bool {
        self.has_tag
    }

    /// Media time that came since the last call.
    pub(super) const fn take_second_us(&mut self) -> u64 {
        std::mem::replace(&mut self.second_us, 0)
    }

    pub(super) const fn second_us(&self) -> u64 {
        self.second_us
    }

    pub(super) const fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    pub(super) const fn on_time_bytes(&self) -> u64 {
        self.on_time_bytes
    }

    pub(super) const fn loose_bytes(&self) -> u64 {
        self.loose_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Window;
    use super::*;

    const START_US: u64 = 1_764_000_000_000_000;

    fn made(sequence: u64) -> u64 {
        START_US + sequence * 40_000
    }

    /// A viewer and the tally of its audience, with a window over the frames 10 to 19.
    struct Watch {
        media: Media,
        tally: Tally,
    }

    impl Watch {
        fn new(role: Role) -> Self {
            let mut tally = Tally::new(1, 100_000).unwrap();
            tally.window = Window::between(made(10), made(20));
            Self {
                media: Media::new(role, 0),
                tally,
            }
        }

        /// Frame `sequence`, every tenth a key, comes `late_us` after it was made.
        fn frame(&mut self, sequence: u64, late_us: u64) {
            let mark = Mark {
                sequence,
                made_us: made(sequence),
            };
            let first = if sequence.is_multiple_of(10) { 0x17 } else { 0x27 };
            let payload = mark.frame([first, 1, 0, 0, 0], &[b"0123456789"]);
            self.payload(sequence, &payload, late_us);
        }

        fn payload(&mut self, sequence: u64, payload: &[u8], late_us: u64) {
            let at = Moment {
                at_us: made(sequence) - START_US + late_us,
                wall_us: made(sequence) + late_us,
            };
            let seen = Seen {
                kind: TagKind::Video,
                time: sequence as u32 * 40,
                length: payload.len() as u32,
                head: &payload[..payload.len().min(crate::mark::MARK_END)],
                whole: Some(payload),
            };
            self.media.tag(&seen, at, &mut self.tally);
        }

        fn frame_bytes(&self) -> u64 {
            encoded_len(crate::mark::MARK_END + 10) as u64
        }
    }

    #[test]
    fn frames_made_in_the_window_count_and_those_on_time_twice() {
        let mut watch = Watch::new(Role::Watching);
        for sequence in 0..30 {
            watch.frame(sequence, if sequence == 15 { 100_001 } else { 100_000 });
        }
        let bytes = watch.frame_bytes();
        assert_eq!(watch.media.window_bytes(), 10 * bytes);
        assert_eq!(watch.media.on_time_bytes(), 9 * bytes);
        assert_eq!(watch.tally.supplies[0].window_bytes(), 10 * bytes);
        assert_eq!(watch.tally.lateness.len(), 10);
        assert_eq!(watch.tally.second_lateness.len(), 30);
        assert_eq!(watch.tally.faults, Faults::default());
        assert_eq!(watch.media.take_second_us(), 30 * 40_000);
        assert_eq!(
            watch.tally.first_keyframe.max() / 1000,
            100,
            "from the beginning, in ms"
        );
    }

    #[test]
    fn what_is_wrong_is_counted_by_its_kind() {
        let mut watch = Watch::new(Role::Watching);
        for sequence in [0, 1, 2, 5, 5, 4, 20, 21] {
            watch.frame(sequence, 0);
        }
        let mark = Mark {
            sequence: 22,
            made_us: made(22),
        };
        let mut bent = mark.frame(*b"\x27\x01\0\0\0", &[b"x"]);
        *bent.last_mut().unwrap() ^= 1;
        watch.payload(22, &bent, 0);
        watch.frame(23, 0);
        watch.payload(24, b"\x27\x01\0\0\0none", 0);
        let faults = watch.tally.faults;
        assert_eq!((faults.gaps, faults.duplicates, faults.skips), (2, 2, 1));
        assert_eq!(faults.corrupt, 2);
        assert_eq!(faults.backwards, 1, "frame 4 came after 5");
        assert_eq!(watch.media.window_bytes(), 0, "nothing of the window came");
    }

    #[test]
    fn a_slow_viewers_faults_are_its_own() {
        let mut watch = Watch::new(Role::Slow);
        for sequence in [0, 1, 3, 10] {
            watch.frame(sequence, 0);
        }
        assert_eq!(watch.tally.faults, Faults::default());
        assert_eq!(
            (watch.tally.slow_faults.gaps, watch.tally.slow_faults.skips),
            (1, 1)
        );
        assert!(watch.tally.lateness.is_empty() && watch.tally.live_edge.is_empty());
    }

    #[test]
    fn the_past_that_a_joiner_gets_is_not_late() {
        let mut watch = Watch::new(Role::Watching);
        watch.frame(0, LIVE_US);
        assert!(watch.tally.second_lateness.is_empty());
        assert!(watch.tally.live_edge.is_empty());
        watch.frame(1, LIVE_US - 1);
        assert_eq!(watch.tally.live_edge.len(), 1);
        watch.frame(2, 3 * LIVE_US);
        assert_eq!(
            watch.tally.second_lateness.len(),
            2,
            "it was live, so now it is late"
        );
        let mut watch = Watch::new(Role::Watching);
        watch.frame(10, 3 * LIVE_US);
        assert_eq!(watch.tally.lateness.len(), 1, "within the window all is counted");
    }

    #[test]
    fn a_stream_without_marks_counts_bytes_and_media_time() {
        let mut watch = Watch::new(Role::Watching);
        watch.tally.measuring = true;
        for sequence in 0..5 {
            watch.payload(sequence, b"\x17\x01\0\0\0abc", 0);
        }
        assert_eq!(watch.media.loose_bytes(), 5 * encoded_len(8) as u64);
        assert_eq!(watch.media.take_second_us(), 4 * 40_000);
        assert_eq!(watch.tally.faults, Faults::default());
        assert!(!watch.tally.supplies[0].is_marked());
    }
}
