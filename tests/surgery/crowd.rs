//! The crowd: all viewers, and what they have in each second.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_tests::calibration::Calibration;
use relay_tests::random::Random;
use relay_tests::story::lock;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::evening::{Evening, ZONE};
use crate::report::Joins;
use crate::resolver::{Habit, Resolver};
use crate::second::{Count, is_starved};
use crate::viewer::{JOIN_TIME, Miss, Seat, watch};

/// How long the light sleeper sleeps.
const NAP: Duration = Duration::from_millis(20);

/// Whom resolvers ask.
pub(crate) enum Way {
    /// A zone that was written by hand: one address.
    Fixed(Ipv4Addr),
    /// The zone's name servers.
    Servers(Vec<Ipv4Addr>),
}

/// All of them. They go home when it is dropped.
pub(crate) struct Crowd {
    seats: Vec<Arc<Mutex<Seat>>>,
    /// Media time that each had at the end of the last second, and in how many it starved.
    before_ms: Vec<u64>,
    starved: Vec<u64>,
    resolvers: BTreeMap<(Habit, usize), Arc<Resolver>>,
    /// How late, in milliseconds, the one was at most who only sleeps: as late is what the viewers say.
    late_ms: Arc<AtomicU64>,
    /// One on each core, since the edges are bound to theirs: where it slept, others did.
    sleepers: Vec<Calibration>,
    _tasks: JoinSet<()>,
}

impl Crowd {
    /// Has them come at their times after `begin`.
    pub(crate) fn gather(evening: &Evening, way: &Way, begin: Instant) -> Self {
        let mut resolvers = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut seats = Vec::new();
        for (viewer, at) in evening.arrivals.iter().enumerate() {
            let which = Habit::of(viewer);
            let known = resolvers.len();
            let resolver = resolvers
                .entry(which)
                .or_insert_with(|| Arc::new(resolver(which.0, known, way)));
            let seat = Arc::new(Mutex::new(Seat::new(resolver.habit())));
            tasks.spawn(watch(
                begin + Duration::from_secs_f64(*at),
                home(viewer),
                Arc::clone(resolver),
                Arc::clone(&seat),
                Random::seeded(viewer as u64),
            ));
            seats.push(seat);
        }
        let late_ms = Arc::new(AtomicU64::new(0));
        tasks.spawn(sleep_lightly(Arc::clone(&late_ms)));
        Self {
            late_ms,
            sleepers: sleepers(),
            before_ms: vec![0; seats.len()],
            starved: vec![0; seats.len()],
            seats,
            resolvers,
            _tasks: tasks,
        }
    }

    /// Ends a second that was so long.
    pub(crate) fn end_second(&mut self, now: Instant, length: Duration) -> Count {
        let slept = std::mem::replace(&mut self.sleepers, sleepers()).into_iter();
        // Some seconds at most.
        let worst_ms = slept.map(|sleeper| sleeper.finish().worst.as_millis() as u64);
        let mut count = Count {
            late_ms: worst_ms.fold(self.late_ms.swap(0, Ordering::Relaxed), u64::max),
            ..Count::default()
        };
        let rows = self.seats.iter().zip(&mut self.before_ms).zip(&mut self.starved);
        for ((seat, before_ms), starved) in rows {
            let mut seat = lock(seat);
            seat.judge(now);
            let Some(came) = seat.came else { continue };
            let got_ms = seat.picture.got_ms() - std::mem::replace(before_ms, seat.picture.got_ms());
            let is_starved = is_starved(got_ms, length);
            count.tried += 1;
            count.served += u64::from(!is_starved);
            count.joined += u64::from(matches!(seat.first_try, Some(Ok(_))));
            count.failed += u64::from(matches!(seat.first_try, Some(Err(_))));
            // Whoever has just come is still allowed to join.
            if came + JOIN_TIME + length <= now {
                count.counted += 1;
                count.starved += u64::from(is_starved);
                *starved += u64::from(is_starved);
            }
        }
        count
    }

