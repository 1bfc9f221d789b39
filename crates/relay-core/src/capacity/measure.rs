//! The measuring: a glance of 200 ms when a node starts, and a survey of some seconds for a person who asks.

use std::io;
use std::time::{Duration, Instant};

use super::probe::{Probe, Way};
use super::{Cost, Sample};

/// How long the glance takes.
const GLANCE: Duration = Duration::from_millis(200);

/// The glance's bursts: that of a stream of 1 Mbit/s at 50 ms, and one four times as large.
const GLANCE_BURSTS: [usize; 2] = [6 << 10, 24 << 10];

/// Pairs of the glance: some 30 descriptors, and set up within a millisecond or two.
const GLANCE_PAIRS: usize = 16;

/// Batches of each size that make a glance. On a machine that has no time for so many, nothing is known rather than
/// something odd.
const GLANCE_BATCHES: usize = 8;

/// The survey's bursts, in bytes.
const SURVEY_BURSTS: [usize; 6] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10];

/// Pairs of the survey: so many sockets' state does not fit into a core's nearest caches, as a crowd's does not.
const SURVEY_PAIRS: usize = 256;

/// Descriptors that the survey leaves to the rest of the process.
const SPARE_FILES: u64 = 32;

/// Samples kept of each size and way. Far more than a median needs; the oldest half makes room.
const SAMPLES: usize = 4096;

/// What sending costs over loopback, by some 200 ms of measuring. It is for a thread of its own: it uses that thread's CPU
/// clock. `None` if the machine was too busy to tell.
///
/// # Errors
/// What the kernel says to sockets over loopback.
pub fn glance() -> io::Result<Option<Cost>> {
    let end = Instant::now() + GLANCE;
    let mut probe = Probe::open(GLANCE_PAIRS, GLANCE_BURSTS[1])?;
    let mut samples = GLANCE_BURSTS.map(|_| Vec::new());
    while Instant::now() < end {
        for (bytes, samples) in GLANCE_BURSTS.into_iter().zip(&mut samples) {
            take(&mut probe, Way::Send, bytes, samples)?;
        }
    }
    if samples.iter().any(|samples| samples.len() < GLANCE_BATCHES) {
        return Ok(None);
    }
    let medians = samples.iter_mut().zip(GLANCE_BURSTS);
    let medians: Vec<Sample> = medians
        .filter_map(|(samples, bytes)| point(bytes, samples))
        .collect();
    Ok(Cost::fit(&medians))
}

/// The CPU time of bursts of one size, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Bytes of the burst.
    pub bytes: usize,
    /// By `send`.
    pub send: f64,
    /// By `sendfile`.
    pub sendfile: f64,
}

/// A measurement of several sizes, both ways, step by step: who drives it can show how far it is.
pub struct Survey {
    probe: Probe,
    start: Instant,
    time: Duration,
    samples: [[Vec<f64>; 2]; SURVEY_BURSTS.len()],
}

impl Survey {
    /// Sets up the sockets, as many as `open_files` allows; it will take `time`.
    ///
    /// # Errors
    /// What the kernel says, such as that there are too few descriptors.
    pub fn start(time: Duration, open_files: Option<u64>) -> io::Result<Self> {
        let room = open_files.map_or(u64::MAX, |files| files.saturating_sub(SPARE_FILES) / 2);
        let pairs = usize::try_from(room).unwrap_or(usize::MAX).min(SURVEY_PAIRS);
        Ok(Self {
            probe: Probe::open(pairs, SURVEY_BURSTS[SURVEY_BURSTS.len() - 1])?,
            start: Instant::now(),
            time,
            samples: Default::default(),
        })
    }

    /// Measures for a moment: a batch of each size and way. The result is how much of the time is over, from 0 to 1.
    ///
    /// # Errors
    /// When a socket fails.
    pub fn step(&mut self) -> io::Result<f64> {
        for (bytes, [send, sendfile]) in SURVEY_BURSTS.into_iter().zip(&mut self.samples) {
            take(&mut self.probe, Way::Send, bytes, send)?;
            take(&mut self.probe, Way::Sendfile, bytes, sendfile)?;
        }
        let over = self.start.elapsed().as_secs_f64() / self.time.as_secs_f64().max(1e-3);
        Ok(over.min(1.0))
    }

