//! How edges come, go, fail and come back.

use super::super::{Finding, RosterConfig, RosterFull, Standing, State};
use super::{MBIT, Pool, arrival, edge};
use crate::cascade::message::Report;
use crate::clock::Now;

fn refused() -> Finding {
    Finding::Failed("connection refused".to_owned())
}

#[test]
fn an_edge_joins_is_reached_and_serves() {
    let mut pool = Pool::new(true);
    pool.links(1, 100 * MBIT);
    assert_eq!(pool.state(1), Some(State::Joining));
    assert_eq!(pool.why(1), "it has not reported yet");
    pool.reports(1, 0);
    assert_eq!(pool.why(1), "its endpoints have not been tried yet");
    assert_eq!(pool.places(MBIT), None, "nobody has reached it yet");
    pool.is_probed(1, &Finding::Good);
    assert_eq!(pool.state(1), Some(State::Serving));
    assert_eq!(pool.places(MBIT), Some(1));
}

#[test]
fn an_edge_behind_a_firewall_is_told_which_key_to_set() {
    let mut pool = Pool::new(true);
    pool.joins(1, 100 * MBIT);
    pool.is_probed(1, &refused());
    assert_eq!(pool.state(1), Some(State::Joining));
    assert!(
        pool.why(1)
            .starts_with("not reached yet: http://192.0.2.1:8080: connection refused")
    );
    pool.is_probed(1, &refused());
    pool.is_probed(1, &refused());
    assert_eq!(pool.state(1), Some(State::Unreachable));
    let why = pool.why(1);
    assert!(
        why.contains("connection refused") && why.contains("`public`"),
        "{why}"
    );
    pool.is_probed(1, &Finding::Good);
    assert_eq!(pool.state(1), Some(State::Serving), "somebody opened the port");
}

#[test]
fn an_edge_without_endpoints_is_a_parent_at_most() {
    let mut pool = Pool::new(false);
    pool.roster.linked(edge(1), arrival(1, &[]), pool.now).unwrap();
    pool.reports(1, 0);
    assert_eq!(pool.state(1), Some(State::Unreachable));
    assert!(pool.why(1).contains("`public`"));
    assert_eq!(pool.places(MBIT), None);
}

#[test]
fn a_lying_edge_is_out_at_once_and_for_three_good_answers() {
    let mut pool = Pool::new(true);
    pool.joins(1, 100 * MBIT);
    pool.is_probed(1, &Finding::Good);
    pool.is_probed(1, &Finding::Wrong("group 7 has another hash".to_owned()));
    assert_eq!(pool.state(1), Some(State::Unreachable));
    assert_eq!(
        pool.why(1),
        "http://192.0.2.1:8080: group 7 has another hash; rtmp://192.0.2.1: group 7 has another hash"
    );
    pool.is_probed(1, &Finding::Good);
    pool.is_probed(1, &Finding::Good);
    assert_eq!(pool.places(MBIT), None);
    // Coming back by another link does not help.
    pool.roster.unlinked(&edge(1), pool.now);
    pool.joins(1, 100 * MBIT);
    assert_eq!(pool.state(1), Some(State::Unreachable));
    pool.is_probed(1, &Finding::Good);
    assert_eq!(pool.places(MBIT), Some(1));
}

#[test]
fn three_missed_reports_or_a_lost_link_withdraw_an_edge() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    pool.passes(2_999);
    assert_eq!(pool.places(MBIT), Some(1));
    pool.passes(1);
    assert_eq!((pool.state(1), pool.places(MBIT)), (Some(State::Lost), None));
    assert_eq!(pool.why(1), "it is linked, and silent for 3.0 s");
    pool.reports(1, 0);
    assert_eq!(pool.places(MBIT), Some(1), "it was only silent");
    pool.roster.unlinked(&edge(1), pool.now);
    assert_eq!((pool.state(1), pool.places(MBIT)), (Some(State::Lost), None));
    assert_eq!(pool.why(1), "its link has ended; it was last heard 0.0 s ago");
}

#[test]
fn a_link_that_is_replaced_leaves_one_member() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    pool.reports(1, 40 * MBIT);
    pool.links(1, 100 * MBIT);
    pool.roster.unlinked(&edge(1), pool.now);
    assert_eq!((pool.roster.len(), pool.state(1)), (1, Some(State::Serving)));
    assert_eq!(
        pool.roster.list(pool.now)[0].headroom,
        60 * MBIT,
        "what it carries is still known"
    );
    pool.roster.unlinked(&edge(1), pool.now);
    assert_eq!(pool.state(1), Some(State::Lost));
}

