//! What a running node can carry: measured when it starts, corrected by what it then does.

use std::time::Duration;

use super::Cost;
use super::limit::{Cpu, Demand, Stated, Verdict, judge};
use crate::check::Facts;

/// What a byte costs on a real path, in parts of what it costs over loopback. Loopback has no driver, no interrupts and few
/// acknowledgements, but does the receiver's work in the same thread; a load of which a real path delivered 85 % just
/// fitted there. A quarter of the capacity is held back for that, until live counters tell better.
pub const REAL_PATH: f64 = 4.0 / 3.0;

/// Live counters count for so much as the past of this length, so that one odd minute does not rule.
const MEMORY: Duration = Duration::from_secs(30);

/// The fan-out must have been busy for so much of one core before its counters say what sending costs. Below that they are
/// mostly about waking up.
const TRUSTED_BUSY: f64 = 0.10;

/// No correction beyond this factor, either way: what looks like more is a clock or a machine that stood still.
const FACTORS: (f64, f64) = (0.1, 20.0);

/// Said again when it differs by more than this from what was said last.
const WORTH_SAYING: f64 = 0.20;

/// What a node has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Seconds that the fan-out's threads worked.
    pub busy_seconds: f64,
    /// Bursts sent.
    pub bursts: u64,
    /// Bytes sent to viewers.
    pub egress_bytes: u64,
    /// Viewers now.
    pub viewers: u64,
    /// Bytes of all streams that came in.
    pub ingest_bytes: u64,
    /// Streams that flow now.
    pub streams: u64,
}

/// The capacity of a node. Time comes in with what is fed; nothing here reads a clock.
#[derive(Clone, Debug)]
pub struct Estimate {
    facts: Facts,
    stated: Stated,
    demand: Demand,
    threads: u64,
    cost: Option<Cost>,
    /// What sending costs in parts of `cost`.
    factor: f64,
    last: Option<(u64, Counters)>,
    said: Option<f64>,
}

impl Estimate {
    /// Of a machine and its configuration, with `threads` that send. `demand` holds until streams show another rate.
    pub const fn new(facts: Facts, stated: Stated, demand: Demand, threads: u64) -> Self {
        Self {
            facts,
            stated,
            demand,
            threads,
            cost: None,
            factor: REAL_PATH,
            last: None,
            said: None,
        }
    }

    /// Takes what was measured over loopback.
    pub const fn handle_measurement(&mut self, cost: Cost) {
        self.cost = Some(cost);
        self.factor = REAL_PATH;
    }

    /// Takes the counters as they are at `now_ms`.
    pub fn handle_counters(&mut self, now_ms: u64, counters: Counters) {
        let Some((then_ms, before)) = self.last.replace((now_ms, counters)) else {
            return;
        };
        let seconds = now_ms.saturating_sub(then_ms) as f64 / 1000.0;
        if seconds <= 0.0 {
            return;
        }
        let weight = 1.0 - (-seconds / MEMORY.as_secs_f64()).exp();
        if let Some(rate) = seen_rate(&before, &counters, seconds) {
            self.demand.rate += weight * (rate - self.demand.rate);
        }
        self.correct(&before, &counters, seconds, weight);
    }

    /// Holds what sending was expected to cost against what it did cost.
    fn correct(&mut self, before: &Counters, now: &Counters, seconds: f64, weight: f64) {
        let busy = now.busy_seconds - before.busy_seconds;
        let bytes = now.egress_bytes.saturating_sub(before.egress_bytes) as f64;
        let bursts = now.bursts.saturating_sub(before.bursts) as f64;
        if busy.is_nan() || busy < seconds * TRUSTED_BUSY || bytes <= 0.0 {
            return;
        }
        let Some(cost) = self.cost else {
            // Nothing was measured: what is seen is all there is.
            self.cost = Some(Cost {
                burst: 0.0,
                byte: busy / bytes,
            });
            self.factor = 1.0;
            return;
        };
        let expected = cost.of(bursts, bytes);
        if expected > 0.0 {
            let (lowest, highest) = FACTORS;
            let seen = (busy / expected).clamp(lowest, highest);
            self.factor += weight * (seen - self.factor);
        }
    }

    /// What it can carry, by all that is known now.
    pub fn verdict(&self) -> Verdict {
        let cpu = self.cost.map(|cost| Cpu {
            bytes_per_second: cost.bytes_per_second(self.demand.rate, self.demand.period) / self.factor,
            threads: self.threads,
        });
        judge(&self.facts, &self.stated, cpu, &self.demand)
    }

    /// Whether a verdict is worth a line in the log: it is the first, or far from the one that was said last.
    pub fn is_news(&mut self, verdict: &Verdict) -> bool {
        let now = verdict.bytes_per_second();
        let news = self
            .said
            .is_none_or(|said| (now - said).abs() > WORTH_SAYING * said);
        if news {
            self.said = Some(now);
        }
        news
    }
}

