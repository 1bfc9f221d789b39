//! Is the machine itself on time? A figure taken while it was not says nothing about the relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

/// What the sleeper asks for.
const NAP: Duration = Duration::from_millis(5);

/// If 1 % of the naps end later than this, the machine is late and timings are printed but not judged.
const LATE: Duration = Duration::from_millis(20);

/// A thread that does nothing but sleep for short times and note by how much it overslept.
pub struct Calibration {
    done: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Vec<Duration>>>,
}

/// What the sleeper saw.
#[derive(Clone, Copy, Debug)]
pub struct Lateness {
    /// 99 of 100 naps ended at most this late.
    pub p99: Duration,
    /// The worst one.
    pub worst: Duration,
}

impl Calibration {
    /// Starts the sleeper.
    pub fn start() -> Self {
        Self::start_on(None)
    }

    /// Starts the sleeper on one core; where the system does not allow that, it sleeps wherever it is put.
    pub fn on_core(core: usize) -> Self {
        Self::start_on(Some(core))
    }

    fn start_on(core: Option<usize>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        let sleeper = std::thread::spawn(move || {
            if let Some(core) = core {
                let mut cores = CpuSet::new();
                cores.set(core);
                // A refusal costs the figure its core, not the figure.
                let _ = sched_setaffinity(None, &cores);
            }
            let mut late = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(NAP);
                late.push(start.elapsed().saturating_sub(NAP));
            }
            late
        });
        Self {
            done,
            sleeper: Some(sleeper),
        }
    }

    /// Ends the sleeper and says how late the machine was.
    pub fn finish(mut self) -> Lateness {
        self.done.store(true, Ordering::Relaxed);
        let mut late = self
            .sleeper
            .take()
            .and_then(|sleeper| sleeper.join().ok())
            .unwrap_or_default();
        late.sort_unstable();
        Lateness {
            p99: percentile(&late, 99.0),
            worst: late.last().copied().unwrap_or_default(),
        }
    }
}

impl Drop for Calibration {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Lateness {
    /// Prints a figure, and judges it if the machine was on time.
    ///
    /// # Panics
    /// When the figure is out of bounds although the machine was on time: that is how a test says so.
    pub fn judge(self, what: &str, figure: &str, good: bool) {
        let machine = format!(
            "a mere sleeper's p99 was {:.1} ms late",
            self.p99.as_secs_f64() * 1e3
        );
        if self.p99 > LATE {
            println!("{what}: {figure} (not judged: {machine})");
            return;
        }
        println!("{what}: {figure} ({machine})");
        assert!(good, "{what}: {figure}, although {machine}");
    }
}

/// The value below which `percent` of the sorted values lie; zero without values.
pub fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    // A rank of values that fit in memory is far within what an f64 counts exactly.
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_rank() {
        let sorted: Vec<Duration> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 99.0), Duration::from_millis(990));
        assert_eq!(percentile(&sorted, 99.9), Duration::from_millis(999));
        assert_eq!(percentile(&sorted, 100.0), Duration::from_secs(1));
        assert_eq!(percentile(&[], 99.0), Duration::ZERO);
    }
}
