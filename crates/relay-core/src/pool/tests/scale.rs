//! When one more edge is started, by time.

use super::super::scale::{HELD_MS, MISSED_MS, PENDING_MS};
use super::super::{Need, Own, ScaleRules, Scaler, Start, Totals};
use super::{MBIT, Pool, edge};
use crate::cascade::message::Report;
use crate::clock::Now;

const RULES: ScaleRules = ScaleRules {
    from_percent: 60,
    cooldown_ms: 60_000,
    max_edges: 10,
};

/// An origin without edges that has given away half of what it may.
const HALF: Own = Own {
    committed: 50 * MBIT,
    most: Some(100 * MBIT),
};

const MOST: Own = Own {
    committed: 70 * MBIT,
    ..HALF
};

/// A scaler whose clock is moved by hand, a look each second.
struct Story {
    scaler: Scaler,
    totals: Totals,
    own: Own,
    now: Now,
}

impl Story {
    fn new(rules: ScaleRules) -> Self {
        let now = Now {
            mono_ms: 3_600_000,
            unix_us: 1_800_000_000_000_000,
        };
        Self {
            scaler: Scaler::new(rules, &[], now),
            totals: Totals::default(),
            own: Own::default(),
            now,
        }
    }

    /// So many edges of 100 Mbit/s, of which each has given away so many hundredths.
    fn edges(&mut self, edges: usize, percent: u64) {
        self.totals = Totals {
            edges,
            serving: edges,
            capacity: edges as u64 * 100 * MBIT,
            headroom: edges as u64 * (100 - percent) * MBIT,
            ..self.totals
        };
    }

    fn look(&mut self) -> Need {
        self.scaler.handle_look(&self.totals, self.own, self.now)
    }

    /// Looks once a second for so long, and tells when it was said that one is to be started, in seconds from now, and by
    /// what.
    fn passes(&mut self, seconds: u64) -> Vec<(u64, Start)> {
        let mut starts = Vec::new();
        for second in 0..seconds {
            if let Need::Start(start) = self.look() {
                starts.push((second, start));
            }
            self.now = self.now.plus_ms(1_000);
        }
        starts
    }

    /// At which seconds from now on one is to be started.
    fn starts(&mut self, seconds: u64) -> Vec<u64> {
        let starts = self.passes(seconds);
        starts.into_iter().map(|(second, _)| second).collect()
    }
}

#[test]
fn an_origin_alone_starts_the_first_edge_from_its_own_share() {
    let mut story = Story::new(RULES);
    assert!(story.starts(60).is_empty(), "nobody knows what it has");
    story.own = HALF;
    assert!(story.starts(60).is_empty());
    story.own = MOST;
    let starts = story.passes(60);
    assert_eq!(starts.len(), 1);
    let (second, start) = starts[0];
    assert_eq!(second * 1_000, HELD_MS);
    assert_eq!((start.edges, start.use_percent), (0, 70));
    // One that is to serve nobody itself has given away all that it has.
    let mut story = Story::new(RULES);
    story.own.most = Some(0);
    assert_eq!(story.starts(10), [3]);
}

#[test]
fn a_peak_of_a_moment_starts_nothing_and_a_figure_that_wavers_does() {
    let mut story = Story::new(RULES);
    for _ in 0..10 {
        story.edges(2, 75);
        assert!(story.starts(2).is_empty());
        story.edges(2, 50);
        assert!(story.starts(1).is_empty());
    }
    let mut needs = Vec::new();
    for percent in [60, 57, 61, 58, 59, 62] {
        story.edges(2, percent);
        needs.push(story.look());
        story.now = story.now.plus_ms(1_000);
    }
    assert_eq!(needs[..3], [Need::Held, Need::None, Need::Held]);
    assert_eq!(needs[3..5], [Need::None, Need::None], "only above the threshold");
    assert!(matches!(needs[5], Need::Start(_)), "{needs:?}");
}

/// A slow cloud: the one that is on its way counts, so that it does not lead to ten.
#[test]
fn one_that_is_on_its_way_counts_until_it_joined_or_three_minutes_passed() {
    let mut story = Story::new(RULES);
    story.edges(1, 100);
    assert_eq!(story.starts(180), [3], "2 edges, half of them given away");
    assert_eq!(story.scaler.pending(story.now.mono_ms), 1);
    // Given up after three minutes; then one more, each three minutes, until there are as many as there may be.
    let starts = story.starts(1_000);
    assert_eq!(starts, [6, 189, 372, 555, 738, 921]);
    assert_eq!(story.scaler.missing(story.now.mono_ms), 6);
    let later = story.starts(3_000 - 1_180);
    assert_eq!(later.len(), 2, "9 were started and 1 is there: {later:?}");
    assert_eq!(story.look(), Need::Maximum);
    // Those that never came are forgotten after an hour.
    let forgotten = story.starts(MISSED_MS / 1_000 - 3_000 + 10);
    assert_eq!(forgotten.len(), 1, "{forgotten:?}");
}

