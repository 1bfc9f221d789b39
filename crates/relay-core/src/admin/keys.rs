//! Publish keys, as the admin API tells of them.

use serde::{Deserialize, Serialize};

/// One publish key, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its name, for a revocation.
    pub id: String,
    /// `live`, `expired` or `revoked`.
    pub state: String,
    /// What may be published with it, such as `live/*`.
    pub stream: String,
    /// The networks from which it is good; from everywhere if empty.
    pub from: Vec<String>,
    /// When it ends, in Unix seconds, if ever.
    pub expires: Option<u64>,
    /// Where it comes from: `state` (the default key), `file` or `added`.
    pub source: String,
    /// How many publish with it now.
    pub publishing: u64,
}

/// A publish key to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// Its name; drawn if there is none.
    #[serde(default)]
    pub id: Option<String>,
    /// What may be published with it, such as `live/camera` or `live/*`.
    pub stream: String,
    /// The networks from which it is good; from everywhere if empty.
    #[serde(default)]
    pub from: Vec<String>,
    /// For how long it is good, in seconds; for ever if not given.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
}

/// A publish key that was made: the one time that its text is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeKey {
    /// Its name.
    pub id: String,
    /// Its text.
    pub key: String,
}

/// Shows no key.
impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A publish key that was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedKey {
    /// How many published with it, and were let go.
    pub publishing: u64,
}
