//! A server under test, with its publisher: started for one measurement, gone after it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use relay_tests::cluster::{Node, Origin, Ports};
use relay_tests::ports::free_port;
use relay_tests::process::{Process, command_after};

use crate::lab::Lab;
use crate::peer;
use crate::sample::{Contender, Setting};

/// The stream, or with several of them the beginning of their names.
const STREAM: &str = "live/bench";

/// What a publisher has to come up to speed at a server that does not say when a stream is there.
const FIRST_PICTURES: Duration = Duration::from_secs(2);

/// A server that serves a stream. Both processes end when it is dropped.
pub(crate) struct Server {
    /// Where viewers go; `{n}` in it stands for the number of the stream where there are several.
    pub(crate) url: String,
    /// The process that serves.
    pub(crate) pid: u32,
    // Dropped in this order: the publisher must not complain of a server that went.
    _publisher: Option<Process>,
    kind: Kind,
}

enum Kind {
    Relay(Box<Origin>),
    Other { _process: Process },
}

/// The bench's own tables of a node: the one place where a fixed period becomes configuration.
pub(crate) fn fanout_table(period_ms: Option<u32>) -> String {
    let period = period_ms.map_or_else(String::new, |ms| {
        format!("period_min = \"{ms}ms\"\nperiod_max = \"{ms}ms\"\n")
    });
    format!("[fanout]\nshards = 1\n{period}")
}

impl Server {
    /// Starts a server and its publisher, and waits until the stream can be watched.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) async fn start(lab: &Lab, contender: Contender, setting: &Setting) -> Result<Self> {
        match contender {
            Contender::Relay | Contender::RelayRtmp => {
                let is_rtmp = contender == Contender::RelayRtmp;
                Self::start_relay(lab, is_rtmp, setting).await
            }
            Contender::Floor => Self::start_floor(lab, setting).await,
            Contender::Nginx | Contender::NodeMediaServer | Contender::Xiu => {
                Self::start_peer(lab, contender, setting).await
            }
        }
    }

    async fn start_relay(lab: &Lab, is_rtmp: bool, setting: &Setting) -> Result<Self> {
        let origin = start_origin(lab, lab.on_server_core(), &fanout_table(setting.period_ms)).await?;
        let streams = Streams::of(setting);
        let publisher = streams.publish(lab, &origin)?;
        origin.shows(&streams.last()).await?;
        Ok(Self {
            url: streams.url(&origin, is_rtmp),
            pid: origin.pid()?,
            _publisher: Some(publisher),
            kind: Kind::Relay(Box::new(origin)),
        })
    }

    async fn start_floor(lab: &Lab, setting: &Setting) -> Result<Self> {
        let port = free_port();
        let period = setting.period_ms.context("the floor has a fixed period")?;
        let mut command = command_after(&lab.on_server_core(), &lab.programs.join("relay-load"));
        command.args(["floor", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--rate", &format!("{}Mbit", setting.mbit)]);
        command.args(["--period", &format!("{period}ms")]);
        let process = Process::spawn(&lab.stage, "relay-load floor", &mut command)?;
        process.line_with("listening on").await?;
        Ok(Self {
            url: format!("http://127.0.0.1:{port}/{STREAM}.flv"),
            pid: process.pid(),
            _publisher: None,
            kind: Kind::Other { _process: process },
        })
    }

    async fn start_peer(lab: &Lab, contender: Contender, setting: &Setting) -> Result<Self> {
        let running = peer::start(lab, contender).await?;
        let publish = format!("rtmp://127.0.0.1:{}/{STREAM}", running.rtmp);
        let publisher = publish_to(lab, &publish, setting)?;
        tokio::time::sleep(FIRST_PICTURES).await;
        let url = match running.http {
            Some(port) => format!("http://127.0.0.1:{port}/{STREAM}.flv"),
            None => publish,
        };
        Ok(Self {
            url,
            pid: running.process.pid(),
            _publisher: Some(publisher),
            kind: Kind::Other {
                _process: running.process,
            },
        })
    }

    /// The node that serves, where it is one of ours.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn node(&self) -> Result<&Node> {
        match &self.kind {
            Kind::Relay(origin) => Ok(origin),
            Kind::Other { .. } => anyhow::bail!("a server of others has no metrics page"),
        }
    }
}

/// An origin that lets anyone publish, started by way of other words.
///
/// # Errors
/// When it does not start.
pub(crate) async fn start_origin(lab: &Lab, launcher: Vec<String>, tables: &str) -> Result<Origin> {
    let mut origin = Origin::prepare(&lab.stage, "origin", Ports::free())?;
    // Still in the table `[origin]`, with which an origin's configuration ends.
    // The bench looks at what happens beyond the point where an origin would refuse.
    origin.configure(&format!("publish = \"open\"\nuplink = \"1000Gbit\"\n\n{tables}"));
    origin.launched_by(launcher);
    origin.start().await?;
    Ok(origin)
}

/// The streams of a setting.
pub(crate) struct Streams<'a> {
    setting: &'a Setting,
}

impl<'a> Streams<'a> {
    pub(crate) const fn of(setting: &'a Setting) -> Self {
        Self { setting }
    }

    /// Their common name, with `{n}` where there are several.
    fn name(&self) -> String {
        if self.setting.streams > 1 {
            return format!("{STREAM}-{{n}}");
        }
        STREAM.to_owned()
    }

    /// The name of the one that is published last.
    pub(crate) fn last(&self) -> String {
        let last = self.setting.streams.saturating_sub(1);
        self.name().replace("{n}", &last.to_string())
    }

    /// Where they are watched.
    pub(crate) fn url(&self, node: &Node, is_rtmp: bool) -> String {
        if is_rtmp {
            return node.rtmp(&self.name());
        }
        node.flv(&self.name())
    }

    /// Publishes them to an origin.
    ///
    /// # Errors
    /// When the publisher cannot be started.
    pub(crate) fn publish(&self, lab: &Lab, origin: &Origin) -> Result<Process> {
        publish_to(lab, &origin.rtmp(&self.name()), self.setting)
    }
}

fn publish_to(lab: &Lab, url: &str, setting: &Setting) -> Result<Process> {
    let mut command = command_after(&lab.on_load_core(), &lab.programs.join("relay-load"));
    command.args(["publish", url, "--rate", &format!("{}Mbit", setting.mbit)]);
    if setting.streams > 1 {
        command.args(["--streams", &setting.streams.to_string()]);
    }
    Process::spawn(&lab.stage, "relay-load publish", &mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_streams_are_numbered() {
        let one = Setting::of(10);
        assert_eq!(Streams::of(&one).last(), "live/bench");
        let many = Setting { streams: 200, ..one };
        assert_eq!(Streams::of(&many).name(), "live/bench-{n}");
        assert_eq!(Streams::of(&many).last(), "live/bench-199");
    }

    #[test]
    fn a_fixed_period_stands_in_the_configuration() {
        assert!(fanout_table(Some(50)).contains("50ms"));
        assert!(!fanout_table(None).contains("period"));
    }
}
