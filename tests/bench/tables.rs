//! The tables of docs/performance.md, one text per part.

use crate::figures::{Spread, ratio};
use crate::judge::{Bar, median, whole_faults};
use crate::part::Part;
use crate::parts::{budget, stalled, starter, storm};
use crate::results::{Measured, Results};
use crate::sample::{Contender, Sample, Setting};
use crate::table::Table;

/// What stands between the markers of a part that was never measured.
const NOTHING: &str = "Not measured yet.\n";

/// The table of a part, with what has to be known about it.
pub(crate) fn of(part: Part, results: &Results) -> String {
    let Some(measured) = results.part(part) else {
        return NOTHING.to_owned();
    };
    let table = match part {
        Part::Floor | Part::TenThousand => against_floor(measured),
        Part::Peers => peers(measured),
        Part::Storm => looks(
            measured,
            &[
                (storm::BEFORE, "watch, before"),
                (storm::DURING, "watch, during"),
                (storm::JOINERS, "come"),
            ],
        ),
        Part::Stalled => looks(
            measured,
            &[
                (stalled::WITHOUT, "all read"),
                (stalled::WITH, "a tenth never reads"),
            ],
        ),
        Part::Slow => slow_viewers(measured),
        Part::Streams => streams(measured),
        Part::Budget => counted(measured),
        Part::Starter => steps(measured),
    };
    format!("{table}\n{}", footnotes(measured))
}

/// The list of bars.
pub(crate) fn bars(bars: &[Bar]) -> String {
    let mut table = Table::new(&["bar", "limit", "found", ""]);
    for bar in bars {
        let sign = if bar.at_least { "\u{2265}" } else { "\u{2264}" };
        let found = bar.found.map_or_else(
            || "not measured".to_owned(),
            |found| format!("{} {}", number(found), bar.unit),
        );
        let verdict = match bar.holds() {
            Some(true) => "holds",
            Some(false) => "**fails**",
            None => "",
        };
        let limit = format!("{sign} {} {}", number(bar.limit), bar.unit);
        table.row(&[
            bar.says.clone(),
            limit.trim_end().to_owned(),
            found.trim_end().to_owned(),
            verdict.to_owned(),
        ]);
    }
    table.text()
}

/// Digits as a figure of that size needs them.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Rounds' figures as text; a dash where there are none.
fn spread(samples: &[&Sample], digits: usize, figure: impl Fn(&Sample) -> f64) -> String {
    Spread::of(samples.iter().map(|sample| figure(sample)))
        .map_or_else(|| "\u{2013}".to_owned(), |spread| spread.text(digits))
}

fn quotient(above: &[&Sample], below: &[&Sample], figure: fn(&Sample) -> f64) -> String {
    let quotient = median(above, figure)
        .zip(median(below, figure))
        .and_then(|(above, below)| ratio(above, below));
    quotient.map_or_else(String::new, |quotient| format!("{quotient:.2}"))
}

fn latency(samples: &[&Sample]) -> String {
    let p50 = median(samples, |sample| sample.report.lateness.p50);
    let p99 = spread(samples, 0, |sample| sample.report.lateness.p99);
    p50.map_or_else(String::new, |p50| format!("{p50:.0} / {p99}"))
}

fn percent_on_time(samples: &[&Sample]) -> String {
    spread(samples, 1, |sample| sample.report.delivery.on_time * 100.0)
}

/// Settings in which something was measured, without regard to the period where `contenders` have their own.
fn settings(measured: &Measured) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for sample in &measured.samples {
        if !settings.contains(&sample.setting) {
            settings.push(sample.setting.clone());
        }
    }
    settings
}

fn against_floor(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "Mbit/s",
        "period",
        "",
        "CPU-s/GB, server",
        "\u{f7} floor",
        "CPU-s/GB, with the load tool",
        "\u{f7} floor",
        "latency p50 / p99, ms",
        "on time, %",
        "RSS + TCP, MB",
        "own code, % of core",
    ]);
    for setting in settings(measured) {
        let same_load = |sample: &Sample| {
            (sample.setting.viewers, sample.setting.mbit) == (setting.viewers, setting.mbit)
        };
        for contender in [Contender::Floor, Contender::Relay] {
            let samples = measured.of(contender, |sample| sample.setting == setting);
            if samples.is_empty() {
                continue;
            }
            // The floor at the same period, or where ours chose its own, the floor at its fixed one.
            let floor = measured.of(Contender::Floor, |sample| {
                let is_comparable = setting.period_ms.is_none() || sample.setting == setting;
                same_load(sample) && is_comparable
            });
            let against = |figure| match contender {
                Contender::Floor => String::new(),
                _ => quotient(&samples, &floor, figure),
            };
            table.row(&[
                setting.viewers.to_string(),
                setting.mbit.to_string(),
                setting.period(),
                contender.name().to_owned(),
                spread(&samples, 2, Sample::server_per_gb),
                against(Sample::server_per_gb),
                spread(&samples, 2, Sample::both_per_gb),
                against(Sample::both_per_gb),
                latency(&samples),
                percent_on_time(&samples),
                memory(&samples),
                spread(&samples, 1, |sample| sample.user_share() * 100.0),
            ]);
        }
    }
    table.text()
}

