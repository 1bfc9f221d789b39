//! From what was found to a report, and whether it is as it should be.

use super::audience::Finding;
use super::fate::{OWN_LIMIT, SERVED};
use super::seconds::Totals;
use super::tally::{millis, percentiles};
use super::viewer::Viewer;
use super::{Role, SECOND_US, Verb};
use crate::report::{Delivery, LoadSelf, Report};

/// 99 of 100 viewers get at least this share.
const DELIVERY_P1: f64 = 0.98;

/// At most this share of the viewers' seconds is short of media.
const STARVED_SHARE: f64 = 0.001;

/// At least this share of the rate that was asked for comes from the source; the rest may be sound, which is not counted.
const SOURCE_SHARE: f64 = 0.8;

/// A thread busier than this share of its core has no time to wait for anything.
const TOO_BUSY: f64 = 0.95;

/// A timer later than this at p99 measures its own lateness, in milliseconds.
const TOO_LATE_MS: f64 = 50.0;

/// The report of a watch, with all its complaints.
pub(super) fn report(verb: &Verb, found: &Finding) -> Report {
    let seconds = found.measured_us as f64 / SECOND_US as f64;
    let late_p99 = millis(found.timer_late.value_at_quantile(0.99));
    let busy = if seconds > 0.0 {
        found.taken.own_seconds / seconds
    } else {
        0.0
    };
    let tally = &found.tally;
    let mut report = Report {
        url: verb.url.clone(),
        viewers: verb.viewers.into(),
        seconds,
        joins: found.joins.clone(),
        closed: found.closed.watching,
        slow_closed: found.closed.slow,
        stalled_closed: found.closed.stalled,
        stalled_closed_after: percentiles(&tally.stalled_until_closed),
        first_byte: percentiles(&tally.first_byte),
        first_keyframe: percentiles(&tally.first_keyframe),
        live_edge: percentiles(&tally.live_edge),
        lateness: percentiles(&tally.lateness),
        bytes: tally.bytes,
        delivery: Delivery::default(),
        source_rate: 0.0,
        source_stalled_seconds: found.totals.stalled,
        faults: tally.faults,
        slow: tally.slow_faults,
        starved_viewer_seconds: found.totals.starved,
        processes: found.taken.processes.clone(),
        machine_busy_seconds: found.taken.machine_seconds,
        tcp_memory_bytes: found.taken.tcp_memory_bytes,
        load: LoadSelf {
            busy,
            timer_late_p99_ms: late_p99,
            bottleneck: busy > TOO_BUSY || late_p99 > TOO_LATE_MS,
        },
        timeline: found.seconds.clone(),
        complaints: Vec::new(),
    };
    if seconds > 0.0 {
        let expected = expected_bytes(verb, found, seconds);
        let mean = expected.iter().sum::<f64>() / expected.len().max(1) as f64;
        report.source_rate = (mean * 8.0 / seconds).round();
        report.delivery = delivery(&shares(&found.viewers, &found.tally.supplies, &expected));
    }
    report.complaints = complaints(verb, &report, found.totals);
    report
}

/// Bytes that each stream's viewers should have got.
///
/// With marks that is what the source gave. Without, it is what was asked for, or else what the best of the verifying viewers
/// got, or the best of all where none verifies.
fn expected_bytes(verb: &Verb, found: &Finding, seconds: f64) -> Vec<f64> {
    let best = |stream: usize, verifying: bool| {
        let viewers = found.viewers.iter().filter(|viewer| {
            let media = &viewer.media;
            media.role() == Role::Watching
                && usize::from(media.stream()) == stream
                && (viewer.verifies() || !verifying)
        });
        viewers
            .map(|viewer| viewer.media.loose_bytes())
            .max()
            .filter(|bytes| *bytes > 0)
    };
    let supplies = found.tally.supplies.iter().enumerate();
    let each = supplies.map(|(stream, supply)| match verb.rate {
        _ if supply.is_marked() => supply.window_bytes() as f64,
        Some(rate) => rate.bits() as f64 / 8.0 * seconds,
        None => best(stream, true).or_else(|| best(stream, false)).unwrap_or(0) as f64,
    });
    each.collect()
}

/// What one viewer got.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share {
    expected: f64,
    got: f64,
    on_time: f64,
}

