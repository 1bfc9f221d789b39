//! A viewer as a shard keeps it: 32 hot bytes that each burst touches, and the rest.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;

use super::side::Side;
use crate::clock::Now;
use crate::flavour::Flavour;
use crate::stream::StreamKey;

/// The socket takes nothing: skipped until epoll says otherwise.
pub(super) const BLOCKED: u8 = 1;
/// Something waits in the side buffer, to be sent at the next record boundary.
pub(super) const SIDE: u8 = 2;
/// The player paused: nothing is sent until it goes on.
pub(super) const PAUSED: u8 = 4;
/// The stream's end is being said; when the side buffer is out, the viewer is done.
pub(super) const ENDING: u8 = 8;
/// At the next record boundary the viewer skips to the newest start point, late or not (after a pause).
pub(super) const RESTART: u8 = 16;

/// The node drains, and it is this viewer's turn: it is done before the next start point.
pub(super) const LEAVING: u8 = 32;

/// What each burst touches. Ten thousand of them are 320 KB: they stay in a core's second-level cache.
#[derive(Debug)]
pub(super) struct Hot {
    /// Where the viewer is in its feed's view.
    pub(super) cursor: u64,
    pub(super) socket: OwnedFd,
    /// Its index among the cold.
    pub(super) cold: u32,
    /// When it last took a byte, on the shard's short clock.
    pub(super) progress_ms: u32,
    /// When it joined or last skipped: a byte is not late for one who was not there.
    pub(super) fresh_ms: u32,
    pub(super) flags: u8,
}

const _: () = assert!(size_of::<Hot>() <= 32, "a viewer's hot state is at most 32 bytes");

/// Where a viewer's hot state is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) feed: usize,
    pub(super) slot: usize,
    pub(super) index: usize,
}

/// What is touched when something happens to one viewer.
pub(super) struct Cold {
    pub(super) id: u64,
    pub(super) place: Place,
    pub(super) side: Side,
    pub(super) peer: SocketAddr,
    pub(super) dialogue: Option<Box<dyn Dialogue>>,
    pub(super) joined_ms: u64,
    pub(super) skips: u32,
    /// Input read and thrown away, for viewers whose input nobody understands.
    pub(super) ignored: usize,
    /// Set when only the goodbye is left: the socket, and when it is dropped at the latest.
    pub(super) closing: Option<(OwnedFd, u64)>,
}

/// What a list of viewers shows of one.
#[derive(Clone, Debug)]
pub struct ViewerInfo {
    /// Its id, for a kick.
    pub id: u64,
    /// What it watches.
    pub stream: StreamKey,
    /// In which form.
    pub flavour: Flavour,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// For how long it has watched, in milliseconds.
    pub age_ms: u64,
    /// Bytes of the stream that it has yet to get.
    pub behind_bytes: u64,
    /// How often it skipped because it was late.
    pub skips: u32,
}

/// What a viewer's input led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To be sent to it at the next record boundary.
    Bytes(Bytes),
    /// It pauses, or goes on at the newest start point.
    Pause(bool),
    /// It wants no more.
    Stop,
}

/// Understands a viewer's input and speaks for the session: RTMP's pings, pauses, acknowledgements.
pub trait Dialogue: Send {
    /// Takes what the viewer sent.
    ///
    /// # Errors
    /// A reason in words: the viewer broke the protocol and is closed.
    fn handle_input(&mut self, bytes: &[u8], now: Now) -> Result<(), String>;

    /// The next thing that came of it.
    fn poll_reply(&mut self) -> Option<Reply>;

    /// The stream has ended for good: what is to be said then comes out as replies.
    fn handle_end(&mut self);
}

/// Why a viewer is gone; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goodbye {
    /// The stream ended.
    Ended,
    /// The viewer closed the connection or stopped playing.
    Left,
    /// Bytes waited and none were taken for the limit's time.
    NoProgress,
    /// What it needed next was no longer in memory.
    Overrun,
    /// It broke its protocol, or sent what nobody asked for.
    BadInput,
    /// An operator closed it.
    Kicked,
    /// The node is being shut down.
    Shutdown,
    /// The node drains: the viewer had a whole group, and finds the next one elsewhere.
    Drained,
    /// Memory for its flavour ran out.
    Memory,
    /// Its session panicked on what it said: a fault of ours, which costs this viewer and nobody else.
    Fault,
}

impl Goodbye {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Ended,
        Self::Left,
        Self::NoProgress,
        Self::Overrun,
        Self::BadInput,
        Self::Kicked,
        Self::Shutdown,
        Self::Drained,
        Self::Memory,
        Self::Fault,
    ];

    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Left => "left",
            Self::NoProgress => "no_progress",
            Self::Overrun => "overrun",
            Self::BadInput => "bad_input",
            Self::Kicked => "kicked",
            Self::Shutdown => "shutdown",
            Self::Drained => "drained",
            Self::Memory => "memory",
            Self::Fault => "fault",
        }
    }
}
