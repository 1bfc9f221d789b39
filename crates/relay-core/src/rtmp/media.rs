//! Which messages are tags, and what of them is the tag's body.

use bytes::Bytes;

use super::chunk::Message;
use super::message::MessageType;
use crate::amf0::{self, Value};
use crate::flv::TagKind;
use crate::wire::Reader;

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
/// again is none of a player's business.
fn script_body(kind: MessageType, payload: &Bytes) -> Option<Bytes> {
    let payload = match (kind, payload.first()) {
        (MessageType::Amf3Data, Some(0)) => payload.slice(1..),
        _ => payload.clone(),
    };
    let mut reader = Reader::new(&payload);
    match amf0::decode(&mut reader) {
        Ok(Value::String(name)) if name == "@setDataFrame" => {
            Some(payload.slice(payload.len() - reader.remaining()..))
        }
        Ok(Value::String(name)) if name == "@clearDataFrame" => None,
        _ => Some(payload),
    }
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
    fn set_data_frame_is_taken_off() {
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
    fn the_zero_byte_of_amf3_is_taken_off() {
        let mut behind_zero = vec![0];
        behind_zero.extend_from_slice(&text(&["@setDataFrame", "onMetaData"]));
        let found = body(MessageType::Amf3Data, behind_zero.into());
        assert_eq!(found, Some(text(&["onMetaData"])));
        assert_eq!(body(MessageType::Amf3Data, Bytes::from_static(&[0])), None);
    }

    #[test]
    fn what_cannot_be_read_is_passed_as_it_is() {
        let odd = Bytes::from_static(&[0x44, 1, 2]);
        assert_eq!(body(MessageType::Amf0Data, odd.clone()), Some(odd));
    }
}
