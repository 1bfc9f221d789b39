//! Streams: their names, their logs, and the hub that holds them.

pub mod key;

pub use key::{KeyError, StreamKey};
