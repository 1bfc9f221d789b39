//! The test house: what the stories in `tests/stories` and the demo are told with.
//!
//! Nothing here is a part of the relay, and little here trusts it: framing, order and hashes are checked by code of
//! our own, written from the specifications.
//!
//! - [`story`]: the frame of each story, its stage, and who runs beside whom.
//! - [`node`], [`cluster`]: origins and edges as real programs; [`process`]: any program; [`tools`]: those of others;
//!   [`strays`]: those that a start hook started.
//! - [`footage`], [`encoder`]: what is published, and by whom; [`ledger`]: the record of it.
//! - [`viewer`], [`crowd`], [`idler`]: who watches; [`checker`]: the judge in each who looks.
//! - [`link`], [`middleman`], [`wall_clock`]: what can go wrong between nodes, before one and within one; [`member`]: a node that is up
//!   to no good; [`lab`]: a line of limited rate.
//! - [`calibration`], [`memory`], [`metrics`]: figures.
//! - [`wait`], [`ports`], [`random`], [`http`], [`flv`], [`media`], [`rtmp`], [`question`]: small tools.

pub mod calibration;
pub mod checker;
pub mod cluster;
pub mod crowd;
pub mod encoder;
pub mod flv;
pub mod footage;
pub mod http;
pub mod idler;
pub mod lab;
pub mod ledger;
pub mod link;
pub mod media;
pub mod member;
pub mod memory;
pub mod metrics;
pub mod middleman;
pub mod node;
pub mod ports;
pub mod process;
pub mod question;
pub mod random;
pub mod rtmp;
pub mod story;
pub mod strays;
pub mod tools;
pub mod viewer;
pub mod wait;
pub mod wall_clock;
