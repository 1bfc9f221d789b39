//! RTMP, sans-IO.

pub mod chunk;
