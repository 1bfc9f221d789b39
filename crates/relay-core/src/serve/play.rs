//! An RTMP viewer's session as the fan-out sees it.

use crate::clock::Now;
use crate::fanout::{Dialogue, Reply};
use crate::rtmp::server::{Event, Session};

/// A playing session: understands pauses, pings and acknowledgements, and says the end.
pub(super) struct Play(pub(super) Session);

impl Dialogue for Play {
    fn handle_input(&mut self, bytes: &[u8], now: Now) -> Result<(), String> {
        self.0.handle_input(bytes, now).map_err(|error| error.to_string())
    }

    fn poll_reply(&mut self) -> Option<Reply> {
        if let Some(bytes) = self.0.poll_output() {
            return Some(Reply::Bytes(bytes));
        }
        loop {
            return match self.0.poll_event()? {
                Event::Pause(paused) => Some(Reply::Pause(paused)),
                Event::StopPlay | Event::Closed => Some(Reply::Stop),
                // A second `publish` or `play` on a connection that plays is an error of the session already.
                Event::Publish { .. } | Event::Play { .. } | Event::Tag { .. } | Event::Unpublish => continue,
            };
        }
    }

    fn handle_end(&mut self) {
        self.0.stream_eof();
    }
}
