//! The group cutter: where, in arrival order, a stream's tags are cut into groups.
//!
//! A group begins at a video keyframe, or at a recovery point; or, without video, at an audio tag every two seconds; or as
//! a flagged *continuation* when a group has grown too long or too large. Only the first are start points: places where a
//! reader who knows the headers can begin to decode. A stream that never has any, or none for a minute, gets start points
//! where it is continued: its decoders have to begin somewhere (R44). Nothing is re-sorted by time.

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

/// A group of more tags than this is continued in another: 15 s of 60 frames and 50 packets of sound a second have a tenth of
/// them, so that only a stream of tiny tags, whose index would outgrow its bytes, meets it.
pub const MAX_GROUP_TAGS: u32 = 16_384;

/// A stream that has shown keyframes and shows none for so long is taken for one without (R44): one who joins then sees a
/// picture that mends itself, or one that comes with the next keyframe, instead of waiting for what may never come. It
/// bounds what a joiner is behind, too (R43).
pub const KEYFRAME_LOST_MS: u64 = 60_000;

/// Recovery points nearer to the last start point than this begin no group: encoders exist that mark every frame so.
pub const RECOVERY_APART_MS: u64 = 1_000;

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
    /// It is none, and a decoder can begin with it all the same.
    pub recovery: bool,
    /// Its output time.
    pub time: u64,
    /// Its payload's size.
    pub bytes: usize,
}

/// Decides for each tag of an epoch whether a group begins with it.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    group: Option<Group>,
    /// When the newest start point was.
    start: Option<Moment>,
    video: Option<Moment>,
    /// A place where video can be begun has been seen.
    keyed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    since: Moment,
    bytes: u64,
    tags: u32,
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
            self.group = Some(Group {
                since: at,
                bytes: 0,
                tags: 0,
            });
        }
        if cut == Some(Cut::Start) {
            self.start = Some(at);
        }
        if let Some(group) = &mut self.group {
            group.bytes += tag.bytes as u64;
            group.tags = group.tags.saturating_add(1);
        }
        if tag.kind == TagKind::Video && tag.frame {
            self.video = Some(at);
            self.keyed |= tag.keyframe || tag.recovery;
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
        let since_start = self.start.map_or(u64::MAX, |start| start.passed(at));
        if tag.recovery && since_start >= RECOVERY_APART_MS {
            return Some(Cut::Start);
        }
        let age = group.since.passed(at);
        if tag.kind == TagKind::Audio && tag.frame && age >= AUDIO_GROUP_MS && self.is_without_video(at) {
            return Some(Cut::Start);
        }
        let full = group.bytes + tag.bytes as u64 > MAX_GROUP_BYTES || group.tags >= MAX_GROUP_TAGS;
        if !full && age < MAX_GROUP_MS {
            return None;
        }
        let waits_for_keyframe = self.keyed && since_start < KEYFRAME_LOST_MS;
        Some(match waits_for_keyframe || self.is_without_video(at) {
            true => Cut::Continuation,
            false => Cut::Start,
        })
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
            recovery: false,
            time,
            bytes: 200,
        }
    }

    const fn video(time: u64, keyframe: bool) -> Arrival {
        Arrival {
            kind: TagKind::Video,
            frame: true,
            keyframe,
            recovery: false,
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

    #[test]
    fn r44_a_stream_without_any_keyframe_is_begun_where_it_is_continued() {
        let tags = (0..1_000_u64).map(|n| video(n * 40, false));
        let cuts = run(&mut Cutter::default(), tags);
        assert_eq!(
            cuts,
            [(0, Cut::Start), (15_000, Cut::Start), (30_000, Cut::Start)]
        );
    }

    #[test]
    fn r44_keyframes_that_stop_are_waited_for_a_minute() {
        let tags = (0..3_000_u64).map(|n| video(n * 40, n == 0 || n * 40 == 100_000));
        let cuts = run(&mut Cutter::default(), tags);
        let starts: Vec<_> = cuts
            .iter()
            .filter(|cut| cut.1 == Cut::Start)
            .map(|cut| cut.0)
            .collect();
        assert_eq!(
            starts,
            [0, 60_000, 100_000],
            "and are what counts when they are back"
        );
        let starts_late = cuts.iter().find(|cut| cut.0 == 75_000);
        assert_eq!(starts_late, Some(&(75_000, Cut::Continuation)), "a minute each");
    }

    #[test]
    fn r44_recovery_points_begin_groups_but_not_each_frame_one() {
        let tags = |every: u64| {
            (0..250_u64).map(move |n| Arrival {
                recovery: n % every == 0,
                ..video(n * 40, n == 0)
            })
        };
        let sparse = run(&mut Cutter::default(), tags(50));
        let starts: Vec<_> = (0..5).map(|n| (n * 2_000, Cut::Start)).collect();
        assert_eq!(sparse, starts);
        let each = run(&mut Cutter::default(), tags(1));
        assert_eq!(each.len(), 10, "one each second");
    }

    #[test]
    fn r43_a_group_of_many_tags_is_continued() {
        let mut cutter = Cutter::default();
        let tags = (0..20_000_u64).map(|n| Arrival {
            bytes: 10,
            ..video(n / 10, n == 0)
        });
        let cuts = run(&mut cutter, tags);
        let expected = [
            (0, Cut::Start),
            (u64::from(MAX_GROUP_TAGS) / 10, Cut::Continuation),
        ];
        assert_eq!(cuts, expected);
    }
}
