//! Aggregate messages: several tags in one message, as FLV writes them (R28). (Section 7.1.6.)

use super::chunk::Message;
use super::error::RtmpError;
use super::message::MessageType;
use crate::wire::{Reader, UnexpectedEnd};

/// How many messages one aggregate may hold: what an encoder gathers in a minute. Each costs us more than its
/// header costs a peer.
const MAX_PARTS: usize = 8192;

/// The messages within one aggregate, on the time of the message that brought them.
///
/// # Errors
/// A part is cut short, or there are too many.
pub(super) fn split(aggregate: &Message) -> Result<Vec<Message>, RtmpError> {
    let mut reader = Reader::new(&aggregate.payload);
    let mut parts = Vec::new();
    let mut first_time = None;
    while !reader.is_empty() {
        if parts.len() == MAX_PARTS {
            return Err(RtmpError::AggregateTooLarge);
        }
        let (kind, time, length) = header(&mut reader).map_err(cut_short)?;
        let start = aggregate.payload.len() - reader.remaining();
        reader.take(length).map_err(cut_short)?;
        // The length of what lies behind us, which some leave out at the end.
        if !reader.is_empty() {
            reader.u32().map_err(cut_short)?;
        }
        let since_first = time.wrapping_sub(*first_time.get_or_insert(time));
        parts.push(Message {
            kind,
            stream_id: aggregate.stream_id,
            time: aggregate.time.wrapping_add(since_first),
            payload: aggregate.payload.slice(start..start + length),
        });
    }
    Ok(parts)
}

fn header(reader: &mut Reader<'_>) -> Result<(MessageType, u32, usize), UnexpectedEnd> {
    let kind = MessageType::from_wire(reader.u8()?);
    let length = reader.u24()?;
    let low = reader.u24()?;
    let high = reader.u8()?;
    // The message stream, which is the aggregate's.
    reader.u24()?;
    Ok((kind, u32::from(high) << 24 | low, length as usize))
}

const fn cut_short(_: UnexpectedEnd) -> RtmpError {
    RtmpError::CutShort(MessageType::Aggregate)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::flv::TagKind;
    use crate::wire;

    fn aggregate(time: u32, parts: &[(TagKind, u32, &[u8])]) -> Message {
        let mut payload = Vec::new();
        for (kind, time, body) in parts {
            payload.push(*kind as u8);
            wire::put_u24(&mut payload, u32::try_from(body.len()).unwrap());
            wire::put_u24(&mut payload, time & 0xFF_FFFF);
            payload.push(time.to_be_bytes()[0]);
            wire::put_u24(&mut payload, 0);
            payload.extend_from_slice(body);
            wire::put_u32(&mut payload, u32::try_from(body.len()).unwrap() + 11);
        }
        Message {
            kind: MessageType::Aggregate,
            stream_id: 1,
            time,
            payload: payload.into(),
        }
    }

    #[test]
    fn r28_parts_are_on_the_time_of_the_whole() {
        let parts = [
            (TagKind::Audio, 0x0100_0000, &b"a"[..]),
            (TagKind::Video, 0x0100_0017, b"bc"),
            (TagKind::Audio, 0x00FF_FFFF, b"d"),
        ];
        let split = split(&aggregate(50, &parts)).unwrap();
        let shape: Vec<_> = split
            .iter()
            .map(|part| (part.kind, part.time, &part.payload[..]))
            .collect();
        let expected = [
            (MessageType::Audio, 50, &b"a"[..]),
            (MessageType::Video, 73, b"bc"),
            (MessageType::Audio, 49, b"d"),
        ];
        assert_eq!(shape, expected);
    }

    #[test]
    fn r28_cut_short_or_too_many_is_an_error() {
        let mut whole = aggregate(0, &[(TagKind::Audio, 0, b"abc"), (TagKind::Audio, 9, b"def")]);
        let payload = whole.payload.clone();
        for end in 1..payload.len() {
            whole.payload = payload.slice(..end);
            // At the end of a body, and behind the length after it, nothing is missing.
            let expected = match end {
                14 | 18 => Ok(1),
                32 => Ok(2),
                _ => Err(RtmpError::CutShort(MessageType::Aggregate)),
            };
            assert_eq!(split(&whole).map(|parts| parts.len()), expected, "cut at {end}");
        }
        whole.payload = Bytes::from(vec![0; 15 * (MAX_PARTS + 1)]);
        assert_eq!(split(&whole), Err(RtmpError::AggregateTooLarge));
    }
}
