//! x

pub mod identity;
pub mod state;
pub mod tokens;
//! The origin: where encoders publish, and where a pool's streams begin.
//!
//! - [`access`]: who may publish.
//! - [`ingest`]: how publishers become streams.

pub mod access;
pub mod ingest;
