//! The pool's own name server: authoritative for one zone, whose addresses are whoever has room for viewers now.
//!
//! Each answer is a weighted sample of the pool, valid for seconds, so that viewers spread by headroom and a node that is
//! withdrawn is forgotten soon. It answers for its zone and for nothing else: no recursion, no transfers, no updates, no
//! signatures, and no answer that would make it worth abusing as an amplifier.
//!
//! From the ground up, sans-IO but for the last:
//! - [`Source`]: the addresses to give out now, with their weights; whoever runs the pool feeds it.
//! - [`Zone`]: what is asked about, from `[dns]`.
//! - [`Question`]: a query's bytes, understood or not.
//! - [`respond`]: a packet in, a packet out; a pure function of zone, offers and chance.
//! - [`Limiter`]: how much of that a network may have.
//! - [`Server`]: the sockets.
//!
//! ```text
//! let source = Arc::new(Source::default());
//! if let Some(zone) = Zone::of(&config.dns)? {
//!     let server = Server::bind(&config.dns, zone, Arc::clone(&source), clock, &registry)?;
//!     tasks.spawn(server.run(stop));
//! }
//! source.offer(edges.map(|edge| (edge.address, edge.headroom)));   // whenever that changes
//! ```

mod answer;
mod limit;
mod metrics;
mod query;
mod reply;
mod server;
mod source;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod zone;

pub use crate::family::Family;
pub use answer::Code;
pub use limit::{Limiter, Verdict};
pub use query::{Extension, Fault, Question};
pub use reply::{Reply, Transport, respond};
pub use server::{Server, ServerError};
pub use source::{MAX_ADDRESSES, Offers, Source};
pub use zone::{Zone, ZoneError};
