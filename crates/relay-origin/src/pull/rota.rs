//! Which of a source's URLs is next, and when: sans-IO.

use std::time::Duration;

use relay_core::link::backoff::Backoff;

/// The wait after a first round in which no URL worked.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between two rounds: within the grace window of 15 s there are several.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A stream that came for so long proves that its URL works: it is tried again before the others are.
pub(super) const PROVEN: Duration = Duration::from_secs(10);

/// The order in which URLs are tried (R48). The one that worked stays the first choice until it fails itself, since each
/// change is a cut in the picture; that viewers come and go changes nothing here.
#[derive(Clone, Debug)]
pub(super) struct Rota {
    urls: usize,
    at: usize,
    /// Attempts without success since one worked.
    failed: usize,
    backoff: Backoff,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The URL did not give a stream, or not for long.
    Failed,
    /// It gave one for some time, and then no more.
    Worked,
    /// It is no fault of the URL: the stream has another publisher here, or was sent away by the operator.
    NotWanted,
}

impl Rota {
    /// Begins with the first of so many. The seed scatters the waits.
    pub(super) const fn new(urls: usize, seed: u64) -> Self {
        Self {
            urls,
            at: 0,
            failed: 0,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT, seed),
        }
    }

    /// The URL to try now.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Whether each URL has failed since one worked: what fails from now on is no news.
    pub(super) const fn is_old_news(&self) -> bool {
        self.failed > self.urls
    }

    /// An attempt has ended: how long to wait before the next.
    pub(super) fn handle_end(&mut self, ending: Ending) -> Duration {
        match ending {
            Ending::Worked => {
                self.failed = 0;
                self.backoff.reset();
                // At once, but not in step with all who were cut off in the same moment.
                self.backoff.next_wait() / 4
            }
            Ending::NotWanted => LONGEST_WAIT,
            Ending::Failed => {
                self.failed = self.failed.saturating_add(1);
                self.at = (self.at + 1) % self.urls.max(1);
                match self.failed % self.urls.max(1) {
                    // All of them: a round is over.
                    0 => self.backoff.next_wait(),
                    _ => Duration::ZERO,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R48: all are tried in turn without a wait, and the wait between rounds grows to a bound.
    #[test]
    fn r48_a_failure_tries_the_next_and_a_round_waits() {
        let mut rota = Rota::new(3, 7);
        let mut waits = Vec::new();
        for round in 0..20 {
            for at in 0..3 {
                assert_eq!(rota.at(), at, "round {round}");
                let wait = rota.handle_end(Ending::Failed);
                match at {
                    2 => waits.push(wait),
                    _ => assert_eq!(wait, Duration::ZERO),
                }
            }
        }
        assert!(waits[0] >= FIRST_WAIT / 2 && waits[0] <= FIRST_WAIT, "{waits:?}");
        let late = &waits[10..];
        assert!(
            late.iter()
                .all(|wait| *wait >= LONGEST_WAIT / 2 && *wait <= LONGEST_WAIT),
            "{waits:?}"
        );
        assert!(late.windows(2).all(|two| two[0] != two[1]), "jittered: {waits:?}");
    }

    /// R48: the one that worked is asked first when it ends, and the others only if it fails then.
    #[test]
    fn r48_the_good_one_is_remembered() {
        let mut rota = Rota::new(2, 7);
        rota.handle_end(Ending::Failed);
        assert_eq!(rota.at(), 1);
        for _ in 0..5 {
            let wait = rota.handle_end(Ending::Worked);
            assert!(wait <= FIRST_WAIT / 4, "{wait:?}");
            assert_eq!(rota.at(), 1);
        }
        assert_eq!(rota.handle_end(Ending::Failed), Duration::ZERO);
        assert_eq!(rota.at(), 0);
    }

    #[test]
    fn what_is_not_wanted_here_blames_no_url() {
        let mut rota = Rota::new(2, 7);
        assert_eq!(rota.handle_end(Ending::NotWanted), LONGEST_WAIT);
        assert_eq!(rota.at(), 0);
    }

    #[test]
    fn news_are_told_for_one_round() {
        let mut rota = Rota::new(2, 7);
        let mut told = Vec::new();
        for _ in 0..4 {
            rota.handle_end(Ending::Failed);
            told.push(!rota.is_old_news());
        }
        assert_eq!(told, [true, true, false, false]);
        rota.handle_end(Ending::Worked);
        assert!(!rota.is_old_news());
    }

    #[test]
    fn one_url_waits_after_each_failure() {
        let mut rota = Rota::new(1, 7);
        assert!(rota.handle_end(Ending::Failed) > Duration::ZERO);
        assert_eq!(rota.at(), 0);
    }
}
