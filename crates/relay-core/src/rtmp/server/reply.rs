//! What a session answers.

use super::Session;
use crate::amf0::{self, Value};
use crate::rtmp::capabilities::Capabilities;
use crate::rtmp::chunk::SHARED_CHUNK_SIZE;
use crate::rtmp::command::{Command, Level, RECONNECT_REQUEST, information, redirection};
use crate::rtmp::message::{MessageType, UserControl};

/// The one message stream. Every `createStream` gets it, since shared bytes carry its number.
pub(super) const STREAM_ID: f64 = 1.0;

/// The same on the wire.
const STREAM: u32 = 1;

/// How much of a peer's own text is said back to it: as much as a stream's name may have.
const MAX_SAID_BACK: usize = crate::stream::MAX_KEY_BYTES;

/// What a client that is sent elsewhere is told: the code after which they look for `ex.redirect`.
const REJECTED: &str = "NetConnection.Connect.Rejected";

impl Session {
    /// `connect` is answered with what a publisher and a viewer need alike: the windows, the chunk size of all that
    /// follows, and the properties that clients look at. Who announced Enhanced RTMP is told what we can do of it (R32), in
    /// both objects, since its specification does not say in which.
    pub(super) fn reply_connect(&mut self, command: &Command) {
        self.output
            .control(MessageType::WindowAckSize, self.config.window);
        self.output.set_peer_bandwidth(self.config.window);
        self.output.set_chunk_size(SHARED_CHUNK_SIZE);
        self.output.user_control(UserControl::StreamBegin(0));
        let mut properties =
            Value::object([("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", 31.0.into())]);
        let mut result = connect_result(command);
        if self.capabilities.is_some() {
            let ours = Capabilities::of_relay(self.config.reconnects).properties();
            for object in [&mut properties, &mut result] {
                object.extend(&ours);
            }
        }
        self.output.command(&Command::new(
            "_result",
            command.transaction,
            properties,
            [result],
        ));
    }

    /// Answers a call that wants an answer.
    pub(super) fn reply_result(&mut self, command: &Command, result: Value) {
        if command.transaction != 0.0 {
            let reply = Command::new("_result", command.transaction, Value::Null, [result]);
            self.output.command(&reply);
        }
    }

    /// Some encoders wait for `onFCPublish` with the number of their call (R24). It says nothing about whether they
    /// will be let in: that is said once it is decided (R03).
    pub(super) fn reply_fc_publish(&mut self, command: &Command) {
        self.reply_result(command, Value::Undefined);
        self.reply_call("onFCPublish", command, "NetStream.Publish.Start");
    }

    pub(super) fn reply_fc_unpublish(&mut self, command: &Command) {
        self.reply_result(command, Value::Undefined);
        self.reply_call("onFCUnpublish", command, "NetStream.Unpublish.Success");
    }

    pub(super) fn reply_fc_subscribe(&mut self, command: &Command) {
        self.reply_result(command, Value::Undefined);
        self.reply_call("onFCSubscribe", command, "NetStream.Play.Start");
    }

    fn reply_call(&mut self, name: &str, command: &Command, code: &str) {
        let info = information(Level::Status, code, clipped(command.text(0).unwrap_or_default()));
        let reply = Command::new(name, command.transaction, Value::Null, [info]);
        self.output.command(&reply);
    }

    pub(super) fn reply_publish_start(&mut self) {
        self.output.user_control(UserControl::StreamBegin(STREAM));
        self.status(Level::Status, "NetStream.Publish.Start", "is published");
    }

    pub(super) fn reply_unpublished(&mut self) {
        self.status(
            Level::Status,
            "NetStream.Unpublish.Success",
            "is not published any more",
        );
    }

    pub(super) fn reply_play_start(&mut self) {
        self.output.user_control(UserControl::StreamBegin(STREAM));
        self.status(Level::Status, "NetStream.Play.Reset", "is reset");
        self.status(Level::Status, "NetStream.Play.Start", "is played");
        // Old Flash players want to know that they may read samples, and that data follow.
        self.data(&["|RtmpSampleAccess".into(), true.into(), true.into()]);
        let start = Value::object([("code", "NetStream.Data.Start".into())]);
        self.data(&["onStatus".into(), start]);
    }

    pub(super) fn reply_pause(&mut self, paused: bool) {
        if paused {
            self.output.user_control(UserControl::StreamEof(STREAM));
            self.status(Level::Status, "NetStream.Pause.Notify", "is paused");
        } else {
            self.output.user_control(UserControl::StreamBegin(STREAM));
            self.status(Level::Status, "NetStream.Unpause.Notify", "goes on");
        }
    }

    pub(super) fn reply_play_end(&mut self) {
        self.output.user_control(UserControl::StreamEof(STREAM));
        self.status(
            Level::Status,
            "NetStream.Play.UnpublishNotify",
            "is not published any more",
        );
        self.status(Level::Status, "NetStream.Play.Stop", "is over");
    }

    pub(super) fn reply_refusal(&mut self, code: &str, description: &str) {
        let info = information(Level::Error, code, description);
        let status = Command::new("onStatus", 0.0, Value::Null, [info]);
        self.output.stream_command(STREAM, &status);
    }

    pub(super) fn reply_redirection(&mut self, tc_url: &str) {
        let info = redirection(REJECTED, "the stream is served elsewhere", tc_url);
        let status = Command::new("onStatus", 0.0, Value::Null, [info]);
        self.output.stream_command(STREAM, &status);
    }

    /// A status of the connection, not of its stream.
    pub(super) fn reply_reconnect_request(&mut self, tc_url: Option<&str>, why: &str) {
        let mut info = information(Level::Status, RECONNECT_REQUEST, why);
        if let Some(tc_url) = tc_url {
            info.extend(&[("tcUrl".to_owned(), tc_url.into())]);
        }
        self.output
            .command(&Command::new("onStatus", 0.0, Value::Null, [info]));
    }

    fn status(&mut self, level: Level, code: &str, what: &str) {
        let info = information(level, code, &format!("{} {what}", self.name));
        let status = Command::new("onStatus", 0.0, Value::Null, [info]);
        self.output.stream_command(STREAM, &status);
    }

    fn data(&mut self, values: &[Value]) {
        let mut body = Vec::new();
        values.iter().for_each(|value| amf0::encode(value, &mut body));
        self.output.stream_data(STREAM, &body);
    }
}

/// As much of a peer's text as is said back to it.
pub(super) fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SAID_BACK)]
}

/// The object that tells a client it is connected, with the encoding that it asked for: clients that ask for AMF3
/// send AMF0 behind a zero byte, and that is read (R26).
fn connect_result(command: &Command) -> Value {
    let encoding = command.object.get("objectEncoding").and_then(Value::as_number);
    let mut result = information(
        Level::Status,
        "NetConnection.Connect.Success",
        "Connection succeeded.",
    );
    let encoding = Value::Number(encoding.unwrap_or(0.0));
    result.extend(&[("objectEncoding".to_owned(), encoding)]);
    result
}
