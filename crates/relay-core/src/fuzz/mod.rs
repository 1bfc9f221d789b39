//! Fuzz bodies: one function per parser that takes any bytes and panics where an invariant is broken.
//!
//! They are plain functions so that the suite runs them for some seconds on stable Rust, and a coverage-guided
//! fuzzer for as long as one likes. No part of the crate's interface.

pub mod address;
pub mod amf0;
pub mod cascade;
pub mod chunk;
pub mod codec;
pub mod config;
pub mod dns;
pub mod flv;
pub mod http;
pub mod rtmp;
pub mod session;
pub mod token;

/// Takes a number off the front of the data, to decide something by it.
fn choice(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else {
        return 0;
    };
    *data = rest;
    *first
}
