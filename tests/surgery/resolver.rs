//! Resolvers, with the habits that they have in the world: each keeps answers for many viewers, and not all as long as told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relay_tests::question;
use relay_tests::random::Random;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long a resolver waits for one server before it asks the next: what unbound begins with, rounded.
const PATIENCE: Duration = Duration::from_millis(400);

/// How often it goes through all servers before it gives up.
const ROUNDS: usize = 2;

/// What the stubborn ones raise a short life to.
const STUBBORN_SECONDS: u32 = 60;

/// The longest life that is believed.
const MOST_SECONDS: u32 = 3600;

/// How a resolver keeps what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Habit {
    /// As long as it was told. A few viewers each.
    Obedient,
    /// For a minute at least, whatever it was told.
    Stubborn,
    /// As long as it was told, but one for a whole crowd, who all get the same answer: a congress, a mobile operator.
    Shared,
}

impl Habit {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Obedient, Self::Stubborn, Self::Shared];

    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Obedient => "keep answers as long as told",
            Self::Stubborn => "keep them for a minute",
            Self::Shared => "share one cache",
        }
    }

    /// For how many seconds an answer is kept.
    pub(crate) fn keeps(self, ttl: u32) -> u32 {
        let ttl = ttl.min(MOST_SECONDS);
        match self {
            Self::Obedient | Self::Shared => ttl,
            Self::Stubborn => ttl.max(STUBBORN_SECONDS),
        }
    }

    /// Of which habit the resolver of a viewer is, and which one of those: of ten viewers five have an obedient one, of which
    /// there are ten; three share a cache; two have one of five stubborn ones.
    pub(crate) const fn of(viewer: usize) -> (Self, usize) {
        match viewer % 10 {
            0..=4 => (Self::Obedient, viewer / 10 % 10),
            5..=7 => (Self::Shared, 0),
            _ => (Self::Stubborn, viewer / 10 % 5),
        }
    }
}

/// One resolver.
pub(crate) struct Resolver {
    habit: Habit,
    address: Ipv4Addr,
    name: String,
    servers: Vec<Ipv4Addr>,
    asked: AtomicU64,
    /// Held while it asks: whoever comes meanwhile waits for the same answer.
    cache: Mutex<Cache>,
}

/// What a resolver remembers.
struct Cache {
    addresses: Vec<Ipv4Addr>,
    until: Option<Instant>,
    /// The server that answered last: it is asked first.
    good: usize,
    random: Random,
}

impl Resolver {
    /// One that asks the given servers, from an address of its own.
    pub(crate) fn new(habit: Habit, address: Ipv4Addr, name: &str, servers: Vec<Ipv4Addr>) -> Self {
        let mut random = Random::seeded(u64::from(address.to_bits()));
        let good = random.below(servers.len().max(1));
        Self {
            habit,
            address,
            name: name.to_owned(),
            servers,
            asked: AtomicU64::new(0),
            cache: Mutex::new(Cache {
                addresses: Vec::new(),
                until: None,
                good,
                random,
            }),
        }
    }

    /// One that has the answer by heart, as from a zone that is edited by hand.
    pub(crate) fn knowing(habit: Habit, address: Ipv4Addr, answer: Ipv4Addr) -> Self {
        let mut resolver = Self::new(habit, address, "", Vec::new());
        let cache = resolver.cache.get_mut();
        cache.addresses = vec![answer];
        cache.until = Some(Instant::now() + Duration::from_secs(u64::from(MOST_SECONDS)));
        resolver
    }

    /// How its keeping goes.
    pub(crate) const fn habit(&self) -> Habit {
        self.habit
    }

    /// Questions that it sent to name servers.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The addresses of the name; none if nobody knows any.
    pub(crate) async fn addresses(&self) -> Vec<Ipv4Addr> {
        let mut cache = self.cache.lock().await;
        if cache.until.is_some_and(|until| Instant::now() < until) {
            return cache.addresses.clone();
        }
        for turn in 0..ROUNDS * self.servers.len() {
            let server = (cache.good + turn) % self.servers.len();
            let id = cache.random.next() as u16; // any bits do
            self.asked.fetch_add(1, Ordering::Relaxed);
            let asked = timeout(PATIENCE, self.ask(id, self.servers[server])).await;
            let Ok(Some(answer)) = asked else { continue };
            let keeps = Duration::from_secs(u64::from(self.habit.keeps(answer.ttl)));
            cache.good = server;
            // That there is no address is not kept: a resolver keeps it for no longer than the TTL, and a viewer waits as long.
            cache.until = (!answer.addresses.is_empty()).then(|| Instant::now() + keeps);
            cache.addresses.clone_from(&answer.addresses);
            return answer.addresses;
        }
        Vec::new()
    }

    async fn ask(&self, id: u16, server: Ipv4Addr) -> Option<question::Answer> {
        let socket = UdpSocket::bind(SocketAddr::from((self.address, 0))).await.ok()?;
        socket.connect(SocketAddr::from((server, 53))).await.ok()?;
        socket.send(&question::ask(id, &self.name)).await.ok()?;
        let mut packet = [0; 1500];
        loop {
            let length = socket.recv(&mut packet).await.ok()?;
            let answer = question::answer(id, &packet[..length]);
            // A refusal is an answer, too: the next server may know better.
            if answer.is_some() || packet[..2] == id.to_be_bytes() {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_keep_answers_for_different_times() {
        assert_eq!(Habit::ALL.map(|habit| habit.keeps(5)), [5, 60, 5]);
        assert_eq!(Habit::ALL.map(|habit| habit.keeps(300)), [300, 300, 300]);
        assert_eq!(Habit::ALL.map(|habit| habit.keeps(u32::MAX)), [3600, 3600, 3600]);
    }

    #[test]
    fn a_crowd_has_resolvers_of_all_habits() {
        let count = |wanted| (0..100).filter(|viewer| Habit::of(*viewer).0 == wanted).count();
        assert_eq!(Habit::ALL.map(count), [50, 20, 30]);
        assert!((0..1000).all(|viewer| Habit::of(viewer).1 < 10));
        let shared = (0..1000)
            .map(Habit::of)
            .filter(|(habit, _)| *habit == Habit::Shared);
        assert!(shared.into_iter().all(|(_, which)| which == 0));
    }

    #[tokio::test]
    async fn who_knows_by_heart_asks_nobody() {
        let there = Ipv4Addr::new(198, 18, 1, 2);
        let resolver = Resolver::knowing(Habit::Shared, Ipv4Addr::LOCALHOST, there);
        assert_eq!(resolver.addresses().await, [there]);
        assert_eq!(resolver.asked(), 0);
    }
}
