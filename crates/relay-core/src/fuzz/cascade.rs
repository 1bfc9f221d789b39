//! Any bytes as a group, or as a control stream.

use bytes::Bytes;

use super::choice;
use crate::cascade::control::{ControlDecoder, ControlError, encode};
use crate::cascade::frame::encode_header;
use crate::cascade::{Decoder, FrameError, Item, Message};
use crate::stream::KeptExtra;

/// Reads the data as a group or as a control stream, whole and in pieces: both read the same, no more is given out than
/// came in, and what was understood is the same again after it was written.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let control = choice(&mut data) % 2 == 1;
    let piece = usize::from(choice(&mut data)).max(1);
    if control {
        let whole = read_control(data, data.len().max(1));
        assert_eq!(read_control(data, piece), whole, "cut anywhere");
        whole.0.iter().for_each(write_again);
    } else {
        let whole = read_group(data, data.len().max(1));
        assert_eq!(read_group(data, piece), whole, "cut anywhere");
        check_group(&whole.0, data.len());
    }
}

fn read_group(data: &[u8], piece: usize) -> (Vec<Item>, Result<(), FrameError>) {
    let mut decoder = Decoder::default();
    let mut items = Vec::new();
    for piece in data.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.poll() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.poll(), Err(error), "an error is for good");
                    return (items, Err(error));
                }
            }
        }
    }
    (items, decoder.finish())
}

fn check_group(items: &[Item], came: usize) {
    let mut given = 0;
    let mut tags = 0;
    for (index, item) in items.iter().enumerate() {
        assert_eq!(
            matches!(item, Item::Header(_)),
            index == 0,
            "the header comes first"
        );
        match item {
            Item::Header(header) => {
                tags = header.first_tag;
                let mut again = Decoder::default();
                again.push(encode_header(header));
                assert_eq!(again.poll(), Ok(Some(item.clone())));
            }
            Item::Preface(_, payload) | Item::Extra(KeptExtra { payload, .. }) => {
                assert_eq!(tags, 0, "a preface comes before the first tag");
                given += payload.len();
            }
            Item::Stated(_) => assert_eq!(tags, 0, "as part of a preface"),
            Item::Tag(tag) => {
                tags += 1;
                given += tag.payload.len();
            }
            Item::Seal(seal) => {
                assert_eq!(seal.count, tags);
                assert_eq!(index + 1, items.len(), "it comes last");
            }
        }
    }
    assert!(given <= came, "no growth");
}

fn read_control(data: &[u8], piece: usize) -> (Vec<Message>, Result<(), ControlError>) {
    let mut decoder = ControlDecoder::default();
    let mut messages = Vec::new();
    for piece in data.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.poll() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, decoder.finish())
}

fn write_again(message: &Message) {
    if *message == Message::Unknown {
        return;
    }
    // A name takes more room once its escapes are written in another way, and may go over the limit by that.
    let Ok(bytes) = encode(message) else { return };
    let mut decoder = ControlDecoder::default();
    decoder.push(&bytes);
    assert_eq!(decoder.poll().as_ref(), Ok(&Some(message.clone())));
}
