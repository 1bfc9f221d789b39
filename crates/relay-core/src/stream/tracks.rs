//! Which tracks a stream really has: what its joiners are promised (R37).
//!
//! A player waits for a track that it was promised, some of them for ever; a track that it was not promised it may never
//! play. What encoders announce is true of neither: some announce sound and send none, some send what they never
//! announced. So a promise is made of what is sent, and an announcement is believed for a named time only.

use crate::flv::TagKind;

/// How long metadata is believed without a frame, and how long a stream that has announced nothing may still show a track:
/// joiners wait for no longer than this until the matter is settled. Encoders send the first frames of their tracks within
/// some hundred milliseconds of each other.
pub const TRACK_WAIT_MS: u64 = 1_000;

/// A track of sound without a frame for so long is gone: sound has dozens of frames a second.
pub(super) const AUDIO_GONE_MS: u64 = 5_000;

/// A track of pictures without a frame for so long is gone: slides may stand for half a minute, and their viewers would rather
/// wait for the next one than never see it.
pub(super) const VIDEO_GONE_MS: u64 = 60_000;

/// What an operator says of a stream's tracks, where what it sends does not tell in time; `None` leaves it to what it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Whether it has sound.
    pub audio: Option<bool>,
    /// Whether it has pictures.
    pub video: Option<bool>,
}

impl Stated {
    /// Itself, and where it says nothing, what `other` says.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            audio: if self.audio.is_some() {
                self.audio
            } else {
                other.audio
            },
            video: if self.video.is_some() {
                self.video
            } else {
                other.video
            },
        }
    }

    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.audio.is_none() && self.video.is_none()
    }

    /// As one byte: for each track whether something is said, and what.
    pub const fn to_bits(self) -> u8 {
        bits(self.audio) | bits(self.video) << 2
    }

    /// Reads that byte; bits that have no meaning yet are ignored.
    pub const fn from_bits(byte: u8) -> Self {
        Self {
            audio: said(byte),
            video: said(byte >> 2),
        }
    }
}

const fn bits(said: Option<bool>) -> u8 {
    match said {
        None => 0,
        Some(false) => 1,
        Some(true) => 3,
    }
}

const fn said(bits: u8) -> Option<bool> {
    match bits & 3 {
        1 => Some(false),
        3 => Some(true),
        _ => None,
    }
}

/// What a joiner may be promised of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It is there.
    There,
    /// It is not.
    Absent,
    /// It may show in a moment.
    Open,
}

/// What is known of one track in the running epoch.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Metadata names it, or names others only.
    announced: Option<bool>,
    /// Its configuration is known.
    configured: bool,
    /// The time of its newest frame.
    newest: Option<u64>,
}

/// What is known of a stream's tracks in the running epoch, in stream time, so that each node that has the same tags comes to the
/// same end.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracks {
    stated: Stated,
    /// The time of the first tag.
    began: Option<u64>,
    /// The highest time of any tag.
    head: u64,
    audio: Track,
    video: Track,
}

impl Tracks {
    /// From now on the operator's word counts.
    pub(super) const fn state(&mut self, stated: Stated) {
        self.stated = stated;
    }

    /// Forgets all but the operator's word: another publisher begins.
    pub(super) fn restart(&mut self) {
        *self = Self {
            stated: self.stated,
            ..Self::default()
        };
    }

    /// Takes what metadata says; what names no track at all says nothing.
    pub(super) const fn announce(&mut self, audio: bool, video: bool) {
        if audio || video {
            self.audio.announced = Some(audio);
            self.video.announced = Some(video);
        }
    }

    /// Takes whether configurations are known.
    pub(super) const fn configure(&mut self, audio: bool, video: bool) {
        self.audio.configured = audio;
        self.video.configured = video;
    }

    /// Takes a tag.
    pub(super) fn note(&mut self, kind: TagKind, is_frame: bool, time: u64) {
        self.began.get_or_insert(time);
        self.head = self.head.max(time);
        if is_frame && let Some(track) = self.track_mut(kind) {
            track.newest = track.newest.max(Some(time));
        }
    }

    /// What a joiner may be promised now.
    pub(super) fn promise(&self, kind: TagKind) -> Promise {
        let stated = match kind {
            TagKind::Audio => self.stated.audio,
            TagKind::Video => self.stated.video,
            TagKind::Script => return Promise::Absent,
        };
        match (stated, self.track(kind)) {
            (Some(true), _) => Promise::There,
            (Some(false), _) | (None, None) => Promise::Absent,
            (None, Some(track)) => self.by_what_is_sent(kind, track),
        }
    }

    fn by_what_is_sent(&self, kind: TagKind, track: &Track) -> Promise {
        let silence = self.silence(kind);
        let is_known = track.configured || track.newest.is_some();
        match track.announced {
            _ if is_known && silence < gone_after(kind) => Promise::There,
            _ if is_known => Promise::Absent,
            Some(false) => Promise::Absent,
            _ if silence < TRACK_WAIT_MS => Promise::Open,
            _ => Promise::Absent,
        }
    }

    /// Whether the operator says that there is no such track.
    pub(super) fn is_denied(&self, kind: TagKind) -> bool {
        let stated = match kind {
            TagKind::Audio => self.stated.audio,
            TagKind::Video => self.stated.video,
            TagKind::Script => None,
        };
        stated == Some(false)
    }

    /// Whether nothing is open, so that a joiner need not wait.
    pub(super) fn is_settled(&self) -> bool {
        [TagKind::Audio, TagKind::Video]
            .into_iter()
            .all(|kind| self.promise(kind) != Promise::Open)
    }

