//! The engine that the origin and the edges share.
//!
//! It takes tags in, keeps them in a log that readers share, and gives them out: to viewers by the fan-out, to
//! children by the cascade. It knows nothing of pools, policies or programs.
//!
//! From the ground up:
//! - [`wire`]: integers in bytes.
//! - [`clock`]: time as an argument.
//! - [`amf0`]: the values of commands and metadata.
//! - [`flv`]: the tag and its wire form.
//! - [`rtmp`]: the wire of publishers and of many viewers.
//! - [`stream`]: a stream's log, its groups, cursors, and the hub of all streams.
//! - [`serve`]: where viewers and publishers come in.

pub mod amf0;
pub mod clock;
pub mod flv;
#[doc(hidden)]
pub mod fuzz;
pub mod rtmp;
pub mod serve;
pub mod stream;
pub mod wire;
