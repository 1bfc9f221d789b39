//! What the probe found of one endpoint.

/// Failures after which an endpoint that never answered counts as unreachable.
const GIVE_UP: u32 = 3;

/// Failures in a row after which a good endpoint is bad: one may be the probe's own.
const FAILURES: u32 = 2;

/// Good findings in a row after which a bad endpoint is good again, so that one that flaps stays out.
const RECOVERY: u32 = 3;

/// Two gaps within so many milliseconds put a good endpoint out. One may be anybody's.
const GAP_MEMORY_MS: u64 = 30_000;

/// For so many milliseconds there must have been none before it is good again: one that stalls now and then does not come back
/// between two gaps.
const GAP_QUIET_MS: u64 = 10_000;

/// The longest reason that is kept: a sentence.
const MAX_REASON_BYTES: usize = 240;

/// What a probe found, coming to an endpoint as a viewer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The stream, and the right one.
    Good,
    /// Nothing, or too little, or too late; and what exactly, in words.
    Failed(String),
    /// The stream, and for more than a moment nothing of it, seen by one who stayed; and what exactly, in words.
    Stalled(String),
    /// Something else than the origin sent; and what, in words. The edge lies, or its memory does.
    Wrong(String),
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing is known yet.
    Unproven,
    /// Viewers can be sent there.
    Good,
    /// It was good, or it lied, and is out until it has proved itself.
    Bad,
    /// It never answered: a firewall, or a wrong address.
    Unreachable,
}

impl Standing {
    /// Its name, as in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unproven => "not tried yet",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The health of an endpoint: a value that is fed with findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    standing: Standing,
    /// Good findings in a row.
    good: u32,
    /// Failures in a row.
    failed: u32,
    /// When the newest gap was seen, on the monotonic clock.
    stalled_ms: Option<u64>,
    /// What the last failure was.
    reason: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new(Standing::Unproven)
    }
}

impl Health {
    /// Health that stands so, from before.
    pub const fn new(standing: Standing) -> Self {
        Self {
            standing,
            good: 0,
            failed: 0,
            stalled_ms: None,
            reason: None,
        }
    }

    /// How it stands.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether viewers can be sent there.
    pub const fn is_good(&self) -> bool {
        matches!(self.standing, Standing::Good)
    }

    /// What was wrong last, while or since it was so; nothing once it is good.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// How often in a row the probe failed.
    pub const fn failures(&self) -> u32 {
        self.failed
    }

    /// Whether a gap was seen there lately.
    pub fn has_stalled(&self, now_ms: u64) -> bool {
        self.stalled_ms
            .is_some_and(|at| now_ms.saturating_sub(at) <= GAP_MEMORY_MS)
    }

    /// Takes one finding.
    pub fn found(&mut self, finding: Finding, now_ms: u64) {
        match finding {
            Finding::Good => self.was_good(now_ms),
            Finding::Failed(reason) => self.has_failed(reason),
            Finding::Stalled(reason) => self.stalls(reason, now_ms),
            Finding::Wrong(reason) => {
                self.has_failed(reason);
                self.standing = Standing::Bad;
            }
        }
    }

    fn was_good(&mut self, now_ms: u64) {
        self.failed = 0;
        self.good = self.good.saturating_add(1);
        let is_quiet = |at| now_ms.saturating_sub(at) >= GAP_QUIET_MS;
        let has_proved_itself = self.good >= RECOVERY && self.stalled_ms.is_none_or(is_quiet);
        if self.standing != Standing::Bad || has_proved_itself {
            self.standing = Standing::Good;
            self.reason = None;
        }
    }

    fn stalls(&mut self, reason: String, now_ms: u64) {
        if self.standing == Standing::Good && self.has_stalled(now_ms) {
            self.standing = Standing::Bad;
        }
        self.stalled_ms = Some(now_ms);
        self.note(reason);
    }

    fn note(&mut self, mut reason: String) {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        self.reason = Some(reason);
        self.good = 0;
    }

