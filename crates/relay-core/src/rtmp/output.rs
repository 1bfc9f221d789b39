//! What a session has to say and its driver has not fetched yet.

use bytes::Bytes;

use super::chunk::{self, DEFAULT_CHUNK_SIZE};
use super::command::Command;
use super::message::{MessageType, UserControl};

/// The chunk stream of protocol control: the specification's number.
const CONTROL_CSID: u32 = 2;

/// The chunk stream of commands that concern the connection.
const COMMAND_CSID: u32 = 3;

/// Bytes to send, in order, and the chunk size that they are written with.
#[derive(Debug)]
pub(super) struct Output {
    waiting: Vec<u8>,
    writer: chunk::Writer,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            writer: chunk::Writer::new(DEFAULT_CHUNK_SIZE),
        }
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.waiting.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.waiting)))
    }

    /// Where the handshake writes, which knows no messages.
    pub(super) const fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    pub(super) fn message(
        &mut self,
        kind: MessageType,
        csid: u32,
        stream_id: u32,
        time: u32,
        payload: &[u8],
    ) {
        self.writer
            .write(kind, csid, stream_id, time, payload, &mut self.waiting);
    }

    /// A protocol control message of one number.
    pub(super) fn control(&mut self, kind: MessageType, value: u32) {
        self.message(kind, CONTROL_CSID, 0, 0, &value.to_be_bytes());
    }

    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.control(MessageType::SetChunkSize, size);
        self.writer = chunk::Writer::new(size);
    }

    pub(super) fn set_peer_bandwidth(&mut self, window: u32) {
        const DYNAMIC: u8 = 2;
        let [a, b, c, d] = window.to_be_bytes();
        self.message(
            MessageType::SetPeerBandwidth,
            CONTROL_CSID,
            0,
            0,
            &[a, b, c, d, DYNAMIC],
        );
    }

    pub(super) fn user_control(&mut self, event: UserControl) {
        self.message(MessageType::UserControl, CONTROL_CSID, 0, 0, &event.body());
    }

    /// A command on the connection.
    pub(super) fn command(&mut self, command: &Command) {
        self.message(MessageType::Amf0Command, COMMAND_CSID, 0, 0, &command.body());
    }

    /// A command on a message stream, in order with that stream's data.
    pub(super) fn stream_command(&mut self, stream_id: u32, command: &Command) {
        let csid = chunk::shared_csid(crate::flv::TagKind::Script);
        self.message(MessageType::Amf0Command, csid, stream_id, 0, &command.body());
    }

    /// Script data on a message stream.
    pub(super) fn stream_data(&mut self, stream_id: u32, body: &[u8]) {
        let csid = chunk::shared_csid(crate::flv::TagKind::Script);
        self.message(MessageType::Amf0Data, csid, stream_id, 0, body);
    }
}
