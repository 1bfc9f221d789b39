//! x

pub mod identity;
pub mod state;
pub mod tokens;
