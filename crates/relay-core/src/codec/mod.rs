//! What a relay needs to know of a tag's body.

use crate::flv::TagKind;

/// A codec by its FourCC or legacy number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec(pub [u8; 4]);

/// What a relay needs to know of a tag's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagInfo {
    /// A video frame at which one may start.
    pub keyframe: bool,
    /// A codec configuration.
    pub sequence_header: bool,
    /// `onMetaData`.
    pub metadata: bool,
    /// The end of a sequence.
    pub end_of_sequence: bool,
    /// The codec.
    pub codec: Option<Codec>,
}

/// Classifies a tag by its first bytes.
pub fn classify(kind: TagKind, payload: &[u8]) -> TagInfo {
    let mut info = TagInfo::default();
    match (kind, payload) {
        (TagKind::Video, [first, packet, ..]) if first & 0x80 == 0 => {
            info.sequence_header = *packet == 0;
            info.keyframe = first >> 4 == 1 && *packet == 1;
        }
        (TagKind::Audio, [first, packet, ..]) => info.sequence_header = first >> 4 == 10 && *packet == 0,
        (TagKind::Script, _) => info.metadata = payload.get(3..13) == Some(b"onMetaData"),
        _ => {}
    }
    info
}