    /// Whether a frame of the track came at `time` or later.
    pub(super) fn sent_since(&self, kind: TagKind, time: u64) -> bool {
        let newest = self.track(kind).and_then(|track| track.newest);
        newest.is_some_and(|newest| newest >= time)
    }

    /// Whether the track is expected: it was announced, is configured, or has sent.
    pub(super) fn is_expected(&self, kind: TagKind) -> bool {
        self.track(kind)
            .is_some_and(|track| track.configured || track.newest.is_some() || track.announced == Some(true))
    }

    /// Whether the track has ever sent a frame.
    pub(super) fn has_sent(&self, kind: TagKind) -> bool {
        self.track(kind).is_some_and(|track| track.newest.is_some())
    }

    /// For how long the track has sent nothing, while the stream went on.
    pub(super) fn silence(&self, kind: TagKind) -> u64 {
        let newest = self.track(kind).and_then(|track| track.newest);
        newest
            .or(self.began)
            .map_or(0, |since| self.head.saturating_sub(since))
    }

    /// Whether the track was gone, so that those who joined meanwhile were given no configuration of it, and has to be introduced
    /// anew when it comes back.
    pub(super) fn is_gone(&self, kind: TagKind) -> bool {
        self.began.is_some() && self.silence(kind) >= gone_after(kind)
    }

    const fn track(&self, kind: TagKind) -> Option<&Track> {
        match kind {
            TagKind::Audio => Some(&self.audio),
            TagKind::Video => Some(&self.video),
            TagKind::Script => None,
        }
    }

    const fn track_mut(&mut self, kind: TagKind) -> Option<&mut Track> {
        match kind {
            TagKind::Audio => Some(&mut self.audio),
            TagKind::Video => Some(&mut self.video),
            TagKind::Script => None,
        }
    }
}

const fn gone_after(kind: TagKind) -> u64 {
    match kind {
        TagKind::Audio => AUDIO_GONE_MS,
        TagKind::Video | TagKind::Script => VIDEO_GONE_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Promise::{Absent, Open, There};
    use TagKind::{Audio, Script, Video};

    fn promises(tracks: &Tracks) -> (Promise, Promise) {
        (tracks.promise(Audio), tracks.promise(Video))
    }

    #[test]
    fn r37_what_is_sent_is_promised() {
        let mut tracks = Tracks::default();
        tracks.note(Video, true, 10_000);
        assert_eq!(promises(&tracks), (Open, There), "nothing was announced");
        tracks.note(Audio, true, 10_020);
        assert_eq!(promises(&tracks), (There, There));
        assert!(tracks.is_settled());
    }

    #[test]
    fn r37_what_is_configured_is_promised_before_its_first_frame() {
        let mut tracks = Tracks::default();
        tracks.configure(true, true);
        tracks.note(Video, true, 10_000);
        assert_eq!(promises(&tracks), (There, There));
    }

    #[test]
    fn r37_an_announcement_is_believed_for_a_moment_and_no_longer() {
        let mut tracks = Tracks::default();
        tracks.announce(true, true);
        tracks.note(Video, true, 10_000);
        assert_eq!(tracks.promise(Audio), Open);
        tracks.note(Video, true, 10_999);
        assert_eq!(tracks.promise(Audio), Open);
        tracks.note(Video, true, 11_000);
        assert_eq!(tracks.promise(Audio), Absent);
        tracks.note(Audio, true, 12_000);
        assert_eq!(tracks.promise(Audio), There, "late, and there all the same");
    }

    #[test]
    fn r37_metadata_without_sound_settles_it_at_once() {
        let mut tracks = Tracks::default();
        tracks.announce(false, true);
        tracks.note(Script, false, 0);
        tracks.note(Video, true, 0);
        assert_eq!(promises(&tracks), (Absent, There));
        let mut silent = Tracks::default();
        silent.announce(false, false);
        silent.note(Video, true, 0);
        assert_eq!(silent.promise(Audio), Open, "a title says nothing of tracks");
    }

    #[test]
    fn r37_a_track_that_falls_silent_is_promised_to_nobody() {
        let mut tracks = Tracks::default();
        tracks.configure(true, true);
        for time in [0, 4_999] {
            tracks.note(Video, true, time);
            assert_eq!(tracks.promise(Audio), There);
        }
        tracks.note(Video, true, 5_000);
        assert_eq!(tracks.promise(Audio), Absent, "a configuration alone is no sound");
        assert!(tracks.is_gone(Audio) && tracks.is_settled());
        tracks.note(Audio, true, 5_010);
        tracks.note(Audio, true, 40_000);
        assert_eq!(
            promises(&tracks),
            (There, There),
            "a slide stands for half a minute"
        );
        tracks.note(Audio, true, 65_000);
        assert_eq!(promises(&tracks), (There, Absent));
    }

    #[test]
    fn what_is_stated_fits_a_byte() {
        for audio in [None, Some(false), Some(true)] {
            for video in [None, Some(false), Some(true)] {
                let stated = Stated { audio, video };
                assert_eq!(Stated::from_bits(stated.to_bits() | 0xF0), stated);
                assert_eq!(stated.is_empty(), stated == Stated::default());
            }
        }
    }

    #[test]
    fn r37_the_operator_overrules_what_is_sent() {
        let mut tracks = Tracks::default();
        tracks.state(Stated {
            audio: Some(false),
            video: Some(true),
        });
        tracks.note(Audio, true, 0);
        assert_eq!(promises(&tracks), (Absent, There));
        tracks.restart();
        assert_eq!(promises(&tracks), (Absent, There), "whoever publishes");
    }
}
