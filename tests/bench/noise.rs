//! What the machine itself did meanwhile: how late a mere sleeper was on each core, and what a hypervisor took.

use relay_tests::calibration::Calibration;
use serde::{Deserialize, Serialize};

/// The machine's noise beside one measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    /// p99 lateness of a sleeper on each core, in milliseconds. On a core that works it includes the wait for its turn.
    pub(crate) late_p99_ms: Vec<f64>,
    /// Seconds that the hypervisor gave to others, all cores together.
    pub(crate) stolen_seconds: f64,
}

/// Sleepers at work.
pub(crate) struct Listening {
    sleepers: Vec<Calibration>,
    stolen: f64,
}

impl Noise {
    /// Puts a sleeper on each of the cores.
    pub(crate) fn listen(cores: &[usize]) -> Listening {
        Listening {
            sleepers: cores.iter().map(|core| Calibration::on_core(*core)).collect(),
            stolen: stolen_seconds(),
        }
    }
}

impl Listening {
    /// Ends the sleepers.
    pub(crate) fn finish(self) -> Noise {
        let sleepers = self.sleepers.into_iter();
        Noise {
            late_p99_ms: sleepers
                .map(|sleeper| sleeper.finish().p99.as_secs_f64() * 1e3)
                .collect(),
            stolen_seconds: stolen_seconds() - self.stolen,
        }
    }
}

/// Stolen time since the machine began; 0 where the system does not say.
fn stolen_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    stolen_ticks(&stat) / rustix::param::clock_ticks_per_second() as f64
}

/// The eighth figure of the line `cpu`.
fn stolen_ticks(stat: &str) -> f64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    line.and_then(|line| line.split_ascii_whitespace().nth(7)?.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_figure() {
        let stat = "cpu  48922 10086 11665 82981 858 0 99 358 5 6\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(stolen_ticks(stat), 358.0);
        assert_eq!(stolen_ticks(""), 0.0);
    }
}
