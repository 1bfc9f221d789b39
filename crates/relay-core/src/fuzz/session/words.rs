//! What a conversation is made of: names, keys, calls and values, plain and odd.

use arbitrary::{Result, Unstructured};

use crate::amf0::Value;

/// Apps, names and keys, plain and odd (R30).
pub(super) const TEXTS: [&str; 14] = [
    "live",
    "cam",
    "cam?key=s3",
    "live/instance?token=a%20b",
    "",
    "/",
    "..",
    "cam?hop=2",
    "%00",
    "a/b/c/d",
    "cam?key=",
    "k\u{e4}mera",
    "?",
    "cam&key=s3",
];

/// Names of commands, with those that mean something here first.
pub(super) const CALLS: [&str; 16] = [
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "deleteStream",
    "closeStream",
    "getStreamLength",
    "_checkbw",
    "pause",
    "pauseRaw",
    "_result",
    "_error",
    "onStatus",
    "seek",
    "",
];

/// Any AMF0 value, a few levels deep.
pub(super) fn value(choices: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let kinds = if depth < 4 { 12 } else { 7 };
    Ok(match choices.int_in_range(0..=kinds)? {
        0 => Value::Number(choices.arbitrary()?),
        1 => Value::Boolean(choices.arbitrary()?),
        2 => (*choices.choose(&TEXTS)?).into(),
        3 => Value::Null,
        4 => Value::Undefined,
        5 => Value::Date(choices.arbitrary()?),
        6 => Value::LongString((*choices.choose(&TEXTS)?).to_owned()),
        7 => Value::Unsupported,
        8 | 9 => Value::Object(properties(choices, depth)?),
        10 | 11 => Value::EcmaArray(properties(choices, depth)?),
        _ => {
            let count = choices.int_in_range(0..=4)?;
            Value::StrictArray(
                (0..count)
                    .map(|_| value(choices, depth + 1))
                    .collect::<Result<_>>()?,
            )
        }
    })
}

fn properties(choices: &mut Unstructured<'_>, depth: usize) -> Result<Vec<(String, Value)>> {
    let count = choices.int_in_range(0..=4)?;
    let property = |_| {
        let name = (*choices.choose(&TEXTS)?).to_owned();
        Ok((name, value(choices, depth + 1)?))
    };
    (0..count).map(property).collect()
}
