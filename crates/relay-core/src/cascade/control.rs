//! The framing of the control stream: a length of four bytes, then so many bytes of JSON.

use bytes::{Buf, BytesMut};
use serde::Deserialize;

use super::message::{Message, TooMuch};

/// The longest message. The longest honest ones, a Held full of the longest keys and a pool's view full of the longest
/// names, have 45 and 55 KB.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;

const LENGTH_BYTES: usize = 4;

/// What is wrong with a control stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A message over [`MAX_MESSAGE_BYTES`].
    #[error("a control message of {0} bytes is over the limit")]
    TooLong(usize),
    /// Not JSON, or a known message without what it must have.
    #[error("a control message cannot be read: {0}")]
    Malformed(String),
    /// A list or a text in it is over its limit.
    #[error("a control message goes too far: {0}")]
    TooMuch(#[from] TooMuch),
    /// A message that may not come at this point.
    #[error("a control message came out of its turn: {0}")]
    OutOfTurn(&'static str),
    /// The stream ended inside a message.
    #[error("the control stream ended inside a message")]
    Cut,
}

/// Reads control messages as they come: push, then poll until `None`.
#[derive(Debug, Default)]
pub struct ControlDecoder {
    buffer: BytesMut,
}

impl ControlDecoder {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` until more is pushed.
    ///
    /// # Errors
    /// What is wrong with it; the stream is of no use after that.
    pub fn poll(&mut self) -> Result<Option<Message>, ControlError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_BYTES {
            return Err(ControlError::TooLong(length));
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        let message = decode(&self.buffer.split_to(length))?;
        Ok(Some(message))
    }

    /// Tells that the stream has ended.
    ///
    /// # Errors
    /// [`ControlError::Cut`] inside a message.
    pub fn finish(&self) -> Result<(), ControlError> {
        match self.buffer.is_empty() {
            true => Ok(()),
            false => Err(ControlError::Cut),
        }
    }
}

/// A message with its length, ready to be written.
///
/// # Errors
/// When it, or a part of it, is over its limit.
pub fn encode(message: &Message) -> Result<Vec<u8>, ControlError> {
    message.check()?;
    let mut out = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut out, message).map_err(|e| ControlError::Malformed(e.to_string()))?;
    let length = out.len() - LENGTH_BYTES;
    match u32::try_from(length) {
        Ok(number) if length <= MAX_MESSAGE_BYTES => {
            out[..LENGTH_BYTES].copy_from_slice(&number.to_be_bytes());
            Ok(out)
        }
        _ => Err(ControlError::TooLong(length)),
    }
}

/// Reads one message. Its type is read first and by itself, so that what this version does not know is skipped
/// without being stored.
fn decode(json: &[u8]) -> Result<Message, ControlError> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let message = match from_json::<Typed>(json)?.r#type.as_str() {
        "hello" => Message::Hello(from_json(json)?),
        "held" => Message::Held(from_json(json)?),
        "welcome" => Message::Welcome(from_json(json)?),
        "stream_down" => Message::StreamDown(from_json(json)?),
        "report" => Message::Report(from_json(json)?),
        "newest" => Message::Newest(from_json(json)?),
        "policy" => Message::Policy(from_json(json)?),
        "pool" => Message::Pool(from_json(json)?),
        "hops" | "stream_up" | "floors" | "ping" | "pong" | "drain" | "ask" | "known" | "bye" => {
            from_json::<Short>(json)?.into()
        }
        _ => Message::Unknown,
    };
    message.check()?;
    Ok(message)
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ControlError> {
    // What serde says names fields and types; of values it may quote a little, and no message holds a secret.
    serde_json::from_slice(json).map_err(|e| ControlError::Malformed(e.to_string()))
}

/// The messages of one or two fields.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Short {
    Hops {
        hops: Vec<super::Instance>,
    },
    StreamUp {
        stream: crate::stream::StreamKey,
    },
    Floors {
        floors: Vec<super::message::Floor>,
    },
    Ping {
        nonce: u64,
    },
    Pong {
        nonce: u64,
    },
    Drain {
        #[serde(default)]
        seconds: u32,
    },
    Ask {
        instance: super::Instance,
    },
    Known {
        instance: super::Instance,
        member: bool,
    },
    Bye {
        #[serde(default)]
        reason: String,
    },
}

impl From<Short> for Message {
    fn from(short: Short) -> Self {
        match short {
            Short::Hops { hops } => Self::Hops { hops },
            Short::StreamUp { stream } => Self::StreamUp { stream },
            Short::Floors { floors } => Self::Floors { floors },
            Short::Ping { nonce } => Self::Ping { nonce },
            Short::Pong { nonce } => Self::Pong { nonce },
            Short::Drain { seconds } => Self::Drain { seconds },
            Short::Ask { instance } => Self::Ask { instance },
            Short::Known { instance, member } => Self::Known { instance, member },
            Short::Bye { reason } => Self::Bye { reason },
        }
    }
}
