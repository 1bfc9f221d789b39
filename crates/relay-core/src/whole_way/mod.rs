//! The whole way, from an encoder's bytes to those of the players, in memory, with time as an argument: RTMP in, the timeline,
//! the origin's log, a link's bytes, an edge's log, and what players read out of the very bytes that viewers get.
//!
//! - `relay`: an encoder, an origin and an edge.
//! - `players`: viewers by HTTP-FLV and by RTMP that check each tag they get.
//! - `sixty_days`: a broadcast that outlasts every counter.
//! - `codecs_and_time`: what encoders do with headers, times and keyframes (R38 to R44).

mod codecs_and_time;
mod players;
mod relay;
mod sixty_days;

/// The noon of some day.
const START: crate::clock::Now = crate::clock::Now {
    mono_ms: 1_000_000,
    unix_us: 1_700_000_000_000_000,
};
