//! The load tool: a synthetic publisher, an audience of thousands that checks what it gets, and the bare send loop that
//! a server is measured against.
//!
//! - [`profile`]: what a synthetic stream is like; [`mark`]: what each of its frames says of itself.
//! - [`watch`]: the audience; [`machine`]: what it and the server take of the machine.
//! - [`report`]: what a watch found; [`plot`]: the same as a picture.

pub mod machine;
pub mod mark;
pub mod plot;
pub mod profile;
pub mod report;
pub mod watch;
