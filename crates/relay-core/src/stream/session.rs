//! One publisher's stay on a stream: what it has announced, whether it still sends, and when it may begin.
//!
//! A session waits until it can begin well: at a keyframe if it has video, at once if it has none. It never waits for a
//! track that does not come (R13): what it is told of the tracks, and two named waits, decide.

use bytes::Bytes;

use super::dropped::Dropped;
use super::headers::Headers;
use super::metadata;
use crate::clock::Now;
use crate::codec::{Extra, TagInfo};
use crate::flv::TagKind;

/// How long audio waits for video that is announced, or may be: metadata promised it or there was none to ask.
/// Cameras that warm up take a second; a listener should not wait much longer for sound.
pub const VIDEO_WAIT_MS: u64 = 2_000;

/// How long a session that sends video waits for its first keyframe before it begins without one (R44): longer than the
/// interval of any common encoder. Streams that refresh gradually may never have one.
pub const KEYFRAME_WAIT_MS: u64 = 10_000;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The session begins with it.
    Begins,
    /// The session has begun and it goes on.
    GoesOn,
}

/// One publisher's stay on a stream.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    since_ms: u64,
    last_tag_ms: Option<u64>,
    headers: Headers,
    /// Whether its metadata names video, once there is metadata.
    names_video: Option<bool>,
    /// When its first frame of video came.
    video_since_ms: Option<u64>,
    /// A keyframe has come (or was waited for in vain), so that frames which build on it make sense.
    video_open: bool,
    begun: bool,
}

impl Session {
    pub(super) fn new(id: u64, now: Now) -> Self {
        Self {
            id,
            since_ms: now.mono_ms,
            last_tag_ms: None,
            headers: Headers::default(),
            names_video: None,
            video_since_ms: None,
            video_open: false,
            begun: false,
        }
    }

    /// What it has announced by now.
    pub(super) const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Whether frames of it are being given out.
    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// When its last tag came, if any has.
    pub(super) const fn last_tag_ms(&self) -> Option<u64> {
        self.last_tag_ms
    }

    /// The last time it gave a sign of life: its last tag, or its publish command.
    pub(super) fn last_seen_ms(&self) -> u64 {
        self.last_tag_ms.unwrap_or(self.since_ms)
    }

    pub(super) const fn note_tag(&mut self, now: Now) {
        self.last_tag_ms = Some(now.mono_ms);
    }

    /// Keeps a sequence header or metadata.
    pub(super) fn keep_header(&mut self, kind: TagKind, payload: &Bytes) -> Result<(), Dropped> {
        if kind == TagKind::Script {
            let announced = metadata::announcement(payload);
            if announced.empty && self.headers.metadata.is_some() {
                return Err(Dropped::EmptyHeader);
            }
            self.names_video = Some(announced.video);
        } else if payload.len() <= prefix_bytes(kind, payload) {
            return Err(Dropped::EmptyHeader);
        }
        let place = match kind {
            TagKind::Script => &mut self.headers.metadata,
            TagKind::Video => &mut self.headers.video,
            TagKind::Audio => &mut self.headers.audio,
        };
        if place.as_ref() == Some(payload) {
            return Err(Dropped::DuplicateHeader);
        }
        // A copy: a header must not keep the network buffer that it came in alive for the length of a broadcast.
        *place = Some(Bytes::copy_from_slice(payload));
        Ok(())
    }

    /// Keeps what else one who joins has to be told.
    pub(super) fn keep_extra(&mut self, kind: TagKind, extra: Extra, payload: &Bytes) -> Result<(), Dropped> {
        let kept = self.headers.keep_extra(kind, extra, payload);
        kept.then_some(()).ok_or(Dropped::DuplicateHeader)
    }

    /// Takes a frame of audio or video: the session begins with it, goes on with it, or has no use for it yet.
    pub(super) fn admit(&mut self, kind: TagKind, info: TagInfo, now: Now) -> Result<Admission, Dropped> {
        match kind {
            TagKind::Video => self.admit_video(info.keyframe || info.recovery, now)?,
            TagKind::Audio => self.admit_audio(now)?,
            TagKind::Script => {}
        }
        let begins = !std::mem::replace(&mut self.begun, true);
        Ok(if begins {
            Admission::Begins
        } else {
            Admission::GoesOn
        })
    }

    fn admit_video(&mut self, keyframe: bool, now: Now) -> Result<(), Dropped> {
        self.headers.has_video = true;
        let since = *self.video_since_ms.get_or_insert(now.mono_ms);
        self.video_open |= keyframe || now.mono_ms.saturating_sub(since) >= KEYFRAME_WAIT_MS;
        self.video_open.then_some(()).ok_or(Dropped::NoKeyframe)
    }

    fn admit_audio(&mut self, now: Now) -> Result<(), Dropped> {
        self.headers.has_audio = true;
        let (since, patience) = match self.video_since_ms {
            _ if self.begun => return Ok(()),
            Some(since) => (since, KEYFRAME_WAIT_MS),
            None if self.headers.video.is_none() && self.names_video == Some(false) => return Ok(()),
            None => (self.since_ms, VIDEO_WAIT_MS),
        };
        let over = now.mono_ms.saturating_sub(since) >= patience;
        over.then_some(()).ok_or(Dropped::AwaitingVideo)
    }
}

