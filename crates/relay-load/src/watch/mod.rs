//! `relay-load watch`: an audience of thousands in one thread, and a report of how well it was served.
//!
//! - `plan`: the command line, made into who comes when, whereto, and how it behaves.
//! - `audience`: the thread that connects, reads and counts: `desk` for who comes and goes, `ear` for what is read, `due` for
//!   what is done by its `clock`; `sys`: its system calls.
//! - `viewer`: one viewer: `answer` and `body` for HTTP, `walker` for FLV, `play` for RTMP.
//! - `media`: what a viewer got, by `track` frame by frame, against the `supply` of the source.
//! - `tally`, `seconds`: what all of them got; `verdict`: whether that is as it should be; `words`: in words.
//!
//! All viewers share one histogram and one buffer. A frame costs no memory; a viewer costs some hundred bytes and what the
//! kernel keeps for its socket.

mod answer;
mod audience;
mod body;
mod fate;
mod media;
mod place;
mod plan;
mod play;
mod progress;
mod seconds;
mod sources;
mod supply;
mod sys;
mod tally;
#[cfg(test)]
mod tests;
mod track;
mod verdict;
mod viewer;
mod walker;
mod window;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use argh::FromArgs;
use hdrhistogram::CreationError;
use relay_core::config::{Bitrate, Seconds};
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;
use thiserror::Error;

use crate::machine::{NoProcess, Observer};
use crate::plot;
use crate::report::Report;
use audience::Audience;
pub use place::PlaceError;
use place::Places;
use plan::Plan;
use progress::Progress;
pub use sources::Sources;

/// A second in microseconds, in which time is counted here.
const SECOND_US: u64 = 1_000_000;

/// Descriptors kept from viewers: standard streams, epoll, files of `/proc`, the report.
const RESERVED_FILES: u64 = 64;

/// watch a stream with many viewers at once, and say how well they were served
#[derive(Clone, Debug, FromArgs)]
#[argh(subcommand, name = "watch")]
pub struct Verb {
    /// what to watch: http://host/app/name.flv or rtmp://host/app/name; {n} in it is the stream's number
    #[argh(positional)]
    pub url: String,
    /// how many viewers (default 100)
    #[argh(option, default = "100")]
    pub viewers: u32,
    /// how many of them begin per second, such as 500/s (default 500/s)
    #[argh(option, default = "500", from_str_fn(per_second))]
    pub ramp: u32,
    /// how long to measure (default 30s)
    #[argh(option, long = "for", default = "Seconds::new(30)")]
    pub length: Seconds,
    /// how long to wait between the last viewer's beginning and the measurement (default 5s)
    #[argh(option, default = "Seconds::new(5)")]
    pub settle: Seconds,
    /// how many viewers look at each frame whole, checksum and all (default 16)
    #[argh(option, default = "16")]
    pub verify: u32,
    /// the stream's expected rate, such as 1Mbit (default: what the viewers find)
    #[argh(option)]
    pub rate: Option<Bitrate>,
    /// how old a frame may be when it arrives and be on time (default 500ms)
    #[argh(option, default = "Seconds::from_millis(500)")]
    pub on_time: Seconds,
    /// addresses to connect from (default 127.1.0.0/16 towards 127.0.0.0/8, else the system's choice)
    #[argh(option)]
    pub sources: Option<Sources>,
    /// how many streams the viewers are spread over: {n} in the URL becomes 0, 1, … (default 1)
    #[argh(option, default = "1")]
    pub streams: u16,
    /// how many of the viewers never read
    #[argh(option, default = "0")]
    pub stall: u32,
    /// how many of the viewers read at --slow-rate only
    #[argh(option, default = "0")]
    pub slow: u32,
    /// how fast a slow viewer reads (default 500kbit)
    #[argh(option, default = "Bitrate::from_bits(500_000)")]
    pub slow_rate: Bitrate,
    /// processes whose CPU and memory to report, such as 12,34
    #[argh(option, default = "Pids::default()")]
    pub pid: Pids,
    /// write the report to this file, as JSON
    #[argh(option)]
    pub json: Option<PathBuf>,
    /// draw lateness and viewers over time into this file, as SVG
    #[argh(option)]
    pub svg: Option<PathBuf>,
    /// show no progress
    #[argh(switch)]
    pub quiet: bool,
}