/// What each viewer that was served got of what it should have.
fn shares(viewers: &[Viewer], supplies: &[super::supply::Supply], expected: &[f64]) -> Vec<Share> {
    let served = viewers
        .iter()
        .filter(|viewer| viewer.joined && viewer.media.role() == Role::Watching);
    let each = served.filter_map(|viewer| {
        let media = &viewer.media;
        let stream = usize::from(media.stream());
        let marked = supplies.get(stream)?.is_marked();
        let expected = expected.get(stream).copied().filter(|bytes| *bytes > 0.0)?;
        let got = if marked {
            media.window_bytes()
        } else {
            media.loose_bytes()
        };
        Some(Share {
            expected,
            got: got as f64,
            on_time: media.on_time_bytes() as f64,
        })
    });
    each.collect()
}

fn delivery(shares: &[Share]) -> Delivery {
    let mut parts: Vec<f64> = shares.iter().map(|share| share.got / share.expected).collect();
    parts.sort_by(f64::total_cmp);
    let at = |quantile: f64| {
        let rank = (parts.len() as f64 * quantile).floor() as usize; // fits: below the number of viewers
        parts.get(rank).or_else(|| parts.last()).copied().unwrap_or(0.0)
    };
    let total = shares.iter().map(|share| share.expected).sum::<f64>().max(1.0);
    let on_time = shares.iter().map(|share| share.on_time / share.expected);
    Delivery {
        min: at(0.0),
        p1: at(0.01),
        p50: at(0.5),
        mean: shares.iter().map(|share| share.got).sum::<f64>() / total,
        on_time: shares.iter().map(|share| share.on_time).sum::<f64>() / total,
        on_time_min: on_time.min_by(f64::total_cmp).unwrap_or(0.0),
    }
}

/// What is not as demanded, each in a sentence.
fn complaints(verb: &Verb, report: &Report, totals: Totals) -> Vec<String> {
    let mut found = Vec::new();
    let outcome = |name: &str| report.joins.get(name).copied().unwrap_or(0);
    for (kind, wanted, served) in [
        ("viewers", verb.viewers - verb.stall - verb.slow, outcome(SERVED)),
        ("slow viewers", verb.slow, outcome(&format!("slow_{SERVED}"))),
        (
            "stalled viewers",
            verb.stall,
            outcome(&format!("stalled_{SERVED}")),
        ),
    ] {
        if served < u64::from(wanted) {
            found.push(format!("only {served} of {wanted} {kind} were served"));
        }
    }
    if outcome(OWN_LIMIT) > 0 {
        found.push(format!(
            "this machine had no port, descriptor or memory for {} viewers: that is the tool's limit, not the server's",
            outcome(OWN_LIMIT)
        ));
    }
    if report.closed > 0 {
        found.push(format!("{} viewers were closed before the end", report.closed));
    }
    if report.slow_closed > 0 {
        found.push(format!(
            "{} slow viewers were closed before the end",
            report.slow_closed
        ));
    }
    faults(report, &mut found);
    if report.seconds > 0.0 {
        measured(verb, report, totals, &mut found);
    } else {
        found.push("the watch ended before its measurement began".to_owned());
    }
    if report.source_stalled_seconds > 0 {
        found.push(format!(
            "for {} s there was nothing new for anybody: the publisher stood still, or the server did for all alike",
            report.source_stalled_seconds
        ));
    }
    if report.load.bottleneck {
        found.push(format!(
            "the load tool itself was the bottleneck ({:.0} % of a core, timer late by {:.0} ms at p99): the figures are its \
             own limit, not the server's",
            report.load.busy * 100.0,
            report.load.timer_late_p99_ms
        ));
    }
    found
}

fn faults(report: &Report, found: &mut Vec<String>) {
    for (who, faults) in [("", report.faults), (" by slow viewers", report.slow)] {
        for (count, what) in [
            (faults.gaps, "frames never came"),
            (faults.duplicates, "frames came twice or out of order"),
            (faults.corrupt, "frames or records were corrupt"),
            (faults.backwards, "tags went back in time"),
        ] {
            if count > 0 {
                found.push(format!("{count} {what}{}", if who.is_empty() { "" } else { ", as seen" }) + who);
            }
        }
    }
}

fn measured(verb: &Verb, report: &Report, totals: Totals, found: &mut Vec<String>) {
    if report.source_rate == 0.0 {
        found.push("nothing came of any source during the measurement".to_owned());
    } else if report.delivery.p1 < DELIVERY_P1 {
        found.push(format!(
            "a viewer in a hundred got only {:.1} % of the stream or less; {:.0} % are demanded",
            report.delivery.p1 * 100.0,
            DELIVERY_P1 * 100.0
        ));
    }
    let starved = report.starved_viewer_seconds as f64;
    if starved > STARVED_SHARE * totals.viewer_seconds as f64 {
        found.push(format!(
            "viewers were short of media in {starved} of {} viewer-seconds",
            totals.viewer_seconds
        ));
    }
    if let Some(rate) = verb.rate
        && report.source_rate < SOURCE_SHARE * rate.bits() as f64
    {
        found.push(format!(
            "the source itself gave only {:.0} kbit/s of {}",
            report.source_rate / 1000.0,
            rate.spoken()
        ));
    }
}

