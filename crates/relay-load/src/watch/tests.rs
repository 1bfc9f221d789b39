//! A watch from end to end, against small servers that behave well or badly.

mod server;

use argh::FromArgs as _;
use relay_core::exit::Exit;
use relay_core::limits::OpenFiles;

use super::{RESERVED_FILES, Verb, WatchError, fits, in_words, run};
use crate::report::{Faults, Report};
use server::Server;

/// Watches for a second, and allows frames two more to come: a busy machine is no fault of the code.
fn watch(url: &str, words: &[&str]) -> Report {
    let usual = [
        "--settle",
        "0s",
        "--for",
        "1s",
        "--on-time",
        "2s",
        "--ramp",
        "1000/s",
        "--quiet",
    ];
    let verb = Verb::from_args(&["watch"], &[&[url], &usual[..], words].concat()).unwrap();
    run(&verb, &|| false).unwrap()
}

fn joins(report: &Report) -> Vec<(&str, u64)> {
    report
        .joins
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect()
}

#[test]
fn viewers_are_served_and_measured() {
    let server = Server::start();
    let folder = std::env::temp_dir().join(format!("relay-load-watch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (json, svg) = (folder.join("report.json"), folder.join("report.svg"));
    let pid = std::process::id().to_string();
    let words = ["--viewers", "20", "--verify", "5", "--pid", &pid];
    let files = ["--json", json.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let report = watch(&server.url("live"), &[&words[..], &files].concat());
    assert_eq!(joins(&report), [("served", 20)]);
    assert_eq!(report.faults, Faults::default());
    assert_eq!(
        (report.delivery.min, report.delivery.mean),
        (1.0, 1.0),
        "{}",
        in_words(&report)
    );
    assert_eq!(report.lateness.count, 20 * 50, "50 frames for each of 20 viewers");
    assert_eq!(
        (
            report.first_byte.count,
            report.first_keyframe.count,
            report.live_edge.count
        ),
        (20, 20, 20)
    );
    assert!((report.seconds - 1.0).abs() < 1e-9);
    assert_eq!(report.processes[0].pid, std::process::id());
    assert!(report.bytes > 20 * 50 * 69 / 2);
    let written: Report = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(written, report);
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn each_viewer_meets_its_fate() {
    let server = Server::start();
    let report = watch(&server.url("{n}"), &["--streams", "8", "--viewers", "16"]);
    assert_eq!(
        joins(&report),
        [
            ("bad_answer", 2),
            ("redirected", 4),
            ("reset", 2),
            ("served", 8),
            ("status_503", 2),
            ("too_many_redirects", 2),
        ],
        "streams: live, moved, moved for ever, full, reset, closed, rubbish, bare"
    );
    assert_eq!(report.closed, 2);
    assert_eq!(report.faults, Faults::default());
    assert_eq!(report.delivery.min, 1.0, "{}", in_words(&report));
    let complaints = report.complaints.join("\n");
    assert!(
        complaints.contains("only 8 of 16 viewers were served"),
        "{complaints}"
    );
    assert!(complaints.contains("2 viewers were closed"), "{complaints}");
}

#[test]
fn what_is_wrong_with_the_frames_is_found() {
    let server = Server::start();
    let report = watch(&server.url("faulty"), &["--viewers", "3", "--verify", "1"]);
    let Faults {
        gaps,
        duplicates,
        corrupt,
        ..
    } = report.faults;
    assert_eq!(
        (gaps, duplicates),
        (3, 3),
        "each viewer misses one frame and gets one twice"
    );
    assert_eq!(
        corrupt, 1,
        "only the one that looks at whole frames sees a bent bit"
    );
    let complaints = report.complaints.join("\n");
    assert!(complaints.contains("3 frames never came"), "{complaints}");
}

#[test]
fn slow_and_stalled_viewers_are_counted_by_themselves() {
    let server = Server::start();
    let report = watch(
        &server.url("cut-the-third"),
        &["--viewers", "3", "--slow", "1", "--stall", "1"],
    );
    assert_eq!(
        joins(&report),
        [("served", 1), ("slow_served", 1), ("stalled_served", 1)]
    );
    assert_eq!(
        (report.closed, report.slow_closed, report.stalled_closed),
        (0, 0, 1)
    );
    assert_eq!(report.stalled_closed_after.count, 1);
    assert_eq!(report.lateness.count, 50, "of the one that watches");
    assert_eq!(report.slow, Faults::default());
}

#[test]
fn rtmp_viewers_are_served_and_measured() {
    let server = Server::start();
    let report = watch(&server.rtmp_url(), &["--viewers", "4", "--verify", "2"]);
    assert_eq!(joins(&report), [("served", 4)]);
    assert_eq!(report.faults, Faults::default());
    assert_eq!(report.delivery.min, 1.0, "{}", in_words(&report));
    assert_eq!(report.lateness.count, 4 * 50);
}

#[test]
fn rtmp_viewers_follow_a_redirect() {
    let server = Server::start();
    let report = watch(&server.moved_rtmp_url(), &["--viewers", "2", "--verify", "2"]);
    assert_eq!(joins(&report), [("redirected", 2), ("served", 2)]);
    assert_eq!(report.faults, Faults::default());
    assert_eq!(report.lateness.count, 2 * 50, "{}", in_words(&report));
}

#[test]
fn nobody_listening_is_an_outcome() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let report = watch(&format!("http://{closed}/a"), &["--viewers", "5"]);
    assert_eq!(joins(&report), [("refused", 5)]);
    assert!(
        report
            .complaints
            .iter()
            .any(|text| text.contains("nothing came of any source"))
    );
}

#[test]
fn a_watch_that_is_stopped_says_what_it_saw() {
    let server = Server::start();
    let verb = Verb::from_args(&["watch"], &[&server.url("live"), "--ramp", "1/s", "--quiet"]).unwrap();
    let report = run(&verb, &|| true).unwrap();
    assert_eq!(report.seconds, 0.0);
    assert!(
        report
            .complaints
            .iter()
            .any(|text| text.contains("before its measurement began"))
    );
}

#[test]
fn more_viewers_than_descriptors_are_not_tried() {
    let files = OpenFiles {
        soft: Some(1000),
        hard: Some(1000),
    };
    assert!(fits(936, files).is_ok());
    let error = fits(937, files).unwrap_err();
    assert!(error.to_string().contains("at most 936 viewers"), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
    assert_eq!(RESERVED_FILES, 64);
    assert_eq!(WatchError::Usage(String::new()).exit(), Exit::Usage);
}
