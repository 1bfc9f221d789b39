//! A message that is a call: its name, its number, and what comes with it. (Section 7.2.)

use crate::amf0::{self, Amf0Error, Decoder, Value};
use crate::wire::Reader;

/// How many arguments of a command are read: `publish` has two, `play` four, and nothing here needs a fifth.
const MAX_ARGUMENTS: usize = 8;

/// How many values a command may consist of, those within others included: a `connect` with all that Enhanced RTMP can
/// announce has 70. With [`MAX_TEXT`] it bounds what a stranger's command takes here, which is thirty times what it takes on
/// the wire.
const MAX_VALUES: usize = 128;

/// How much text a command may have: as much as a stranger's message.
const MAX_TEXT: usize = 8 << 10;

/// The status of a stream that is not there to be played, or has not begun.
pub const PLAY_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";

/// The status of a stream that is there and is not played all the same, such as for want of room.
pub const PLAY_FAILED: &str = "NetStream.Play.Failed";

/// A command, or the answer to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What to do: `connect`, `publish`, `_result`, …
    pub name: String,
    /// What the answer will refer to; 0 wants none.
    pub transaction: f64,
    /// `connect`'s properties; elsewhere null.
    pub object: Value,
    /// The rest.
    pub arguments: Vec<Value>,
}

impl Command {
    /// A command of those parts.
    pub fn new<const N: usize>(name: &str, transaction: f64, object: Value, arguments: [Value; N]) -> Self {
        Self {
            name: name.to_owned(),
            transaction,
            object,
            arguments: arguments.into(),
        }
    }

    /// Reads the body of an AMF0 command, or of an AMF3 one, which is the same behind a zero byte (R26).
    ///
    /// Only the name is indispensable: what is missing, unreadable or too much behind it is as if it were not there (R27).
    ///
    /// # Errors
    /// There is no name.
    pub fn parse(payload: &[u8]) -> Result<Self, Amf0Error> {
        let mut reader = Reader::new(payload);
        if reader.peek() == Some(0) {
            // No name begins with the marker of a number.
            reader.u8()?;
        }
        let mut decoder = Decoder::new(MAX_VALUES, MAX_TEXT);
        let Value::String(name) = decoder.decode(&mut reader)? else {
            return Err(Amf0Error::CutShort);
        };
        let mut values = std::iter::from_fn(|| decoder.decode(&mut reader).ok()).fuse();
        let transaction = values.next().and_then(|value| value.as_number());
        Ok(Self {
            name,
            transaction: transaction.unwrap_or_default(),
            object: values.next().unwrap_or(Value::Null),
            arguments: values.take(MAX_ARGUMENTS).collect(),
        })
    }

    /// Its body as an AMF0 command.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        amf0::encode(&Value::String(self.name.clone()), &mut out);
        amf0::encode(&Value::Number(self.transaction), &mut out);
        amf0::encode(&self.object, &mut out);
        for argument in &self.arguments {
            amf0::encode(argument, &mut out);
        }
        out
    }

    /// The text of an argument.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }

    /// The `code` of the information object that `onStatus`, `_result` and `_error` carry.
    pub fn code(&self) -> Option<&str> {
        self.information("code")
    }

    /// The `description` in that object.
    pub fn description(&self) -> Option<&str> {
        self.information("description")
    }

    /// The `level` in that object: `status`, `warning` or `error`.
    pub fn level(&self) -> Option<&str> {
        self.information("level")
    }

    /// Where a refusal sends the client instead: `ex.redirect` in that object, a `tcUrl` or a stream's whole URL.
    pub fn redirect(&self) -> Option<&str> {
        let extra = self.arguments.iter().find_map(|argument| argument.get("ex"));
        extra.and_then(|extra| extra.get("redirect")?.as_str())
    }

    /// The `tcUrl` in the information object of a server that asks to connect anew.
    pub fn tc_url(&self) -> Option<&str> {
        self.information("tcUrl")
    }

    fn information(&self, name: &str) -> Option<&str> {
        let information = self.arguments.iter().find_map(|argument| argument.get(name));
        information.and_then(Value::as_str)
    }
}

/// The code by which a server asks its client to connect anew (R35).
pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

/// What `onStatus` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All is well.
    Status,
    /// It was refused, or is over.
    Error,
}

/// The information object of a reply.
pub fn information(level: Level, code: &str, description: &str) -> Value {
    let level = match level {
        Level::Status => "status",
        Level::Error => "error",
    };
    Value::object([
        ("level", level.into()),
        ("code", code.into()),
        ("description", description.into()),
    ])
}

/// The information object of a refusal that sends a client elsewhere: `tc_url` is the app's URL there, to which clients add
/// the stream's name (as librtmp does).
pub fn redirection(code: &str, description: &str, tc_url: &str) -> Value {
    let extra = Value::object([("code", 302.0.into()), ("redirect", tc_url.into())]);
    Value::object([
        ("level", "error".into()),
        ("code", code.into()),
        ("description", description.into()),
        ("ex", extra),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r26_reads_what_it_writes_and_the_amf3_form() {
        let info = information(Level::Error, "NetStream.Publish.Denied", "no");
        let command = Command::new("onStatus", 0.0, Value::Null, [info]);
        let mut body = command.body();
        assert_eq!(Command::parse(&body).as_ref(), Ok(&command));
        body.insert(0, 0);
        assert_eq!(Command::parse(&body).as_ref(), Ok(&command));
        assert_eq!(command.code(), Some("NetStream.Publish.Denied"));
        assert_eq!(
            (command.level(), command.description()),
            (Some("error"), Some("no"))
        );
    }

    #[test]
    fn r27_only_the_name_is_indispensable() {
        let mut name = Vec::new();
        amf0::encode(&Value::from("FCPublish"), &mut name);
        let bare = Command::new("FCPublish", 0.0, Value::Null, []);
        assert_eq!(Command::parse(&name).as_ref(), Ok(&bare));
        name.extend_from_slice(&[0x44, 1, 2]);
        assert_eq!(Command::parse(&name).as_ref(), Ok(&bare));
        assert!(Command::parse(&[]).is_err());
        assert!(Command::parse(&[5]).is_err());
        assert!(Command::parse(&[0]).is_err());
    }

    #[test]
    fn the_oracle_reads_our_commands() {
        let command = Command::new("createStream", 4.0, Value::Null, [1.0.into()]);
        let theirs = rtmp_runtime::amf0::Command::parse(&command.body()).unwrap();
        assert_eq!(theirs.to_body().unwrap(), command.body());
    }
}