fn memory(samples: &[&Sample]) -> String {
    let of = |figure: fn(&Sample) -> f64| median(samples, figure).unwrap_or_default();
    format!("{:.0} + {:.0}", of(Sample::rss_mb), of(Sample::tcp_mb))
}

fn peers(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "",
        "CPU-s/GB, server",
        "\u{f7} relay",
        "CPU-s/GB, with the load tool",
        "\u{f7} relay",
        "latency p50 / p99, ms",
        "delivered, %",
        "on time, %",
        "RSS, MB",
    ]);
    let mut contenders = vec![Contender::Floor, Contender::Relay, Contender::RelayRtmp];
    contenders.extend(Contender::PEERS);
    for viewers in measured.audiences() {
        for contender in &contenders {
            let of = |contender| measured.of(contender, |sample| sample.setting.viewers == viewers);
            let samples = of(*contender);
            if samples.is_empty() {
                continue;
            }
            let ours = if contender.is_rtmp() {
                Contender::RelayRtmp
            } else {
                Contender::Relay
            };
            let against = |figure| {
                if ours == *contender {
                    return String::new();
                }
                quotient(&samples, &of(ours), figure)
            };
            table.row(&[
                viewers.to_string(),
                contender.name().to_owned(),
                spread(&samples, 2, Sample::server_per_gb),
                against(Sample::server_per_gb),
                spread(&samples, 2, Sample::both_per_gb),
                against(Sample::both_per_gb),
                latency(&samples),
                spread(&samples, 1, |sample| sample.report.delivery.mean * 100.0),
                percent_on_time(&samples),
                spread(&samples, 0, Sample::rss_mb),
            ]);
        }
    }
    table.text()
}

fn looks(measured: &Measured, looks: &[(&str, &str)]) -> String {
    let mut table = Table::new(&[
        "",
        "viewers",
        "latency p50 / p99, ms",
        "p99.9, ms",
        "first byte p99, ms",
        "first keyframe p99, ms",
        "on time, %",
        "RSS + TCP, MB",
    ]);
    for (look, name) in looks {
        let samples = measured.look(look);
        let viewers = samples.first().map_or(0, |sample| sample.setting.viewers);
        table.row(&[
            (*name).to_owned(),
            viewers.to_string(),
            latency(&samples),
            spread(&samples, 0, |sample| sample.report.lateness.p999),
            spread(&samples, 0, |sample| sample.report.first_byte.p99),
            spread(&samples, 0, |sample| sample.report.first_keyframe.p99),
            percent_on_time(&samples),
            memory(&samples),
        ]);
    }
    let gone: Vec<&Sample> = measured
        .samples
        .iter()
        .filter(|sample| sample.report.stalled_closed_after.count > 0)
        .collect();
    if gone.is_empty() {
        return table.text();
    }
    let seconds = spread(&gone, 0, |sample| sample.report.stalled_closed_after.max / 1e3);
    format!(
        "{}\nThe last stalled viewer was closed {seconds} s after its request.\n",
        table.text()
    )
}

fn slow_viewers(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers",
        "seconds",
        "skips of the slow",
        "slow ones closed",
        "others closed",
        "records not whole, doubled or lost",
        "latency p50 / p99 of the others, ms",
    ]);
    for sample in &measured.samples {
        let report = &sample.report;
        table.row(&[
            sample.setting.viewers.to_string(),
            number(report.seconds.round()),
            report.slow.skips.to_string(),
            report.slow_closed.to_string(),
            report.closed.to_string(),
            whole_faults(sample).to_string(),
            latency(&[sample]),
        ]);
    }
    table.text()
}