#[test]
fn a_large_wave_gets_several_but_one_per_cooldown() {
    let mut story = Story::new(RULES);
    story.edges(4, 100);
    // 4 of 5, 4 of 6: more than 60 %; 4 of 7 is less.
    assert_eq!(story.starts(170), [3, 63, 123]);
    // Two of them come, and carry nothing yet.
    story.totals.newcomers += 2;
    story.edges(6, 66);
    assert_eq!(story.scaler.pending(story.now.mono_ms), 3);
    assert!(story.starts(10).is_empty());
    assert_eq!(story.scaler.pending(story.now.mono_ms), 1);
}

#[test]
fn one_that_has_come_and_takes_nobody_yet_is_on_its_way_too() {
    let mut story = Story::new(RULES);
    story.own = MOST;
    assert_eq!(story.starts(60), [3]);
    story.totals.newcomers = 1;
    story.totals.edges = 1;
    story.totals.joining = 1;
    assert!(
        story.starts(300).is_empty(),
        "there is no other, so it is waited for"
    );
    story.totals.joining = 0;
    story.edges(1, 10);
    assert!(
        story.starts(300).is_empty(),
        "the origin's own share counts no more"
    );
}

#[test]
fn no_more_than_there_may_be() {
    let mut story = Story::new(ScaleRules {
        max_edges: 3,
        ..RULES
    });
    story.edges(3, 100);
    assert!(story.starts(600).is_empty());
    assert_eq!(story.look(), Need::Maximum);
    // One is lost: there is room for one more, and all the more need.
    story.edges(2, 100);
    assert_eq!(story.starts(600), [0], "the second on its way is one too many");
    // Nothing came of it.
    let mut story = Story::new(ScaleRules {
        max_edges: 1,
        ..RULES
    });
    story.own = MOST;
    let (_, start) = story.passes(10)[0];
    story.scaler.failed(&start);
    assert_eq!(
        story.look(),
        Need::Held,
        "the edge on its way was all that held it down"
    );
    assert_eq!(story.starts(120), [53], "a cooldown after the first attempt");
}

#[test]
fn a_restart_forgets_no_start() {
    let mut before = Story::new(RULES);
    before.own = MOST;
    assert_eq!(before.starts(10), [3]);
    let kept = before.scaler.started();
    assert_eq!(kept.len(), 1);
    let mut after = Story::new(RULES);
    after.own = MOST;
    // The monotonic clock begins anew; the wall clock goes on.
    after.now.unix_us = before.now.unix_us;
    after.scaler = Scaler::new(RULES, &kept, after.now);
    let left = PENDING_MS / 1_000 - 7;
    assert!(after.starts(left).is_empty());
    assert_eq!(after.starts(10), [3]);
    // A wall clock that went back makes it wait its whole time, and no longer.
    after.now.unix_us = 0;
    after.scaler = Scaler::new(RULES, &kept, after.now);
    assert_eq!(after.starts(190), [183]);
    // Of a file that somebody wrote, no more are read than there may be.
    let many = vec![u64::MAX; 1_000];
    after.scaler = Scaler::new(RULES, &many, after.now);
    assert_eq!(after.scaler.started().len(), 10);
}

#[test]
fn odd_figures_are_no_trouble() {
    let mut story = Story::new(RULES);
    for (capacity, headroom) in [(0, 0), (u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        story.totals.serving = usize::MAX;
        story.totals.joining = usize::MAX / 2;
        story.totals.edges = usize::MAX;
        story.totals.capacity = capacity;
        story.totals.headroom = headroom;
        story.totals.newcomers = capacity;
        story.starts(10);
    }
}

#[test]
fn a_roster_is_summed_up() {
    let mut pool = Pool::new(false);
    assert_eq!(pool.roster.totals(pool.now), Totals::default());
    for n in 1..=5 {
        pool.joins(n, 100 * MBIT);
    }
    pool.reports(1, 40 * MBIT);
    let full = Report {
        full: true,
        ..Report::default()
    };
    pool.roster.reported(&edge(2), &full, pool.now);
    pool.roster.order_drain(&edge(3), true);
    pool.roster.unlinked(&edge(4), pool.now);
    pool.links(6, 100 * MBIT);
    let totals = pool.roster.totals(pool.now);
    assert_eq!(
        totals,
        Totals {
            edges: 5,
            joining: 1,
            serving: 3,
            capacity: 300 * MBIT,
            headroom: 160 * MBIT,
            newcomers: 6,
        }
    );
    assert_eq!(totals.committed(), 140 * MBIT);
    // One that comes back is none that was started.
    pool.links(4, 100 * MBIT);
    assert_eq!(pool.roster.totals(pool.now).newcomers, 6);
    // After a restart those that were there are taken to be there, and are no newcomers either.
    let kept = pool.roster.remember(pool.now);
    let after = Pool::remembering(false, kept);
    let totals = after.roster.totals(after.now);
    assert_eq!((totals.serving, totals.newcomers), (5, 0), "{totals:?}");
}
