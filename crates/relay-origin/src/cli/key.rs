//! `relay-origin key`.

use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;
use relay_core::config::{KeyId, Network, StreamPattern};

/// make, list or revoke the keys that encoders publish with
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "key")]
pub struct Key {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// what to do
    #[argh(subcommand)]
    pub verb: KeyVerb,
}

/// What to do with publish keys.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum KeyVerb {
    /// Add.
    Add(KeyAdd),
    /// List.
    List(KeyList),
    /// Revoke.
    Revoke(KeyRevoke),
}

/// make a publish key and print the URL to publish with; for several streams, the key alone
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "add")]
pub struct KeyAdd {
    /// what may be published with it: live/camera, all that begin alike as live/*, or *
    #[argh(positional)]
    pub stream: StreamPattern,
    /// its name, such as hall-2 (default: a drawn one)
    #[argh(option)]
    pub id: Option<KeyId>,
    /// for how long one may begin to publish with it, such as 24h or 30days (default: for ever)
    #[argh(option, from_str_fn(super::duration))]
    pub ttl: Option<Duration>,
    /// a network from which it is good, such as 192.0.2.0/24; may be given again (default: from everywhere)
    #[argh(option)]
    pub from: Vec<Network>,
    /// print the URL of the port that takes TLS
    #[argh(switch)]
    pub rtmps: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// list the publish keys, without their texts
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "list")]
pub struct KeyList {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}

/// revoke a publish key: whoever publishes with it is let go at once
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "revoke")]
pub struct KeyRevoke {
    /// the key's name, as `key list` shows it
    #[argh(positional)]
    pub id: KeyId,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}
