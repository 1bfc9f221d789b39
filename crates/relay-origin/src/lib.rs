//! The origin: where encoders publish, and where a pool's streams begin.
//!
//! - [`state`]: what outlives the process.
//! - [`identity`], [`tokens`]: who this origin is, and who may join its pool.
//! - [`access`]: who may publish.
//! - [`identity`]: the pool's authority and this origin's certificate.
//! - [`ingest`]: how publishers become streams.
//! - [`state`]: what outlives the process.
//! - [`tokens`]: who may join the pool.

pub mod access;
pub mod identity;
pub mod ingest;
pub mod state;
pub mod tokens;
