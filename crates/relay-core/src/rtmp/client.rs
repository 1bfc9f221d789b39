//! The client's side of a connection: publishing or playing one stream.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ack::Ack;
use super::address::Url;
use super::aggregate;
use super::chunk::{self, Limits, Message, SHARED_CHUNK_SIZE, shared_csid};
use super::command::Command;
use super::error::RtmpError;
use super::handshake;
use super::media;
use super::message::{MessageType, UserControl};
use super::output::Output;
use crate::amf0::{self, Value};
use crate::clock::Now;
use crate::flv::TagKind;
use crate::wire;

/// What a server may send us: as much as a publisher may.
const LIMITS: Limits = Limits {
    message: chunk::MAX_MESSAGE_BYTES,
    unfinished: 2 * chunk::MAX_MESSAGE_BYTES as usize,
};

/// Answers that may wait for the driver, as for a server: who pings faster than the pongs leave is hostile. Tags to
/// publish are not counted: they are the driver's own.
const MAX_WAITING_ANSWERS: usize = 16 << 10;

/// The numbers of our calls, each with an answer that we wait for.
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;

/// What to do with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send it.
    Publish,
    /// Receive it.
    Play,
}

/// Something the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Publishing or playing has begun.
    Started,
    /// A tag of the stream that is played.
    Tag {
        /// Audio, video or script.
        kind: TagKind,
        /// Milliseconds modulo 2³².
        time: u32,
        /// The body.
        payload: Bytes,
    },
    /// It was refused, or cut off: the connection is to be closed.
    Refused {
        /// Such as `NetStream.Publish.Denied`.
        code: String,
        /// In words.
        description: String,
        /// The URL of the same stream elsewhere, if that is why.
        elsewhere: Option<Box<Url>>,
    },
    /// The stream that is played is over.
    Ended,
}

/// One connection to a server, as a value. Driven like the [server's](super::server::Session), with tags to publish
/// put in by [`Session::send_tag`].
#[derive(Debug)]
pub struct Session {
    url: Url,
    action: Action,
    handshake: Option<handshake::Client>,
    reader: chunk::Reader,
    ack: Ack,
    output: Output,
    answers: usize,
    events: VecDeque<Event>,
    /// The message stream, once `createStream` was answered.
    stream_id: u32,
    over: bool,
}

impl Session {
    /// A session whose first bytes already wait to be sent.
    pub fn new(url: Url, action: Action, random: [u8; 32], now: Now) -> Self {
        let mut output = Output::new();
        Self {
            url,
            action,
            handshake: Some(handshake::Client::start(random, now, output.raw())),
            reader: chunk::Reader::new(LIMITS),
            ack: Ack::new(),
            output,
            answers: 0,
            events: VecDeque::new(),
            stream_id: 1,
            over: false,
        }
    }

    /// Takes what came from the server.
    ///
    /// # Errors
    /// The server broke the protocol or a limit.
    pub fn handle_input(&mut self, input: &[u8], _now: Now) -> Result<(), RtmpError> {
        let mut input = input;
        self.ack.count(input.len());
        if let Some(handshake) = &mut self.handshake {
            if !handshake.handle_input(&mut input, self.output.raw())? {
                return Ok(());
            }
            self.handshake = None;
            self.connect();
        }
        while let Some(message) = self.reader.read(&mut input)? {
            self.handle_message(&message)?;
        }
        if let Some(number) = self.ack.due() {
            self.output.control(MessageType::Acknowledgement, number);
        }
        Ok(())
    }

    /// Counts the peer's bytes as if so many had come.
    #[cfg(test)]
    pub(crate) const fn count_from(&mut self, bytes: u64) {
        self.ack.count_from(bytes);
    }

