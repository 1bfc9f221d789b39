//! Which messages are tags, and what of them is the tag's body.

use bytes::Bytes;

use super::chunk::Message;
use super::message::MessageType;
use crate::amf0::{self, Decoder, Value};
use crate::flv::TagKind;
use crate::wire::Reader;

/// How long script data may be to be read for AMF3: a thousand times the metadata that Flash sends.
const MAX_READ: usize = 256 << 10;

/// How long the name of script data may be to be looked at.
const MAX_NAME: usize = 256;

/// The first byte of an AMF3 value within AMF0.
const SWITCH: u8 = 0x11;

/// The tag that a message is; `None` for what is none, and for what carries nothing (R29).
pub(super) fn tag(message: &Message) -> Option<(TagKind, Bytes)> {
    let (kind, body) = match message.kind {
        MessageType::Audio => (TagKind::Audio, message.payload.clone()),
        MessageType::Video => (TagKind::Video, message.payload.clone()),
        MessageType::Amf0Data | MessageType::Amf3Data => {
            (TagKind::Script, script_body(message.kind, &message.payload)?)
        }
        _ => return None,
    };
    (!body.is_empty()).then_some((kind, body))
}

/// The body of a script tag out of a data message; `None` where there is nothing to pass on.
///
/// `@setDataFrame` is an order to the server to keep what follows, which is what a player gets (R36); to clear it
/// again is none of a player's business. What is AMF3 in it becomes AMF0, which is all that FLV has (R26).
fn script_body(kind: MessageType, payload: &Bytes) -> Option<Bytes> {
    let payload = match (kind, payload.first()) {
        (MessageType::Amf3Data, Some(0)) => payload.slice(1..),
        _ => payload.clone(),
    };
    let mut reader = Reader::new(&payload);
    let body = match Decoder::new(4, MAX_NAME).decode(&mut reader) {
        Ok(Value::String(name)) if name == "@setDataFrame" => {
            payload.slice(payload.len() - reader.remaining()..)
        }
        Ok(Value::String(name)) if name == "@clearDataFrame" => return None,
        _ => payload,
    };
    Some(without_amf3(&body).map_or(body, Bytes::from))
}

/// The same values in AMF0 alone; `None` if they are that already, or cannot be read.
fn without_amf3(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() > MAX_READ || !body.contains(&SWITCH) {
        return None;
    }
    let mut decoder = Decoder::new(amf0::MAX_VALUES, 2 * body.len());
    let mut reader = Reader::new(body);
    let mut out = Vec::new();
    while !reader.is_empty() {
        amf0::encode(&decoder.decode(&mut reader).ok()?, &mut out);
    }
    decoder.switched().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &[&str]) -> Bytes {
        let mut out = Vec::new();
        names
            .iter()
            .for_each(|name| amf0::encode(&(*name).into(), &mut out));
        out.into()
    }

    fn body(kind: MessageType, payload: Bytes) -> Option<Bytes> {
        let message = Message {
            kind,
            stream_id: 1,
            time: 0,
            payload,
        };
        tag(&message).map(|(kind, body)| {
            assert_eq!(kind, TagKind::Script);
            body
        })
    }

    #[test]
    fn r36_set_data_frame_is_taken_off() {
        let body = |names: &[&str]| body(MessageType::Amf0Data, text(names));
        assert_eq!(
            body(&["@setDataFrame", "onMetaData", "x"]),
            Some(text(&["onMetaData", "x"]))
        );
        assert_eq!(body(&["onMetaData", "x"]), Some(text(&["onMetaData", "x"])));
        assert_eq!(body(&["onTextData"]), Some(text(&["onTextData"])));
        assert_eq!(body(&["@setDataFrame"]), None);
        assert_eq!(body(&["@clearDataFrame", "onMetaData"]), None);
        assert_eq!(body(&[]), None);
    }

    #[test]
    fn r26_the_zero_byte_of_amf3_is_taken_off() {
        let mut behind_zero = vec![0];
        behind_zero.extend_from_slice(&text(&["@setDataFrame", "onMetaData"]));
        let found = body(MessageType::Amf3Data, behind_zero.into());
        assert_eq!(found, Some(text(&["onMetaData"])));
        assert_eq!(body(MessageType::Amf3Data, Bytes::from_static(&[0])), None);
    }

    #[test]
    fn r26_data_in_amf3_become_amf0() {
        // @setDataFrame, onMetaData, and an object with width = 640 in AMF3.
        let object = [
            0x11, 0x0A, 0x0B, 0x01, 0x0B, b'w', b'i', b'd', b't', b'h', 0x04, 0x85, 0x00, 0x01,
        ];
        let mut expected = text(&["onMetaData"]).to_vec();
        amf0::encode(&Value::object([("width", 640.0.into())]), &mut expected);
        let sent = |first: &[u8]| {
            [first, &text(&["@setDataFrame", "onMetaData"]), &object]
                .concat()
                .into()
        };
        assert_eq!(
            body(MessageType::Amf3Data, sent(&[0])),
            Some(expected.clone().into())
        );
        assert_eq!(body(MessageType::Amf0Data, sent(&[])), Some(expected.into()));
        // 0x11 within a text is none of a switch's business, and what cannot be read stays.
        for whole in [
            text(&["onTextData", "\x11"]),
            [&text(&["onTextData"])[..], &[0x11, 0x44]].concat().into(),
        ] {
            assert_eq!(body(MessageType::Amf0Data, whole.clone()), Some(whole));
        }
    }

    #[test]
    fn r27_what_cannot_be_read_is_passed_as_it_is() {
        let odd = Bytes::from_static(&[0x44, 1, 2]);
        assert_eq!(body(MessageType::Amf0Data, odd.clone()), Some(odd));
    }
}
