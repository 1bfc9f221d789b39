//! The control stream of a link, over QUIC: messages in, messages out.

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc;

use crate::cascade::control::{ControlDecoder, ControlError, encode};
use crate::cascade::{LinkCode, Message};

/// Messages that may wait to be written. They are small and rare; more waiting means that the peer reads none.
const OUTBOX: usize = 256;

/// Control goes before all media.
const PRIORITY: i32 = i32::MAX;

/// Why a control stream is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlEnd {
    /// The peer broke the protocol.
    #[error(transparent)]
    Broken(#[from] ControlError),
    /// The stream or its connection ended.
    #[error("{0}")]
    Lost(String),
}

/// The reading half.
pub(super) struct Inbox {
    stream: RecvStream,
    decoder: ControlDecoder,
}

/// The writing half; clones write to the same stream.
#[derive(Clone)]
pub(super) struct Outbox(mpsc::Sender<Message>);

impl Inbox {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            decoder: ControlDecoder::default(),
        }
    }

    /// The next message. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Message, ControlEnd> {
        loop {
            if let Some(message) = self.decoder.poll()? {
                return Ok(message);
            }
            match self.stream.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => self.decoder.push(&chunk.bytes),
                Ok(None) => return Err(ControlEnd::Lost("the peer ended the control stream".to_owned())),
                Err(error) => return Err(ControlEnd::Lost(error.to_string())),
            }
        }
    }
}

impl Outbox {
    /// Starts the writer, which lives as long as the stream and its outboxes.
    pub(super) fn start(mut stream: SendStream) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Message>(OUTBOX);
        // Fails for a stream that is closed, which the first write will find out as well.
        let _ = stream.set_priority(PRIORITY);
        tokio::spawn(async move {
            while let Some(message) = receiver.recv().await {
                let bytes = match encode(&message) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        tracing::error!(%error, "a control message of ours is over its limit and was left out");
                        continue;
                    }
                };
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        });
        Self(sender)
    }

    /// Queues a message; waits while too many wait. False if the link is gone.
    pub(super) async fn say(&self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }

    /// Queues a message that is of no use later, if there is room.
    pub(super) fn mention(&self, message: Message) {
        // Full: the peer reads nothing, and will be found silent.
        let _ = self.0.try_send(message);
    }
}

/// Closes a link with its reason.
pub(super) fn close(connection: &Connection, code: LinkCode) {
    connection.close(code.number().into(), code.to_string().as_bytes());
}

/// Closes a link because its control stream is over.
pub(super) fn close_after(connection: &Connection, end: &ControlEnd) {
    if matches!(end, ControlEnd::Broken(_)) {
        close(connection, LinkCode::BadControl);
    }
}