#[test]
fn one_that_comes_back_after_an_absence_has_to_report_first() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    pool.roster.unlinked(&edge(1), pool.now);
    pool.passes(60_000);
    pool.links(1, 100 * MBIT);
    assert_eq!((pool.state(1), pool.places(MBIT)), (Some(State::Joining), None));
    pool.reports(1, 99 * MBIT);
    assert_eq!((pool.places(2 * MBIT), pool.places(MBIT)), (None, Some(1)));
}

#[test]
fn the_origins_restart_is_a_non_event() {
    let mut before = Pool::new(true);
    for n in 1..=4 {
        before.joins(n, 100 * MBIT);
        before.is_probed(n, &Finding::Good);
    }
    before.reports(1, 90 * MBIT);
    before.roster.order_drain(&edge(2), true);
    before.is_probed(3, &Finding::Wrong("another hash".to_owned()));
    let json = serde_json::to_string(&before.roster.remember(before.now)).unwrap();

    let mut after = Pool::remembering(true, serde_json::from_str(&json).unwrap());
    assert_eq!(after.state(1), Some(State::Presumed));
    for _ in 0..5 {
        assert!(after.places(5 * MBIT).is_some_and(|n| n == 1 || n == 4));
    }
    after.passes(14_000);
    while after.places(15 * MBIT).is_some() {}
    assert_eq!(
        after.places(15 * MBIT),
        None,
        "promises are kept while nobody reports"
    );
    // Back: known to be good, with the load that was remembered until its first report.
    after.links(4, 100 * MBIT);
    assert_eq!(after.state(4), Some(State::Serving));
    assert!(
        after.places(15 * MBIT).is_none(),
        "what was promised still counts"
    );
    after.reports(4, 10 * MBIT);
    after.passes(1_000);
    assert_eq!(after.state(1), Some(State::Lost), "its time to come back is over");
    after.links(2, 100 * MBIT);
    assert_eq!(after.why(2), "it was ordered to drain");
    after.joins(3, 100 * MBIT);
    assert_eq!(after.state(3), Some(State::Unreachable));
    assert_eq!(after.roster.remember(after.now).len(), 3);
}

#[test]
fn a_drain_is_an_edges_word_or_an_operators_and_can_be_taken_back() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    assert!(pool.roster.order_drain(&edge(1), true));
    assert_eq!((pool.state(1), pool.places(MBIT)), (Some(State::Draining), None));
    assert!(pool.roster.order_drain(&edge(1), false));
    assert_eq!(pool.places(MBIT), Some(1));
    let report = Report {
        draining: true,
        ..Report::default()
    };
    pool.roster.reported(&edge(1), &report, pool.now);
    assert_eq!((pool.state(1), pool.places(MBIT)), (Some(State::Draining), None));
    assert_eq!(pool.why(1), "it drains, by its own word");
    assert!(!pool.roster.order_drain(&edge(2), true), "there is no such edge");
    assert!(pool.roster.revoked(&edge(1)) && pool.roster.is_empty());
    pool.reports(1, 0);
    assert!(pool.roster.is_empty(), "what a revoked one still says is ignored");
}

#[test]
fn jumps_of_the_wall_clock_change_nothing() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    for unix_us in [0, u64::MAX, 5] {
        pool.now = Now { unix_us, ..pool.now };
        pool.now.mono_ms += 1_000;
        assert_eq!(pool.places(MBIT), Some(1));
        pool.reports(1, 0);
    }
    pool.now.mono_ms = 0;
    assert_eq!(
        pool.places(MBIT),
        Some(1),
        "time that seems to step back stands still"
    );
}

#[test]
fn the_longest_lost_gives_way_and_a_full_pool_says_so() {
    let rules = RosterConfig {
        probing: false,
        max_members: 2,
        ..RosterConfig::default()
    };
    let mut pool = Pool::with(rules, Vec::new());
    pool.joins(1, MBIT);
    pool.passes(1);
    pool.joins(2, MBIT);
    let refusal = pool.roster.linked(edge(3), arrival(3, &[]), pool.now);
    assert_eq!(refusal, Err(RosterFull(2)));
    pool.roster.unlinked(&edge(2), pool.now);
    pool.roster.unlinked(&edge(1), pool.now);
    pool.joins(3, MBIT);
    assert_eq!((pool.state(1), pool.state(2)), (None, Some(State::Lost)));
    assert_eq!(pool.places(MBIT), Some(3));
    pool.passes(3_600_000);
    pool.reports(3, 0);
    assert_eq!(pool.roster.len(), 1, "a lost one is forgotten after an hour");
}