fn streams(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "streams",
        "viewers in all",
        "CPU-s/GB, server",
        "CPU-s/GB, with the load tool",
        "latency p50 / p99, ms",
        "on time, %",
    ]);
    for setting in settings(measured) {
        let samples = measured.of(Contender::Relay, |sample| sample.setting == setting);
        table.row(&[
            setting.streams.to_string(),
            setting.viewers.to_string(),
            spread(&samples, 2, Sample::server_per_gb),
            spread(&samples, 2, Sample::both_per_gb),
            latency(&samples),
            percent_on_time(&samples),
        ]);
    }
    table.text()
}

/// Slots that a shard wakes for in one period.
const SLOTS: f64 = 10.0;

/// System calls that come more seldom than so often a second are left out: a process has some of them for its own life.
const RARE: f64 = 1.0;

fn counted(measured: &Measured) -> String {
    let Some(sample) = measured.samples.first() else {
        return NOTHING.to_owned();
    };
    let viewers = sample.setting.viewers as f64;
    let periods = 1_000.0 / f64::from(budget::PERIOD_MS);
    let mut table = Table::new(&[
        "counted by",
        "what",
        "a second",
        "per viewer and second",
        "expected",
    ]);
    let mut row = |by: &str, what: &str, value: f64, expected: &str| {
        table.row(&[
            by.to_owned(),
            what.to_owned(),
            format!("{value:.0}"),
            format!("{:.3}", value / viewers),
            expected.to_owned(),
        ]);
    };
    let per_period = format!("{periods:.0} per viewer: one per period");
    let per_slot = format!("{:.0} a second for all: one per slot", periods * SLOTS);
    let rate = format!(
        "{:.0} per viewer and its framing: the kernel's one copy of each byte, none is ours",
        f64::from(sample.setting.mbit) * 125_000.0
    );
    for (name, value) in &measured.figures {
        if let Some(metric) = name.strip_prefix("metric ") {
            let expected = match metric {
                "sends" => per_period.as_str(),
                "short sends" => "none: who keeps up is never cut short",
                "bytes" => rate.as_str(),
                "turns of the loop" => per_slot.as_str(),
                _ => "",
            };
            row("/metrics", metric, *value, expected);
        } else if let Some(call) = name.strip_prefix(budget::CALL).filter(|_| *value >= RARE) {
            let expected = match call {
                "sendto" | "sendfile" | "sendmsg" => per_period.as_str(),
                "epoll_pwait" | "epoll_pwait2" => per_slot.as_str(),
                "epoll_wait" | "recvfrom" | "read" => "none per viewer: they are the publisher's",
                "pwrite64" => "one per tag and flavour, whatever the number of viewers",
                "brk" | "mmap" | "munmap" | "madvise" => "none per viewer: nothing is allocated",
                _ => "",
            };
            row("strace", &format!("`{call}`"), *value, expected);
        } else if name == budget::SWITCHES {
            row(
                "/proc",
                name,
                *value,
                &format!("{per_slot}, and the runtime's own"),
            );
        } else if name == budget::INSTRUCTIONS {
            row("perf", "instructions in our own code", *value, "");
        }
    }
    table.text()
}

fn steps(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "viewers within 5 s",
        "served",
        "closed",
        "on time, %",
        "latency p50 / p99, ms",
        "edge, share of the CPU",
        "RSS + TCP, MB",
        "group's peak, MB",
        "killed",
        "",
    ]);
    for sample in &measured.samples {
        let extra = |name: &str, unit: f64| {
            let value = sample.extra.get(name);
            value.map_or_else(|| "\u{2013}".to_owned(), |value| number((value / unit).round()))
        };
        table.row(&[
            sample.setting.viewers.to_string(),
            sample.served().to_string(),
            sample.report.closed.to_string(),
            percent_on_time(&[sample]),
            latency(&[sample]),
            format!("{:.2}", busy(sample)),
            memory(&[sample]),
            extra(starter::PEAK, 1e6),
            extra(starter::KILLED, 1.0),
            first_limit(sample),
        ]);
    }
    table.text()
}

/// Share of one core that the server took, its own code and the kernel's on its behalf.
fn busy(sample: &Sample) -> f64 {
    sample.process().map_or(f64::NAN, |process| {
        (process.user_seconds + process.system_seconds) / sample.report.seconds
    })
}

/// A core that is this busy has no room for the work that comes unevenly.
const FULL: f64 = 0.93;

