//! What the relay promises, one story per file, told with the real programs. All in one test program, since linking is
//! what costs time.
//!
//! A story waits for events, never for time to pass; where it judges a time, a sleeper beside it says whether the
//! machine itself was on time.

#![cfg(test)]

mod bad_input;
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
mod ffmpeg_publishes_everyone_watches;
mod first_start;
mod fuzz;
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
mod publisher_returns;
mod push;
mod rogue_children;
mod scale_out;
mod sinks;
mod stalled_viewer;
