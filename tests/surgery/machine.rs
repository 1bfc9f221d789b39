//! A machine: one of the relay's programs at its place in the network, as large as it is said to be.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use relay_tests::http::get_by_socket;
use relay_tests::process::{Process, command_after, output_of};
use relay_tests::story::{Stage, workspace_dir};
use rustix::process::Signal;

use crate::ground::Place;

/// Words that let a program end with this one, however this one ends.
const NOT_WITHOUT_US: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// The configuration's name in the machine's folder, in which the program runs.
const CONFIG: &str = "relay.toml";

/// Where groups with limits are, in either version of them.
const GROUPS: [&str; 3] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory", "/sys/fs/cgroup"];

/// A group is free a moment after the last process in it was.
const GROUP_WAIT: Duration = Duration::from_millis(20);
const GROUP_TRIES: usize = 50;

/// A machine; its program ends when it is dropped.
pub(crate) struct Machine {
    place: Place,
    stage: Stage,
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// Which core it has, if it is a small one.
    starter: Option<usize>,
    process: Option<Process>,
}

impl Machine {
    /// A machine with a program's configuration, not switched on.
    ///
    /// # Errors
    /// When its folder cannot be made, or the program is not built.
    pub(crate) fn new(stage: &Stage, place: Place, program: &Path, config: &str) -> Result<Self> {
        ensure!(program.is_file(), "{} is not built", program.display());
        let folder = stage.folder().join(place.name);
        // An earlier evening's state is another pool's.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(CONFIG), config)?;
        Ok(Self {
            place,
            stage: stage.clone(),
            program: program.to_path_buf(),
            folder,
            environment: Vec::new(),
            starter: None,
            process: None,
        })
    }

    /// Makes it a small instance, as scripts/starter does: one CPU, 0.9 GB.
    pub(crate) const fn small_on(mut self, core: usize) -> Self {
        self.starter = Some(core);
        self
    }

    /// Sets a variable of its program's environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// The same, for the next start; in place of what it was before.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// Starts its program.
    ///
    /// # Errors
    /// When that cannot be started.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut words: Vec<String> = NOT_WITHOUT_US.map(str::to_owned).to_vec();
        if let Some(core) = self.starter {
            let starter = workspace_dir().join("scripts/starter").canonicalize()?;
            words.push(starter.display().to_string());
            let options = ["--name", &self.group(), "--core", &core.to_string(), "--"];
            words.extend(options.map(str::to_owned));
        }
        words.extend(self.place.words());
        let mut command = command_after(&words, &self.program);
        command
            .args(["--config", CONFIG])
            .current_dir(&self.folder)
            .env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::spawn(&self.stage, self.place.name, &mut command)?);
        Ok(())
    }

    /// Kills its program, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.keep_words(&process);
        }
    }

    /// Keeps what its program said, for whoever wonders about an evening. It is no reason to fail.
    fn keep_words(&self, process: &Process) {
        let path = self.stage.folder().join(format!("{}.log", self.place.name));
        if let Ok(mut file) = File::options().create(true).append(true).open(path) {
            let _ = writeln!(file, "{}\n", process.log().text());
        }
    }

    /// Asks its program to end in good order, and waits for nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn ask_to_end(&self) -> Result<()> {
        self.process()?.signal(Signal::TERM)
    }

    /// Waits until its program has ended, and says whether it did so in good order.
    ///
    /// # Errors
    /// When it does not end, or was never started.
    pub(crate) async fn ends_well(&mut self) -> Result<bool> {
        let name = self.place.name;
        let process = self.process.as_mut().with_context(|| format!("{name} is down"))?;
        Ok(process.ended().await?.success())
    }

    /// An error with its program's last words if that has ended by itself.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process {
            let runs = process.is_running()?;
            ensure!(runs, "{} ended:\n{}", self.place.name, process.log().text());
        }
        Ok(())
    }

    fn process(&self) -> Result<&Process> {
        let name = self.place.name;
        self.process.as_ref().with_context(|| format!("{name} is down"))
    }

    /// What its admin API answers to a `GET`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn admin(&self, path: &str) -> Result<serde_json::Value> {
        // By way of the folder that it runs in: the real path may be too long for a socket's name.
        let socket = PathBuf::from(format!("/proc/{}/cwd/admin.sock", self.process()?.pid()));
        let answer = get_by_socket(&socket, path).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// What a verb of its program prints last.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) async fn verb_says(&self, words: &[&str]) -> Result<String> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(words)
            .args(["--config", CONFIG])
            .current_dir(&self.folder);
        let said = output_of(&mut command).await?;
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Ok(last.unwrap_or_default().trim().to_owned())
    }

    fn group(&self) -> String {
        format!("surgery-{}", self.place.name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if self.starter.is_none() {
            return;
        }
        for folder in GROUPS.map(|group| Path::new(group).join(self.group())) {
            for _ in 0..GROUP_TRIES {
                if !folder.exists() || std::fs::remove_dir(&folder).is_ok() {
                    break;
                }
                std::thread::sleep(GROUP_WAIT);
            }
        }
    }
}
