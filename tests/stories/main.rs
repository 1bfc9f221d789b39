//! What the relay promises, one story per file, told with the real programs. All in one test program, since linking is
//! what costs time.
//!
//! A story waits for events, never for time to pass; where it judges a time, a sleeper beside it says whether the
//! machine itself was on time.

#![cfg(test)]

mod bad_input;
mod bad_peers;
mod behaviours;
mod browser;
mod budget;
mod byte_exactness;
mod capacity;
mod console;
mod demo;
mod dependencies;
mod descriptors;
mod dns;
mod drain;
mod edge_cut_off;
mod encoder_faults;
mod encoder_leaves;
mod ffmpeg_publishes_everyone_watches;
mod first_start;
mod fuzz;
mod half_open;
mod hot_standby;
mod http_answers;
mod instructions;
mod join_flood;
mod latency;
mod machine_setup;
mod memory;
mod metrics;
mod origin_dies;
mod pool;
mod pool_grows;
mod probe;
mod publish_hooks;
mod publish_keys;
mod publisher_flaps;
mod publisher_returns;
mod publisher_unreachable;
mod pull;
mod push;
mod rogue_children;
mod rtmps;
mod scale_out;
mod sinks;
mod stalled_viewer;
mod starter;
mod steady_arrival;
mod systemd;
mod two_encoders;
mod uplink;
