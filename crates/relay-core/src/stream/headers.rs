//! What a player needs before the first frame: metadata and sequence headers.

use bytes::Bytes;

use super::tracks::Stated;
use crate::codec::{self, Extra, TagInfo};
use crate::flv::{Tag, TagKind};

/// The largest header that is kept for joiners. Real ones are under 4 KB; a larger one still travels as a tag, but
/// a joiner does without it, so that no publisher makes every join expensive.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Extras that are kept for joiners; more still travel as tags. Eight are a picture's colours, the places of its channels, and
/// six more tracks.
pub const MAX_EXTRAS: usize = 8;

/// Something else than metadata and the main tracks' sequence headers that one who joins has to be told: another track's
/// configuration, the colours of HDR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptExtra {
    /// The kind of tag.
    pub kind: TagKind,
    /// The tag's payload.
    pub payload: Bytes,
}

/// Metadata and sequence headers as raw tag payloads, as they stand at some point of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// The `onMetaData` script.
    pub metadata: Option<Bytes>,
    /// The video sequence header.
    pub video: Option<Bytes>,
    /// The audio sequence header.
    pub audio: Option<Bytes>,
    /// What else a decoder needs, at most [`MAX_EXTRAS`].
    pub extras: Vec<KeptExtra>,
    /// What the operator says of the tracks, at this node or at one above it.
    pub stated: Stated,
    /// Whether there is video: in a log, whether any was seen; in what a joiner is given, whether it may wait for it (R37).
    pub has_video: bool,
    /// Whether there is audio, likewise.
    pub has_audio: bool,
}

impl KeptExtra {
    fn copy(&self) -> Self {
        Self {
            kind: self.kind,
            payload: Bytes::copy_from_slice(&self.payload),
        }
    }
}

impl Headers {
    /// Whether such a tag can change anything; most cannot.
    pub(super) const fn may_change(&self, kind: TagKind, info: &TagInfo) -> bool {
        let shows = match kind {
            TagKind::Video => !self.has_video,
            TagKind::Audio => !self.has_audio,
            TagKind::Script => false,
        };
        shows || info.sequence_header || info.metadata || info.extra.is_some()
    }

    /// Notes what `tag` changes; true if a header was replaced by a different one.
    pub fn note(&mut self, tag: &Tag, info: &TagInfo) -> bool {
        match tag.kind {
            TagKind::Video if !self.has_video => self.has_video = true,
            TagKind::Audio if !self.has_audio => self.has_audio = true,
            _ => {}
        }
        if let Some(extra) = info.extra {
            return self.keep_extra(tag.kind, extra, &tag.payload);
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

    /// Keeps what replaces an earlier one of its own, or is new; false if it is there already. What finds no room, or is too
    /// large, is not kept, and still new to whoever gets it.
    pub(super) fn keep_extra(&mut self, kind: TagKind, extra: Extra, payload: &Bytes) -> bool {
        let same =
            |kept: &KeptExtra| kept.kind == kind && codec::classify(kind, &kept.payload).extra == Some(extra);
        let held = self.extras.iter().position(same);
        if held.is_some_and(|at| self.extras[at].payload == *payload) {
            return false;
        }
        if payload.len() > MAX_HEADER_BYTES {
            return true;
        }
        // A copy, as above.
        let kept = KeptExtra {
            kind,
            payload: Bytes::copy_from_slice(payload),
        };
        match held {
            Some(at) => self.extras[at] = kept,
            None if self.extras.len() < MAX_EXTRAS => self.extras.push(kept),
            None => {}
        }
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
            extras: self.extras.iter().take(MAX_EXTRAS).map(KeptExtra::copy).collect(),
            stated: self.stated,
            has_video: self.has_video,
            has_audio: self.has_audio,
        }
    }

    /// The headers as tags stamped with `time`, in the order in which players want them.
    pub fn tags(&self, time: u64) -> impl Iterator<Item = Tag> + '_ {
        let main = [
            (TagKind::Script, &self.metadata),
            (TagKind::Video, &self.video),
            (TagKind::Audio, &self.audio),
        ];
        let main = main
            .into_iter()
            .filter_map(|(kind, payload)| Some((kind, payload.as_ref()?)));
        let extras = self.extras.iter().map(|extra| (extra.kind, &extra.payload));
        main.chain(extras).map(move |(kind, payload)| Tag {
            kind,
            time,
            payload: payload.clone(),
        })
    }

    /// Whether that body is one of them.
    pub(super) fn contain(&self, kind: TagKind, payload: &[u8]) -> bool {
        let is_it = |held: &Bytes| **held == *payload;
        self.of(kind).is_some_and(is_it)
            || self
                .extras
                .iter()
                .any(|extra| extra.kind == kind && is_it(&extra.payload))
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
            .filter(move |tag| !held.contain(tag.kind, &tag.payload))
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
