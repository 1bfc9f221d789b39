//! What is wrong with what an encoder sends, though it can be relayed: for its operator, who alone can mend it.
//!
//! All of it is told in stream time, so that a slow network is no fault of the encoder's. Each warning is raised by more than
//! it is lifted by, so that what swings about a limit is said once.

mod interval;
mod leap;
mod skew;

use super::tracks::{AUDIO_GONE_MS, Tracks, VIDEO_GONE_MS};
use crate::flv::TagKind;

use interval::Interval;
use leap::Leap;
use skew::Skew;

/// A track that is expected and has never sent anything is silent after this long.
const NEVER_SENT_MS: u64 = 5_000;

/// A track that was silent has to send for so long before its warning is lifted.
const SENDS_AGAIN_MS: u64 = 2_000;

/// What there is to warn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Warning {
    /// Keyframes are far apart, or do not come at all (R44).
    LongInterval,
    /// Sound is announced, or was sent, and does not come.
    SilentAudio,
    /// Pictures likewise.
    SilentVideo,
    /// Sound and pictures of one time come far apart.
    Skew,
    /// The bitrate is a multiple of what it was.
    Leap,
    /// The video is not of the codec that it is labelled with (R34).
    Mislabelled,
}

impl Warning {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::LongInterval,
        Self::SilentAudio,
        Self::SilentVideo,
        Self::Skew,
        Self::Leap,
        Self::Mislabelled,
    ];

    /// Its name as a metric's label and in the admin API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LongInterval => "keyframe_interval",
            Self::SilentAudio => "silent_audio",
            Self::SilentVideo => "silent_video",
            Self::Skew => "av_skew",
            Self::Leap => "bitrate_leap",
            Self::Mislabelled => "mislabelled_codec",
        }
    }
}

/// A warning that holds, with what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Which.
    pub warning: Warning,
    /// What was measured: milliseconds, or bytes per second.
    pub measured: i64,
    /// What it is held against, where that is not a constant.
    pub usual: i64,
}

/// A tag, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) kind: TagKind,
    pub(super) is_frame: bool,
    /// It is a frame with which a decoder can begin.
    pub(super) is_start: bool,
    pub(super) time: u64,
    pub(super) bytes: usize,
}

/// Watches a publisher's tags in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    interval: Interval,
    audio: Silence,
    video: Silence,
    skew: Skew,
    leap: Leap,
    mislabelled: bool,
}

impl Watch {
    /// Takes a tag, which `tracks` knows of already.
    pub(super) fn note(&mut self, seen: Seen, tracks: &Tracks) {
        if seen.is_frame {
            match seen.kind {
                TagKind::Video => self.interval.note(seen.time, seen.is_start),
                TagKind::Audio | TagKind::Script => {}
            }
            self.skew.note(seen.kind, seen.time);
        }
        self.leap.note(seen.time, seen.bytes);
        let sends = |kind| seen.is_frame && seen.kind == kind;
        self.audio
            .note(TagKind::Audio, sends(TagKind::Audio), seen.time, tracks);
        self.video
            .note(TagKind::Video, sends(TagKind::Video), seen.time, tracks);
    }

    /// Takes whether the newest configuration is another codec's than its label says.
    pub(super) const fn note_label(&mut self, mislabelled: bool) {
        self.mislabelled = mislabelled;
    }

    /// What holds now.
    pub(super) fn raised(&self) -> impl Iterator<Item = Raised> {
        let plain = |warning, measured: Option<u64>| {
            measured.map(|measured| Raised {
                warning,
                measured: measured.try_into().unwrap_or(i64::MAX),
                usual: 0,
            })
        };
        let skew = self.skew.raised().map(|measured| Raised {
            warning: Warning::Skew,
            measured,
            usual: 0,
        });
        let leap = self.leap.raised().map(|(usual, measured)| Raised {
            warning: Warning::Leap,
            measured: measured.try_into().unwrap_or(i64::MAX),
            usual: usual.try_into().unwrap_or(i64::MAX),
        });
        let all = [
            plain(Warning::LongInterval, self.interval.raised()),
            plain(Warning::SilentAudio, self.audio.raised),
            plain(Warning::SilentVideo, self.video.raised),
            skew,
            leap,
            plain(Warning::Mislabelled, self.mislabelled.then_some(0)),
        ];
        all.into_iter().flatten()
    }
}

/// Whether a track that is expected sends.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// For how long it was silent at last, while it is warned of.
    raised: Option<u64>,
    /// Since when it sends again.
    again: Option<u64>,
}

impl Silence {
    fn note(&mut self, kind: TagKind, sends: bool, time: u64, tracks: &Tracks) {
        let limit = match kind {
            _ if !tracks.has_sent(kind) => NEVER_SENT_MS,
            TagKind::Audio => AUDIO_GONE_MS,
            TagKind::Video | TagKind::Script => VIDEO_GONE_MS,
        };
        let silent = tracks.silence(kind);
        if silent >= limit && tracks.is_expected(kind) {
            *self = Self {
                raised: Some(silent),
                again: None,
            };
        } else if sends && self.raised.is_some() {
            let since = *self.again.get_or_insert(time);
            if time.saturating_sub(since) >= SENDS_AGAIN_MS {
                *self = Self::default();
            }
        }
    }
}

#[cfg(test)]
mod tests;
