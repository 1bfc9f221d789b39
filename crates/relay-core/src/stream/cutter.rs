//! The group cutter: where, in arrival order, a stream's tags are cut into groups.
//!
//! A group begins at a video keyframe; or, without video, at an audio tag every two seconds; or as a flagged
//! *continuation* when a group has grown too long or too large. Only the first two are start points: places where a
//! reader who knows the headers can begin to decode. Nothing is re-sorted by time.

use crate::clock::Now;
use crate::flv::TagKind;

/// Without video, a start point comes at the first audio tag after this long: what a joiner is behind at most.
pub const AUDIO_GROUP_MS: u64 = 2_000;

/// A stream that has shown video is without it after this long.
///
/// A start point at audio between two frames of a slow video (slides, a shared screen) would give joiners frames that
/// they cannot decode, so it is worth a wait; as long as the longest group, so that no group is held open for it.
pub const VIDEO_LOST_MS: u64 = MAX_GROUP_MS;

/// A group longer than this is continued in another: a group is what a child resumes, resets or falls behind by.
pub const MAX_GROUP_MS: u64 = 15_000;

/// A group larger than this is continued in another: 16 MiB, about the same 15 s at 8 Mbit/s.
pub const MAX_GROUP_BYTES: u64 = 16 << 20;

/// How a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A start point.
    Start,
    /// The same run of frames, in another group.
    Continuation,
}

/// What the cutter needs to know of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Audio, video or script.
    pub kind: TagKind,
    /// It carries a frame, not a header or other data.
    pub frame: bool,
    /// It is a video keyframe.
    pub keyframe: bool,
    /// Its output time.
    pub time: u64,
    /// Its payload's size.
    pub bytes: usize,
}

/// Decides for each tag of an epoch whether a group begins with it.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    group: Option<Group>,
    video: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    since: Moment,
    bytes: u64,
}

/// A moment on the stream's and on this node's clock. They agree but for a burst (media runs ahead) and for an encoder
/// whose clock stands still; the one that has moved further counts, so that groups are short on both.
#[derive(Clone, Copy, Debug)]
struct Moment {
    time: u64,
    mono_ms: u64,
}

impl Moment {
    fn passed(self, later: Self) -> u64 {
        let by_stream = later.time.saturating_sub(self.time);
        by_stream.max(later.mono_ms.saturating_sub(self.mono_ms))
    }
}

impl Cutter {
    /// Takes the next tag; says how a group begins with it, if one does. The first tag of all begins one.
    pub fn cut(&mut self, tag: Arrival, now: Now) -> Option<Cut> {
        let at = Moment {
            time: tag.time,
            mono_ms: now.mono_ms,
        };
        let cut = self.decide(tag, at);
        if cut.is_some() {
            self.group = Some(Group { since: at, bytes: 0 });
        }
        if let Some(group) = &mut self.group {
            group.bytes += tag.bytes as u64;
        }
        if tag.kind == TagKind::Video && tag.frame {
            self.video = Some(at);
        }
        cut
    }

    fn decide(&self, tag: Arrival, at: Moment) -> Option<Cut> {
        let Some(group) = self.group else {
            return Some(Cut::Start);
        };
        if tag.keyframe {
            return Some(Cut::Start);
        }
        let age = group.since.passed(at);
        if tag.kind == TagKind::Audio && tag.frame && age >= AUDIO_GROUP_MS && self.is_without_video(at) {
            return Some(Cut::Start);
        }
        let full = group.bytes + tag.bytes as u64 > MAX_GROUP_BYTES;
        (full || age >= MAX_GROUP_MS).then_some(Cut::Continuation)
    }

