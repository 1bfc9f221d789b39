//! Data messages: which of them are tags, and their bodies as tags.

use bytes::Bytes;

use super::message::MessageType;
use crate::amf0::{self, Value};
use crate::wire::Reader;

/// The body of a script tag out of a data message; `None` where there is nothing to pass on.
///
/// `@setDataFrame` is an order to the server to keep what follows, which is what a player gets (R36); to clear it
/// again is none of a player's business, and empty metadata replaces nothing (R29).
pub(super) fn tag_body(kind: MessageType, payload: &Bytes) -> Option<Bytes> {
    let payload = match (kind, payload.first()) {
        (MessageType::Amf3Data, Some(0)) => payload.slice(1..),
        _ => payload.clone(),
    };
    let mut reader = Reader::new(&payload);
    let body = match amf0::decode(&mut reader) {
        Ok(Value::String(name)) if name == "@setDataFrame" => {
            payload.slice(payload.len() - reader.remaining()..)
        }
        Ok(Value::String(name)) if name == "@clearDataFrame" => return None,
        _ => payload,
    };
    (!body.is_empty()).then_some(body)
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

    #[test]
    fn set_data_frame_is_taken_off() {
        let body = |names: &[&str]| tag_body(MessageType::Amf0Data, &text(names));
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
        assert_eq!(
            tag_body(MessageType::Amf3Data, &behind_zero.into()),
            Some(text(&["onMetaData"]))
        );
    }

    #[test]
    fn what_cannot_be_read_is_passed_as_it_is() {
        let odd = Bytes::from_static(&[0x44, 1, 2]);
        assert_eq!(tag_body(MessageType::Amf0Data, &odd), Some(odd));
    }
}
