//! The load tool: a synthetic publisher, an audience of thousands that checks what it gets, and the bare send loop that
//! a server is measured against.
//!
//! - [`profile`]: what a synthetic stream is like; [`mark`]: what each of its frames says of itself.
//! - [`report`]: what a watch found.

pub mod mark;
pub mod profile;
pub mod report;
