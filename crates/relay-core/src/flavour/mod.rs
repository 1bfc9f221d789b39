//! Flavours: the wire forms that viewers get. A record is made once per flavour and stream, never per viewer.

mod flv;
mod rtmp;

use bytes::Bytes;

use crate::flv::Tag;
use crate::stream::Headers;

/// The wire form of a stream that a viewer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavour {
    /// FLV in HTTP/1.1 chunks: each record carries its own chunk framing. The form that the log itself is kept in.
    Flv,
    /// Bare FLV, for HTTP/1.0, where the close of the connection ends the response.
    FlvBare,
    /// RTMP chunks, all with full headers on one message stream, so that they are the same for every player.
    Rtmp,
}

impl Flavour {
    /// All flavours, the log's own first.
    pub const ALL: [Self; 3] = [Self::Flv, Self::FlvBare, Self::Rtmp];

    /// A name for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flv => "http-flv",
            Self::FlvBare => "http10-flv",
            Self::Rtmp => "rtmp",
        }
    }

    /// A small number for tables.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Appends the record of `tag` to `out` and says where in it the tag's payload begins, for the log's own flavour.
    pub fn frame(self, tag: &Tag, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Flv => flv::frame_chunked(tag, out),
            Self::FlvBare => flv::frame_bare(tag, out),
            Self::Rtmp => rtmp::frame(tag, out),
        }
    }

    /// What a joiner is sent before the record at a start point of time `time`.
    pub fn prelude(self, headers: &Headers, time: u64) -> Bytes {
        match self {
            Self::Flv => flv::prelude_chunked(headers, time),
            Self::FlvBare => flv::prelude_bare(headers, time),
            Self::Rtmp => self.headers(headers, time),
        }
    }

    /// What a viewer is sent when it skips to a start point whose headers differ from those it has.
    pub fn headers(self, headers: &Headers, time: u64) -> Bytes {
        let mut out = Vec::new();
        for tag in headers.tags(time) {
            self.frame(&tag, &mut out);
        }
        out.into()
    }

    /// What ends the stream on the wire, sent at a true end only (R67).
    pub fn trailer(self) -> &'static [u8] {
        match self {
            Self::Flv => b"0\r\n\r\n",
            // RTMP's end is said by the session, which knows how: see `Session::stream_eof`.
            Self::FlvBare | Self::Rtmp => b"",
        }
    }
}
