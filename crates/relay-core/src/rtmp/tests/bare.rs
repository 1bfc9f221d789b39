//! A peer that says just what a test wants.

use super::NOW;
use crate::amf0::Value;
use crate::rtmp::chunk::{self, Limits, Message, Writer};
use crate::rtmp::command::Command;
use crate::rtmp::message::MessageType;
use crate::rtmp::server::{Config, Event, Session};
use crate::rtmp::{RtmpError, handshake};

pub(super) const ALL: Limits = Limits {
    message: chunk::MAX_MESSAGE_BYTES,
    unfinished: 1 << 30,
};

/// A peer made of bare messages, for what our client never says.
pub(super) struct Bare {
    pub(super) session: Session,
    /// What the session received so far, in bytes.
    pub(super) received: u64,
    replies: chunk::Reader,
}

impl Bare {
    /// Behind the handshake.
    pub(super) fn new() -> Self {
        Self::of(Config::default())
    }

    /// The same, of a server that presents itself so.
    pub(super) fn of(config: Config) -> Self {
        let mut up = vec![handshake::VERSION];
        up.resize(1 + 2 * handshake::PACKET_BYTES, 0);
        let mut session = Session::new(config, [0; 32]);
        session.handle_input(&up, NOW).unwrap();
        let down = session.poll_output().unwrap();
        assert_eq!(down.len(), 1 + 2 * handshake::PACKET_BYTES);
        Self {
            session,
            received: up.len() as u64,
            replies: chunk::Reader::new(ALL),
        }
    }

    pub(super) fn connected() -> Self {
        let object = Value::object([("app", "live".into()), ("objectEncoding", 3.0.into())]);
        Self::new().connected_with(object).0
    }

    /// Connected with that object, and the answer.
    pub(super) fn connected_with(mut self, object: Value) -> (Self, Command) {
        self.call(&Command::new("connect", 1.0, object, [])).unwrap();
        let answer = self.commands().pop().unwrap();
        (self, answer)
    }

    pub(super) fn publishing() -> Self {
        Self::connected().published()
    }

    /// One that is connected, let in.
    pub(super) fn published(self) -> Self {
        let mut bare = self;
        bare.call(&Command::new("publish", 5.0, Value::Null, ["cam".into()]))
            .unwrap();
        bare.session.accept_publish().unwrap();
        bare.events();
        bare.replies();
        bare
    }

    pub(super) fn send(&mut self, kind: MessageType, payload: &[u8]) -> Result<(), RtmpError> {
        let mut out = Vec::new();
        Writer::new(128).write(kind, 3, 0, 0, payload, &mut out);
        self.received += out.len() as u64;
        self.session.handle_input(&out, NOW)
    }

    pub(super) fn call(&mut self, command: &Command) -> Result<(), RtmpError> {
        self.send(MessageType::Amf0Command, &command.body())
    }

    pub(super) fn replies(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(down) = self.session.poll_output() {
            let mut down = &down[..];
            messages.extend(std::iter::from_fn(|| self.replies.read(&mut down).unwrap()));
        }
        messages
    }

    pub(super) fn commands(&mut self) -> Vec<Command> {
        let replies = self.replies().into_iter();
        let commands = replies.filter(|message| message.kind == MessageType::Amf0Command);
        commands
            .map(|message| Command::parse(&message.payload).unwrap())
            .collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }
}
