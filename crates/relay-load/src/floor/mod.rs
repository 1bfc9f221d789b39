//! The floor: the least that serving a stream can cost on a machine, to measure servers by.
//!
//! One thread makes the stream and, once per period, calls `send` once for each socket with all that is new since that
//! socket's last one. The bytes are made once per tag, in HTTP/1.1 chunks, and sent from where they lie. There is nothing
//! else: no skips, no queues, no epoll, no metrics. A real server has all those to do besides; the question is how near it
//! comes. Accepting and reading of requests are another thread's, which sleeps once all viewers are there.
//!
//! A picture's mark says when it was *due*: a loop that is too slow for its viewers shows as lateness, and cannot hide by
//! making its pictures late too.

mod door;
mod history;
mod rounds;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use argh::FromArgs;
use relay_core::command_line::say;
use relay_core::config::{Bitrate, Seconds};
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;
use relay_core::signals::stop_on_signal;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::NAME;
use crate::profile::{Plan, Profile, ProfileError};
use door::Door;
use history::History;
use rounds::Rounds;

/// The most viewers: twice what one core has served, and 320 KB to go through in a period.
pub const MAX_VIEWERS: u64 = 20_000;

/// The most streams.
pub const MAX_STREAMS: usize = 1000;

/// How long a round over all viewers may be: its tenth must be long enough to sleep, and a viewer must not starve.
const PERIODS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);

/// What all streams may keep together.
const MAX_KEPT_BYTES: usize = 1 << 30;

/// Viewers on their way from the door to the rounds: more than two slots take.
const MAX_JOINERS: usize = 256;

/// serve a synthetic stream by the bare send loop that servers are measured against
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "floor",
    example = "{command_name} --listen 127.0.0.1:9100 --rate 1Mbit",
    note = "Any GET is answered with HTTP-FLV, by one thread that calls send() once per socket and period and does nothing else.",
    note = "With --streams a viewer gets the stream whose number its path ends with, as in /live/cam7.flv.",
    note = "When it listens it says so on standard output; it ends on Ctrl-C or SIGTERM.",
    error_code(64, "The command line is wrong."),
    error_code(69, "The address cannot be had."),
    error_code(71, "The system refused something.")
)]
pub struct Verb {
    /// address and port to listen on
    #[argh(option)]
    pub listen: SocketAddr,
    /// bits per second of each stream, sound included (default 1Mbit)
    #[argh(option, default = "Profile::default().rate")]
    pub rate: Bitrate,
    /// pictures per second (default 25)
    #[argh(option, default = "Profile::default().fps")]
    pub fps: u32,
    /// time from keyframe to keyframe (default 2s)
    #[argh(option, default = "Seconds::new(2)")]
    pub gop: Seconds,
    /// with sound: silence in AAC
    #[argh(switch)]
    pub audio: bool,
    /// time between two sends to the same socket (default 50ms)
    #[argh(option, default = "Seconds::from_millis(50)")]
    pub period: Seconds,
    /// congestion control of the viewers' sockets (default cubic)
    #[argh(option, default = "\"cubic\".to_owned()")]
    pub congestion: String,
    /// number of different streams (default 1)
    #[argh(option, default = "1")]
    pub streams: usize,
}

/// Why there is no floor, or no more.
#[derive(Debug, Error)]
pub enum FloorError {
    /// The stream cannot be had.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The period is too short or too long.
    #[error("--period is {} ms to {} s", PERIODS.start().as_millis(), PERIODS.end().as_secs())]
    Period,
    /// No stream, or too many.
    #[error("--streams is 1 to {MAX_STREAMS}")]
    Streams,
    /// Ten seconds of all streams are more than the memory that is meant for them.
    #[error("these streams would keep {} MB in memory, and {} are the limit", .0 >> 20, MAX_KEPT_BYTES >> 20)]
    Memory(usize),
    /// The kernel does not have it, or this user may not use it.
    #[error(
        "cannot use the congestion control {name} ({error}); the kernel lists those that can be used in \
         /proc/sys/net/ipv4/tcp_allowed_congestion_control"
    )]
    Congestion {
        /// What was asked for.
        name: String,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The process cannot have what it needs to run.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The sending thread failed, which is a mistake of ours.
    #[error("the sending thread ended by itself")]
    Thread,
}

impl FloorError {
    /// The code to exit with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Profile(_) | Self::Period | Self::Streams | Self::Memory(_) => Exit::Usage,
            Self::Congestion { .. } | Self::Start(_) => Exit::OsError,
            Self::Listen { .. } => Exit::Unavailable,
            Self::Thread => Exit::Software,
        }
    }
}

/// Serves until a signal comes.
///
/// # Errors
/// [`FloorError`].
pub fn run(verb: &Verb) -> Result<Exit, FloorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(FloorError::Start)?;
    runtime.block_on(async {
        let stop = stop_on_signal().map_err(FloorError::Start)?;
        let floor = Floor::bind(verb)?;
        let said = say(NAME, format_args!("listening on {}", floor.address()));
        if said != Exit::Ok {
            return Ok(said);
        }
        floor.run(stop).await?;
        Ok(Exit::Ok)
    })
}

/// A floor that listens.
pub struct Floor {
    address: SocketAddr,
    listener: TcpListener,
    rounds: Rounds,
    door: Door,
}

impl Floor {
    /// Checks what was asked for and listens. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`FloorError`].
    pub fn bind(verb: &Verb) -> Result<Self, FloorError> {
        let plan = Plan::new(Profile {
            rate: verb.rate,
            fps: verb.fps,
            gop: verb.gop.get(),
            audio: verb.audio,
        })?;
        let period = verb.period.get();
        if !PERIODS.contains(&period) {
            return Err(FloorError::Period);
        }
        if !(1..=MAX_STREAMS).contains(&verb.streams) {
            return Err(FloorError::Streams);
        }
        let kept = History::capacity(&plan).saturating_mul(verb.streams);
        if kept > MAX_KEPT_BYTES {
            return Err(FloorError::Memory(kept));
        }
        let files = OpenFiles::raise();
        let (address, listener) = door::listen(verb.listen, &verb.congestion)?;
        let watching = Arc::new(AtomicUsize::new(0));
        let (joins, joiners) = mpsc::channel(MAX_JOINERS);
        Ok(Self {
            address,
            listener,
            rounds: Rounds::new(plan, verb.streams, period, joiners, Arc::clone(&watching)),
            // A usize holds 20,000.
            door: Door::new(
                verb.streams,
                files.viewers().min(MAX_VIEWERS) as usize,
                joins,
                watching,
            ),
        })
    }

    /// Where it listens: the port that the kernel chose, if 0 was asked.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// [`FloorError::Thread`].
    pub async fn run(self, stop: CancellationToken) -> Result<(), FloorError> {
        let (rounds, stopped) = (self.rounds, stop.clone());
        // Not to be left running by whoever drops this future.
        let _guard = stop.clone().drop_guard();
        let mut sending = tokio::task::spawn_blocking(move || rounds.run(&stopped));
        tokio::select! {
            // The door never closes by itself.
            () = self.door.serve(self.listener) => {}
            () = stop.cancelled() => {}
            _ = &mut sending => return if stop.is_cancelled() { Ok(()) } else { Err(FloorError::Thread) },
        }
        sending.await.map_err(|_| FloorError::Thread)
    }
}

#[cfg(test)]
mod tests;
