//! x

pub mod join;
