//! The pool's brain: which edges there are, what each has left, and where the next viewer goes.
//!
//! Sans-IO: values that are fed with events and asked questions, time and chance being arguments. Links, the probe, DNS,
//! redirects and the admin side feed and ask it; it knows none of them. It uses the cascade's messages, never the other
//! way round.
//!
//! - [`Endpoint`]: where viewers reach a node; [`Health`]: what the probe found there.
//! - [`State`]: how an edge stands, worked out by `member` from what it reported (`load`), its `front`s and the time.
//! - [`Roster`]: all edges, in `steering` where viewers go, in `watching` where the probe stays for a while; [`Row`]: one as an operator sees it; [`Remembered`]: one as the state folder keeps it.
//! - [`Totals`]: the pool in a few sums; [`Scaler`]: when one more edge is wanted.
//! - [`pick()`], [`pick_one`]: choosing by weight, once; `weights`: the same out of 10,000, again and again.

mod config;
mod endpoint;
mod front;
mod health;
mod load;
mod member;
mod pick;
mod remembered;
mod roster;
mod row;
mod scale;
mod steering;
mod totals;
mod watching;
mod weights;

pub use config::RosterConfig;
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use health::{Finding, Health, Standing};
pub use member::{Arrival, State};
pub use pick::{Random, pick, pick_one};
pub use remembered::{Remembered, RememberedEndpoint};
pub use roster::{Roster, RosterFull};
pub use row::{EndpointRow, Row};
pub use scale::{Need, Own, ScaleRules, Scaler, Start};
pub use steering::Wish;
pub use totals::Totals;
pub use watching::WATCH_MS;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