#[cfg(test)]
mod tests {
    use argh::FromArgs as _;

    use super::*;
    use crate::report::Faults;

    fn verb(words: &[&str]) -> Verb {
        Verb::from_args(&["watch"], &[&["http://127.0.0.1:1/a"], words].concat()).unwrap()
    }

    const TOTALS: Totals = Totals {
        starved: 0,
        stalled: 0,
        viewer_seconds: 3000,
    };

    /// A report with nothing to complain of, of 100 viewers for 30 s.
    fn fine() -> Report {
        Report {
            viewers: 100,
            seconds: 30.0,
            joins: [("served".to_owned(), 100)].into(),
            delivery: Delivery {
                p1: 1.0,
                ..Delivery::default()
            },
            source_rate: 1_000_000.0,
            ..Report::default()
        }
    }

    #[test]
    fn shares_make_a_distribution() {
        let shares: Vec<Share> = (0..200)
            .map(|n| Share {
                expected: 1000.0,
                got: 801.0 + f64::from(n),
                on_time: 500.0 + f64::from(n),
            })
            .collect();
        let found = delivery(&shares);
        assert!((found.min - 0.801).abs() < 1e-9, "{found:?}");
        assert!((found.p1 - 0.803).abs() < 1e-9, "two of 200 got less: {found:?}");
        assert!((found.p50 - 0.901).abs() < 1e-9, "{found:?}");
        assert!((found.mean - 0.9005).abs() < 1e-9, "{found:?}");
        assert!((found.on_time - 0.5995).abs() < 1e-9, "{found:?}");
        assert!((found.on_time_min - 0.5).abs() < 1e-9, "{found:?}");
        assert_eq!(delivery(&[]), Delivery::default());
    }

    #[test]
    fn a_fine_report_has_no_complaints() {
        assert_eq!(complaints(&verb(&[]), &fine(), TOTALS), Vec::<String>::new());
    }

    #[test]
    fn each_demand_has_its_complaint() {
        let complain = |words: &[&str], change: &dyn Fn(&mut Report)| {
            let mut report = fine();
            change(&mut report);
            complaints(&verb(words), &report, TOTALS)
        };
        type Case<'a> = (&'a dyn Fn(&mut Report), &'a str);
        let cases: [Case<'_>; 10] = [
            (
                &|r| r.joins = [("served".to_owned(), 99)].into(),
                "only 99 of 100 viewers were served",
            ),
            (&|r| r.closed = 2, "2 viewers were closed"),
            (&|r| r.slow_closed = 2, "2 slow viewers were closed"),
            (&|r| r.faults.gaps = 3, "3 frames never came"),
            (&|r| r.faults.corrupt = 1, "1 frames or records were corrupt"),
            (
                &|r| {
                    r.slow = Faults {
                        duplicates: 4,
                        ..Faults::default()
                    }
                },
                "as seen by slow viewers",
            ),
            (&|r| r.delivery.p1 = 0.9799, "98.0 % of the stream or less"),
            (&|r| r.starved_viewer_seconds = 4, "4 of 3000 viewer-seconds"),
            (&|r| r.load.bottleneck = true, "bottleneck"),
            (&|r| r.seconds = 0.0, "before its measurement began"),
        ];
        for (change, expected) in cases {
            let found = complain(&[], change);
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{expected}: {found:?}"
            );
        }
        let none = complain(&[], &|r| r.starved_viewer_seconds = 3);
        assert_eq!(none.len(), 0, "one in a thousand is allowed");
        let none = complain(&[], &|r| r.faults.skips = 9);
        assert_eq!(
            none.len(),
            0,
            "a skip is no fault by itself: what it left out shows in the delivery"
        );
        let source = complain(&["--rate", "2Mbit"], &|_| {});
        assert!(source[0].contains("only 1000 kbit/s of 2 Mbit/s"), "{source:?}");
        let slow = complain(&["--slow", "10"], &|r| {
            r.joins.extend([("slow_served".to_owned(), 9)])
        });
        assert_eq!(slow, ["only 9 of 10 slow viewers were served"]);
    }
}
