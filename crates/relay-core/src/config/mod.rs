//! The configuration: one file format for both programs.
//!
//! Each program reads all of the file and uses its own tables, so that one file can serve a whole pool and a mistake is
//! found on whichever machine reads it first. A [`Config`] is valid if it exists: values are types that check
//! themselves, and what concerns several of them is checked before one is handed out. Whatever is wrong is reported
//! with file, line and caret ([`ConfigError`]).

mod address;
mod amount;
mod check;
mod dns;
mod edge;
mod environment;
mod fault;
mod origin;
mod scale_out;
mod secret;
mod shared;
mod text;
mod tracks;

use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use address::{Host, HostPort, Listen};
pub use amount::{Bitrate, ByteSize, Seconds};
pub use dns::{Dns, DomainName, Nameserver};
pub use edge::Edge;
pub use environment::{DRAIN, Environment, JOIN, JOIN_FILE, LOG, METRICS_LISTEN, METRICS_TOKEN, PARENT};
pub use fault::{ConfigError, LineFault};
pub use origin::{Origin, PublishPolicy, Push, Source};
pub use scale_out::ScaleOut;
pub use secret::{MIN_SECRET_CHARS, Secret};
pub use shared::{
    Admin, Fanout, HeaderText, Http, Link, LinkCongestion, Log, LogFormat, LogLevel, Metrics, Rtmp,
    TcpCongestion, Viewers,
};
pub use tracks::Tracks;

use crate::limits::{CONFIG_BYTES, Limits};
use check::Fault;

/// Which of the two programs asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `relay-origin`.
    Origin,
    /// `relay-edge`.
    Edge,
}

impl Program {
    /// The program's name, also that of its folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Origin => "relay-origin",
            Self::Edge => "relay-edge",
        }
    }
}

impl AsRef<str> for Program {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

/// A whole, valid configuration. The default runs either program with no file at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[http]`.
    pub http: Http,
    /// `[rtmp]`.
    pub rtmp: Rtmp,
    /// `[link]`.
    pub link: Link,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[admin]`.
    pub admin: Admin,
    /// `[log]`.
    pub log: Log,
    /// `[fanout]`.
    pub fanout: Fanout,
    /// `[viewers]`.
    pub viewers: Viewers,
    /// `[dns]`.
    pub dns: Dns,
    /// `[limits]`.
    pub limits: Limits,
    /// `[[tracks]]`.
    pub tracks: Vec<Tracks>,
    /// `[origin]`, which an edge does not use.
    pub origin: Origin,
    /// `[[source]]`, which an edge does not use.
    pub source: Vec<Source>,
    /// `[[push]]`, which an edge does not use.
    pub push: Vec<Push>,
    /// `[scale_out]`, which an edge does not use.
    pub scale_out: ScaleOut,
    /// `[edge]`, which the origin does not use.
    pub edge: Edge,
}

impl Config {
    /// Reads a file, or none, and puts in what the environment overrides.
    ///
    /// Relative paths in the file count from the file's own folder.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut config = match path {
            Some(path) => {
                let text = read_bounded(path)?;
                let mut config = Self::parse(path, &text)?;
                config.resolve_paths(path.parent().unwrap_or_else(|| Path::new("")));
                config.read_tokens().map_err(|fault| fault.at(path, &text))?;
                config
            }
            None => Self::default(),
        };
        config.apply(environment)?;
        Ok(config)
    }

    /// Reads the text of a file called `path`; reads nothing from the disk.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let fault = LineFault::new(path, text, error.span(), error.message().trim());
            ConfigError::Line(Box::new(fault))
        })?;
        check::check(&config).map_err(|fault| fault.at(path, text))?;
        Ok(config)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let optional = [
            &mut self.metrics.token_file,
            &mut self.admin.socket,
            &mut self.origin.state_dir,
            &mut self.edge.join_file,
        ];
        let paths = optional.into_iter().flatten();
        for path in paths.chain(self.source.iter_mut().map(|source| &mut source.file)) {
            *path = folder.join(&*path);
        }
    }

    /// Puts the contents of the token file where the token is.
    fn read_tokens(&mut self) -> Result<(), Fault> {
        let Some(file) = &self.metrics.token_file else {
            return Ok(());
        };
        let token = environment::read_short(file).and_then(|text| Secret::new(&text));
        let fault = |reason| Fault::new("metrics.token_file", format!("{}: {reason}", file.display()));
        self.metrics.token = Some(token.map_err(fault)?);
        Ok(())
    }
}

impl Metrics {
    /// Whether others can reach the listener and nothing would stop them.
    const fn is_exposed(&self) -> bool {
        !self.listen.is_loopback() && self.token.is_none() && self.token_file.is_none()
    }
}

impl Fault {
    fn at(&self, path: &Path, text: &str) -> ConfigError {
        let span = check::locate(text, &self.path);
        ConfigError::Line(Box::new(LineFault::new(path, text, span, &self.message)))
    }
}

fn read_bounded(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > CONFIG_BYTES {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            limit: CONFIG_BYTES,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
