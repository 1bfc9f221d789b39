//! `record FOLDER [NAME…]`: lets the encoders of others publish to a session of ours, and keeps what they sent, byte for byte
//! from C0 to the close. So the captures in `crates/relay-core/tests/fixtures/rtmp` were made, and are made again when there
//! are new versions; `origins.md` in the folder is kept up with them.

mod catalogue;
mod clip;
mod desk;
mod origins;

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use argh::FromArgs;
use relay_tests::tools::program;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use catalogue::Encoder;
use desk::{Connection, Desk};

/// How long an encoder may take, from its start to its connection's end: OBS alone takes a third of it to show its window.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an encoder may take to end once its connection is over.
const FAREWELL: Duration = Duration::from_secs(10);

/// A capture is to stay small: they are part of the repository, and replayed at thousands of split points.
const LARGEST: usize = 200_000;

/// Records real encoders.
#[derive(FromArgs)]
struct Arguments {
    /// the folder to keep the captures in
    #[argh(positional)]
    folder: PathBuf,

    /// the names of the captures to make; all of the catalogue if there are none
    #[argh(positional)]
    names: Vec<String>,
}

fn main() -> Result<()> {
    let arguments: Arguments = argh::from_env();
    let wanted = |encoder: &&Encoder| {
        arguments.names.is_empty() || arguments.names.iter().any(|name| name == encoder.name)
    };
    let encoders: Vec<_> = catalogue::ALL.iter().filter(wanted).collect();
    ensure!(!encoders.is_empty(), "the catalogue has none of that name");
    let clip = clip::make()?;
    let mut failed = Vec::new();
    for encoder in encoders {
        if let Err(error) = record(encoder, &clip, &arguments) {
            eprintln!("{}: {error:#}", encoder.name);
            failed.push(encoder.name);
        }
    }
    std::fs::remove_file(&clip)?;
    ensure!(failed.is_empty(), "not recorded: {}", failed.join(", "));
    Ok(())
}

fn record(encoder: &Encoder, clip: &Path, arguments: &Arguments) -> Result<()> {
    let desk = Desk::open(encoder.ending)?;
    let url = format!("rtmp://127.0.0.1:{}/live/cam?key=s3", desk.port());
    let mut command = program(encoder.program)?;
    for word in encoder.arguments.split_whitespace() {
        let word = word.replace("URL", &url);
        command.arg(word.replace("CLIP", &clip.display().to_string()));
    }
    let mut running = Running::start(&mut command)?;
    let connection = desk.connection(PATIENCE, || running.interrupt());
    let connection = connection.with_context(|| running.last_words())?;
    running.ends()?;
    keep(encoder, &connection, arguments)
}

fn keep(encoder: &Encoder, connection: &Connection, arguments: &Arguments) -> Result<()> {
    let bytes = &connection.input;
    ensure!(connection.tags > 0, "it published nothing");
    ensure!(bytes.len() <= LARGEST, "{} bytes are too many", bytes.len());
    let file = arguments.folder.join(format!("{}.bin", encoder.name));
    std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
    origins::note(&arguments.folder, encoder)?;
    println!(
        "{}: {} bytes, {} tags",
        encoder.name,
        bytes.len(),
        connection.tags
    );
    Ok(())
}

/// An encoder at work. It never outlives us.
struct Running {
    child: Child,
}

impl Running {
    /// It gets a process group of its own, since some are scripts with programs below them.
    fn start(command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Asks it to end, as Ctrl-C does.
    fn interrupt(&self) {
        if let Some(pid) = self.pid() {
            // One that is gone already needs no word.
            let _ = kill_process(pid, Signal::INT);
        }
    }

    /// Ends it and all it has started. Its number is its own as long as it was not waited for.
    fn kill(&self) {
        if let Some(pid) = self.pid() {
            // They may be gone already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// What it printed, once it is over.
    fn last_words(&mut self) -> String {
        self.kill();
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            // What cannot be read cannot be told.
            let _ = errors.read_to_string(&mut text);
        }
        format!("it said: {text}")
    }

    fn ends(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > FAREWELL {
                bail!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, if all went well, and was waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a wait for the encoder's connection came to nothing.
fn no_connection(error: RecvTimeoutError) -> anyhow::Error {
    match error {
        RecvTimeoutError::Timeout => anyhow::anyhow!("it took longer than {PATIENCE:?}"),
        RecvTimeoutError::Disconnected => anyhow::anyhow!("the desk failed"),
    }
}
