//! What a relay needs to know of a tag's body, from its first bytes: whether one may start there, whether it is a codec's
//! configuration. Everything else passes untouched (R33).
//!
//! Legacy bodies as in the FLV specification, annex E.4; enhanced ones as in Enhanced RTMP v2.

mod audio;
mod enhanced;
mod nal;
mod video;

use crate::flv::TagKind;

/// A codec by its FourCC; legacy numbers are given the FourCC that enhanced RTMP has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec(pub [u8; 4]);

impl Codec {
    /// H.264.
    pub const AVC: Self = Self(*b"avc1");
    /// H.265.
    pub const HEVC: Self = Self(*b"hvc1");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");
    /// MP3.
    pub const MP3: Self = Self(*b".mp3");

    /// Whether its frames are NAL units that are read for places to begin.
    const fn has_units(self) -> bool {
        matches!(&self.0, b"avc1" | b"hvc1")
    }
}

/// What besides metadata and the main tracks' configurations one who joins has to be told (R39): each kind of it, of each track,
/// holds until the next of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extra {
    /// The packet type of enhanced RTMP: a configuration, the colours of HDR, the places of channels.
    packet: u8,
    /// The track's id.
    track: u8,
}

/// What a relay needs to know of a tag's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagInfo {
    /// A coded video frame at which a decoder can start, by its sender's flag or by what it is coded as.
    pub keyframe: bool,
    /// A coded video frame that is none, from which on a decoder gets a whole picture within some frames all the same (R44).
    pub recovery: bool,
    /// A codec's configuration, needed before the first frame.
    pub sequence_header: bool,
    /// `onMetaData`.
    pub metadata: bool,
    /// The end of a sequence: no frame, and no configuration.
    pub end_of_sequence: bool,
    /// Neither frame nor configuration of the main track: an order to the player, what is said of the picture or the
    /// channels, another track's configuration.
    pub beside: bool,
    /// What it replaces, if it says something that a decoder needs and that holds until it is said anew.
    pub extra: Option<Extra>,
    /// The codec, where the body names it.
    pub codec: Option<Codec>,
    /// The configuration is another codec's than the body's label says (R34).
    pub mislabelled: bool,
}

impl TagInfo {
    /// Whether it is a coded frame of sound or picture, and not something beside them.
    pub const fn is_frame(&self, kind: TagKind) -> bool {
        !matches!(kind, TagKind::Script) && !self.sequence_header && !self.end_of_sequence && !self.beside
    }
}

/// Classifies a tag by its first bytes; any bytes at all give an answer.
///
/// Of a message with several tracks the main one (id 0) counts. A key frame of another is no place to start, and a
/// configuration of another must not take the place of the main one's, which every joiner needs.
pub fn classify(kind: TagKind, payload: &[u8]) -> TagInfo {
    match kind {
        TagKind::Video => video::classify(payload),
        TagKind::Audio => audio::classify(payload),
        TagKind::Script => TagInfo {
            metadata: is_metadata(payload),
            ..TagInfo::default()
        },
    }
}

/// An AMF0 string `onMetaData` first, whatever follows.
fn is_metadata(payload: &[u8]) -> bool {
    payload.starts_with(b"\x02\x00\x0aonMetaData")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_is_known_by_its_name() {
        let info = classify(TagKind::Script, b"\x02\x00\x0aonMetaData\x08\0\0\0\0");
        assert!(info.metadata);
        assert!(!classify(TagKind::Script, b"\x02\x00\x0bonTextDatas").metadata);
        assert_eq!(classify(TagKind::Script, b""), TagInfo::default());
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(kind in 0..3usize, payload: Vec<u8>) {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][kind];
            let info = classify(kind, &payload);
            prop_assert!(!(info.keyframe && info.sequence_header), "a configuration is no frame");
            prop_assert!(!info.keyframe || kind == TagKind::Video);
        }

        /// As above, but nearly always among modifiers and tracks.
        #[test]
        fn any_enhanced_bytes_give_an_answer(
            first in 0x95u8..0x98,
            payload in prop::collection::vec(prop_oneof![0..8u8, 0x10..0x28u8, any::<u8>()], 0..300),
        ) {
            let body = [&[first], &payload[..]].concat();
            for kind in [TagKind::Audio, TagKind::Video] {
                let info = classify(kind, &body);
                prop_assert!(!(info.keyframe && info.sequence_header));
            }
        }
    }
}
