//! The command line: verbs, `--config`, and the join token for those who have nowhere else to put it.

use std::path::PathBuf;

use argh::FromArgs;

/// Joins a pool by its token, takes its streams, serves viewers.
///
/// It needs a join token and nothing else: in RELAY_JOIN, in a file that RELAY_JOIN_FILE or join_file under edge names, as the
/// systemd credential relay-join, or by --join. `relay-origin token create` makes one.
#[derive(Debug, FromArgs)]
pub struct Cli {
    /// print the version and exit
    #[argh(switch)]
    pub version: bool,
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// the join token; others on this machine can see it here, so prefer RELAY_JOIN
    #[argh(option)]
    pub join: Option<String>,
    /// what to do
    #[argh(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
pub enum Verb {
    /// Run.
    Run(Run),
    /// Check.
    Check(Check),
}

/// run the edge (this is what happens without a verb)
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
    /// the join token; others on this machine can see it here, so prefer RELAY_JOIN
    #[argh(option)]
    pub join: Option<String>,
}

/// check the configuration and this machine, and say what it all means
#[derive(Debug, FromArgs)]
#[argh(subcommand, name = "check")]
pub struct Check {
    /// configuration file
    #[argh(option)]
    pub config: Option<PathBuf>,
}
