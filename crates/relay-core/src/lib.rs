//! The engine that the origin and the edges share.
//!
//! It takes tags in, keeps them in a log that readers share, and gives them out: to viewers by the fan-out, to
//! children by the cascade. It knows nothing of pools, policies or programs.
//!
//! From the ground up:
//! - [`clock`]: time as an argument.
//! - [`flv`]: the tag and its wire form.
//! - [`stream`]: a stream's log, its groups, cursors, and the hub of all streams.
//! - [`link`]: the QUIC port between nodes, joining and renewing.
//! - [`token`], [`tls`]: who may join a pool, and how its nodes know each other.
//! - [`serve`]: where viewers and publishers come in.

pub mod clock;
pub mod flv;
pub mod link;
pub mod serve;
pub mod stream;
pub mod tls;
pub mod token;
