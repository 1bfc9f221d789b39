//! The server's side of a connection: a publisher's or a viewer's session.

mod command;
mod event;
mod reply;

use std::collections::VecDeque;

use bytes::Bytes;

use super::ack::Ack;
use super::aggregate;
use super::chunk::{self, Limits, Message};
use super::command::Command;
use super::error::RtmpError;
use super::handshake;
use super::media;
use super::message::{MessageType, UserControl};
use super::output::Output;
use crate::clock::Now;
use crate::wire;

pub use event::Event;

/// What a peer may send before it is let in as a publisher, and a viewer ever: `connect` with all that clients put
/// into it is 1 KB, with a long token 4 KB. With this a stranger's session stays well within 64 KB.
const STRANGER_LIMITS: Limits = Limits {
    message: 16 << 10,
    unfinished: 24 << 10,
};

/// What an accepted publisher may send. Two largest messages at once: a keyframe is interleaved with audio, not
/// with another keyframe.
const PUBLISHER_LIMITS: Limits = Limits {
    message: chunk::MAX_MESSAGE_BYTES,
    unfinished: 2 * chunk::MAX_MESSAGE_BYTES as usize,
};

/// Replies that may wait for the driver. All replies of an honest session together are 5 KB, of which the handshake
/// is three; more than this waits only for a peer that asks and does not read.
const MAX_WAITING_OUTPUT: usize = 16 << 10;

/// Input held while a `publish` or `play` is being decided: one read of the driver's behind the command. The driver
/// stops reading once it has seen the event.
const MAX_HELD_INPUT: usize = 64 << 10;

/// How a server presents itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// After how many bytes the peer is asked to acknowledge, and how many it may leave unacknowledged. Default
    /// 2,500,000, which is what encoders have met for twenty years; we never wait for it ourselves (R17).
    pub window: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: 2_500_000 }
    }
}

/// One connection of a publisher or a viewer, as a value: bytes in, events and bytes out.
///
/// 1. [`Session::handle_input`] with what came from the peer;
/// 2. [`Session::poll_event`] until `None`, and a decision (`accept_…`, `refuse_…`) on `Publish` and `Play`;
/// 3. [`Session::poll_output`] until `None`, all of it sent to the peer, before more input is read.
///
/// Between a `Publish` or `Play` and its decision nothing is read; input behind it is held. After an error, or after
/// [`Event::Closed`] once the output is flushed, the connection is to be closed. Events of one `handle_input` are
/// bounded by the length of its input alone, so feed it reads, not files.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    handshake: Option<Box<handshake::Server>>,
    reader: chunk::Reader,
    ack: Ack,
    output: Output,
    events: VecDeque<Event>,
    held: Vec<u8>,
    /// What `connect` named, once it has.
    app: Option<String>,
    /// What is published or played, for the replies' texts.
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is published or played.
    Idle,
    PublishAsked,
    Publishing,
    PlayAsked,
    Playing,
    /// Refused: what comes is ignored.
    Closed,
}

impl Session {
    /// A session before its first byte.
    pub fn new(config: Config, random: [u8; 32]) -> Self {
        Self {
            config,
            phase: Phase::Idle,
            handshake: Some(Box::new(handshake::Server::new(random))),
            reader: chunk::Reader::new(STRANGER_LIMITS),
            ack: Ack::new(),
            output: Output::new(),
            events: VecDeque::new(),
            held: Vec::new(),
            app: None,
            name: String::new(),
        }
    }

