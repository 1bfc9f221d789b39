//! RTMP, both sides, without IO: bytes in, events and bytes out. (Adobe, RTMP specification 1.0, 2012.)
//!
//! - [`handshake`]: the handshake, simple or by digests.
//! - [`chunk`]: messages cut into chunks and interleaved.
//! - [`message`]: what a message is.
//! - [`command`]: a message that is a call, and its answers.
//! - [`capabilities`]: what either side can do of Enhanced RTMP.
//! - [`address`]: app, name and secret, out of the texts that clients send.
//! - [`server`]: the session of a publisher or a viewer.
//! - [`client`]: the other end, for pulls, load and tests.
//! - [`error`]: what a peer did wrong.

pub mod address;
pub mod capabilities;
pub mod chunk;
pub mod client;
pub mod command;
pub mod error;
pub mod handshake;
pub mod message;
pub mod server;

mod ack;
mod aggregate;
mod digest;
mod media;
mod output;

#[cfg(test)]
mod tests;

pub use error::{ChunkError, HandshakeError, RtmpError};
