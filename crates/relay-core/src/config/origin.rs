//! The tables that the origin uses: `[origin]`, `[[push]]`. `[[source]]` stands beside this file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Bitrate, Host, HostPort, Seconds};
use crate::admission::ServePolicy;
use crate::stream::StreamKey;
use crate::stream::policy::SecondPublisher;

/// `[origin]`: the machine that encoders publish to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// What this machine can send, all together: what the provider grants, such as `100Mbit`. `check` says how many edges
    /// that carries. From 60 % of it viewers are sent to edges, from 85 % on refused. Default: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Bitrate>,
    /// What a stream is expected to need, for what `check` says of the uplink. Default `2500kbit`.
    pub stream_rate: Bitrate,
    /// The folder for what must outlive the process: the pool's CA, the publish key, tokens, epochs. Default:
    /// `STATE_DIRECTORY`, else `XDG_STATE_HOME/relay-origin`, else `~/.local/state/relay-origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// The name or address under which encoders, edges and viewers reach this machine: it goes into join tokens and into
    /// the URLs that are printed. Default: this machine's own address as it sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_host: Option<Host>,
    /// Who may publish: `key` (whoever has a publish key for the stream) or `open` (anybody who reaches the port). Default `key`.
    pub publish: PublishPolicy,
    /// When this origin serves viewers itself: `overflow` (only where no edge can), `always` (up to its share of `uplink`), or
    /// `edges-only`. Default `overflow`.
    pub serve: ServePolicy,
    /// Whether this origin watches each edge as a viewer would, through its public endpoints, and sends viewers only to those
    /// where that goes well. Default `true`. `false` where this machine cannot reach those endpoints though viewers can: then each
    /// edge that is linked is believed.
    pub probe: bool,
    /// How long a stream waits for its publisher to come back before it ends. Default `15s`. Longer keeps viewers through
    /// longer outages, and leaves them with a frozen picture for as long.
    pub grace: Seconds,
    /// What a second publisher on a name meets: `reject` (it is refused as long as the first one is there), `replace-if-idle` (it
    /// takes over once the first one is silent), `replace` (it takes over at once) or `backup` (it is held ready, and goes on
    /// air when the first one is lost). Default `replace-if-idle`.
    pub second_publisher: SecondPublisher,
    /// The same for single streams. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub second_publisher_on: BTreeMap<StreamKey, SecondPublisher>,
    /// How long a publisher must be silent before a second one on the same name takes over. Default `2s`.
    pub replace_idle: Seconds,
    /// How long one that was replaced is refused while the other one sends; each attempt begins it anew. Default `30s`.
    pub replace_hold: Seconds,
    /// How long the first publisher has to send without a pause before it goes on air again in place of its backup. Default
    /// `10s`. Each change is seen as a short jump.
    pub switch_back: Seconds,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            uplink: None,
            stream_rate: Bitrate::from_bits(2_500_000),
            state_dir: None,
            public_host: None,
            publish: PublishPolicy::Key,
            serve: ServePolicy::Overflow,
            probe: true,
            grace: Seconds::new(15),
            second_publisher: SecondPublisher::ReplaceIfIdle,
            second_publisher_on: BTreeMap::new(),
            replace_idle: Seconds::new(2),
            replace_hold: Seconds::new(30),
            switch_back: Seconds::new(10),
        }
    }
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishPolicy {
    /// Whoever has the publish key.
    Key,
    /// Anybody who reaches the port.
    Open,
}

/// `[[push]]`: an edge that the origin dials, where the edge cannot dial the origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// The edge's link port.
    pub edge: HostPort,
}
