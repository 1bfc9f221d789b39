//! Admission: who is let in, who is sent elsewhere, who is refused (R79, R80).
//!
//! Viewers who are in never suffer for one more. So it is decided before the first byte, and what is given away is reserved
//! before it can be measured: a stream of 2.5 Mbit/s shows up in the counters a second after its viewer did, and a hundred
//! viewers come in a second.
//!
//! - [`Budget`]: what this node has given away of its uplink, its CPU and its kernel's memory; it says how much [`Room`] there is.
//! - [`Account`]: the same as an operator sees it; [`Lately`]: how often somebody was refused in the last minute.
//! - [`decide`]: what becomes of one who comes, by the room here, the [`ServePolicy`] and what there is elsewhere.
//!
//! All of it is values that are fed with counters and the time.

mod account;
mod budget;
mod lately;
mod measured;
mod recent;
mod room;
mod verdict;

pub use account::{Account, Limit};
pub use budget::{Bandwidth, Bounds, Budget, LinkLoad, Load, Wish};
pub use lately::Lately;
pub use room::{Room, Why};
pub use verdict::{MAX_HOPS, RETRY_AFTER_SECONDS, Refusal, ServePolicy, Verdict, decide};
