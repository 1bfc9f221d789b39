//! A message as it is published: a type, a 32-bit time, a body. And what of it a test has to tell apart.
//!
//! Written against the FLV specification and nothing else, so that it is no mirror of the code under test.

use bytes::Bytes;
use relay_core::flv::TagKind;
use sha2::{Digest as _, Sha256};

/// One message on its way into or out of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Milliseconds, as on the wire.
    pub time: u32,
    /// The body.
    pub payload: Bytes,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A picture that can be decoded without any before it.
    Keyframe,
    /// A picture or a piece of sound.
    Coded,
    /// A sequence header: what a decoder has to be told first.
    Header,
    /// `onMetaData`.
    MetaData,
    /// Any other script message.
    Script,
    /// The encoder's end-of-sequence mark.
    EndMark,
}

/// SHA-256 over a body.
pub type Hash = [u8; 32];

/// The hash of a body.
pub fn hash(payload: &[u8]) -> Hash {
    Sha256::digest(payload).into()
}

impl Message {
    /// What it is for: AVC, AAC and whatever comes by FourCC.
    pub fn role(&self) -> Role {
        let first = self.payload.first().copied().unwrap_or_default();
        let second = self.payload.get(1).copied().unwrap_or_default();
        match self.kind {
            TagKind::Video if first & 0x80 != 0 => match first & 0x0f {
                0 => Role::Header,
                2 => Role::EndMark,
                _ if first >> 4 & 7 == 1 => Role::Keyframe,
                _ => Role::Coded,
            },
            TagKind::Video => match (first & 0x0f, second) {
                (7 | 12, 0) => Role::Header,
                (7 | 12, 2) => Role::EndMark,
                _ if first >> 4 == 1 => Role::Keyframe,
                _ => Role::Coded,
            },
            TagKind::Audio if first >> 4 == 9 && first & 0x0f == 0 => Role::Header,
            TagKind::Audio if first >> 4 == 10 && second == 0 => Role::Header,
            TagKind::Audio => Role::Coded,
            TagKind::Script if script_name(&self.payload) == b"onMetaData" => Role::MetaData,
            TagKind::Script => Role::Script,
        }
    }
}

/// The first AMF0 string of a script body.
fn script_name(payload: &[u8]) -> &[u8] {
    match payload {
        [2, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            rest.get(..length).unwrap_or_default()
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(kind: TagKind, payload: &'static [u8]) -> Role {
        Message {
            kind,
            time: 0,
            payload: Bytes::from_static(payload),
        }
        .role()
    }

    #[test]
    fn tells_messages_apart() {
        assert_eq!(role(TagKind::Video, b"\x17\x00"), Role::Header);
        assert_eq!(role(TagKind::Video, b"\x17\x01"), Role::Keyframe);
        assert_eq!(role(TagKind::Video, b"\x27\x01"), Role::Coded);
        assert_eq!(role(TagKind::Video, b"\x90hvc1"), Role::Header);
        assert_eq!(role(TagKind::Video, b"\x91hvc1"), Role::Keyframe);
        assert_eq!(role(TagKind::Video, b"\xa3hvc1"), Role::Coded);
        assert_eq!(role(TagKind::Audio, b"\xaf\x00"), Role::Header);
        assert_eq!(role(TagKind::Audio, b"\xaf\x01"), Role::Coded);
        assert_eq!(
            role(TagKind::Script, b"\x02\x00\x0aonMetaData\x08"),
            Role::MetaData
        );
        assert_eq!(role(TagKind::Script, b"\x02\x00\x0aonTextData\x08"), Role::Script);
        assert_eq!(role(TagKind::Script, b""), Role::Script);
    }
}
