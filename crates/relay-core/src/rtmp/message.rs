//! Message types, and the bodies of protocol control messages. (RTMP specification 1.0, sections 5.4, 6.2 and 7.1.)

use crate::flv::TagKind;
use crate::wire;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// The sender's chunks have another size from now on.
    SetChunkSize,
    /// The sender will not finish a message.
    Abort,
    /// The sender has received so many bytes.
    Acknowledgement,
    /// Pings, and marks of a stream's beginning and end.
    UserControl,
    /// The sender wants an acknowledgement each so many bytes.
    WindowAckSize,
    /// The sender wants no more than so many bytes unacknowledged.
    SetPeerBandwidth,
    /// An audio tag's body.
    Audio,
    /// A video tag's body.
    Video,
    /// Script data behind a zero byte, by clients that asked for AMF3.
    Amf3Data,
    /// A command behind a zero byte, by clients that asked for AMF3 (R26).
    Amf3Command,
    /// Script data.
    Amf0Data,
    /// A command.
    Amf0Command,
    /// Several tags in one message (R28).
    Aggregate,
    /// Anything else: shared objects, and what is yet to be invented.
    Other(u8),
}

impl MessageType {
    /// The type for a number of the wire; each number has one.
    pub const fn from_wire(number: u8) -> Self {
        match number {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Acknowledgement,
            4 => Self::UserControl,
            5 => Self::WindowAckSize,
            6 => Self::SetPeerBandwidth,
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::Amf3Data,
            17 => Self::Amf3Command,
            18 => Self::Amf0Data,
            20 => Self::Amf0Command,
            22 => Self::Aggregate,
            other => Self::Other(other),
        }
    }

    /// Its number on the wire.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::SetChunkSize => 1,
            Self::Abort => 2,
            Self::Acknowledgement => 3,
            Self::UserControl => 4,
            Self::WindowAckSize => 5,
            Self::SetPeerBandwidth => 6,
            Self::Audio => 8,
            Self::Video => 9,
            Self::Amf3Data => 15,
            Self::Amf3Command => 17,
            Self::Amf0Data => 18,
            Self::Amf0Command => 20,
            Self::Aggregate => 22,
            Self::Other(other) => other,
        }
    }
}

impl From<TagKind> for MessageType {
    fn from(kind: TagKind) -> Self {
        match kind {
            TagKind::Audio => Self::Audio,
            TagKind::Video => Self::Video,
            TagKind::Script => Self::Amf0Data,
        }
    }
}

/// A user control message that this server sends or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// A message stream is in use from now on.
    StreamBegin(u32),
    /// A message stream has come to its end.
    StreamEof(u32),
    /// Answer with the same number.
    Ping(u32),
    /// The answer to a ping.
    Pong(u32),
}

impl UserControl {
    /// Reads one; `None` for the events that nobody here cares about, and for those cut short.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = wire::Reader::new(payload);
        let (event, value) = (reader.u16().ok()?, reader.u32().ok()?);
        match event {
            0 => Some(Self::StreamBegin(value)),
            1 => Some(Self::StreamEof(value)),
            6 => Some(Self::Ping(value)),
            7 => Some(Self::Pong(value)),
            _ => None,
        }
    }

    /// Its body.
    pub fn body(self) -> [u8; 6] {
        let (event, value) = match self {
            Self::StreamBegin(stream_id) => (0, stream_id),
            Self::StreamEof(stream_id) => (1, stream_id),
            Self::Ping(time) => (6, time),
            Self::Pong(time) => (7, time),
        };
        let [a, b, c, d] = u32::to_be_bytes(value);
        [0, event, a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_types_are_one_to_one() {
        for number in 0..=u8::MAX {
            assert_eq!(MessageType::from_wire(number).to_wire(), number);
        }
        for kind in [TagKind::Audio, TagKind::Video, TagKind::Script] {
            assert_eq!(MessageType::from(kind).to_wire(), kind as u8);
        }
    }

    #[test]
    fn user_control_reads_what_it_writes() {
        for event in [
            UserControl::StreamBegin(1),
            UserControl::StreamEof(0x0102_0304),
            UserControl::Ping(u32::MAX),
            UserControl::Pong(0),
        ] {
            assert_eq!(UserControl::parse(&event.body()), Some(event));
            assert_eq!(UserControl::parse(&event.body()[..5]), None);
        }
        assert_eq!(UserControl::parse(&[0, 3, 0, 0, 0, 1, 0, 0, 11, 184]), None);
    }
}
