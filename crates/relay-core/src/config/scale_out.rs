//! The table that tells the origin how one more edge is started: `[scale_out]`.

use std::path::Path;

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Seconds};

/// `[scale_out]`: what the origin runs when its edges' room gets scarce.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScaleOut {
    /// The program that starts one more edge, by its absolute path, and its arguments; no shell reads them. Default: none, and
    /// nothing is ever started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// From which use on it runs, in hundredths of what the edges can send together, or, as long as no edge takes viewers, of
    /// what the origin may give away. Default `60`. Lower starts earlier and costs more machines.
    pub from: u32,
    /// How long after a start the next one may follow. Default `60s`. Shorter follows a storm of viewers more closely, and
    /// starts more machines than were needed.
    pub cooldown: Seconds,
    /// Edges at most, those on their way included; whoever started them. Default `10`: the bound on what a mistake can cost.
    pub max_edges: u32,
    /// How long the program may take before it is ended. Default `120s`. Longer bears with a slower cloud; nothing else is
    /// started meanwhile.
    pub time_limit: Seconds,
}

impl Default for ScaleOut {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            from: 60,
            cooldown: Seconds::new(60),
            max_edges: 10,
            time_limit: Seconds::new(120),
        }
    }
}

impl ScaleOut {
    /// The program and its arguments, if there is one. Looks whether it is there and may be executed: something for the
    /// machine that runs it, since an edge may read the same file.
    ///
    /// # Errors
    /// The program is not there, is none, or may not be executed.
    pub fn program(&self) -> Result<Option<(&Path, &[String])>, ConfigError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(None);
        };
        let path = Path::new(program);
        let fault = |reason: String| ConfigError::Program {
            key: "[scale_out] command",
            path: path.to_owned(),
            reason,
        };
        let found = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?;
        if !found.is_file() {
            return Err(fault("it is no file".to_owned()));
        }
        access(path, Access::EXEC_OK)
            .map_err(|error| fault(format!("it cannot be executed: {}", std::io::Error::from(error))))?;
        Ok(Some((path, arguments)))
    }
}
