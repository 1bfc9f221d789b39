//! A report in words, for the person who waited for it.

use std::fmt::Write as _;

use crate::report::{Delivery, Faults, Percentiles, Report};

/// The report as lines of text, without a line end at its end.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "{}", report.url);
    let joins: Vec<String> = report
        .joins
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let _ = writeln!(out, "{} viewers: {}.", report.viewers, joins.join(", "));
    closed(report, &mut out);
    out.push('\n');
    times(report, &mut out);
    out.push('\n');
    if report.seconds > 0.0 {
        measured(report, &mut out);
    }
    faults("What viewers got", report.faults, &mut out);
    if report.slow != Faults::default() {
        faults("What slow viewers got", report.slow, &mut out);
    }
    machine(report, &mut out);
    verdict(report, &mut out);
    out.trim_end().to_owned()
}

fn closed(report: &Report, out: &mut String) {
    for (count, who) in [
        (report.closed, "viewers"),
        (report.slow_closed, "slow viewers"),
        (report.stalled_closed, "stalled viewers"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "The server closed {count} {who} before the end.");
        }
    }
    let after = report.stalled_closed_after;
    if after.count > 0 {
        let _ = writeln!(
            out,
            "Stalled ones were closed {:.1} s after they came (median), the last after {:.1} s.",
            after.p50 / 1000.0,
            after.max / 1000.0
        );
    }
}

fn times(report: &Report, out: &mut String) {
    let _ = writeln!(
        out,
        "in milliseconds        p50       p90       p99     p99.9       max     count"
    );
    for (name, times) in [
        ("first byte", report.first_byte),
        ("first keyframe", report.first_keyframe),
        ("live edge", report.live_edge),
        ("lateness", report.lateness),
    ] {
        if times.count == 0 {
            let _ = writeln!(out, "{name:<15}  {:>9}", "unknown");
            continue;
        }
        let Percentiles {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
        } = times;
        let _ = writeln!(
            out,
            "{name:<15}  {p50:>9.1} {p90:>9.1} {p99:>9.1} {p999:>9.1} {max:>9.1} {count:>9}"
        );
    }
}

fn measured(report: &Report, out: &mut String) {
    let rate = report.bytes as f64 * 8.0 / report.seconds / 1e6;
    let _ = writeln!(
        out,
        "In {:.1} s came {:.3} GB ({rate:.1} Mbit/s); the source gave {:.0} kbit/s to each.",
        report.seconds,
        report.bytes as f64 / 1e9,
        report.source_rate / 1000.0
    );
    let percent = |share: f64| share * 100.0;
    let Delivery {
        min,
        p1,
        p50,
        mean,
        on_time,
        on_time_min,
    } = report.delivery;
    let _ = write!(
        out,
        "Of it viewers got {:.2} % (the worst {:.2} %, p1 {:.2} %, median {:.2} %)",
        percent(mean),
        percent(min),
        percent(p1),
        percent(p50)
    );
    if report.lateness.count > 0 {
        let _ = writeln!(
            out,
            ", {:.2} % on time (the worst {:.2} %).",
            percent(on_time),
            percent(on_time_min)
        );
    } else {
        out.push_str("; its frames do not say when they were made.\n");
    }
    let _ = write!(out, "Starved viewer-seconds: {}", report.starved_viewer_seconds);
    if report.source_stalled_seconds > 0 {
        let _ = write!(
            out,
            "; not counted are {} s in which a source stalled",
            report.source_stalled_seconds
        );
    }
    out.push_str(".\n");
}

fn faults(what: &str, faults: Faults, out: &mut String) {
    let Faults {
        gaps,
        duplicates,
        corrupt,
        skips,
        backwards,
    } = faults;
    let _ = writeln!(
        out,
        "{what}: {gaps} frames missing, {duplicates} twice, {corrupt} corrupt, {backwards} back in time, {skips} skips."
    );
}

fn machine(report: &Report, out: &mut String) {
    let gigabytes = report.bytes as f64 / 1e9;
    for process in &report.processes {
        let seconds = process.user_seconds + process.system_seconds;
        let _ = write!(
            out,
            "Process {} ({}): {seconds:.2} s of CPU ({:.2} user), {:.1} MB",
            process.pid,
            process.name,
            process.user_seconds,
            process.rss_bytes as f64 / 1e6
        );
        if gigabytes > 0.0 {
            let _ = write!(out, ", {:.3} s per GB", seconds / gigabytes);
        }
        out.push_str(".\n");
    }
    let _ = writeln!(
        out,
        "The machine was busy for {:.2} s of CPU; TCP held up to {:.1} MB; this tool took {:.0} % of a core, its timer was \
         {:.1} ms late at p99.",
        report.machine_busy_seconds,
        report.tcp_memory_bytes as f64 / 1e6,
        report.load.busy * 100.0,
        report.load.timer_late_p99_ms
    );
}

fn verdict(report: &Report, out: &mut String) {
    if report.complaints.is_empty() {
        out.push_str("\nAll demands were met.\n");
        return;
    }
    out.push_str("\nNot as demanded:\n");
    for complaint in &report.complaints {
        let _ = writeln!(out, "- {complaint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ProcessUse;

    fn report() -> Report {
        Report {
            url: "http://127.0.0.1:1/a.flv".to_owned(),
            viewers: 100,
            seconds: 30.0,
            joins: [("served".to_owned(), 98), ("refused".to_owned(), 2)].into(),
            bytes: 400_000_000,
            lateness: Percentiles {
                count: 75_000,
                p50: 26.04,
                p99: 48.5,
                ..Percentiles::default()
            },
            processes: vec![ProcessUse {
                pid: 12,
                name: "relay-edge".to_owned(),
                user_seconds: 0.1,
                system_seconds: 0.1,
                rss_bytes: 10_000_000,
            }],
            ..Report::default()
        }
    }

    #[test]
    fn a_report_says_what_was_found() {
        let text = text(&report());
        for part in [
            "100 viewers: 2 refused, 98 served.",
            "lateness              26.0       0.0      48.5",
            "first byte         unknown",
            "In 30.0 s came 0.400 GB (106.7 Mbit/s)",
            "Process 12 (relay-edge): 0.20 s of CPU (0.10 user), 10.0 MB, 0.500 s per GB.",
            "All demands were met.",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn complaints_come_last() {
        let report = Report {
            complaints: vec!["too late".to_owned()],
            seconds: 0.0,
            ..report()
        };
        let text = text(&report);
        assert!(text.ends_with("Not as demanded:\n- too late"), "{text}");
        assert!(!text.contains("GB ("), "nothing was measured");
    }
}