    /// How the first tries went, by the habit of the resolvers.
    pub(crate) fn joins(&self) -> BTreeMap<Habit, Joins> {
        let mut joins = BTreeMap::<Habit, Joins>::new();
        for seat in &self.seats {
            let seat = lock(seat);
            let of = joins.entry(seat.habit).or_default();
            of.tried += u64::from(seat.came.is_some());
            of.succeeded += u64::from(matches!(seat.first_try, Some(Ok(_))));
        }
        joins
    }

    /// Why first tries failed.
    pub(crate) fn misses(&self) -> BTreeMap<Miss, u64> {
        let mut misses = BTreeMap::new();
        for seat in &self.seats {
            if let Some(Err(miss)) = lock(seat).first_try {
                *misses.entry(miss).or_default() += 1;
            }
        }
        misses
    }

    /// How long successful first tries took, in milliseconds, the quickest first.
    pub(crate) fn join_times_ms(&self) -> Vec<u64> {
        let took = |seat: &Arc<Mutex<Seat>>| match lock(seat).first_try {
            Some(Ok(took)) => Some(took.as_millis() as u64), // a few seconds
            _ => None,
        };
        let mut times: Vec<u64> = self.seats.iter().filter_map(took).collect();
        times.sort_unstable();
        times
    }

    /// Viewers that starved at all, and for how many seconds the worst one did.
    pub(crate) fn who_starved(&self) -> (u64, u64) {
        let any = self.starved.iter().filter(|seconds| **seconds > 0).count();
        (any as u64, self.starved.iter().copied().max().unwrap_or(0))
    }

    /// Redirects that were followed, and times that somebody came again.
    pub(crate) fn moves(&self) -> (u64, u64) {
        self.seats.iter().fold((0, 0), |(redirects, returns), seat| {
            let seat = lock(seat);
            (
                redirects + u64::from(seat.redirects),
                returns + u64::from(seat.returns),
            )
        })
    }

    /// Questions that resolvers put to name servers.
    pub(crate) fn questions(&self) -> u64 {
        self.resolvers.values().map(|resolver| resolver.asked()).sum()
    }
}

fn sleepers() -> Vec<Calibration> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (0..cores).map(Calibration::on_core).collect()
}

/// Sleeps among the viewers, and notes how late it wakes.
async fn sleep_lightly(late_ms: Arc<AtomicU64>) {
    loop {
        let due = Instant::now() + NAP;
        sleep_until(due).await;
        // Far below 2^64.
        late_ms.fetch_max(due.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}

/// Each resolver has a network of its own, as name servers limit by network.
fn resolver(habit: Habit, known: usize, way: &Way) -> Resolver {
    let address = Ipv4Addr::new(198, 19, 200 + known.min(55) as u8, 53);
    match way {
        Way::Fixed(answer) => Resolver::knowing(habit, address, *answer),
        Way::Servers(servers) => Resolver::new(habit, address, ZONE, servers.clone()),
    }
}

/// A viewer's own address.
fn home(viewer: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, (viewer / 200 % 200) as u8, (viewer % 200 + 1) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_home() {
        let homes: std::collections::BTreeSet<_> = (0..crate::MOST_VIEWERS).map(home).collect();
        assert_eq!(homes.len(), crate::MOST_VIEWERS);
    }

    #[tokio::test]
    async fn nobody_counts_before_they_came() {
        let evening = Evening::pool(100);
        let begin = Instant::now() + Duration::from_secs(1000);
        let mut crowd = Crowd::gather(&evening, &Way::Servers(Vec::new()), begin);
        let count = crowd.end_second(Instant::now(), Duration::from_secs(1));
        assert_eq!((count.tried, count.counted, count.starved), (0, 0, 0));
        assert_eq!(crowd.joins().values().map(|joins| joins.tried).sum::<u64>(), 0);
        // Ten obedient ones, five stubborn ones, and one that is shared.
        assert_eq!(crowd.resolvers.len(), 16);
    }
}
