//! Where viewers are sent, and what others are told.

use std::collections::HashMap;

use super::super::{Arrival, Finding, Scheme, Wish, pick_one};
use super::{MBIT, Pool, arrival, edge, wish};
use crate::cascade::Message;
use crate::cascade::message::Report;
use crate::family::Family;

#[test]
fn viewers_follow_the_headroom() {
    let mut pool = Pool::new(false);
    for (n, capacity) in [(1, 100), (2, 200), (3, 700)] {
        pool.joins(n, capacity * 1_000 * MBIT);
    }
    let mut seen = HashMap::new();
    for _ in 0..10_000 {
        *seen.entry(pool.places(MBIT).unwrap()).or_insert(0) += 1;
    }
    assert!((900..1_100).contains(&seen[&1]), "{seen:?}");
    assert!((1_850..2_150).contains(&seen[&2]), "{seen:?}");
}

#[test]
fn a_pool_is_filled_to_the_last_viewer_and_not_beyond() {
    let mut pool = Pool::new(false);
    (1..=20).for_each(|n| pool.joins(n, 100 * MBIT));
    let mut seen = HashMap::new();
    while let Some(n) = pool.places(3 * MBIT) {
        *seen.entry(n).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.values().all(|viewers| *viewers == 33), "{seen:?}");
    assert!(
        pool.roster.room(Scheme::Http, pool.now),
        "a smaller stream still fits"
    );
    assert!(pool.places(MBIT).is_some());
}

#[test]
fn a_promise_is_over_when_reports_have_it() {
    let mut pool = Pool::new(false);
    pool.joins(1, 10 * MBIT);
    assert_eq!(pool.places(8 * MBIT), Some(1));
    assert_eq!(pool.places(8 * MBIT), None);
    assert!(pool.why(1).contains("takes viewers"));
    for _ in 0..4 {
        pool.passes(1_000);
        pool.reports(1, 0);
    }
    assert_eq!(pool.places(8 * MBIT), Some(1), "they never came");
    pool.passes(1_000);
    pool.reports(1, 10 * MBIT);
    assert_eq!(
        pool.why(1),
        "its 10 Mbit/s are given away: 10 Mbit/s to viewers it has, 8 Mbit/s to those on their way"
    );
}

#[test]
fn a_full_edge_is_left_alone() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    let report = Report {
        full: true,
        ..Report::default()
    };
    pool.roster.reported(&edge(1), &report, pool.now);
    assert_eq!(pool.places(MBIT), None);
    assert!(!pool.roster.room(Scheme::Http, pool.now));
    assert_eq!(pool.why(1), "it says that it is full");
}

#[test]
fn each_scheme_has_its_own_edges() {
    let mut pool = Pool::new(false);
    pool.roster
        .linked(edge(1), arrival(1, &["rtmp://0.0.0.0"]), pool.now)
        .unwrap();
    pool.reports(1, 0);
    assert_eq!(pool.places(MBIT), None);
    assert!(pool.roster.room(Scheme::Rtmp, pool.now));
    let wish = Wish {
        scheme: Scheme::Rtmp,
        ..wish(MBIT)
    };
    let endpoint = pool.roster.place(&wish, pool.now, &mut || 5).unwrap();
    assert_eq!(endpoint.to_string(), "rtmp://192.0.2.1");
}

#[test]
fn viewers_are_sent_to_their_own_family() {
    let mut pool = Pool::new(false);
    let both = ["http://[2001:db8::1]", "http://192.0.2.1"];
    pool.roster.linked(edge(1), arrival(1, &both), pool.now).unwrap();
    pool.reports(1, 0);
    for (family, expected) in [(Family::V6, both[0]), (Family::V4, both[1])] {
        let wish = Wish { family, ..wish(MBIT) };
        let endpoint = pool.roster.place(&wish, pool.now, &mut || 5).unwrap();
        assert_eq!(endpoint.to_string(), expected);
    }
}

/// R86: one who may have IPv6 only is not sent to one of a hundred larger edges that it cannot reach, while one fits that it can.
#[test]
fn the_only_edge_of_a_family_is_found_among_a_hundred() {
    let mut pool = Pool::new(false);
    (1..=100).for_each(|n| pool.joins(n, 1_000 * MBIT));
    let six = Arrival {
        capacity: Some(3 * MBIT),
        ..arrival(101, &["http://[2001:db8::101]", "rtmp://192.0.2.101"])
    };
    pool.roster.linked(edge(101), six, pool.now).unwrap();
    pool.reports(101, 0);
    let mut goes = |family| {
        let wish = Wish { family, ..wish(MBIT) };
        let dice = &mut pool.dice;
        let endpoint = pool.roster.place(&wish, pool.now, &mut || dice.roll());
        endpoint.unwrap().ip().unwrap().is_ipv6()
    };
    assert!((0..50).all(|_| !goes(Family::V4)));
    assert!((0..3).all(|_| goes(Family::V6)));
    // It is full. Most who come by IPv6 have IPv4, too; better there than nowhere.
    assert!((0..50).all(|_| !goes(Family::V6)));
}

