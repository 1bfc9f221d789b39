//! An encoder that does all that encoders may do, and what some do besides.

use std::collections::HashMap;

use proptest::prelude::*;

/// A message, the chunk stream it goes on, and which header an encoder would like to give it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) csid: u32,
    pub(super) kind: u8,
    pub(super) time: u32,
    pub(super) payload: Vec<u8>,
    pub(super) header: u8,
    pub(super) repeat_extended: bool,
}

pub(super) fn any_message() -> impl Strategy<Value = Sent> {
    let csid = prop_oneof![
        Just(3u32),
        Just(4),
        Just(63),
        Just(64),
        Just(319),
        Just(320),
        Just(65599)
    ];
    // No 0xFF in times and no small bytes in payloads, so that a left-out extended time cannot look as if it were there.
    let time = prop_oneof![0u32..2000, 0xFF_FFF0u32..0x100_0010, Just(0x7FFF_FFFF)];
    let payload = prop::collection::vec(0xA0u8..0xF0, 0..700);
    let kind = prop_oneof![Just(8u8), Just(9), Just(18)];
    (csid, kind, time, payload, 0u8..4, any::<bool>()).prop_map(
        |(csid, kind, time, payload, header, repeat_extended)| Sent {
            csid,
            kind,
            time,
            payload,
            header,
            repeat_extended,
        },
    )
}

/// An encoder that uses all header types, as far as they fit what it has sent before.
#[derive(Default)]
pub(super) struct Encoder {
    last: HashMap<u32, (Sent, u32)>,
}

impl Encoder {
    /// The chunks of one message, in order.
    pub(super) fn chunks(&mut self, sent: &Sent) -> Vec<Vec<u8>> {
        let last = self.last.get(&sent.csid);
        let delta = last.map_or(0, |(last, _)| sent.time.wrapping_sub(last.time));
        let alike =
            last.is_some_and(|(last, _)| last.kind == sent.kind && last.payload.len() == sent.payload.len());
        let same_delta = last.is_some_and(|(_, field)| *field == delta);
        let header = match sent.header {
            3 if alike && same_delta => 3,
            2 | 3 if alike => 2,
            1..=3 if last.is_some() => 1,
            _ => 0,
        };
        let field = if header == 0 { sent.time } else { delta };
        let extended = if field >= 0xFF_FFFF {
            field.to_be_bytes().to_vec()
        } else {
            Vec::new()
        };
        let mut out = basic(header, sent.csid);
        let [_, a, b, c] = field.min(0xFF_FFFF).to_be_bytes();
        let length = u32::try_from(sent.payload.len()).unwrap().to_be_bytes();
        if header < 3 {
            out.extend([a, b, c]);
        }
        if header < 2 {
            out.extend([length[1], length[2], length[3], sent.kind]);
        }
        if header == 0 {
            out.extend([1, 0, 0, 0]);
        }
        out.extend(&extended);
        let mut pieces = sent.payload.chunks(128);
        out.extend(pieces.next().unwrap_or_default());
        let mut chunks = vec![out];
        for piece in pieces {
            let mut out = basic(3, sent.csid);
            if sent.repeat_extended {
                out.extend(&extended);
            }
            out.extend(piece);
            chunks.push(out);
        }
        self.last.insert(sent.csid, (sent.clone(), field));
        chunks
    }
}

fn basic(header: u8, csid: u32) -> Vec<u8> {
    let top = header << 6;
    match csid {
        2..=63 => vec![top | u8::try_from(csid).unwrap()],
        64..=319 => vec![top, u8::try_from(csid - 64).unwrap()],
        _ => {
            let [low, high, ..] = (csid - 64).to_le_bytes();
            vec![top | 1, low, high]
        }
    }
}
