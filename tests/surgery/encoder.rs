//! The encoder: it publishes, and comes back when it has lost the origin, as OBS does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use relay_tests::process::{Process, command_after};
use relay_tests::story::Stage;
use tokio::time::Instant;

use crate::evening::{STREAM, STREAM_RATE};
use crate::ground::{ENCODER, ORIGIN};

/// How long it waits before it dials again.
const BEFORE_NEXT: Duration = Duration::from_secs(1);

/// The encoder on its machine.
pub(crate) struct Encoder {
    stage: Stage,
    program: PathBuf,
    process: Option<Process>,
    lost_at: Option<Instant>,
    /// How often it had to come back.
    pub(crate) returns: u64,
}

impl Encoder {
    /// One that publishes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(stage: &Stage, programs: &Path) -> Result<Self> {
        let mut encoder = Self {
            stage: stage.clone(),
            program: programs.join("relay-load"),
            process: None,
            lost_at: None,
            returns: 0,
        };
        encoder.dial()?;
        Ok(encoder)
    }

    /// Looks whether it still publishes, and dials again when it is time; to be called some times a second.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn look_after(&mut self) -> Result<()> {
        let runs = self
            .process
            .as_mut()
            .is_some_and(|process| process.is_running().unwrap_or(false));
        if runs {
            return Ok(());
        }
        let lost_at = *self.lost_at.get_or_insert_with(Instant::now);
        if lost_at.elapsed() >= BEFORE_NEXT {
            self.returns += 1;
            self.dial()?;
        }
        Ok(())
    }

    fn dial(&mut self) -> Result<()> {
        let mut words = ["setpriv", "--pdeathsig", "KILL"].map(str::to_owned).to_vec();
        words.extend(ENCODER.words());
        let mut command = command_after(&words, &self.program);
        let url = format!("rtmp://{}/{STREAM}", ORIGIN.address());
        command.args(["publish", &url, "--rate", STREAM_RATE]);
        self.process = Some(Process::spawn(&self.stage, ENCODER.name, &mut command)?);
        self.lost_at = None;
        Ok(())
    }
}