/// Numbers of processes, separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pids(pub Vec<u32>);

impl std::str::FromStr for Pids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pids = text.split(',').map(|pid| pid.trim().parse());
        let pids: Result<_, _> = pids.collect();
        pids.map(Self)
            .map_err(|_| format!("\"{text}\" is no list of process numbers such as 12,34"))
    }
}

/// How a viewer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It reads what comes.
    Watching,
    /// It reads at a rate of its own.
    Slow,
    /// It asks, and never reads.
    Stalled,
}

/// Why there was no watch, or no report of it.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// More viewers than descriptors.
    #[error(
        "{viewers} viewers need {needed} open files, and this process may have {limit}: raise the hard limit (ulimit -Hn) \
         or ask for at most {most} viewers"
    )]
    OpenFiles {
        /// Viewers asked for.
        viewers: u32,
        /// Descriptors that takes.
        needed: u64,
        /// Descriptors there may be.
        limit: u64,
        /// Viewers that fit.
        most: u64,
    },
    /// The URL leads nowhere.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A process that was asked for is not there.
    #[error(transparent)]
    Process(#[from] NoProcess),
    /// The system refused what the watch stands on.
    #[error("the system refuses to watch sockets: {0}")]
    System(io::Error),
    /// A histogram's bounds are wrong, which they are not.
    #[error("cannot make a histogram: {0:?}")]
    Histogram(CreationError),
    /// The report could not be written.
    #[error("cannot write {}: {why}", path.display())]
    Output {
        /// Where to.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
}

impl From<CreationError> for WatchError {
    fn from(error: CreationError) -> Self {
        Self::Histogram(error)
    }
}

impl WatchError {
    /// The code to exit with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::OpenFiles { .. } | Self::Process(_) => Exit::Usage,
            Self::Place(PlaceError::Lookup { .. } | PlaceError::TooMany) => Exit::Unavailable,
            Self::Place(PlaceError::Url(_) | PlaceError::Tls(_)) => Exit::Usage,
            Self::System(_) => Exit::OsError,
            Self::Histogram(_) => Exit::Software,
            Self::Output { .. } => Exit::CannotCreate,
        }
    }
}

/// Watches, until the plan is through or `stop` says so, writes the files that were asked for, and gives the report.
/// [`Report::complaints`] is the verdict; [`in_words`] has it for people.
///
/// # Errors
/// [`WatchError`].
pub fn run(verb: &Verb, stop: &dyn Fn() -> bool) -> Result<Report, WatchError> {
    let mut places = Places::default();
    fits(verb.viewers, OpenFiles::raise())?;
    let plan = Plan::new(verb, &mut places)?;
    let observer = Observer::new(&verb.pid.0)?;
    let audience = Audience::new(plan, places, observer, Progress::new(verb.quiet))?;
    let report = verdict::report(verb, &audience.run(stop)?);
    if let Some(path) = &verb.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| failed(path, &error))?;
        std::fs::write(path, json + "\n").map_err(|error| failed(path, &error))?;
    }
    if let Some(path) = &verb.svg {
        plot::timeline(path, &report).map_err(|error| failed(path, &error))?;
    }
    Ok(report)
}

/// A report for people: some lines of text.
pub fn in_words(report: &Report) -> String {
    words::text(report)
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> WatchError {
    WatchError::Output {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// Whether there are descriptors for so many viewers. No one is tried beyond.
fn fits(viewers: u32, files: OpenFiles) -> Result<(), WatchError> {
    let limit = files.soft.unwrap_or(u64::MAX);
    let needed = u64::from(viewers) + RESERVED_FILES;
    if needed <= limit {
        return Ok(());
    }
    Err(WatchError::OpenFiles {
        viewers,
        needed,
        limit,
        most: limit.saturating_sub(RESERVED_FILES),
    })
}

/// Reads `500/s`, or `500`.
fn per_second(text: &str) -> Result<u32, String> {
    match text.strip_suffix("/s").unwrap_or(text).parse() {
        Ok(rate @ 1..) => Ok(rate),
        _ => Err(format!(
            "\"{text}\" is no number of viewers per second such as 500/s"
        )),
    }
}
