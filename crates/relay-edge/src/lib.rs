//! The edge: joins a pool by its token, takes its streams, serves viewers.
//!
//! - [`edge`]: all of it, put together; [`error`]: why it did not come up.
//! - [`join`]: membership, for as long as it runs.
//! - [`pool`]: its links once it is a member; [`others`]: whom it sends viewers to; [`presence`]: what it
//!   says of itself; [`reach`]: where viewers reach it.
//! - [`cli`]: the command line; [`desk`]: what the admin API does here; [`measure`]: what the machine can carry.

pub mod cli;
pub mod desk;
pub mod edge;
pub mod error;
pub mod join;
pub mod measure;
pub mod others;
pub mod pool;
pub mod presence;
pub mod reach;
