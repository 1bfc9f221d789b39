//! The table that an edge uses: `[edge]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Bitrate, HostPort, Seconds};
use crate::pool::Endpoint;

/// `[edge]`: a machine that viewers come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// The file that holds the join token. Default: the systemd credential `relay-join` if there is one. `RELAY_JOIN` (the
    /// token itself) and `RELAY_JOIN_FILE` override it. A token is no setting: it has no key of its own here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_file: Option<PathBuf>,
    /// The link port of the node that media comes from. Default: the origin. `RELAY_PARENT` overrides it. Joins, renewals
    /// and reports go to the origin in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<HostPort>,
    /// Where viewers reach this edge, as `http://host:port` and `rtmp://host:port`, one for each kind of viewer and address
    /// family. Default: its ports at the address that the origin sees it at, and at its own global IPv6 address if it has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<Endpoint>,
    /// What this edge may send to viewers, all together, such as `4Gbit`. Default: worked out from the CPU, the network card
    /// and the kernel's TCP memory, and overruled by this where it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Bitrate>,
    /// Over how long viewers are let go when this edge is asked to end, each at a keyframe, while new ones are sent elsewhere.
    /// Default `60s`; `0s` ends them at once. `RELAY_DRAIN` overrides it.
    pub drain: Seconds,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            join_file: None,
            parent: None,
            public: Vec::new(),
            capacity: None,
            drain: Seconds::new(60),
        }
    }
}