    /// What was found: the sizes of which both ways took whole bursts.
    pub fn points(&mut self) -> Vec<Point> {
        let sizes = SURVEY_BURSTS.into_iter().zip(&mut self.samples);
        sizes
            .filter_map(|(bytes, [send, sendfile])| {
                Some(Point {
                    bytes,
                    send: median(send)?,
                    sendfile: median(sendfile)?,
                })
            })
            .collect()
    }
}

/// The size of a burst from which on `sendfile` costs less than `send`, between two measured ones by a straight line. 0:
/// it always does. `None`: not within what was measured.
pub fn crossover(points: &[Point]) -> Option<u64> {
    let Some(last) = points.iter().rposition(|point| point.send <= point.sendfile) else {
        return points.first().map(|_| 0);
    };
    let (below, above) = (points[last], points.get(last + 1)?);
    let (short, ahead) = (below.sendfile - below.send, above.send - above.sendfile);
    let part = short / (short + ahead);
    let bytes = below.bytes as f64 + (above.bytes as f64 - below.bytes as f64) * part;
    Some(bytes as u64)
}

fn take(probe: &mut Probe, way: Way, bytes: usize, samples: &mut Vec<f64>) -> io::Result<()> {
    if let Some(sample) = probe.batch(way, bytes)? {
        if samples.len() >= SAMPLES {
            samples.drain(..SAMPLES / 2);
        }
        samples.push(sample.seconds);
    }
    Ok(())
}

fn point(bytes: usize, samples: &mut [f64]) -> Option<Sample> {
    Some(Sample {
        bytes: bytes as f64,
        seconds: median(samples)?,
    })
}

fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_ends_and_finds_a_cost() {
        let begun = Instant::now();
        let cost = glance().unwrap();
        // The time of one odd batch on a loaded machine is not ours to judge.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        if let Some(cost) = cost {
            assert!(
                cost.of(1.0, 6144.0) > 0.0 && cost.of(1.0, 6144.0) < 1.0,
                "{cost:?}"
            );
        }
    }

    #[test]
    fn a_survey_goes_on_until_its_time_is_over_and_has_all_sizes() {
        let mut survey = Survey::start(Duration::from_millis(50), Some(80)).unwrap();
        let (mut steps, mut over) = (0, 0.0);
        while over < 1.0 {
            let now = survey.step().unwrap();
            assert!(now >= over && now <= 1.0);
            (steps, over) = (steps + 1, now);
            assert!(steps < 100_000, "no end");
        }
        let points = survey.points();
        assert_eq!(points.first().map(|point| point.bytes), Some(4096));
        for point in &points {
            assert!(point.send > 0.0 && point.sendfile > 0.0, "{point:?}");
        }
    }

    #[test]
    fn the_crossover_is_where_the_last_lead_of_send_ends() {
        let points = |table: &[(usize, f64, f64)]| -> Vec<Point> {
            let point = |(bytes, send, sendfile): &(usize, f64, f64)| Point {
                bytes: *bytes,
                send: *send,
                sendfile: *sendfile,
            };
            table.iter().map(point).collect()
        };
        let usual = points(&[(4096, 3.0, 4.0), (8192, 5.0, 6.0), (16_384, 9.0, 8.0)]);
        assert_eq!(crossover(&usual), Some(12_288));
        let noisy = points(&[(4096, 4.5, 4.0), (8192, 5.0, 6.0), (16_384, 9.0, 6.0)]);
        assert_eq!(crossover(&noisy), Some(10_240));
        assert_eq!(crossover(&points(&[(4096, 3.0, 4.0), (8192, 5.0, 5.5)])), None);
        assert_eq!(crossover(&points(&[(4096, 3.0, 2.0), (8192, 5.0, 4.5)])), Some(0));
        assert_eq!(crossover(&[]), None);
    }

    #[test]
    fn the_middle_of_nothing_is_nothing() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
    }
}
