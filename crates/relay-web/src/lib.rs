//! The pages a person watches on, and the operator's console, embedded in the binary: index, player, style, script, vendored
//! libraries.
//!
//! This crate opens no socket and knows no HTTP server: it maps a path to bytes and says which headers go with them.
//! The pages load nothing from elsewhere and run under a strict content security policy, so every script and style is
//! a file of its own under `/assets/`.
//!
//! - [`Assets`]: path → bytes, plain or compressed, with a stable entity tag
//! - [`security_headers`], [`console_headers`]: what each page is to be sent with

mod assets;
mod security;

pub use assets::{Asset, Assets};
pub use security::{console_headers, security_headers};