    fn has_failed(&mut self, reason: String) {
        self.note(reason);
        self.failed = self.failed.saturating_add(1);
        self.standing = match self.standing {
            Standing::Unproven if self.failed >= GIVE_UP => Standing::Unreachable,
            Standing::Good if self.failed >= FAILURES => Standing::Bad,
            same => same,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Finding {
        Finding::Failed("no answer in 2 s".to_owned())
    }

    fn after(start: Standing, findings: &[Finding]) -> Standing {
        let mut health = Health::new(start);
        findings
            .iter()
            .cloned()
            .for_each(|finding| health.found(finding, 0));
        health.standing()
    }

    #[test]
    fn a_new_endpoint_needs_one_good_answer_and_is_given_up_after_three_failures() {
        use Standing::{Good, Unproven, Unreachable};
        assert_eq!(after(Unproven, &[failed(), failed()]), Unproven);
        assert_eq!(after(Unproven, &[failed(), failed(), failed()]), Unreachable);
        assert_eq!(after(Unproven, &[failed(), failed(), Finding::Good]), Good);
        assert_eq!(
            after(Unreachable, &[Finding::Good]),
            Good,
            "somebody opened the firewall"
        );
    }

    #[test]
    fn a_good_one_is_forgiven_one_failure_and_no_lie() {
        use Standing::{Bad, Good};
        assert_eq!(after(Good, &[failed(), Finding::Good, failed()]), Good);
        assert_eq!(after(Good, &[failed(), failed()]), Bad);
        let lie = Finding::Wrong("group 7 has another hash".to_owned());
        for start in [Standing::Unproven, Good, Bad, Standing::Unreachable] {
            assert_eq!(after(start, std::slice::from_ref(&lie)), Bad);
        }
    }

    #[test]
    fn a_bad_one_proves_itself_three_times_in_a_row() {
        use Finding::Good;
        let flapping = [Good, Good, failed(), Good, Good];
        assert_eq!(after(Standing::Bad, &flapping), Standing::Bad);
        assert_eq!(after(Standing::Bad, &[Good, Good, Good]), Standing::Good);
    }

    #[test]
    fn the_reason_is_kept_for_the_operator_and_never_long() {
        let mut health = Health::default();
        health.found(Finding::Failed("ü".repeat(1000)), 0);
        assert!(
            health
                .reason()
                .is_some_and(|reason| reason.len() <= MAX_REASON_BYTES)
        );
        health.found(Finding::Good, 0);
        assert_eq!(health.reason(), None);
    }

    #[test]
    fn one_gap_is_forgiven_and_two_are_not() {
        let stalled = || Finding::Stalled("nothing came for a second".to_owned());
        let mut health = Health::new(Standing::Good);
        health.found(stalled(), 1_000);
        assert!(health.is_good() && health.reason().is_some());
        health.found(Finding::Good, 2_000);
        assert_eq!(health.reason(), None);
        health.found(stalled(), 40_000);
        assert!(health.is_good(), "the first is forgotten");
        health.found(Finding::Good, 42_000);
        health.found(stalled(), 60_000);
        assert_eq!(health.standing(), Standing::Bad);
        // Good visits between two gaps do not bring it back.
        for ms in [62_000, 64_000, 66_000, 68_000] {
            health.found(Finding::Good, ms);
            assert_eq!(health.standing(), Standing::Bad, "{ms}");
        }
        health.found(Finding::Good, 70_000);
        assert!(health.is_good(), "ten quiet seconds, and good visits");
        assert!(health.has_stalled(80_000) && !health.has_stalled(91_000));
    }

    #[test]
    fn one_that_was_never_reached_does_not_become_bad_by_a_gap() {
        for standing in [Standing::Unproven, Standing::Unreachable, Standing::Bad] {
            let mut health = Health::new(standing);
            health.found(Finding::Stalled(String::new()), 0);
            health.found(Finding::Stalled(String::new()), 1);
            assert_eq!(health.standing(), standing);
        }
    }
}