/// Why an instance did not serve all of this audience as it should.
pub(crate) fn first_limit(sample: &Sample) -> String {
    if starter::is_served_whole(sample) {
        return String::new();
    }
    let extra = |name: &str| sample.extra.get(name).copied().unwrap_or_default();
    let missing = sample.setting.viewers.saturating_sub(sample.served());
    if extra(starter::KILLED) > 0.0 {
        return "memory: the system killed a process".to_owned();
    }
    if sample.report.load.bottleneck {
        return "the load tool's own core, not the edge".to_owned();
    }
    if busy(sample) >= FULL {
        return "CPU: the core is full".to_owned();
    }
    if extra(starter::TCP_REFUSED) > 0.0 {
        return "TCP memory: sockets were refused more".to_owned();
    }
    if missing > 0 {
        let others = sample
            .report
            .joins
            .iter()
            .filter(|(outcome, _)| *outcome != "served");
        let others: Vec<String> = others
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        return format!("{missing} were not served: {}", others.join(", "));
    }
    "not in time, for no reason that was counted".to_owned()
}

/// On what, when, how long, with how much noise, and what is missing.
fn footnotes(measured: &Measured) -> String {
    let mut text = format!("{} {} s per look.", measured.machine.sentence(), measured.seconds);
    let worst = |core: usize| {
        let late = measured
            .samples
            .iter()
            .filter_map(|sample| sample.noise.late_p99_ms.get(core).copied());
        late.reduce(f64::max)
    };
    if let (Some(server), Some(load)) = (worst(0), worst(1)) {
        let stolen: f64 = measured
            .samples
            .iter()
            .map(|sample| sample.noise.stolen_seconds)
            .sum();
        text.push_str(&format!(
            " Noise: a sleeper's p99 was at worst {server:.1} ms late on the server's core and {load:.1} ms on the load's; \
             {stolen:.1} s were stolen by other machines.",
        ));
    }
    if measured.repeated > 0 {
        text.push_str(&format!(
            " Rounds made again since the floor itself was late: {}.",
            measured.repeated
        ));
    }
    let tired = measured
        .samples
        .iter()
        .filter(|sample| sample.report.load.bottleneck)
        .count();
    if tired > 0 {
        text.push_str(&format!(" In {tired} looks the load tool itself was the limit."));
    }
    text.push('\n');
    for note in &measured.notes {
        text.push_str(&format!("\n- {note}"));
    }
    if !measured.notes.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;

    fn results(part: Part, samples: Vec<Sample>) -> Results {
        let mut results = Results::default();
        results.insert(
            part,
            Measured {
                samples,
                notes: vec!["xiu: not installed.".to_owned()],
                ..Measured::default()
            },
        );
        results
    }

    #[test]
    fn ours_stands_beside_the_floor_with_its_ratio() {
        let setting = || Setting {
            period_ms: Some(50),
            ..Setting::of(1_000)
        };
        let samples = vec![
            sample(Contender::Floor, setting(), 1, 0.5, 50.0),
            sample(Contender::Relay, setting(), 1, 0.55, 60.0),
        ];
        let text = of(Part::Floor, &results(Part::Floor, samples));
        assert!(
            text.contains("| 1000 | 1 | 50 ms | relay | 0.55 | 1.10 | 0.75 | 1.07 |"),
            "{text}"
        );
        assert!(text.contains("- xiu: not installed."), "{text}");
    }

    #[test]
    fn what_was_not_measured_says_so() {
        for part in Part::ALL {
            assert_eq!(of(part, &Results::default()), NOTHING);
            // A part without a single sample still gives a table.
            assert!(!of(part, &results(part, Vec::new())).is_empty());
        }
        assert!(bars(&crate::judge::bars(&Results::default())).contains("not measured"));
    }

    #[test]
    fn the_first_limit_is_named() {
        let mut step = sample(Contender::Relay, Setting::of(5_000), 1, 0.5, 50.0);
        assert_eq!(first_limit(&step), "");
        step.report.joins.insert("served".to_owned(), 4_000);
        step.report.joins.insert("refused".to_owned(), 1_000);
        assert_eq!(first_limit(&step), "1000 were not served: 1000 refused");
        step.extra.insert(starter::TCP_REFUSED.to_owned(), 2.0);
        assert!(first_limit(&step).starts_with("TCP memory"));
        step.report.processes[0].system_seconds = 9.9;
        assert!(first_limit(&step).starts_with("CPU"));
        step.extra.insert(starter::KILLED.to_owned(), 1.0);
        assert!(first_limit(&step).starts_with("memory"));
    }

    #[test]
    fn figures_have_the_digits_that_they_need() {
        assert_eq!(number(1.149), "1.15");
        assert_eq!(number(99.6), "99.6");
        assert_eq!(number(523.4), "523");
        assert_eq!(number(0.0), "0");
    }
}
