//! The side buffer: what one viewer alone gets, between two shared records.

use std::collections::VecDeque;

use bytes::Bytes;

/// Replies, pings and trailers that may wait for one viewer, in bytes. Beyond it the viewer asks faster than it
/// reads, and is closed. Preludes and headers don't count: they are shared and bounded at their source.
pub(super) const MAX_REPLY_BYTES: usize = 4096;

/// Bytes for one viewer, in order.
#[derive(Debug, Default)]
pub(super) struct Side {
    parts: VecDeque<Bytes>,
    replies: usize,
}

impl Side {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Queues something shared: a head, a prelude, headers.
    pub(super) fn push_shared(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.parts.push_back(bytes);
        }
    }

    /// Queues a reply; false if too many wait already.
    pub(super) fn push_reply(&mut self, bytes: Bytes) -> bool {
        self.replies += bytes.len();
        if self.replies > MAX_REPLY_BYTES {
            return false;
        }
        self.push_shared(bytes);
        true
    }

    pub(super) fn front(&self) -> Option<&Bytes> {
        self.parts.front()
    }

    /// Takes off what was sent of the front.
    pub(super) fn advance(&mut self, sent: usize) {
        if let Some(front) = self.parts.front_mut() {
            if sent < front.len() {
                *front = front.slice(sent..);
            } else {
                self.parts.pop_front();
            }
        }
        if self.parts.is_empty() {
            self.replies = 0;
            // Nothing of it is kept for the hours that a viewer may watch.
            self.parts = VecDeque::new();
        }
    }
}
