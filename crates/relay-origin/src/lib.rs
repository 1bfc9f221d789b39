//! The origin: where encoders publish, and where a pool's streams begin.
//!
//! - [`origin`]: all of it, put together; [`error`]: why it did not come up.
//! - [`access`], [`ingest`]: who may publish, and how publishers become streams; [`rtmps`]: how they come in over TLS.
//! - [`identity`], [`tokens`], [`links`]: the pool's authority, who may join, and the port where they do.
//! - [`pull`]: streams that are fetched from other servers; `trust`: whose certificates are believed, theirs and a hook's;
//!   `conversation`: RTMP as a player speaks it, to them and to edges that are probed.
//! - [`pool`]: the members, and who of them takes the next viewer; [`edges`]: how they are named and shown.
//! - [`probe`]: who watches the edges as a viewer would, so that viewers are sent only where that goes well.
//! - [`scale`]: whether one more edge is wanted, and [`hook`]: the operator's program that starts it.
//! - [`state`]: what outlives the process.
//! - [`cli`], [`verbs`]: the command line; [`console`], [`top`]: what it shows of a running origin, in a browser and on a terminal.
//! - [`desk`]: what the admin API does here; [`targets`]: where the pool's metrics are;
//!   [`greeting`]: what a person needs next.

pub mod access;
pub mod cli;
pub mod console;
mod conversation;
pub mod desk;
pub mod edges;
pub mod error;
pub mod greeting;
pub mod hook;
pub mod identity;
pub mod ingest;
pub mod links;
pub mod origin;
pub mod pool;
pub mod probe;
pub mod pull;
pub mod rtmps;
pub mod scale;
pub mod state;
pub mod targets;
pub mod tokens;
pub mod top;
mod trust;
pub mod verbs;