/// The mean rate of viewers or, where there are none, of streams.
fn seen_rate(before: &Counters, now: &Counters, seconds: f64) -> Option<f64> {
    let viewers = before.viewers.saturating_add(now.viewers) as f64 / 2.0;
    let (bytes, among) = if viewers >= 1.0 {
        (now.egress_bytes.checked_sub(before.egress_bytes)?, viewers)
    } else if now.streams > 0 {
        // Streams that ended took their bytes with them.
        (
            now.ingest_bytes.checked_sub(before.ingest_bytes)?,
            now.streams as f64,
        )
    } else {
        return None;
    };
    (bytes > 0).then(|| bytes as f64 / among / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Limit;

    const COST: Cost = Cost {
        burst: 4e-6,
        byte: 4e-10,
    };

    /// 200,000 bytes per second at 50 ms: bursts of 10,000 bytes, 8 µs each.
    fn estimate() -> Estimate {
        let demand = Demand {
            rate: 200_000.0,
            period: Duration::from_millis(50),
            rtt: Duration::ZERO,
        };
        let stated = Stated {
            bandwidth: None,
            key: "",
            max_viewers: 1_000_000,
            max_handshakes: 1024,
        };
        Estimate::new(Facts::silent(), stated, demand, 1)
    }

    fn viewers(estimate: &Estimate) -> u64 {
        estimate.verdict().viewers()
    }

    /// A minute of 1,000 such viewers, one step a second, each burst costing `times` what was measured.
    fn live(estimate: &mut Estimate, times: f64) {
        let mut counters = Counters {
            viewers: 1000,
            ..Counters::default()
        };
        let start = estimate.last.map_or(0, |(ms, last)| {
            counters = Counters {
                viewers: 1000,
                ..last
            };
            ms
        });
        for second in 1..=120 {
            counters.busy_seconds += 20_000.0 * 8e-6 * times;
            counters.bursts += 20_000;
            counters.egress_bytes += 200_000_000;
            estimate.handle_counters(start + second * 1000, counters);
        }
    }

    #[test]
    fn a_measurement_is_a_capacity_with_a_margin() {
        let mut estimate = estimate();
        assert_eq!(
            estimate.verdict().first.limit,
            Limit::Configured,
            "nothing is known yet"
        );
        estimate.handle_measurement(COST);
        // 1.25 GB/s at 60 %, less a quarter.
        let verdict = estimate.verdict();
        assert_eq!(verdict.first.limit, Limit::Cpu);
        assert!((2812..=2813).contains(&verdict.viewers()), "{verdict}");
    }

    #[test]
    fn live_counters_correct_it_both_ways() {
        let mut estimate = estimate();
        estimate.handle_measurement(COST);
        live(&mut estimate, 1.0);
        assert!(
            (3600..=3750).contains(&viewers(&estimate)),
            "{}",
            viewers(&estimate)
        );
        live(&mut estimate, 2.0);
        assert!(
            (1850..=2000).contains(&viewers(&estimate)),
            "{}",
            viewers(&estimate)
        );
    }

    #[test]
    fn little_load_says_nothing() {
        let mut estimate = estimate();
        estimate.handle_measurement(COST);
        let before = viewers(&estimate);
        let counters = |second: u64| Counters {
            busy_seconds: second as f64 * 0.09,
            bursts: second * 20,
            egress_bytes: second * 200_000,
            viewers: 1,
            ..Counters::default()
        };
        for second in 0..100 {
            estimate.handle_counters(second * 1000, counters(second));
        }
        assert_eq!(viewers(&estimate), before);
    }

    #[test]
    fn without_a_measurement_the_counters_alone_tell() {
        let mut estimate = estimate();
        live(&mut estimate, 1.0);
        assert!(
            (3740..=3760).contains(&viewers(&estimate)),
            "{}",
            viewers(&estimate)
        );
    }

    #[test]
    fn the_rate_is_that_of_viewers_else_of_streams_else_as_configured() {
        let mut estimate = estimate();
        let flowing = |second: u64, viewers: u64| Counters {
            egress_bytes: second * viewers * 500_000,
            ingest_bytes: second * 2 * 800_000,
            streams: 2,
            viewers,
            ..Counters::default()
        };
        for second in 0..600 {
            estimate.handle_counters(second * 1000, flowing(second, 0));
        }
        assert!(
            (estimate.demand.rate - 800_000.0).abs() < 1.0,
            "{:?}",
            estimate.demand
        );
        for second in 600..1200 {
            estimate.handle_counters(second * 1000, flowing(second, 3));
        }
        assert!(
            (estimate.demand.rate - 500_000.0).abs() < 1.0,
            "{:?}",
            estimate.demand
        );
        for second in 1200..1300 {
            estimate.handle_counters(second * 1000, Counters::default());
        }
        assert!(
            (estimate.demand.rate - 500_000.0).abs() < 1.0,
            "silence changes nothing"
        );
    }

    #[test]
    fn odd_clocks_and_counters_do_no_harm() {
        let mut estimate = estimate();
        estimate.handle_measurement(COST);
        let before = viewers(&estimate);
        let stood_still = Counters {
            busy_seconds: 1e9,
            bursts: 1,
            egress_bytes: 2,
            ..Counters::default()
        };
        estimate.handle_counters(0, Counters::default());
        estimate.handle_counters(1000, stood_still);
        let after = viewers(&estimate);
        assert!(
            before / 2 < after && after < before,
            "one odd second is one odd second: {after}"
        );
        let wild = Counters {
            busy_seconds: f64::NAN,
            egress_bytes: u64::MAX,
            viewers: u64::from(u32::MAX),
            ..Counters::default()
        };
        for (ms, counters) in [(1000, wild), (5, Counters::default()), (2000, wild), (3000, wild)] {
            estimate.handle_counters(ms, counters);
        }
        assert!(!estimate.verdict().to_string().is_empty());
    }

    #[test]
    fn only_what_changed_is_said_again() {
        let mut estimate = estimate();
        let first = estimate.verdict();
        assert!(estimate.is_news(&first));
        assert!(!estimate.is_news(&first));
        let with = |viewers: u64| Verdict {
            first: super::super::Bound {
                viewers,
                ..first.first.clone()
            },
            ..first.clone()
        };
        assert!(!estimate.is_news(&with(801_000)));
        assert!(estimate.is_news(&with(799_000)));
        assert!(
            !estimate.is_news(&with(801_000)),
            "the last one said is what counts"
        );
    }
}
