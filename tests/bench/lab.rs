//! Where it is measured: which core serves, which one loads, how long, with how many; and what is said meanwhile.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use relay_core::command_line::say;
use relay_tests::story::Stage;

use crate::machine::Machine;
use crate::part::Part;
use crate::results::Measured;

/// The server's core.
const SERVER_CORE: usize = 0;

/// The core of publisher and viewers.
const LOAD_CORE: usize = 1;

/// The laboratory.
pub(crate) struct Lab {
    pub(crate) stage: Stage,
    /// Where the programs under test lie.
    pub(crate) programs: PathBuf,
    /// Where scripts/peers puts those of others.
    pub(crate) tools: PathBuf,
    pub(crate) machine: Machine,
    /// Another length of each look than the usual one, in seconds.
    pub(crate) seconds: Option<u64>,
    /// No audience is larger than this: for trying.
    pub(crate) cap: Option<u64>,
    progress: Mutex<Progress>,
}

/// What is still to be done.
struct Progress {
    part: Part,
    part_began: Instant,
    later: Duration,
}

impl Lab {
    pub(crate) fn new(stage: Stage, programs: PathBuf, tools: PathBuf, machine: Machine) -> Self {
        Self {
            stage,
            programs,
            tools,
            machine,
            seconds: None,
            cap: None,
            progress: Mutex::new(Progress {
                part: Part::Floor,
                part_began: Instant::now(),
                later: Duration::ZERO,
            }),
        }
    }

    /// Words that start a program on the server's core; none on a machine with a single core.
    pub(crate) fn on_server_core(&self) -> Vec<String> {
        self.on_core(SERVER_CORE)
    }

    /// Words that start a program on the load's core.
    pub(crate) fn on_load_core(&self) -> Vec<String> {
        self.on_core(LOAD_CORE)
    }

    fn on_core(&self, core: usize) -> Vec<String> {
        if self.machine.cores < 2 {
            return Vec::new();
        }
        ["taskset", "-c", &core.to_string()].map(str::to_owned).to_vec()
    }

    /// Both cores, the server's first.
    pub(crate) fn cores(&self) -> Vec<usize> {
        [SERVER_CORE, LOAD_CORE][..self.machine.cores.min(2)].to_vec()
    }

    /// How long a look of this part takes, in seconds.
    pub(crate) fn seconds(&self, part: Part) -> u64 {
        self.seconds.unwrap_or_else(|| part.seconds())
    }

    /// An audience, cut to what is allowed.
    pub(crate) fn viewers(&self, wanted: u64) -> u64 {
        self.cap.map_or(wanted, |cap| wanted.min(cap))
    }

    /// Several audiences; those that are the same once cut occur once.
    pub(crate) fn audiences(&self, wanted: &[u64]) -> Vec<u64> {
        let mut audiences: Vec<u64> = wanted.iter().map(|viewers| self.viewers(*viewers)).collect();
        audiences.dedup();
        audiences
    }

    /// An empty result of a part.
    pub(crate) fn measured(&self, part: Part) -> Measured {
        Measured {
            machine: self.machine.clone(),
            seconds: self.seconds(part),
            ..Measured::default()
        }
    }

    /// A part begins; `later` are those behind it.
    pub(crate) fn begin(&self, part: Part, later: &[Part]) {
        let mut progress = relay_tests::story::lock(&self.progress);
        progress.part = part;
        progress.part_began = Instant::now();
        progress.later = later.iter().map(|part| part.estimate(self.seconds)).sum();
    }

    /// A line about what is measured now, and how long all of it will still take.
    pub(crate) fn say(&self, what: &str) {
        let progress = relay_tests::story::lock(&self.progress);
        let mine = progress.part.estimate(self.seconds);
        let left = mine.saturating_sub(progress.part_began.elapsed()) + progress.later;
        let minutes = left.as_secs().div_ceil(60);
        let part = progress.part.name();
        say(
            crate::NAME,
            format_args!("{part:12} {what}; about {minutes} min left"),
        );
    }
}
