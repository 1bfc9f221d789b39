//! The parts of the bench, each of which can be run alone.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Ours beside the bare send loop.
    Floor,
    /// Ten thousand viewers on one core.
    TenThousand,
    /// Ours beside the servers of others.
    Peers,
    /// Thousands join while thousands watch.
    Storm,
    /// A tenth never reads.
    Stalled,
    /// A tenth reads at half the rate.
    Slow,
    /// Many streams beside one.
    Streams,
    /// What one viewer costs per second, counted.
    Budget,
    /// Inside a small cloud instance.
    Starter,
}

impl Part {
    /// All, in the order in which they run and are shown.
    pub(crate) const ALL: [Self; 9] = [
        Self::Floor,
        Self::TenThousand,
        Self::Peers,
        Self::Storm,
        Self::Stalled,
        Self::Slow,
        Self::Streams,
        Self::Budget,
        Self::Starter,
    ];

    /// What `make bench` runs when nothing else is said: `starter` has a verb of its own.
    pub(crate) fn usual() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|part| *part != Self::Starter)
            .collect()
    }

    /// As it is typed, and as the document's markers have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::TenThousand => "ten-thousand",
            Self::Peers => "peers",
            Self::Storm => "storm",
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::Streams => "streams",
            Self::Budget => "budget",
            Self::Starter => "starter",
        }
    }

    /// How long a look takes, the coming of the viewers not counted. Chosen so that the whole of the usual run stays
    /// below 50 minutes; ten thousand, slow and stalled viewers take what their bars say.
    pub(crate) const fn seconds(self) -> u64 {
        match self {
            // Little more than the storm itself: a longer look would thin it out.
            Self::Peers | Self::Storm => 8,
            Self::Floor | Self::Budget => 10,
            Self::Streams => 12,
            Self::Starter => 20,
            Self::Stalled => 30,
            Self::TenThousand => 60,
            Self::Slow => 120,
        }
    }

    /// How many looks it takes, and what each costs beside its own time: start, ramp, settling, end; for ten thousand the
    /// floor's shorter look beside it, too.
    const fn looks(self) -> (u32, u64) {
        match self {
            Self::Floor => (48, 8),
            Self::TenThousand => (3, 44),
            Self::Peers => (54, 6),
            Self::Storm => (6, 10),
            Self::Stalled => (6, 8),
            Self::Slow => (3, 10),
            Self::Streams => (6, 10),
            Self::Budget => (1, 10),
            Self::Starter => (8, 15),
        }
    }

    /// How long it takes about, with its usual time or another.
    pub(crate) fn estimate(self, seconds: Option<u64>) -> Duration {
        let (looks, beside) = self.looks();
        Duration::from_secs(seconds.unwrap_or_else(|| self.seconds()) + beside) * looks
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = Self::ALL.iter().map(|part| part.name()).collect();
        let found = Self::ALL.into_iter().find(|part| part.name() == text);
        found.ok_or_else(|| format!("{text:?} is no part of the bench; there are {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_its_own() {
        for part in Part::ALL {
            assert_eq!(part.name().parse(), Ok(part));
        }
        assert!(
            "flour"
                .parse::<Part>()
                .is_err_and(|error| error.contains("floor"))
        );
    }

    #[test]
    fn the_usual_run_fits_into_50_minutes() {
        let whole: Duration = Part::usual().into_iter().map(|part| part.estimate(None)).sum();
        assert!(whole < Duration::from_secs(50 * 60), "{whole:?}");
    }
}
