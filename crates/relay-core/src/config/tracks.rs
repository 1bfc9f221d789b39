//! `[[tracks]]`: what streams have, where what they send does not tell in time.

use serde::{Deserialize, Serialize};

use crate::stream::{Stated, StreamKey};

/// What a stream has (R37). Stated at the origin it holds on all edges; stated at an edge it holds there and below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracks {
    /// The stream.
    pub stream: StreamKey,
    /// Whether players are told that it has sound. Default: as it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<bool>,
    /// Whether players are told that it has pictures. Default: as it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<bool>,
}

impl Tracks {
    /// The same for the stream itself.
    pub const fn stated(&self) -> Stated {
        Stated {
            audio: self.audio,
            video: self.video,
        }
    }
}