#[test]
fn endpoints_are_probed_in_turn_each_every_two_seconds() {
    let mut pool = Pool::new(true);
    (1..=50).for_each(|n| pool.joins(n, MBIT));
    assert_eq!(
        pool.roster.to_probe(1_000, pool.now).len(),
        100,
        "newcomers are probed at once"
    );
    assert_eq!(pool.roster.to_probe(1_000, pool.now), []);
    let mut each_second = Vec::new();
    for _ in 0..100 {
        pool.passes(100);
        (1..=50).for_each(|n| pool.reports(n, 0));
        each_second.push(pool.roster.to_probe(1_000, pool.now).len());
    }
    let after = each_second.split_off(20);
    assert_eq!(after.iter().sum::<usize>(), 100 * 4, "8 s, each each 2 s");
    assert!(after.iter().all(|probes| *probes <= 40), "spread: {after:?}");
    pool.passes(2_000);
    assert_eq!(
        pool.roster.to_probe(7, pool.now).len(),
        7,
        "no more than asked for"
    );
    let mut unprobed = Pool::new(false);
    unprobed.joins(1, MBIT);
    assert_eq!(unprobed.roster.to_probe(9, unprobed.now), []);
}

#[test]
fn a_list_has_all_that_an_operator_wants() {
    let mut pool = Pool::new(true);
    pool.joins(1, 100 * MBIT);
    pool.is_probed(1, &Finding::Good);
    pool.passes(1_000);
    let report = Report {
        viewers: 12,
        egress_bytes: 2_500_000,
        committed: Some(30 * MBIT),
        lag_ms: Some(40),
        metrics: Some("http://192.0.2.1:9935/metrics".to_owned()),
        ..Report::default()
    };
    pool.roster.reported(&edge(1), &report, pool.now);
    assert_eq!(pool.places(5 * MBIT), Some(1));
    let rows = pool.roster.list(pool.now);
    let row = &rows[0];
    assert_eq!(
        (row.state, row.why.as_str(), row.offered),
        (State::Serving, "it takes viewers", true)
    );
    assert_eq!(
        (row.egress, row.committed, row.promised),
        (20 * MBIT, Some(30 * MBIT), 5 * MBIT)
    );
    assert_eq!((row.capacity, row.headroom), (100 * MBIT, 65 * MBIT));
    assert_eq!(
        (row.viewers, row.lag_ms, row.age_ms, row.silence_ms),
        (12, Some(40), 1_000, 0)
    );
    assert_eq!(row.endpoints.len(), 2);
    assert_eq!(row.endpoints[0].standing, Standing::Good);
    let json = serde_json::to_value(row).unwrap();
    assert_eq!(
        (json["state"].as_str(), json["instance"].as_str()),
        (Some("serving"), Some("edge-1"))
    );
    for state in State::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
}

#[test]
fn an_edge_is_told_where_viewers_are_kept_from_it() {
    let mut pool = Pool::new(true);
    pool.joins(1, MBIT);
    pool.joins(2, MBIT);
    let endpoint = "http://192.0.2.1:8080".parse().unwrap();
    let news: Vec<_> = (0..4)
        .map(|_| pool.roster.probed(&edge(1), &endpoint, refused(), pool.now))
        .collect();
    assert_eq!(news, [None, None, Some(Standing::Unreachable), None], "told once");
    let Finding::Failed(reason) = refused() else {
        panic!()
    };
    let told = [format!("http://192.0.2.1:8080: {reason}")];
    assert_eq!(pool.roster.unreachable(&edge(1)), told);
    assert!(pool.roster.unreachable(&edge(2)).is_empty());
    let count = |pool: &Pool, state| {
        pool.roster
            .tally(pool.now)
            .into_iter()
            .find(|(s, _)| *s == state)
            .unwrap()
            .1
    };
    assert_eq!(
        (count(&pool, State::Unreachable), count(&pool, State::Joining)),
        (1, 1)
    );
    let back = pool.roster.probed(&edge(1), &endpoint, Finding::Good, pool.now);
    assert_eq!(back, Some(Standing::Good));
    assert!(pool.roster.unreachable(&edge(1)).is_empty());
    assert_eq!(count(&pool, State::Serving), 1);
    let long = "x".repeat(1000);
    pool.roster
        .probed(&edge(1), &endpoint, Finding::Wrong(long), pool.now);
    let told = &pool.roster.unreachable(&edge(1))[0];
    assert!(told.len() < crate::cascade::message::MAX_TEXT_BYTES, "{told}");
}
