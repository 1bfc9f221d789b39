//! Metadata as encoders send it, read for what a splice needs to know.

use crate::amf0::{self, Value};
use crate::wire::Reader;

/// What an `onMetaData` message says of the tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// It has no properties at all: nothing that may replace what is known (R36).
    pub(super) empty: bool,
    /// It names video.
    pub(super) video: bool,
    /// It names audio.
    pub(super) audio: bool,
}

/// Reads an `onMetaData` message. One that cannot be read to its end is passed on all the same, as one that announces
/// anything: players are more tolerant than we are (R27).
pub(super) fn announcement(payload: &[u8]) -> Announcement {
    let mut reader = Reader::new(payload);
    let read = amf0::decode(&mut reader).and_then(|_name| match reader.is_empty() {
        true => Ok(Value::Null),
        false => amf0::decode(&mut reader),
    });
    let Ok(value) = read else {
        return Announcement {
            empty: false,
            video: true,
            audio: true,
        };
    };
    Announcement {
        empty: value.properties().is_empty(),
        video: names(&value, ["videocodecid", "videodatarate", "width", "hasVideo"]),
        audio: names(
            &value,
            ["audiocodecid", "audiodatarate", "audiosamplerate", "hasAudio"],
        ),
    }
}

/// Encoders without a camera, or a microphone, leave these out, or set them to zero, false or nothing.
fn names(value: &Value, properties: [&str; 4]) -> bool {
    properties
        .into_iter()
        .filter_map(|name| value.get(name))
        .any(|property| match property {
            Value::Number(number) => *number > 0.0,
            Value::Boolean(truth) => *truth,
            Value::String(text) | Value::LongString(text) => !text.is_empty(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(value: &Value) -> Vec<u8> {
        let mut payload = Vec::new();
        amf0::encode(&Value::from("onMetaData"), &mut payload);
        amf0::encode(value, &mut payload);
        payload
    }

    #[test]
    fn tells_video_from_none() {
        let of = |value: &Value| announcement(&metadata(value)).video;
        assert!(of(&Value::object([("videocodecid", Value::from(7.0))])));
        assert!(of(&Value::object([("videocodecid", Value::from("avc1"))])));
        assert!(!of(&Value::object([("audiocodecid", Value::from(10.0))])));
        assert!(!of(&Value::object([("videocodecid", Value::from(0.0))])));
        assert!(!of(&Value::object([("hasVideo", Value::from(false))])));
    }

    #[test]
    fn tells_audio_from_none() {
        let of = |value: &Value| announcement(&metadata(value)).audio;
        assert!(of(&Value::object([("audiocodecid", Value::from(10.0))])));
        assert!(of(&Value::object([("audiosamplerate", Value::from(44_100.0))])));
        assert!(!of(&Value::object([("audiocodecid", Value::from(0.0))])));
        assert!(!of(&Value::object([("videocodecid", Value::from(7.0))])));
    }

    #[test]
    fn an_empty_or_broken_message_is_told() {
        assert!(announcement(&metadata(&Value::EcmaArray(Vec::new()))).empty);
        assert!(announcement(b"\x02\x00\x0aonMetaData").empty);
        let broken = announcement(b"\x02\x00\x0aonMetaData\x03\x00");
        assert!(!broken.empty && broken.video && broken.audio);
    }
}
