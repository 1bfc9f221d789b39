//! Streams: their names, their logs, and the hub that holds them.
//!
//! A [`Stream`] has one writer and any number of readers. The writer appends tags, in groups; children read them back
//! by [`Position`]; viewers read wire bytes through a [`View`]. Nothing here opens a socket or reads a clock.

pub mod cutter;
mod dropped;
pub mod epoch;
mod group;
mod headers;
mod hub;
mod key;
mod live;
mod log;
mod metadata;
pub mod publisher;
mod rate;
mod segment;
mod session;
mod store;
pub mod timeline;
mod tracks;
mod view;
mod warnings;

pub use dropped::Dropped;
pub use group::{GroupHead, GroupSeal, Position};
pub use headers::{Headers, KeptExtra, MAX_EXTRAS, MAX_HEADER_BYTES};
pub use hub::{Hub, HubConfig, HubCounters, HubFull};
pub use key::{KeyError, MAX_KEY_BYTES, StreamKey};
pub use live::{AppendError, Known, Lease, LogConfig, LoggedTag, Read, Stream, StreamState};
pub use segment::try_memory;
pub use session::{KEYFRAME_WAIT_MS, VIDEO_WAIT_MS};
pub use tracks::{Stated, TRACK_WAIT_MS};
pub use view::{Piece, Start, View, ViewStart};
pub use warnings::{Raised, Warning};
