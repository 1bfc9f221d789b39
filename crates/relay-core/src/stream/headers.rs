//! What a player needs before the first frame: metadata and sequence headers.

use bytes::Bytes;

use crate::codec::TagInfo;
use crate::flv::{Tag, TagKind};

/// The largest header that is kept for joiners. Real ones are under 4 KB; a larger one still travels as a tag, but
/// a joiner does without it, so that no publisher makes every join expensive.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Metadata and sequence headers as raw tag payloads, as they stand at some point of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The `onMetaData` script.
    pub metadata: Option<Bytes>,
    /// The video sequence header.
    pub video: Option<Bytes>,
    /// The audio sequence header.
    pub audio: Option<Bytes>,
    /// Whether frames of video have been seen, for codecs without a sequence header.
    pub has_video: bool,
    /// Whether frames of audio have been seen, likewise.
    pub has_audio: bool,
}

impl Headers {
    /// Notes what `tag` changes; true if a header was replaced by a different one.
    pub fn note(&mut self, tag: &Tag, info: &TagInfo) -> bool {
        match tag.kind {
            TagKind::Video if !self.has_video => self.has_video = true,
            TagKind::Audio if !self.has_audio => self.has_audio = true,
            _ => {}
        }
        let place = match tag.kind {
            TagKind::Video if info.sequence_header => &mut self.video,
            TagKind::Audio if info.sequence_header => &mut self.audio,
            TagKind::Script if info.metadata => &mut self.metadata,
            _ => return false,
        };
        if tag.payload.len() > MAX_HEADER_BYTES || place.as_ref() == Some(&tag.payload) {
            return false;
        }
        // A copy, not a slice: a header must not keep a whole segment alive for the length of a broadcast.
        *place = Some(Bytes::copy_from_slice(&tag.payload));
        true
    }

    /// A copy of its own, without what is larger than a joiner is to get.
    pub(super) fn bounded(&self) -> Self {
        let copy = |header: &Option<Bytes>| {
            let kept = header.as_ref().filter(|header| header.len() <= MAX_HEADER_BYTES);
            kept.map(|header| Bytes::copy_from_slice(header))
        };
        Self {
            metadata: copy(&self.metadata),
            video: copy(&self.video),
            audio: copy(&self.audio),
            has_video: self.has_video,
            has_audio: self.has_audio,
        }
    }

    /// The headers as tags stamped with `time`, in the order in which players want them.
    pub fn tags(&self, time: u64) -> impl Iterator<Item = Tag> + '_ {
        [
            (TagKind::Script, &self.metadata),
            (TagKind::Video, &self.video),
            (TagKind::Audio, &self.audio),
        ]
        .into_iter()
        .filter_map(move |(kind, payload)| {
            Some(Tag {
                kind,
                time,
                payload: payload.clone()?,
            })
        })
    }

    /// The header of that kind of tag.
    pub(super) const fn of(&self, kind: TagKind) -> Option<&Bytes> {
        match kind {
            TagKind::Script => self.metadata.as_ref(),
            TagKind::Video => self.video.as_ref(),
            TagKind::Audio => self.audio.as_ref(),
        }
    }

    /// Those headers of `self` that `held` lacks or has differently, as tags.
    pub fn differing<'a>(&'a self, held: &'a Self, time: u64) -> impl Iterator<Item = Tag> + 'a {
        self.tags(time)
            .filter(move |tag| held.of(tag.kind) != Some(&tag.payload))
    }

    /// Whether the stream has video, as far as anyone can know by now (R37).
    pub fn video_present(&self) -> bool {
        self.video.is_some() || self.has_video
    }

    /// Whether the stream has audio, likewise.
    pub fn audio_present(&self) -> bool {
        self.audio.is_some() || self.has_audio
    }
}