/// What stands before the codec's configuration in a sequence header: the format and packet type of legacy audio, the
/// composition time too of legacy video, the FourCC of enhanced bodies.
fn prefix_bytes(kind: TagKind, payload: &[u8]) -> usize {
    let enhanced_audio = payload.first().is_some_and(|first| first >> 4 == 9);
    if kind == TagKind::Audio && !enhanced_audio {
        2
    } else {
        5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::{self, Value};

    const NOW: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 0,
    };
    const KEY: TagInfo = TagInfo {
        keyframe: true,
        ..DELTA
    };
    const DELTA: TagInfo = TagInfo {
        keyframe: false,
        recovery: false,
        sequence_header: false,
        metadata: false,
        end_of_sequence: false,
        beside: false,
        extra: None,
        codec: None,
        mislabelled: false,
    };

    fn metadata(property: &str) -> Bytes {
        let mut payload = Vec::new();
        amf0::encode(&Value::from("onMetaData"), &mut payload);
        amf0::encode(&Value::object([(property, Value::from(7.0))]), &mut payload);
        payload.into()
    }

    fn audio(session: &mut Session, after_ms: u64) -> Result<Admission, Dropped> {
        session.admit(TagKind::Audio, DELTA, NOW.plus_ms(after_ms))
    }

    fn video(session: &mut Session, info: TagInfo, after_ms: u64) -> Result<Admission, Dropped> {
        session.admit(TagKind::Video, info, NOW.plus_ms(after_ms))
    }

    #[test]
    fn begins_at_a_keyframe() {
        let mut session = Session::new(1, NOW);
        assert_eq!(audio(&mut session, 0), Err(Dropped::AwaitingVideo));
        assert_eq!(video(&mut session, DELTA, 10), Err(Dropped::NoKeyframe));
        assert_eq!(audio(&mut session, 5_000), Err(Dropped::AwaitingVideo));
        assert_eq!(video(&mut session, KEY, 5_010), Ok(Admission::Begins));
        assert_eq!(video(&mut session, DELTA, 5_050), Ok(Admission::GoesOn));
        assert_eq!(audio(&mut session, 5_050), Ok(Admission::GoesOn));
    }

    #[test]
    fn audio_alone_begins_at_once() {
        let mut session = Session::new(1, NOW);
        let only_audio = metadata("audiocodecid");
        assert_eq!(session.keep_header(TagKind::Script, &only_audio), Ok(()));
        assert_eq!(audio(&mut session, 0), Ok(Admission::Begins));
    }

    #[test]
    fn announced_video_that_does_not_come_is_not_waited_for() {
        for announced in [Some(metadata("videocodecid")), None] {
            let mut session = Session::new(1, NOW);
            if let Some(announced) = announced {
                assert_eq!(session.keep_header(TagKind::Script, &announced), Ok(()));
            }
            assert_eq!(audio(&mut session, 1_999), Err(Dropped::AwaitingVideo));
            assert_eq!(audio(&mut session, 2_000), Ok(Admission::Begins));
            assert_eq!(
                video(&mut session, DELTA, 3_000),
                Err(Dropped::NoKeyframe),
                "late"
            );
            assert_eq!(audio(&mut session, 3_000), Ok(Admission::GoesOn));
            assert_eq!(video(&mut session, KEY, 3_040), Ok(Admission::GoesOn));
        }
    }

    #[test]
    fn a_stream_without_keyframes_begins_after_a_while() {
        let mut session = Session::new(1, NOW);
        assert_eq!(video(&mut session, DELTA, 0), Err(Dropped::NoKeyframe));
        assert_eq!(video(&mut session, DELTA, 9_999), Err(Dropped::NoKeyframe));
        assert_eq!(video(&mut session, DELTA, 10_000), Ok(Admission::Begins));
    }

    #[test]
    fn the_same_header_again_is_dropped_and_an_empty_one_too() {
        let mut session = Session::new(1, NOW);
        let header = Bytes::from_static(b"\x17\x00\x00\x00\x00avcC");
        assert_eq!(session.keep_header(TagKind::Video, &header), Ok(()));
        assert_eq!(
            session.keep_header(TagKind::Video, &header),
            Err(Dropped::DuplicateHeader)
        );
        let first = metadata("width");
        assert_eq!(session.keep_header(TagKind::Script, &first), Ok(()));
        let empty = Bytes::from_static(b"\x02\x00\x0aonMetaData\x03\x00\x00\x09");
        assert_eq!(
            session.keep_header(TagKind::Script, &empty),
            Err(Dropped::EmptyHeader)
        );
        assert_eq!(session.headers().metadata, Some(first));
    }

    /// ffmpeg writes an empty AAC header first when it copies from MP4.
    #[test]
    fn a_header_without_a_configuration_replaces_nothing() {
        let mut session = Session::new(1, NOW);
        for (kind, empty, whole) in [
            (
                TagKind::Audio,
                b"\xaf\x00".as_slice(),
                b"\xaf\x00\x11\x90".as_slice(),
            ),
            (TagKind::Audio, b"\x90Opus", b"\x90OpusOpusHead"),
            (
                TagKind::Video,
                b"\x17\x00\x00\x00\x00",
                b"\x17\x00\x00\x00\x00avcC",
            ),
        ] {
            let (empty, whole) = (Bytes::from_static(empty), Bytes::from_static(whole));
            assert_eq!(session.keep_header(kind, &whole), Ok(()));
            assert_eq!(session.keep_header(kind, &empty), Err(Dropped::EmptyHeader));
            assert_eq!(session.keep_header(kind, &whole), Err(Dropped::DuplicateHeader));
        }
    }
}
