//! What a stream is like: which tracks its joiners may be promised, and what its operator should be warned of.

use super::Stream;
use crate::flv::TagKind;
use crate::stream::headers::Headers;
use crate::stream::tracks::{Promise, Stated};
use crate::stream::view::Start;
use crate::stream::warnings::Raised;

impl Stream {
    /// From now on this node's operator's word on the tracks counts (R37), before that of one above it.
    pub fn state_tracks(&self, stated: Stated) {
        self.lock().state_tracks(stated);
    }

    /// Whether it is known which tracks the stream has; if not, that is a matter of
    /// [`TRACK_WAIT_MS`](crate::stream::TRACK_WAIT_MS).
    pub fn knows_tracks(&self) -> bool {
        self.lock().tracks.is_settled()
    }

    /// What one who joins now is given before the first tag: all headers in force at `start`, or at the newest tag where
    /// there is no start point (R39); without those of a track that is gone, for which a player would wait (R37).
    pub fn joiners_headers(&self, start: Option<&Start>) -> Headers {
        let log = self.lock();
        let mut headers = Headers::clone(start.map_or(&log.headers, |start| &start.headers));
        let promised = |kind| match log.tracks.promise(kind) {
            Promise::There => true,
            // Frames of it in what the joiner is about to get are proof enough.
            Promise::Absent | Promise::Open => {
                start.is_some_and(|start| log.tracks.sent_since(kind, start.time))
                    && !log.tracks.is_denied(kind)
            }
        };
        (headers.has_audio, headers.has_video) = (promised(TagKind::Audio), promised(TagKind::Video));
        if !headers.has_audio {
            headers.audio = None;
        }
        if !headers.has_video {
            headers.video = None;
        }
        let (audio, video) = (headers.has_audio, headers.has_video);
        headers.extras.retain(|extra| match extra.kind {
            TagKind::Audio => audio,
            TagKind::Video => video,
            TagKind::Script => true,
        });
        headers
    }

    /// What its operator should know of what it sends.
    pub fn warnings(&self) -> Vec<Raised> {
        self.lock().watch.raised().collect()
    }

    /// Counts bytes as if so many had been written, before the first is.
    #[cfg(test)]
    pub(crate) fn count_from(&self, bytes: u64) {
        let mut log = self.lock();
        log.main.count_from(bytes);
        log.totals.bytes = bytes;
        for side in log.side.iter_mut().flatten() {
            side.store.count_from(bytes);
        }
    }

    /// Bytes written in the log's own flavour.
    #[cfg(test)]
    pub(crate) fn bytes_written(&self) -> u64 {
        self.lock().main.end()
    }
}