    /// Takes what came from the peer.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit; the session is of no use any more.
    pub fn handle_input(&mut self, input: &[u8], now: Now) -> Result<(), RtmpError> {
        let mut input = input;
        self.ack.count(input.len());
        if let Some(handshake) = &mut self.handshake {
            if !handshake.handle_input(&mut input, now, self.output.raw())? {
                return Ok(());
            }
            self.handshake = None;
        }
        self.read_messages(input)?;
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

    /// Bytes for the peer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// Whether a `publish` or `play` waits for its decision: nothing is read until then.
    pub const fn is_deciding(&self) -> bool {
        matches!(self.phase, Phase::PublishAsked | Phase::PlayAsked)
    }

    /// Memory held for the peer, beyond the session's own few hundred bytes and events not yet polled.
    pub fn held_bytes(&self) -> usize {
        self.reader.unfinished() + self.output.waiting() + self.held.len()
    }

    /// Lets the publisher in and reads on. No effect unless a `publish` waits.
    ///
    /// # Errors
    /// As [`Session::handle_input`], for the input that was held.
    pub fn accept_publish(&mut self) -> Result<(), RtmpError> {
        if self.phase != Phase::PublishAsked {
            return Ok(());
        }
        self.phase = Phase::Publishing;
        self.reader.set_limits(PUBLISHER_LIMITS);
        self.reply_publish_start();
        self.read_held()
    }

    /// Lets the viewer in: the replies that begin a stream, behind which the driver sends tags. No effect unless a
    /// `play` waits.
    ///
    /// # Errors
    /// As [`Session::handle_input`], for the input that was held.
    pub fn accept_play(&mut self) -> Result<(), RtmpError> {
        if self.phase != Phase::PlayAsked {
            return Ok(());
        }
        self.phase = Phase::Playing;
        self.reply_play_start();
        self.read_held()
    }

    /// Turns a publisher away, or out: an `onStatus` of level `error` (R03), then [`Event::Closed`].
    pub fn refuse_publish(&mut self, code: &str, description: &str) {
        self.refuse(code, description);
    }

    /// Turns a viewer away: an `onStatus` of level `error`, then [`Event::Closed`].
    pub fn refuse_play(&mut self, code: &str, description: &str) {
        self.refuse(code, description);
    }

    /// Sends a viewer elsewhere: an `onStatus` of level `error` with `ex.redirect`, the app's URL there, then
    /// [`Event::Closed`].
    pub fn redirect_play(&mut self, tc_url: &str) {
        if self.phase != Phase::Closed {
            self.reply_redirection(tc_url);
            self.close();
        }
    }

    /// Tells a viewer that the stream is over, for good. No effect unless it plays.
    pub fn stream_eof(&mut self) {
        if self.phase == Phase::Playing {
            self.reply_play_end();
        }
    }

    fn refuse(&mut self, code: &str, description: &str) {
        if self.phase != Phase::Closed {
            self.reply_refusal(code, description);
            self.close();
        }
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.held = Vec::new();
        self.events.push_back(Event::Closed);
    }

    fn read_held(&mut self) -> Result<(), RtmpError> {
        let held = std::mem::take(&mut self.held);
        self.read_messages(&held)
    }

    fn read_messages(&mut self, mut input: &[u8]) -> Result<(), RtmpError> {
        loop {
            if self.phase == Phase::Closed {
                return Ok(());
            }
            if self.is_deciding() {
                return self.hold(input);
            }
            let Some(message) = self.reader.read(&mut input)? else {
                return Ok(());
            };
            self.handle_message(&message)?;
            if self.output.waiting() > MAX_WAITING_OUTPUT {
                return Err(RtmpError::Flood);
            }
        }
    }

    fn hold(&mut self, input: &[u8]) -> Result<(), RtmpError> {
        if self.held.len() + input.len() > MAX_HELD_INPUT {
            return Err(RtmpError::Impatient);
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), RtmpError> {
        if message.payload.is_empty() {
            // Not worth an answer, and no reason to end (R29).
            return Ok(());
        }
        match message.kind {
            MessageType::WindowAckSize => {
                let window = wire::Reader::new(&message.payload).u32();
                self.ack
                    .set_window(window.map_err(|_| RtmpError::CutShort(message.kind))?);
            }
            MessageType::UserControl => {
                if let Some(UserControl::Ping(time)) = UserControl::parse(&message.payload) {
                    self.output.user_control(UserControl::Pong(time));
                }
            }
            MessageType::Aggregate if self.phase == Phase::Publishing => {
                for part in aggregate::split(message)? {
                    self.handle_media(&part);
                }
            }
            MessageType::Amf0Command | MessageType::Amf3Command => {
                self.handle_command(&Command::parse(&message.payload)?)?;
            }
            // Acknowledgements and bandwidths concern a sender that waits for them, which we do not (R17).
            _ => self.handle_media(message),
        }
        Ok(())
    }

    /// Takes what is a tag, while publishing, and passes over the rest.
    fn handle_media(&mut self, message: &Message) {
        if self.phase != Phase::Publishing {
            return;
        }
        if let Some((kind, payload)) = media::tag(message) {
            let time = message.time;
            self.events.push_back(Event::Tag { kind, time, payload });
        }
    }
}
