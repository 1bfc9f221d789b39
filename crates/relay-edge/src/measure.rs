//! `relay-edge measure`: what this machine can carry, measured for some seconds and said in words.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use relay_core::capacity::{Cost, Cpu, Demand, Point, REAL_PATH, Sample, Stated, Survey, crossover, judge};
use relay_core::check::Facts;
use relay_core::config::{Config, Program};
use relay_core::limits::OpenFiles;
use relay_core::node::threads;

use crate::cli::Measure;

/// Measures, with progress on a terminal, and gives back what was found.
///
/// # Errors
/// What the kernel says to a few hundred sockets over loopback.
pub fn measure(config: &Config, wish: &Measure) -> io::Result<String> {
    let files = OpenFiles::raise();
    let facts = Facts::read();
    let mut survey = Survey::start(wish.time, files.soft)?;
    let mut progress = Progress::new(wish.time);
    loop {
        let over = survey.step()?;
        progress.show(over);
        if over >= 1.0 {
            break;
        }
    }
    drop(progress);
    let mut demand = Demand::expected(config);
    demand.rtt = wish.rtt;
    if let Some(rate) = wish.rate {
        demand.rate = rate.bytes() as f64;
    }
    Ok(words(config, &facts, &survey.points(), &demand))
}

/// A line on a terminal that says how far it is, and that is gone when this is.
struct Progress {
    shown: Option<u32>,
    time: Duration,
    terminal: bool,
}

impl Progress {
    fn new(time: Duration) -> Self {
        Self {
            shown: None,
            time,
            terminal: stderr().is_terminal(),
        }
    }

    fn show(&mut self, over: f64) {
        let percent = (over * 100.0) as u32;
        if self.terminal && self.shown != Some(percent) {
            self.shown = Some(percent);
            // A terminal that is gone needs no progress.
            let _ = write!(
                stderr(),
                "\rmeasuring for {:.0} s: {percent} %",
                self.time.as_secs_f64()
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// What was measured, and what it means.
fn words(config: &Config, facts: &Facts, points: &[Point], demand: &Demand) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = table(&mut text, points);
    let cost = cheapest(points, demand);
    if let Some(cost) = cost {
        let _ = writeln!(text, "\n{}", of_one_viewer(cost, demand));
    }
    let cpu = cost.map(|cost| Cpu {
        bytes_per_second: cost.bytes_per_second(demand.rate, demand.period) / REAL_PATH,
        threads: threads(config, facts),
    });
    let verdict = judge(facts, &Stated::of(config, Program::Edge), cpu, demand);
    let _ = writeln!(
        text,
        "\nviewers that each limit allows, {:.0} ms away:",
        demand.rtt.as_secs_f64() * 1e3
    );
    for bound in &verdict.bounds {
        let _ = writeln!(text, "  {:>9}  {}", bound.viewers, bound.why);
    }
    if facts.nic.is_none() {
        let _ = writeln!(
            text,
            "  {:>9}  the network card: this machine does not tell its speed ([edge] capacity states it)",
            "unknown"
        );
    }
    if cpu.is_none() {
        let _ = writeln!(text, "  {:>9}  the CPU: no burst could be measured", "unknown");
    }
    let _ = write!(text, "\n{verdict}");
    text
}

fn table(text: &mut String, points: &[Point]) -> std::fmt::Result {
    writeln!(text, "CPU time of one burst over loopback:\n")?;
    writeln!(text, "    burst      send  sendfile")?;
    for point in points {
        writeln!(
            text,
            "  {:>3} KiB  {:>5.1} µs  {:>5.1} µs",
            point.bytes >> 10,
            point.send * 1e6,
            point.sendfile * 1e6
        )?;
    }
    match crossover(points) {
        Some(0) => writeln!(text, "\nsendfile costs less at every size"),
        Some(bytes) => writeln!(
            text,
            "\nsendfile costs less from about {} KiB a burst",
            bytes >> 10
        ),
        None => writeln!(text, "\nsend costs less at every size"),
    }
}

/// The cost of the way that carries more at this demand.
fn cheapest(points: &[Point], demand: &Demand) -> Option<Cost> {
    let fit = |seconds: fn(&Point) -> f64| {
        let sample = |point: &Point| Sample {
            bytes: point.bytes as f64,
            seconds: seconds(point),
        };
        Cost::fit(&points.iter().map(sample).collect::<Vec<_>>())
    };
    let carried = |cost: &Cost| cost.bytes_per_second(demand.rate, demand.period);
    let ways = [fit(|point| point.send), fit(|point| point.sendfile)];
    ways.into_iter()
        .flatten()
        .max_by(|one, other| carried(one).total_cmp(&carried(other)))
}

fn of_one_viewer(cost: Cost, demand: &Demand) -> String {
    let burst = demand.rate * demand.period.as_secs_f64();
    format!(
        "a viewer of {:.1} Mbit/s gets {:.1} KB every {:.0} ms, for {:.1} µs; a third is added below for a real path, which \
         has a driver and acknowledgements",
        demand.rate * 8e-6,
        burst / 1e3,
        demand.period.as_secs_f64() * 1e3,
        cost.of(1.0, burst) * 1e6
    )
}

#[cfg(test)]
mod tests {
    use relay_core::config::Bitrate;

    use super::*;

    /// 3 µs and 0.5 ns a byte by `send`; 6 µs and 0.2 ns a byte by `sendfile`: they meet at 10,000 bytes.
    fn points() -> Vec<Point> {
        let point = |kib: usize| {
            let bytes = kib << 10;
            Point {
                bytes,
                send: 3e-6 + 5e-10 * bytes as f64,
                sendfile: 6e-6 + 2e-10 * bytes as f64,
            }
        };
        [4, 8, 16, 32, 64, 128].map(point).into()
    }

    fn demand(rate: &str) -> Demand {
        Demand {
            rate: rate.parse::<Bitrate>().unwrap().bytes() as f64,
            period: Duration::from_millis(50),
            rtt: Duration::from_millis(40),
        }
    }

    #[test]
    fn the_cheaper_way_counts() {
        let small = cheapest(&points(), &demand("1Mbit")).unwrap();
        assert!((small.burst - 3e-6).abs() < 1e-9, "{small:?}");
        let large = cheapest(&points(), &demand("8Mbit")).unwrap();
        assert!((large.burst - 6e-6).abs() < 1e-9, "{large:?}");
        assert_eq!(cheapest(&[], &demand("1Mbit")), None);
    }

    #[test]
    fn it_is_said_in_words_which_limit_is_the_first() {
        let config = Config::parse(
            "test.toml".as_ref(),
            "[limits]\nmax_viewers = 777\n[fanout]\nshards = 1",
        )
        .unwrap();
        let said = words(&config, &Facts::read(), &points(), &demand("2500kbit"));
        for part in [
            "    4 KiB    5.0 µs    6.8 µs\n",
            "sendfile costs less from about 9 KiB a burst\n",
            "a viewer of 2.5 Mbit/s gets 15.6 KB every 50 ms, for 9.1 µs",
            "viewers that each limit allows, 40 ms away:\n",
            "the CPU: one fan-out thread, 60 % busy\n",
            "        777  [limits] max_viewers: 777\n",
            "\nroom for about ",
        ] {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
        let last = said.lines().last().unwrap();
        assert!(last.contains("the first limit is "), "{last}");
    }

    #[test]
    fn where_nothing_was_measured_that_is_said() {
        let said = words(&Config::default(), &Facts::read(), &[], &demand("1Mbit"));
        assert!(
            said.contains("unknown  the CPU: no burst could be measured\n"),
            "{said}"
        );
    }
}
