//! How each pulled stream stands, for the operator, and what was counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay_core::admin::SourceRow;
use relay_core::clock::Now;
use relay_core::config::PullSource;
use relay_core::stream::StreamKey;

use super::fault::{Fault, OUTCOMES};

/// How a source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A server is being dialled or asked, or has yet to send.
    Connecting,
    /// Media comes.
    Flowing,
    /// All have failed, and are tried again in a moment.
    Waiting,
    /// Somebody else publishes the stream here, or the operator sent it away: it is tried again.
    Standby,
}

impl Standing {
    pub(super) const ALL: [Self; 4] = [Self::Connecting, Self::Flowing, Self::Waiting, Self::Standby];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Flowing => "flowing",
            Self::Waiting => "waiting",
            Self::Standby => "standby",
        }
    }
}

/// All pulled streams.
#[derive(Default)]
pub struct Board {
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Board {
    /// How each stands, in the order of the configuration.
    pub fn rows(&self, now: Now) -> Vec<SourceRow> {
        self.entries.iter().map(|entry| entry.row(now)).collect()
    }

    pub(super) fn count(&self, standing: Standing) -> usize {
        let stands = |entry: &&Arc<Entry>| entry.told().standing == standing;
        self.entries.iter().filter(stands).count()
    }

    pub(super) fn sessions(&self) -> u64 {
        self.entries
            .iter()
            .map(|entry| entry.sessions.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn outcomes(&self) -> [u64; OUTCOMES.len()] {
        let mut sums = [0; OUTCOMES.len()];
        for entry in &self.entries {
            for (sum, count) in sums.iter_mut().zip(&entry.outcomes) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        sums
    }
}

/// One pulled stream.
pub(super) struct Entry {
    stream: StreamKey,
    /// Without secrets.
    urls: Vec<String>,
    told: Mutex<Told>,
    sessions: AtomicU64,
    outcomes: [AtomicU64; OUTCOMES.len()],
}

struct Told {
    standing: Standing,
    /// The URL that is or was tried.
    at: usize,
    /// Since when media flows, or does not; none before the first attempt.
    since_ms: Option<u64>,
    /// Why the last attempt ended, and which URL that was of.
    why: String,
    ended_at: usize,
}

impl Entry {
    pub(super) fn new(config: &PullSource) -> Self {
        Self {
            stream: config.stream.clone(),
            urls: config.url.iter().map(ToString::to_string).collect(),
            told: Mutex::new(Told {
                standing: Standing::Connecting,
                at: 0,
                since_ms: None,
                why: String::new(),
                ended_at: 0,
            }),
            sessions: AtomicU64::new(0),
            outcomes: Default::default(),
        }
    }

    pub(super) const fn stream(&self) -> &StreamKey {
        &self.stream
    }

    pub(super) fn is_flowing(&self) -> bool {
        self.told().standing == Standing::Flowing
    }

    /// A URL is tried.
    pub(super) fn tries(&self, at: usize, now: Now) {
        let mut told = self.told();
        told.at = at;
        // One that stands by for another publisher does so while it looks, too.
        if told.standing != Standing::Standby {
            told.stand(Standing::Connecting, now);
        }
    }

    /// Media comes.
    pub(super) fn flows(&self, now: Now) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told();
        told.stand(Standing::Flowing, now);
        told.why.clear();
    }

    /// An attempt has ended.
    pub(super) fn ended(&self, fault: &Fault, now: Now) {
        self.outcomes[fault.outcome()].fetch_add(1, Ordering::Relaxed);
        let mut told = self.told();
        let standing = match fault {
            Fault::NotTaken(_) | Fault::SentAway => Standing::Standby,
            _ => Standing::Waiting,
        };
        told.stand(standing, now);
        told.why = fault.to_string();
        told.ended_at = told.at;
    }

    fn row(&self, now: Now) -> SourceRow {
        let told = self.told();
        // The reason and the URL that it is of belong together.
        let shown = if told.why.is_empty() {
            told.at
        } else {
            told.ended_at
        };
        SourceRow {
            stream: self.stream.to_string(),
            state: told.standing.label().to_owned(),
            seconds: told
                .since_ms
                .map_or(0, |since| now.mono_ms.saturating_sub(since) / 1000),
            url: self.urls.get(shown).cloned().unwrap_or_default(),
            why: told.why.clone(),
            urls: self.urls.len(),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Each change is whole, whatever panicked beside it.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn stand(&mut self, standing: Standing, now: Now) {
        let flips = (self.standing == Standing::Flowing) != (standing == Standing::Flowing);
        if flips || self.since_ms.is_none() {
            self.since_ms = Some(now.mono_ms);
        }
        self.standing = standing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 0,
    };

    fn board() -> Board {
        let text = "[[source]]\nstream = \"live/a\"\nurl = [\"rtmp://h/a/b?key=s3cret\", \"http://u:s3cret@g/c.flv\"]";
        let config = relay_core::config::Config::parse(std::path::Path::new("x"), text).unwrap();
        let relay_core::config::Source::Pull(pull) = &config.source[0] else {
            panic!("{config:?}");
        };
        Board {
            entries: vec![Arc::new(Entry::new(pull))],
        }
    }

    fn row(board: &Board, after_ms: u64) -> SourceRow {
        board.rows(START.plus_ms(after_ms)).remove(0)
    }

    /// R46: it flows while media comes, and says since when it does not.
    #[test]
    fn r46_what_is_shown_is_what_is() {
        let board = board();
        let entry = Arc::clone(&board.entries[0]);
        entry.tries(0, START);
        assert_eq!(row(&board, 0).state, "connecting");
        entry.ended(&Fault::NoAnswer, START.plus_ms(4_000));
        entry.tries(1, START.plus_ms(4_000));
        let seen = row(&board, 9_000);
        assert_eq!(
            (&*seen.state, seen.seconds, &*seen.url, &*seen.why),
            ("connecting", 9, "rtmp://h:1935/a/b", "no answer in time")
        );
        entry.flows(START.plus_ms(10_000));
        let seen = row(&board, 12_000);
        assert_eq!((&*seen.state, seen.seconds, &*seen.why), ("flowing", 2, ""));
        assert_eq!(seen.url, "http://g/c.flv");
        entry.ended(&Fault::Idle, START.plus_ms(20_000));
        let seen = row(&board, 23_000);
        assert_eq!((&*seen.state, seen.seconds), ("waiting", 3));
        assert_eq!((board.count(Standing::Waiting), board.sessions()), (1, 1));
        assert_eq!(board.outcomes().iter().sum::<u64>(), 2);
    }

    #[test]
    fn one_that_stands_by_does_so_while_it_looks() {
        let board = board();
        let entry = &board.entries[0];
        entry.ended(&Fault::SentAway, START);
        entry.tries(0, START.plus_ms(5_000));
        assert_eq!(row(&board, 5_000).state, "standby");
        entry.ended(&Fault::NoAnswer, START.plus_ms(6_000));
        entry.tries(0, START.plus_ms(7_000));
        assert_eq!(row(&board, 8_000).state, "connecting");
    }

    #[test]
    fn no_secret_is_shown() {
        let board = board();
        for at in 0..2 {
            board.entries[0].tries(at, START);
            let shown = serde_json::to_string(&row(&board, 0)).unwrap();
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
