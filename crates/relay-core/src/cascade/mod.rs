//! The cascade: how a parent pushes streams to its children. The spec of the wire is docs/cascade.md.
//!
//! Everything here is sans-IO: bytes and values in, bytes and values out. `link` drives it over QUIC. Of the floor above it
//! uses the words (key, position, group) only.
//!
//! - [`frame`]: the wire form of a group; [`Decoder`]: the same, read as it comes.
//! - [`message`]: what the two ends tell each other; [`control`]: its framing.
//! - [`Receiver`]: what of a stream is new.
//! - [`code`]: why a group or a link is cut off.

pub mod code;
pub mod control;
mod decoder;
pub mod frame;
mod instance;
pub mod message;
mod receiver;

pub use code::{GroupCode, LinkCode};
pub use control::ControlError;
pub use decoder::{Decoder, Item};
pub use frame::{FrameError, GroupHeader, GroupId};
pub use instance::{BadInstanceName, Instance};
pub use message::Message;
pub use receiver::{Gap, Receiver, SealVerdict, TagVerdict, Verdict};

#[cfg(test)]
mod tests;
