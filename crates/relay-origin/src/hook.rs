//! Runs the operator's program that starts an edge, and sees to it that it ends.
//!
//! It gets a clean environment, no input, a process group of its own, and a limit for its time and for what it prints. When it
//! ends, or is ended, whatever is left of its group ends with it; what is to stay needs a session of its own (`setsid`).

mod said;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

pub use said::Said;

/// Where programs are looked for: the folders of every system, and none that somebody set for the origin.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What it gets of the origin's own environment: what programs need to find their files, and where systemd puts credentials.
const INHERITED: [&str; 7] = [
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "TMPDIR",
    "CREDENTIALS_DIRECTORY",
];

/// How long it has between the signal that asks it to end and the one that ends it.
pub const GRACE: Duration = Duration::from_secs(2);

/// The most that it may print, in bytes. To read on would take a core from the viewers for no use; so it is ended.
pub const MAX_OUTPUT: u64 = 1 << 20;

/// How long its last words, and its end after the last signal, are waited for. Both are there at once, unless somebody outside
/// its group holds the pipe, or its disk hangs.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often it is looked whether it has ended. It is not waited for, since its number, and so that of its group, has to
/// stay its own until the group is gone.
const GLANCE: Duration = Duration::from_millis(50);

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// The program, and what it may take.
#[derive(Clone, Debug)]
pub struct Hook {
    program: PathBuf,
    arguments: Vec<String>,
    time_limit: Duration,
}

/// What it is told by its environment.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// `RELAY_EDGES`: edges that are there.
    pub edges: usize,
    /// `RELAY_USE_PERCENT`: how many hundredths of what they can send are given away.
    pub use_percent: u64,
    /// `RELAY_JOIN`: the new edge's join token. It is blotted out of all that the program prints.
    pub join: &'a str,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended at its time limit.
    TimedOut,
    /// It was ended since it printed more than [`MAX_OUTPUT`].
    TooLoud,
    /// It was ended since the origin ends.
    Stopped,
    /// It could not be started.
    NotStarted(io::Error),
}

impl End {
    /// The label of each outcome.
    pub const LABELS: [&str; 4] = ["ok", "failed", "timed_out", "not_started"];

    /// The outcome, as a label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Exited(status) if status.success() => "ok",
            Self::Exited(_) | Self::TooLoud | Self::Stopped => "failed",
            Self::TimedOut => "timed_out",
            Self::NotStarted(_) => "not_started",
        }
    }

    /// Whether an edge may come of it: one that was cut off may have ordered its machine.
    pub fn may_have_started(&self) -> bool {
        match self {
            Self::Exited(status) => status.success(),
            Self::TimedOut | Self::TooLoud | Self::Stopped => true,
            Self::NotStarted(_) => false,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "it ended with {status}"),
            Self::TimedOut => f.write_str("it was ended at its time limit"),
            Self::TooLoud => write!(f, "it was ended since it printed more than {MAX_OUTPUT} bytes"),
            Self::Stopped => f.write_str("it was ended with the origin"),
            Self::NotStarted(error) => write!(f, "it could not be started: {error}"),
        }
    }
}

/// What came of one run.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// What it printed.
    pub said: Said,
    /// How long it took.
    pub took: Duration,
}

impl Hook {
    /// A program, its arguments, and how long it may take.
    pub fn new(program: &Path, arguments: &[String], time_limit: Duration) -> Self {
        Self {
            program: program.to_owned(),
            arguments: arguments.to_owned(),
            time_limit,
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it once, to its end or until `stop`. It takes its time limit at most, and [`GRACE`] and a second beyond.
    pub async fn run(&self, told: &Told<'_>, stop: &CancellationToken) -> Run {
        let begun = Instant::now();
        let mut said = Said::hiding(told.join);
        let end = match self.spawn(told) {
            Ok(started) => started.end(self.time_limit, stop, &mut said).await,
            Err(error) => End::NotStarted(error),
        };
        Run {
            end,
            said,
            took: begun.elapsed(),
        }
    }

    fn spawn(&self, told: &Told<'_>) -> io::Result<Started> {
        let inherited = INHERITED.into_iter();
        let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let told = [
            ("PATH", OsString::from(PATH)),
            ("RELAY_EDGES", told.edges.to_string().into()),
            ("RELAY_USE_PERCENT", told.use_percent.to_string().into()),
            ("RELAY_JOIN", told.join.into()),
        ];
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(inherited.chain(told))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = Pipes {
            out: child.stdout.take(),
            err: child.stderr.take(),
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        // One that was just started and not waited for has a number.
        let group = group.and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        Ok(Started { child, group, pipes })
    }
}

/// The program while it runs.
struct Started {
    child: Child,
    group: Pid,
    pipes: Pipes,
}

impl Started {
    /// Follows it to its end, which comes sooner or later.
    async fn end(mut self, limit: Duration, stop: &CancellationToken, said: &mut Said) -> End {
        let cut = tokio::select! {
            () = left(self.group) => None,
            () = self.pipes.run_over(said) => Some(End::TooLoud),
            () = tokio::time::sleep(limit) => Some(End::TimedOut),
            () = stop.cancelled() => Some(End::Stopped),
        };
        if cut.is_some() {
            self.signal(Signal::TERM);
            tokio::select! {
                () = left(self.group) => {}
                // Who prints on is not read on.
                () = self.pipes.run_over(said) => {}
                () = tokio::time::sleep(GRACE) => {}
            }
        }
        // The leader has ended or is about to, and was not waited for yet: the group's number is still its own.
        self.signal(Signal::KILL);
        let last_words = tokio::time::timeout(LAST_WORDS, self.pipes.read(said)).await;
        drop(last_words);
        match (cut, tokio::time::timeout(LAST_WORDS, self.child.wait()).await) {
            (Some(cut), _) => cut,
            (None, Ok(Ok(status))) => End::Exited(status),
            (None, Ok(Err(error))) => End::NotStarted(error),
            (None, Err(_)) => End::TimedOut,
        }
    }

    /// Signals all of its group. That fails only if nobody is left.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }
}

/// Waits until a child has ended, and leaves it to be waited for.
async fn left(child: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // An error means that there is no such child any more.
    while let Ok(None) = waitid(WaitId::Pid(child), options) {
        tokio::time::sleep(GLANCE).await;
    }
}

/// What it prints to. `None` once it was closed.
struct Pipes {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
}

impl Pipes {
    /// Returns when more was read than may be printed. If both are closed before, that is never.
    async fn run_over(&mut self, said: &mut Said) {
        self.read(said).await;
        if said.bytes() <= MAX_OUTPUT {
            std::future::pending::<()>().await;
        }
    }

    /// Reads on until both are closed, or more was read than may be printed.
    async fn read(&mut self, said: &mut Said) {
        let (mut out, mut err) = ([0; CHUNK], [0; CHUNK]);
        while said.bytes() <= MAX_OUTPUT && (self.out.is_some() || self.err.is_some()) {
            tokio::select! {
                bytes = next(&mut self.out, &mut out) => said.take(bytes),
                bytes = next(&mut self.err, &mut err) => said.take(bytes),
            }
        }
    }
}

/// What comes next from a pipe. One that ends is closed, and gives nothing from then on.
async fn next<'a, R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &'a mut [u8]) -> &'a [u8] {
    let Some(open) = pipe else {
        return std::future::pending().await;
    };
    match open.read(buffer).await {
        Ok(length @ 1..) => buffer.get(..length).unwrap_or_default(),
        Ok(0) | Err(_) => {
            *pipe = None;
            &[]
        }
    }
}

#[cfg(test)]
mod tests;
