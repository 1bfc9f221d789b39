//! Links between the nodes of a pool, over QUIC: the port, who is let in, and how a fresh edge joins.
//!
//! - [`quic`]: the UDP socket, the transport's settings.
//! - [`door`]: takes handshakes, and tells links from joins once they are complete.
//! - [`dial`]: the other way round, with fresh name resolution.
//! - [`join`]: the exchange that turns a token into a certificate, and renews it.
//! - [`parent`], [`child`]: what the two ends of a link do.
//! - [`refusal`]: the codes that a connection is closed with.
//! - [`backoff`]: how long to wait before trying again.

pub mod backoff;
pub mod child;
mod control;
pub mod dial;
pub mod door;
mod intake;
pub mod join;
mod lag;
mod lane;
mod lanes;
pub mod metrics;
pub mod parent;
pub mod quic;
mod receiving;
pub mod refusal;
mod sending;

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
