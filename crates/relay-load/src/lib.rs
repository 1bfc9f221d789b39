//! The load tool: a synthetic publisher, an audience of thousands that checks what it gets, and the bare send loop that
//! a server is measured against.
//!
//! It is no part of a relay: it only speaks to one, as encoders and players do.
//!
//! What is sent, without a clock or a socket:
//!
//! - [`profile`]: what a synthetic stream is like, and the sizes of its pictures.
//! - [`footage`]: the stream itself, tag by tag, each with the moment at which it is due.
//! - [`picture`] and [`sound`]: pictures and silence that any decoder takes, made by us.
//! - [`mark`]: what each picture says of itself: which it is, when it was made, and a checksum.
//!
//! What is done with it:
//!
//! - [`publish`]: sends it over RTMP, in real time.
//! - [`floor`]: the bare send loop.
//! - [`watch`]: the audience; [`machine`]: what it and the server take of the machine.
//!
//! What is told:
//!
//! - [`report`]: what a watch found; [`plot`]: the same as a picture.

mod bits;
pub mod cli;
pub mod floor;
pub mod footage;
pub mod machine;
pub mod mark;
pub mod picture;
pub mod plot;
pub mod profile;
pub mod publish;
pub mod report;
pub mod sound;
pub mod watch;

/// The program's name, for what it prints.
pub const NAME: &str = "relay-load";
