//! The engine that the origin and the edges share.
//!
//! It takes tags in, keeps them in a log that readers share, and gives them out: to viewers by the fan-out, to
//! children by the cascade; and it knows which of a pool's edges is next. It knows nothing of programs.
//!
//! From the ground up:
//! - [`wire`]: integers in bytes; [`clock`]: time as an argument.
//! - [`flv`], [`codec`], [`amf0`]: the tag, its wire form, and what a relay needs to know of its body.
//! - [`rtmp`], [`http`], [`cascade`]: the wires of publishers, viewers and children, sans-IO.
//! - [`stream`]: a stream's log, its groups, cursors, and the hub of all streams.
//! - [`flavour`]: the wire forms that viewers get, made once.
//! - [`fanout`]: the threads that move viewers' cursors.
//! - [`admission`]: who is let in, who is sent elsewhere, who is refused; [`hop`]: the mark of one who was sent on.
//! - [`token`], [`tls`]: who may join a pool, and how its nodes know each other.
//! - [`link`]: the QUIC port between nodes.
//! - [`pool`]: which edges there are, what each has left, and where the next viewer goes, sans-IO.
//! - [`serve`]: where viewers and publishers come in; [`few`]: where the operator's side does.
//! - [`dns`]: the name server that tells viewers where.
//! - [`check`], [`capacity`], [`own_address`]: what this machine grants, and what a node can carry on it.

pub mod admin;
pub mod admission;
pub mod amf0;
pub mod capacity;
pub mod cascade;
pub mod check;
pub mod clock;
pub mod codec;
pub mod command_line;
pub mod config;
pub mod dns;
pub mod exit;
pub mod fanout;
pub mod few;
pub mod flavour;
pub mod flv;
#[doc(hidden)]
pub mod fuzz;
pub mod hop;
pub mod http;
pub mod limits;
pub mod link;
pub mod logging;
pub mod metrics;
pub mod node;
mod node_metrics;
pub mod own_address;
pub mod pool;
pub mod readiness;
pub mod rtmp;
pub mod serve;
pub mod signals;
pub mod stream;
pub mod systemd;
mod tcp_memory;
pub mod tls;
pub mod token;
#[cfg(test)]
mod whole_way;
pub mod wire;
