//! A viewer, as a user's player behaves: it comes by name, tries one address after another, and comes again when it loses the
//! picture, the next address at once, then after a while.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_tests::random::Random;
use relay_tests::story::lock;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::dial::{End, visit};
use crate::picture::Picture;
use crate::resolver::{Habit, Resolver};

/// A join has succeeded when so much media has come, in milliseconds …
const ENOUGH_MS: u64 = 1000;

/// … within so long after the viewer's first packet, which is its question for the address.
pub(crate) const JOIN_TIME: Duration = Duration::from_secs(3);

/// Why a first try came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Miss {
    /// No resolver knew an address.
    NoAddress,
    /// Nobody answered at any address.
    NoConnection,
    /// It was refused: 503.
    Refused,
    /// It was answered something else than a stream.
    NoStream,
    /// Too little came, or too late.
    TooLate,
}

impl Miss {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NoAddress => "no address",
            Self::NoConnection => "no connection",
            Self::Refused => "refused",
            Self::NoStream => "no stream",
            Self::TooLate => "too little, too late",
        }
    }
}

/// What is known of a viewer.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) habit: Habit,
    pub(crate) came: Option<Instant>,
    pub(crate) picture: Picture,
    /// How the first try went: how long it took, or why not.
    pub(crate) first_try: Option<Result<Duration, Miss>>,
    pub(crate) redirects: u32,
    /// How often it came again.
    pub(crate) returns: u32,
}

impl Seat {
    pub(crate) const fn new(habit: Habit) -> Self {
        Self {
            habit,
            came: None,
            picture: Picture::new(),
            first_try: None,
            redirects: 0,
            returns: 0,
        }
    }

    /// Pictures came, with these times.
    pub(crate) fn sees(&mut self, times: impl Iterator<Item = u32>) {
        times.for_each(|time| self.picture.saw(time));
        if self.picture.got_ms() >= ENOUGH_MS {
            self.judge(Instant::now());
        }
    }

    /// Says how the first try went, if that is decided now.
    pub(crate) fn judge(&mut self, now: Instant) {
        let Some(came) = self.came else { return };
        let took = now.saturating_duration_since(came);
        if self.first_try.is_none() {
            if took > JOIN_TIME {
                self.first_try = Some(Err(Miss::TooLate));
            } else if self.picture.got_ms() >= ENOUGH_MS {
                self.first_try = Some(Ok(took));
            }
        }
    }

    fn fails(&mut self, why: Miss) {
        self.judge(Instant::now());
        self.first_try.get_or_insert(Err(why));
    }
}

/// Comes at its time, and stays.
pub(crate) async fn watch(
    at: Instant,
    from: Ipv4Addr,
    resolver: Arc<Resolver>,
    seat: Arc<Mutex<Seat>>,
    mut random: Random,
) {
    sleep_until(at).await;
    lock(&seat).came = Some(Instant::now());
    let mut known = Vec::new();
    let mut untried = VecDeque::new();
    let mut asked_in_vain = false;
    loop {
        let Some(server) = untried.pop_front() else {
            if asked_in_vain {
                sleep(jittered(1, &mut random)).await;
            }
            known = resolver.addresses().await;
            if known.is_empty() {
                lock(&seat).fails(Miss::NoAddress);
            }
            untried.extend(known.iter().copied());
            asked_in_vain = true;
            continue;
        };
        let before = lock(&seat).picture.got_ms();
        let end = visit(from, server, &seat).await;
        let has_played = lock(&seat).picture.got_ms() > before;
        match end {
            End::Refused(seconds) => {
                lock(&seat).fails(Miss::Refused);
                untried.clear();
                sleep(jittered(seconds, &mut random)).await;
                asked_in_vain = false;
            }
            // Players give up on an answer that makes no sense; this one comes again.
            End::NoStream => lock(&seat).fails(Miss::NoStream),
            End::Over if has_played => {
                lock(&seat).returns += 1;
                untried = known.iter().copied().filter(|other| *other != server).collect();
                asked_in_vain = false;
            }
            End::Over | End::NoConnection => {
                if untried.is_empty() {
                    lock(&seat).fails(Miss::NoConnection);
                }
            }
        }
    }
}

/// Half as long to half as long again, so that nobody comes in step.
fn jittered(seconds: u64, random: &mut Random) -> Duration {
    Duration::from_millis(seconds.clamp(1, 60) * (500 + random.below(1000) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat_after(media_ms: u32, took: Duration) -> Seat {
        let mut seat = Seat::new(Habit::Obedient);
        let came = Instant::now();
        seat.came = Some(came);
        (0..=media_ms / 40).for_each(|at| seat.picture.saw(at * 40));
        seat.judge(came + took);
        seat
    }

    #[tokio::test]
    async fn a_join_takes_a_second_of_media_within_three() {
        let seconds = Duration::from_secs;
        assert_eq!(seat_after(1000, seconds(1)).first_try, Some(Ok(seconds(1))));
        assert_eq!(seat_after(960, seconds(3)).first_try, None);
        assert_eq!(seat_after(960, seconds(4)).first_try, Some(Err(Miss::TooLate)));
        assert_eq!(seat_after(4000, seconds(4)).first_try, Some(Err(Miss::TooLate)));
    }

    #[tokio::test]
    async fn the_first_verdict_stands() {
        let mut seat = seat_after(0, Duration::from_secs(1));
        seat.fails(Miss::Refused);
        seat.fails(Miss::NoAddress);
        seat.sees((0..50).map(|at| at * 40));
        assert_eq!(seat.first_try, Some(Err(Miss::Refused)));
    }

    #[test]
    fn nobody_comes_in_step() {
        let mut random = Random::seeded(1);
        for _ in 0..100 {
            let wait = jittered(5, &mut random);
            assert!((2500..7500).contains(&wait.as_millis()), "{wait:?}");
        }
        assert!(jittered(0, &mut random) >= Duration::from_millis(500));
    }
}
