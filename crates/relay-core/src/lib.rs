//! The engine that the origin and the edges share.
//!
//! It takes tags in, keeps them in a log that readers share, and gives them out: to viewers by the fan-out, to
//! children by the cascade. It knows nothing of pools, policies or programs.
//!
//! From the ground up:
//! - [`clock`]: time as an argument.
//! - [`flv`], [`codec`]: the tag, its wire form, and what a relay needs to know of its body.
//! - [`rtmp`]: the wire of encoders and of many viewers, sans-IO.
//! - [`stream`]: a stream's log, its groups, cursors, and the hub of all streams.
//! - [`flavour`]: the wire forms that viewers get, made once.
//! - [`serve`]: where viewers and publishers come in.

pub mod clock;
pub mod codec;
pub mod flavour;
pub mod flv;
pub mod rtmp;
pub mod serve;
pub mod stream;
