//! The tables that an edge uses: `[edge]` and `[edge.public]`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::text::{Text, written_as_text};
use super::{Host, HostPort};

/// The longest name of an edge: it becomes a metric label and a column of a table.
const MAX_NAME_BYTES: usize = 63;

/// `[edge]`: a machine that viewers come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The name that people see. Default: the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<EdgeName>,
    /// Where viewers reach this edge, if that differs from what the origin sees.
    pub public: Public,
}

/// `[edge.public]`: where viewers reach this edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Public {
    /// The name in redirects. Default: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The public IPv4 address. Default: as the origin sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// The public IPv6 address. Default: this machine's own global one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// The public port for HTTP. Default: that of `[http] listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_port: Option<NonZeroU16>,
    /// The public port for RTMP. Default: that of `[rtmp] listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_port: Option<NonZeroU16>,
    /// The public UDP port for children. Default: that of `[link] listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_port: Option<NonZeroU16>,
}

/// An edge's name for people: letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EdgeName(String);

impl EdgeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for EdgeName {
    const EXPECTED: &'static str = "a name such as \"edge-1\"";

    fn read(text: &str) -> Result<Self, String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(good) {
            return Err(format!(
                "an edge's name is made of letters, digits and . _ - only, {MAX_NAME_BYTES} of them at most"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(EdgeName);
