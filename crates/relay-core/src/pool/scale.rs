//! When one more edge is wanted. Starting it is somebody else's work.

use super::totals::Totals;
use crate::clock::Now;

/// For how long the threshold must have been passed, in milliseconds. First bursts and a late report make peaks of a second or
/// two, and each start costs money; a machine takes half a minute to boot, so that these seconds are not what is missed.
pub(super) const HELD_MS: u64 = 3_000;

/// How long an edge that was started counts as one that is there, in milliseconds: what a slow cloud takes to make a machine.
pub(super) const PENDING_MS: u64 = 180_000;

/// How long an edge that was started and never joined counts towards the maximum, in milliseconds: its machine may be there and
/// be paid for. So a start that never works makes no more machines in an hour than the pool may have edges.
pub(super) const MISSED_MS: u64 = 3_600_000;

/// How far below the threshold use has to fall before it counts as below, in hundredths: a figure that wavers about the
/// threshold is above it.
pub(super) const LEEWAY: u64 = 5;

/// What a [`Scaler`] goes by: `[scale_out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleRules {
    /// From which use on one more edge is wanted, in hundredths.
    pub from_percent: u64,
    /// From one start to the next, in milliseconds.
    pub cooldown_ms: u64,
    /// Edges at most, those that were started and are on their way included.
    pub max_edges: usize,
}

/// What the origin itself has for viewers. It counts as long as no edge takes any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Bits a second that it has given away.
    pub committed: u64,
    /// Bits a second that it may give away. If nobody knows, nothing is made of it; if it is 0, all of it is given away.
    pub most: Option<u64>,
}

/// An edge is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The how-manieth it is of this scaler.
    pub number: u64,
    /// Edges that are there already.
    pub edges: usize,
    /// How much of what they can send together is given away, in hundredths.
    pub use_percent: u64,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// There are edges enough, counting those on their way; or nothing is known.
    None,
    /// The threshold is passed, for less than three seconds.
    Held,
    /// One more is wanted, and the last start was a moment ago.
    Cooling,
    /// One more is wanted, and there are as many as there may be.
    Maximum,
    /// Start one more. It counts from now on.
    Start(Start),
}

/// Decides when one more edge is wanted.
///
/// Show it the pool each second. For each [`Need::Start`] start an edge, and if it is certain that none was started, say so by
/// [`failed`](Self::failed). Who has come it sees by itself.
#[derive(Debug)]
pub struct Scaler {
    rules: ScaleRules,
    /// Those that were started and have not joined: the oldest first, no more than the maximum.
    started: Vec<Started>,
    numbers: u64,
    newcomers: u64,
    above_since_ms: Option<u64>,
    cool_until_ms: u64,
    use_percent: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Started {
    number: u64,
    unix_ms: u64,
    pending_until_ms: u64,
    missed_until_ms: u64,
}

impl Scaler {
    /// One that goes on after a restart: `started` are the [starts](Self::started) of those that had not joined, the oldest
    /// first. If the wall clock went back since, they count for their whole time anew.
    pub fn new(rules: ScaleRules, started: &[u64], now: Now) -> Self {
        let mut scaler = Self {
            rules,
            started: Vec::new(),
            numbers: 0,
            newcomers: 0,
            above_since_ms: None,
            cool_until_ms: 0,
            use_percent: None,
        };
        let kept = started.len().saturating_sub(rules.max_edges);
        for unix_ms in &started[kept..] {
            scaler.note(*unix_ms, now);
        }
        scaler
    }

    /// Looks at the pool and at what the origin has itself.
    pub fn handle_look(&mut self, totals: &Totals, own: Own, now: Now) -> Need {
        let now_ms = now.mono_ms;
        self.welcome(totals.newcomers, now_ms);
        self.started.retain(|start| now_ms < start.missed_until_ms);
        let coming = self.pending(now_ms).saturating_add(totals.joining);
        self.use_percent = use_percent(totals, own, coming);
        let Some(use_percent) = self.use_percent else {
            self.above_since_ms = None;
            return Need::None;
        };
        if use_percent.saturating_add(LEEWAY) < self.rules.from_percent {
            self.above_since_ms = None;
        }
        if use_percent < self.rules.from_percent {
            return Need::None;
        }
        let since_ms = *self.above_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < HELD_MS {
            return Need::Held;
        }
        if totals.edges.saturating_add(self.started.len()) >= self.rules.max_edges {
            return Need::Maximum;
        }
        if now_ms < self.cool_until_ms {
            return Need::Cooling;
        }
        let number = self.note(now.unix_ms(), now);
        Need::Start(Start {
            number,
            edges: totals.edges,
            use_percent,
        })
    }

    /// No edge came of a start, for certain. The cooldown holds all the same.
    pub fn failed(&mut self, start: &Start) {
        self.started.retain(|known| known.number != start.number);
    }

    /// When those were started that have not joined, in Unix milliseconds: what to keep over a restart.
    pub fn started(&self) -> Vec<u64> {
        self.started.iter().map(|start| start.unix_ms).collect()
    }

    /// Those that were started and are on their way.
    pub fn pending(&self, now_ms: u64) -> usize {
        let pending = |start: &&Started| now_ms < start.pending_until_ms;
        self.started.iter().filter(pending).count()
    }

    /// Those that should have joined long ago.
    pub fn missing(&self, now_ms: u64) -> usize {
        self.started.len() - self.pending(now_ms)
    }

    /// How much was given away at the last look, in hundredths, those on their way counted as edges; unknown if `None`.
    pub const fn use_percent(&self) -> Option<u64> {
        self.use_percent
    }

    /// Takes a start into the books.
    fn note(&mut self, unix_ms: u64, now: Now) -> u64 {
        let ago_ms = now.unix_ms().saturating_sub(unix_ms);
        let left = |ms: u64| now.mono_ms.saturating_add(ms.saturating_sub(ago_ms));
        self.numbers += 1;
        self.started.push(Started {
            number: self.numbers,
            unix_ms,
            pending_until_ms: left(PENDING_MS),
            missed_until_ms: left(MISSED_MS),
        });
        self.cool_until_ms = self.cool_until_ms.max(left(self.rules.cooldown_ms));
        self.numbers
    }

    /// Each newcomer is taken to be the oldest of those on their way, or else the oldest that was missed.
    fn welcome(&mut self, newcomers: u64, now_ms: u64) {
        for _ in self.newcomers..newcomers {
            if self.started.is_empty() {
                break;
            }
            let pending = |start: &Started| now_ms < start.pending_until_ms;
            let place = self.started.iter().position(pending).unwrap_or(0);
            self.started.remove(place);
        }
        self.newcomers = newcomers;
    }
}

/// How much is given away, in hundredths. Each of those that are `coming` counts as an edge of the mean size that carries
/// nothing yet; if there is no other, it is waited for.
fn use_percent(totals: &Totals, own: Own, coming: usize) -> Option<u64> {
    match (totals.serving as u64, coming as u64) {
        (0, 0) => own.most.map(|most| hundredths(own.committed, most)),
        (0, _) => None,
        (serving, coming) => {
            let mean = totals.capacity / serving;
            let capacity = totals.capacity.saturating_add(mean.saturating_mul(coming));
            Some(hundredths(totals.committed(), capacity))
        }
    }
}

fn hundredths(part: u64, whole: u64) -> u64 {
    match whole {
        0 => 100,
        // In 128 bits, since edges may say anything.
        _ => u64::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(u64::MAX),
    }
}