    /// What has happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the server.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.answers = 0;
        self.output.take()
    }

    /// Publishes a tag, after [`Event::Started`]. Script data goes as `@setDataFrame` (R36).
    pub fn send_tag(&mut self, kind: TagKind, time: u32, payload: &[u8]) {
        let mut framed = Vec::new();
        let payload = if kind == TagKind::Script {
            amf0::encode(&"@setDataFrame".into(), &mut framed);
            framed.extend_from_slice(payload);
            &framed
        } else {
            payload
        };
        let csid = shared_csid(kind);
        self.output
            .message(kind.into(), csid, self.stream_id, time, payload);
    }

    /// Says that publishing or playing is done.
    pub fn finish(&mut self) {
        if self.action == Action::Publish {
            let name = Value::String(self.url.name.clone());
            self.output
                .command(&Command::new("FCUnpublish", 6.0, Value::Null, [name]));
        }
        let stream_id = Value::Number(f64::from(self.stream_id));
        self.output
            .command(&Command::new("deleteStream", 7.0, Value::Null, [stream_id]));
    }

    fn connect(&mut self) {
        self.output.set_chunk_size(SHARED_CHUNK_SIZE);
        let mut properties = vec![
            ("app".to_owned(), Value::String(self.url.app.clone())),
            ("flashVer".to_owned(), "FMLE/3.0 (compatible)".into()),
            ("tcUrl".to_owned(), Value::String(self.url.tc_url())),
        ];
        match self.action {
            Action::Publish => properties.push(("type".to_owned(), "nonprivate".into())),
            Action::Play => properties.push(("fpad".to_owned(), false.into())),
        }
        self.output
            .command(&Command::new("connect", CONNECT, Value::Object(properties), []));
    }

    fn create_stream(&mut self) {
        if self.action == Action::Publish {
            for (number, call) in [(2.0, "releaseStream"), (3.0, "FCPublish")] {
                let name = Value::String(self.url.name.clone());
                self.output
                    .command(&Command::new(call, number, Value::Null, [name]));
            }
        }
        self.output
            .command(&Command::new("createStream", CREATE_STREAM, Value::Null, []));
    }

    fn begin(&mut self) {
        let name = Value::String(self.url.name.clone());
        let command = match self.action {
            Action::Publish => Command::new("publish", 5.0, Value::Null, [name, "live".into()]),
            Action::Play => Command::new("play", 5.0, Value::Null, [name]),
        };
        self.output.stream_command(self.stream_id, &command);
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), RtmpError> {
        if message.payload.is_empty() || self.over {
            return Ok(());
        }
        match message.kind {
            MessageType::WindowAckSize => {
                let window = wire::Reader::new(&message.payload).u32();
                self.ack
                    .set_window(window.map_err(|_| RtmpError::CutShort(message.kind))?);
            }
            MessageType::UserControl => self.handle_user_control(UserControl::parse(&message.payload))?,
            MessageType::Aggregate if self.action == Action::Play => {
                for part in aggregate::split(message)? {
                    self.handle_media(&part);
                }
            }
            MessageType::Amf0Command | MessageType::Amf3Command => {
                self.handle_command(&Command::parse(&message.payload)?);
            }
            _ => self.handle_media(message),
        }
        Ok(())
    }

    fn handle_user_control(&mut self, event: Option<UserControl>) -> Result<(), RtmpError> {
        if let Some(UserControl::Ping(time)) = event {
            let before = self.output.waiting();
            self.output.user_control(UserControl::Pong(time));
            self.answers += self.output.waiting() - before;
            if self.answers > MAX_WAITING_ANSWERS {
                return Err(RtmpError::Flood);
            }
        }
        Ok(())
    }

    fn handle_media(&mut self, message: &Message) {
        if self.action != Action::Play {
            return;
        }
        if let Some((kind, payload)) = media::tag(message)
            && !(kind == TagKind::Script && is_notice(&payload))
        {
            let time = message.time;
            self.events.push_back(Event::Tag { kind, time, payload });
        }
    }

    fn handle_command(&mut self, command: &Command) {
        match command.name.as_str() {
            "_result" if command.transaction == CONNECT => self.create_stream(),
            "_result" if command.transaction == CREATE_STREAM => {
                let number = command
                    .arguments
                    .first()
                    .and_then(Value::as_number)
                    .unwrap_or(1.0);
                // A float-to-integer cast saturates; a server that answers nonsense gets its nonsense back.
                let number = number as u32;
                self.stream_id = number;
                self.begin();
            }
            "_error" if command.transaction == CONNECT || command.transaction == CREATE_STREAM => {
                self.refused(command);
            }
            "onStatus" => self.handle_status(command),
            _ => {}
        }
    }

    fn handle_status(&mut self, command: &Command) {
        if command.level() == Some("error") {
            return self.refused(command);
        }
        match (self.action, command.code()) {
            (Action::Publish, Some("NetStream.Publish.Start"))
            | (Action::Play, Some("NetStream.Play.Start")) => self.events.push_back(Event::Started),
            (
                Action::Play,
                Some("NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Play.Complete"),
            ) => {
                self.over = true;
                self.events.push_back(Event::Ended);
            }
            _ => {}
        }
    }

    fn refused(&mut self, command: &Command) {
        self.over = true;
        self.events.push_back(Event::Refused {
            code: command.code().unwrap_or_default().to_owned(),
            description: command.description().unwrap_or_default().to_owned(),
            elsewhere: command
                .redirect()
                .and_then(|text| self.url.redirected(text))
                .map(Box::new),
        });
    }
}

/// Data messages of the server's own that are no part of the stream.
fn is_notice(body: &[u8]) -> bool {
    let name = amf0::decode(&mut wire::Reader::new(body));
    name.is_ok_and(|name| matches!(name.as_str(), Some("|RtmpSampleAccess" | "onStatus")))
}
