//! What a synthetic stream is like.

use std::time::Duration;

use relay_core::config::Bitrate;

/// What a synthetic stream is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Bits per second of tag payloads, pictures and sound together.
    pub rate: Bitrate,
    /// Pictures per second, 1 to 120.
    pub fps: u32,
    /// From keyframe to keyframe.
    pub gop: Duration,
    /// Whether there is sound.
    pub audio: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            rate: Bitrate::from_bits(1_000_000),
            fps: 25,
            gop: Duration::from_secs(2),
            audio: false,
        }
    }
}