    fn is_without_video(&self, at: Moment) -> bool {
        self.video.is_none_or(|video| video.passed(at) >= VIDEO_LOST_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 1_700_000_000_000_000,
    };

    const fn audio(time: u64) -> Arrival {
        Arrival {
            kind: TagKind::Audio,
            frame: true,
            keyframe: false,
            time,
            bytes: 200,
        }
    }

    const fn video(time: u64, keyframe: bool) -> Arrival {
        Arrival {
            kind: TagKind::Video,
            frame: true,
            keyframe,
            time,
            bytes: 4_000,
        }
    }

    /// Feeds tags in real time from stream time 0; the times at which groups begin.
    fn run(cutter: &mut Cutter, tags: impl IntoIterator<Item = Arrival>) -> Vec<(u64, Cut)> {
        tags.into_iter()
            .filter_map(|tag| Some((tag.time, cutter.cut(tag, START.plus_ms(tag.time))?)))
            .collect()
    }

    #[test]
    fn audio_alone_gets_a_start_point_each_two_seconds() {
        let cuts = run(&mut Cutter::default(), (0..300).map(|n| audio(n * 20)));
        assert_eq!(cuts, [(0, Cut::Start), (2_000, Cut::Start), (4_000, Cut::Start)]);
    }

    #[test]
    fn audio_beside_video_starts_nothing() {
        let tags = (0..500_u64).flat_map(|n| [video(n * 40, n % 250 == 0), audio(n * 40 + 5)]);
        let cuts = run(&mut Cutter::default(), tags);
        assert_eq!(cuts, [(0, Cut::Start), (10_000, Cut::Start)]);
    }

    #[test]
    fn audio_between_slow_slides_starts_nothing_until_video_is_lost() {
        let slides = [video(0, true), audio(3_000), video(5_000, false), audio(9_000)];
        let rest = (10..40).map(|n| audio(n * 1_000));
        let cuts = run(&mut Cutter::default(), slides.into_iter().chain(rest));
        let expected = [
            (0, Cut::Start),
            (15_000, Cut::Continuation),
            (20_000, Cut::Start),
            (22_000, Cut::Start),
        ];
        assert_eq!(cuts[..4], expected, "lost 15 s after the last frame");
    }

    #[test]
    fn a_minute_between_keyframes_is_cut_by_time() {
        let tags = (0..3_000_u64).map(|n| video(n * 40, n % 1_500 == 0));
        let cuts = run(&mut Cutter::default(), tags);
        let starts: Vec<_> = cuts.iter().filter(|cut| cut.1 == Cut::Start).collect();
        assert_eq!(starts, [&(0, Cut::Start), &(60_000, Cut::Start)]);
        assert_eq!(cuts[1], (15_000, Cut::Continuation));
        assert_eq!(cuts.len(), 8);
    }

    #[test]
    fn a_large_group_is_cut_by_bytes() {
        let mut cutter = Cutter::default();
        let large = |time| Arrival {
            bytes: 6 << 20,
            ..video(time, false)
        };
        let first = Arrival {
            keyframe: true,
            ..large(0)
        };
        let cuts = run(&mut cutter, [first, large(40), large(80), large(120), large(160)]);
        let expected = [(0, Cut::Start), (80, Cut::Continuation), (160, Cut::Continuation)];
        assert_eq!(cuts, expected, "never more than 16 MiB in one");
    }

    #[test]
    fn a_clock_that_stands_still_is_cut_by_arrival() {
        let mut cutter = Cutter::default();
        let stuck: Vec<_> = (0..100_u64)
            .filter_map(|n| cutter.cut(audio(0), START.plus_ms(n * 100)))
            .collect();
        assert_eq!(stuck.len(), 5);
    }

    #[test]
    fn headers_start_nothing() {
        let mut cutter = Cutter::default();
        cutter.cut(audio(0), START);
        let header = Arrival {
            frame: false,
            ..audio(2_500)
        };
        assert_eq!(cutter.cut(header, START.plus_ms(2_500)), None);
        let cut = cutter.cut(audio(2_500), START.plus_ms(2_500));
        assert_eq!(cut, Some(Cut::Start));
    }
}
