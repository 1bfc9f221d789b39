//! Joining a pool and staying in it: one exchange over the join protocol.
//!
//! The asker opens one bidirectional stream, sends one JSON object of at most [`MAX_MESSAGE`] bytes and finishes it;
//! the origin answers likewise, or closes the connection with a [`Refusal`](super::refusal::Refusal). All of it takes
//! at most [`EXCHANGE_TIME`]. Unknown fields are ignored, so that either side may be the newer one.

mod ask;
mod desk;
mod message;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use ask::{Asker, JoinError, Joined};
pub use desk::{Grant, JoinDesk, JoinHall, JoinOutcome, JoinStats, MAX_JOINS, serve_join};
pub use message::{Answer, MessageError, Request};

/// The longest message either way: a chain of two certificates in base64 is below 2 KB.
pub const MAX_MESSAGE: usize = 16 << 10;

/// How long one exchange may take, once the handshake is done: three round trips on the worst path.
pub const EXCHANGE_TIME: Duration = Duration::from_secs(5);

/// How long an asker waits for a handshake with all of a token's addresses, so that a blocked UDP port has its name
/// in the log within ten seconds.
pub const DIAL_TIME: Duration = Duration::from_secs(8);
