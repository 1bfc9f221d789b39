//! Streams: their names, their logs, and the hub that holds them.

pub mod cutter;
pub mod epoch;
pub mod key;
pub mod timeline;

pub use key::{KeyError, StreamKey};