/// R86: the other way round, one of IPv4 goes to an edge that has it, and to one of IPv6 only if there is no other.
#[test]
fn a_pool_of_ipv6_alone_is_better_than_none() {
    let mut pool = Pool::new(false);
    let only = ["http://[2001:db8::1]"];
    pool.roster.linked(edge(1), arrival(1, &only), pool.now).unwrap();
    pool.reports(1, 0);
    let goes = |pool: &mut Pool| {
        let dice = &mut pool.dice;
        let placed = pool.roster.place(&wish(MBIT), pool.now, &mut || dice.roll());
        placed.unwrap().to_string()
    };
    assert_eq!(goes(&mut pool), only[0]);
    pool.joins(2, 10 * MBIT);
    assert!((0..10).all(|_| goes(&mut pool) == "http://192.0.2.2:8080"));
}

#[test]
fn a_view_has_the_good_endpoints_of_edges_that_take_viewers() {
    let mut pool = Pool::new(true);
    for n in 1..=40 {
        pool.joins(n, 100 * MBIT);
        pool.is_probed(n, &Finding::Good);
    }
    pool.roster.order_drain(&edge(1), true);
    let bad: super::super::Endpoint = "rtmp://192.0.2.2".parse().unwrap();
    let wrong = Finding::Wrong("another hash".to_owned());
    pool.roster.probed(&edge(2), &bad, wrong, pool.now);
    let mut seen = HashMap::new();
    for _ in 0..200 {
        let view = pool.roster.view(99, pool.now, &mut || pool.dice.roll());
        assert_eq!(view.offers.len(), 24);
        for offer in &view.offers {
            *seen.entry(offer.instance.clone()).or_insert(0) += 1;
            let expected = if offer.instance == edge(2) { 1 } else { 2 };
            assert_eq!((offer.public.len(), offer.headroom), (expected, 100 * MBIT));
        }
        Message::Pool(view).check().unwrap();
    }
    assert_eq!(seen.len(), 39, "all but the one that drains");
    assert!(seen.values().all(|times| (80..170).contains(times)), "{seen:?}");
    assert_eq!(
        pool.roster
            .view(3, pool.now, &mut || pool.dice.roll())
            .offers
            .len(),
        3
    );
    pool.passes(5_000);
    assert_eq!(
        pool.roster.view(3, pool.now, &mut || 0).offers,
        [],
        "all are silent"
    );
}

#[test]
fn dns_shares_an_edges_headroom_out_to_its_addresses() {
    let mut pool = Pool::new(false);
    let public = [
        "http://192.0.2.1",
        "http://192.0.2.2",
        "http://[2001:db8::1]",
        "http://a.example",
        "rtmp://192.0.2.3",
    ];
    pool.roster
        .linked(edge(1), arrival(1, &public), pool.now)
        .unwrap();
    pool.roster
        .linked(edge(2), arrival(2, &["http://192.0.2.2:8080"]), pool.now)
        .unwrap();
    pool.reports(1, 0);
    pool.reports(2, 90 * MBIT);
    let addresses = pool.roster.addresses(Scheme::Http, pool.now);
    let told: Vec<_> = addresses
        .iter()
        .map(|(ip, weight)| (ip.to_string(), weight / MBIT))
        .collect();
    let expected = [("192.0.2.1", 50), ("192.0.2.2", 60), ("2001:db8::1", 100)];
    assert_eq!(told, expected.map(|(ip, weight)| (ip.to_owned(), weight)));
}

/// R81: a full edge is told of without weight, as company for a lone one; who drains or is silent is not.
#[test]
fn dns_knows_of_full_edges_too() {
    let mut pool = Pool::new(false);
    (1..=4).for_each(|n| pool.joins(n, 100 * MBIT));
    let full = Report {
        full: true,
        ..Report::default()
    };
    pool.roster.reported(&edge(2), &full, pool.now);
    pool.roster.order_drain(&edge(3), true);
    pool.roster.unlinked(&edge(4), pool.now);
    let told: Vec<_> = pool
        .roster
        .addresses(Scheme::Http, pool.now)
        .into_iter()
        .map(|(ip, weight)| (ip.to_string(), weight / MBIT))
        .collect();
    assert_eq!(told, [("192.0.2.1".to_owned(), 100), ("192.0.2.2".to_owned(), 0)]);
}

#[test]
fn a_node_chooses_from_a_view_by_headroom() {
    let mut pool = Pool::new(false);
    pool.joins(1, 100 * MBIT);
    pool.joins(2, 300 * MBIT);
    let view = pool.roster.view(24, pool.now, &mut || pool.dice.roll());
    let weights: Vec<u64> = view.offers.iter().map(|offer| offer.headroom).collect();
    let (mut second, edge) = (0, edge(2));
    for _ in 0..1_000 {
        let place = pick_one(&weights, &mut || pool.dice.roll()).unwrap();
        second += i32::from(view.offers[place].instance == edge);
    }
    assert!((700..800).contains(&second), "{second}");
}
