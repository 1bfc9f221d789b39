//! All that was measured, as it is kept in `target/bench/results.json`: what is not measured this time stays as it was.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::part::Part;
use crate::sample::{Contender, Sample};

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    parts: BTreeMap<Part, Measured>,
}

/// What one part of the bench found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// On what.
    pub(crate) machine: Machine,
    /// How long each look took, in seconds.
    pub(crate) seconds: u64,
    pub(crate) samples: Vec<Sample>,
    /// Rounds that were made again, since the floor itself was late in them.
    pub(crate) repeated: u32,
    /// What could not be measured, and why, in sentences.
    pub(crate) notes: Vec<String>,
    /// Figures of the part as a whole, by name.
    #[serde(default)]
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Results {
    /// Reads what an earlier run left; nothing if there was none.
    ///
    /// # Errors
    /// When the file cannot be understood.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is of another version: remove it", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Writes all of it, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let draft = path.with_extension("new");
        std::fs::write(&draft, serde_json::to_string(self)? + "\n")?;
        std::fs::rename(&draft, path).with_context(|| format!("writing {}", path.display()))
    }

    /// Puts in what was measured now.
    pub(crate) fn insert(&mut self, part: Part, measured: Measured) {
        self.parts.insert(part, measured);
    }

    /// What a part found, if it was measured.
    pub(crate) fn part(&self, part: Part) -> Option<&Measured> {
        self.parts.get(&part)
    }
}

impl Measured {
    /// All rounds of one server for which `wanted` holds.
    pub(crate) fn of(&self, contender: Contender, wanted: impl Fn(&Sample) -> bool) -> Vec<&Sample> {
        let mine = self.samples.iter().filter(|sample| sample.contender == contender);
        mine.filter(|sample| wanted(sample)).collect()
    }

    /// All looks of one name.
    pub(crate) fn look(&self, name: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.look == name).collect()
    }

    /// The audiences that occur, smallest first.
    pub(crate) fn audiences(&self) -> Vec<u64> {
        let mut audiences: Vec<u64> = self.samples.iter().map(|sample| sample.setting.viewers).collect();
        audiences.sort_unstable();
        audiences.dedup();
        audiences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Setting;
    use crate::sample::tests::sample;

    #[test]
    fn what_is_saved_comes_back() -> Result<()> {
        let mut results = Results::default();
        let measured = Measured {
            samples: vec![
                sample(Contender::Floor, Setting::of(100), 1, 0.5, 50.0),
                sample(Contender::Relay, Setting::of(10), 1, 0.5, 50.0),
            ],
            ..Measured::default()
        };
        assert_eq!(measured.audiences(), [10, 100]);
        assert_eq!(measured.of(Contender::Floor, |_| true).len(), 1);
        results.insert(Part::Floor, measured);
        let folder = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("results.json");
        assert_eq!(Results::load(&path)?, Results::default());
        results.save(&path)?;
        assert_eq!(Results::load(&path)?, results);
        std::fs::write(&path, "{")?;
        assert!(Results::load(&path).is_err());
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}
