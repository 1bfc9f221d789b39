//! A program that a story runs: its output is kept, and it never outlives the story.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::story::{Stage, lock};
use crate::wait::{until, within};

/// How long a program may take to end once it was told to, before it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// Everything that one program printed, standard output and standard error together.
pub struct Log {
    name: String,
    ours: bool,
    lines: Mutex<Vec<String>>,
    state: watch::Sender<LogState>,
}

/// How far a log is.
#[derive(Clone, Copy, Debug, Default)]
struct LogState {
    lines: usize,
    /// Outputs of the program that are still read.
    open: usize,
}

impl Log {
    fn new(name: &str, ours: bool) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            ours,
            lines: Mutex::default(),
            state: watch::Sender::default(),
        })
    }

    /// The program's name in the story.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a log of the relay's own programs, which print no secret. ffmpeg shows the URL it was given, and the
    /// demo shows a person where to publish.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// A copy of all lines so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// How many lines there are so far.
    pub fn len(&self) -> usize {
        lock(&self.lines).len()
    }

    /// Whether nothing was printed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All in one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    fn push(&self, line: String) {
        let mut lines = lock(&self.lines);
        lines.push(line);
        self.state.send_modify(|state| state.lines = lines.len());
    }

    fn read_from(self: &Arc<Self>, source: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        log.state.send_modify(|state| state.open += 1);
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
                log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            log.state.send_modify(|state| state.open -= 1);
        });
    }
}

fn is_ours(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.starts_with("relay-"))
}

/// Whether a process, by its folder in `/proc`, is there, and is no mere remnant.
pub fn is_alive(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A running program.
pub struct Process {
    child: Child,
    log: Arc<Log>,
}

impl Process {
    /// Starts a program, its output watched by the stage.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(stage: &Stage, name: &str, command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = command.get_program().to_owned();
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", program.to_string_lossy()))?;
        let log = Log::new(name, is_ours(&program));
        stage.watch_output(Arc::clone(&log));
        log.read_from(child.stdout.take().context("standard output is piped")?);
        log.read_from(child.stderr.take().context("standard error is piped")?);
        Ok(Self { child, log })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Waits for a line that contains `text`, from the first line on, and gives it back.
    ///
    /// # Errors
    /// When it does not come within the limit.
    pub async fn line_with(&self, text: &str) -> Result<String> {
        let mut state = self.log.state.subscribe();
        let mut seen = 0;
        within(format_args!("{} to print {text:?}", self.log.name), async {
            loop {
                state.borrow_and_update();
                let found = {
                    let lines = lock(&self.log.lines);
                    let found = lines[seen..].iter().find(|line| line.contains(text)).cloned();
                    seen = lines.len();
                    found
                };
                if let Some(line) = found {
                    return line;
                }
                // The sender lives in the log that `self` holds, so this cannot fail.
                let _ = state.changed().await;
            }
        })
        .await
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end, and for the last that it printed.
    ///
    /// # Errors
    /// When it does not end within the limit.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let name = self.log.name.clone();
        let status = until(format!("{name} to end"), async || {
            self.child.try_wait().transpose()
        });
        let status = status.await?.with_context(|| format!("waiting for {name}"))?;
        let mut state = self.log.state.subscribe();
        let read = state.wait_for(|state| state.open == 0);
        within(format!("the output of {name} to end"), read).await??;
        Ok(status)
    }

    /// Waits for its end, which must be a success.
    ///
    /// # Errors
    /// When it failed or does not end within the limit.
    pub async fn succeeded(&mut self) -> Result<()> {
        let status = self.ended().await?;
        if !status.success() {
            bail!("{} ended with {status}:\n{}", self.log.name, self.log.text());
        }
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process number is positive")?, signal)
            .with_context(|| format!("signalling {}", self.log.name))
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if it is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and kills it if it does not soon.
    pub fn stop(&mut self) {
        if self.signal(Signal::TERM).is_ok() {
            let deadline = Instant::now() + FAREWELL;
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that is started by way of other words, which become it: `taskset -c 0 program`.
pub fn command_after(words: &[String], program: &Path) -> Command {
    let Some((first, rest)) = words.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    command
}

/// Runs a program to its end and gives its standard output; its standard error goes into the error if it fails.
///
/// # Errors
/// When it cannot be started or fails.
pub async fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = within(
        format_args!("{program} to end"),
        tokio::process::Command::from(take(command)).output(),
    )
    .await?
    .with_context(|| format!("starting {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}: {complaint}{text}", output.status);
    }
    Ok(text)
}

fn take(command: &mut Command) -> Command {
    std::mem::replace(command, Command::new(""))
}
