//! A story: one thing that the relay promises, told with real programs on a stage of its own.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, Result, bail};

use crate::process::Log;

/// Whether a story needs the machine to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It measures time or loads the machine: nothing else runs meanwhile.
    Alone,
    /// It only waits for events, so others may run beside it.
    Beside,
}

/// Held for writing by a story that runs alone, for reading by those that run beside others.
static TURNS: RwLock<()> = RwLock::new(());

/// How many of the last lines of each program are shown when a story fails.
const TAIL_LINES: usize = 80;

/// Where a story plays: a folder that is removed when all went well, and the output of every program started.
#[derive(Clone)]
pub struct Stage {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    folder: PathBuf,
    logs: Mutex<Vec<Arc<Log>>>,
    secrets: Mutex<Vec<String>>,
}

/// Tells the story `name` and fails the test if it, or what its programs printed, is not as it should be.
///
/// # Panics
/// When the story fails: that is how a test says so. The programs' last lines are printed first.
pub fn story(name: &'static str, turn: Turn, body: impl AsyncFnOnce(&Stage) -> Result<()>) {
    let _alone = (turn == Turn::Alone).then(|| TURNS.write().unwrap_or_else(PoisonError::into_inner));
    let _beside = (turn == Turn::Beside).then(|| TURNS.read().unwrap_or_else(PoisonError::into_inner));
    let stage = Stage::new(name).expect("a folder for the story can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let told = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(body(&stage))));
    runtime.shutdown_background();
    let verdict = match told {
        Ok(told) => told.and_then(|()| stage.inspect_output()),
        Err(panic) => Err(anyhow::anyhow!("{}", panic_text(panic.as_ref()))),
    };
    if let Err(error) = verdict {
        stage.print_output();
        panic!("{name}: {error:#}\nits files are in {}", stage.folder().display());
    }
    // The next run empties the folder anyway, so one that cannot be removed now does no harm.
    let _ = std::fs::remove_dir_all(stage.folder());
}

impl Stage {
    /// A stage with an empty folder `target/tmp/stories/NAME`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(name: &'static str) -> Result<Self> {
        Self::in_folder(name, target_dir()?.join("tmp/stories").join(name))
    }

    /// A stage in an empty folder of the caller's choice.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_folder(name: &'static str, folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let inner = Inner {
            name,
            folder,
            logs: Mutex::default(),
            secrets: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The story's name.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// The story's own folder.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// Remembers a program's output, to be read when the story ends.
    pub(crate) fn watch_output(&self, log: Arc<Log>) {
        lock(&self.inner.logs).push(log);
    }

    /// Remembers a text that no program may ever print.
    pub fn keep_secret(&self, secret: &str) {
        let mut secrets = lock(&self.inner.secrets);
        if !secret.is_empty() && !secrets.iter().any(|known| known == secret) {
            secrets.push(secret.to_owned());
        }
    }

    /// Two promises that hold in every story: no panic, and no secret in any output of our programs.
    fn inspect_output(&self) -> Result<()> {
        for log in lock(&self.inner.logs).iter() {
            for line in log.lines() {
                if line.contains("panicked at") {
                    bail!("{} panicked: {line}", log.name());
                }
                if log.is_ours()
                    && lock(&self.inner.secrets)
                        .iter()
                        .any(|secret| line.contains(secret.as_str()))
                {
                    bail!(
                        "{} printed a secret, in a line of {} bytes",
                        log.name(),
                        line.len()
                    );
                }
            }
        }
        Ok(())
    }

    /// Prints what the programs said last, secrets blotted out.
    fn print_output(&self) {
        for log in lock(&self.inner.logs).iter() {
            let lines = log.lines();
            println!("--- {} ({} lines)", log.name(), lines.len());
            for line in lines.iter().skip(lines.len().saturating_sub(TAIL_LINES)) {
                println!("    {}", self.without_secrets(line));
            }
        }
    }

    fn without_secrets(&self, line: &str) -> String {
        lock(&self.inner.secrets)
            .iter()
            .fold(line.to_owned(), |line, secret| {
                line.replace(secret.as_str(), "<secret>")
            })
    }
}

/// The folder that cargo builds into: two above the test program, which lies in `PROFILE/deps`, or one above a
/// program such as the demo, which lies in `PROFILE`.
///
/// # Errors
/// When this program lies elsewhere.
pub fn target_dir() -> Result<PathBuf> {
    let profile = profile_dir()?;
    let target = profile.parent().context("the build folder has a parent")?;
    Ok(target.to_path_buf())
}

/// The folder in which cargo leaves the programs of this build, beside or above the running one.
///
/// # Errors
/// When this program lies elsewhere.
pub fn profile_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding out where this program lies")?;
    let folder = program.parent().context("a program lies in a folder")?;
    if folder.ends_with("deps") {
        return Ok(folder.parent().context("deps lies in a folder")?.to_path_buf());
    }
    Ok(folder.to_path_buf())
}

/// The folder of the workspace's sources.
pub fn workspace_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Locks; a panic of another holder is that one's failure, not ours.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("the story panicked")
        .to_owned()
}
