//! Where the probe stays for a while.

use super::super::{Finding, WATCH_MS};
use super::*;

/// What one who watches takes.
const STREAM: u64 = 5 * MBIT / 2;

impl Pool {
    /// Edge and scheme of each endpoint that is to be watched from now on.
    fn watches(&mut self, count: usize) -> Vec<(String, Scheme)> {
        let taken = self.roster.to_watch(count, STREAM, self.now);
        let names = taken
            .iter()
            .map(|(edge, endpoint)| (edge.to_string(), endpoint.scheme()));
        names.collect()
    }

    fn edges_watched(&mut self, count: usize) -> Vec<String> {
        self.watches(count).into_iter().map(|(edge, _)| edge).collect()
    }
}

fn of_good_edges(count: u8) -> Pool {
    let mut pool = Pool::new(true);
    for n in 1..=count {
        pool.joins(n, 1000 * MBIT);
        pool.is_probed(n, &Finding::Good);
    }
    pool
}

#[test]
fn each_edge_has_one_watcher_at_a_time_and_its_endpoints_take_turns() {
    let mut pool = of_good_edges(2);
    assert_eq!(pool.edges_watched(9), ["edge-1", "edge-2"]);
    pool.passes(WATCH_MS - 1);
    (1..=2).for_each(|n| pool.reports(n, 0));
    assert_eq!(pool.edges_watched(9), [""; 0]);
    let mut schemes = Vec::new();
    for _ in 0..4 {
        pool.passes(WATCH_MS);
        (1..=2).for_each(|n| pool.reports(n, 0));
        schemes.extend(pool.watches(9).first().map(|(_, scheme)| *scheme));
    }
    schemes.sort_unstable_by_key(|scheme| scheme.name());
    assert_eq!(schemes, [Scheme::Http, Scheme::Http, Scheme::Rtmp, Scheme::Rtmp]);
}

#[test]
fn whoever_was_watched_longest_ago_comes_first() {
    let mut pool = of_good_edges(5);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(pool.edges_watched(2));
        pool.passes(WATCH_MS);
        (1..=5).for_each(|n| pool.reports(n, 0));
    }
    for n in 1..=5 {
        let times = seen.iter().filter(|edge| **edge == format!("edge-{n}")).count();
        assert_eq!(times, 2, "edge {n} in {seen:?}");
    }
}

#[test]
fn where_one_endpoint_stalls_all_of_the_edge_are_watched_and_first() {
    let mut pool = of_good_edges(3);
    assert_eq!(pool.edges_watched(1), ["edge-1"]);
    let stalls = Finding::Stalled("nothing came for a second".to_owned());
    let endpoint = "http://192.0.2.3:8080".parse().unwrap();
    let news = pool.roster.probed(&edge(3), &endpoint, stalls.clone(), pool.now);
    assert_eq!(news, None, "one gap may be anybody's");
    assert_eq!(pool.edges_watched(9), ["edge-3", "edge-3", "edge-2"]);
    assert_eq!(pool.state(3), Some(State::Serving));
    pool.passes(2_000);
    pool.reports(3, 0);
    pool.is_probed(3, &stalls);
    assert_eq!(pool.state(3), Some(State::Serving), "RTMP has stalled once");
    pool.is_probed(3, &stalls);
    assert_eq!(pool.state(3), Some(State::Unreachable));
    assert!(pool.why(3).contains("nothing came for a second"));
}

#[test]
fn nobody_stays_where_viewers_leave_or_nobody_probes() {
    let mut pool = of_good_edges(3);
    pool.roster.order_drain(&edge(1), true);
    pool.roster.unlinked(&edge(2), pool.now);
    assert_eq!(pool.edges_watched(9), ["edge-3"]);
    for (n, worth) in [(1, false), (2, false), (3, true), (4, false)] {
        assert_eq!(pool.roster.is_worth_watching(&edge(n), pool.now), worth, "{n}");
    }
    let mut blind = Pool::new(false);
    blind.joins(1, 1000 * MBIT);
    assert_eq!(blind.edges_watched(9), [""; 0]);
    let mut unproven = Pool::new(true);
    unproven.joins(1, 1000 * MBIT);
    assert_eq!(unproven.edges_watched(9), [""; 0], "nobody has reached it yet");
}

#[test]
fn nobody_takes_the_place_of_a_viewer() {
    let mut pool = Pool::new(true);
    for (n, capacity) in [(1, 24 * MBIT), (2, 25 * MBIT)] {
        pool.joins(n, capacity);
        pool.is_probed(n, &Finding::Good);
    }
    assert_eq!(
        pool.edges_watched(9),
        ["edge-2"],
        "of the other it would be more than a tenth"
    );
    assert!(pool.roster.is_worth_watching(&edge(2), pool.now));
    pool.reports(2, 25 * MBIT);
    assert!(!pool.roster.is_worth_watching(&edge(2), pool.now), "it is full");
}

#[test]
fn one_who_watches_is_not_shown_as_a_viewer() {
    let mut pool = of_good_edges(1);
    let report = Report {
        viewers: 3,
        ..Report::default()
    };
    let shown = |pool: &Pool| pool.roster.list(pool.now)[0].viewers;
    assert_eq!(pool.edges_watched(9), ["edge-1"]);
    pool.roster.reported(&edge(1), &report, pool.now);
    assert_eq!(shown(&pool), 2);
    pool.roster.watched(&edge(1));
    pool.roster.watched(&edge(1));
    assert_eq!(shown(&pool), 3);
}
