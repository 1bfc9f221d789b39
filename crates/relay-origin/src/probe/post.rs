//! One who stays at an endpoint for a while, and notices where nothing comes though the origin has it.

use std::pin::pin;
use std::time::Duration;

use relay_core::cascade::Instance;
use relay_core::clock::Clock;
use relay_core::pool::{Endpoint, WATCH_MS};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval};

use super::jury::Jury;
use super::rhythm::Rhythm;

/// How often it is looked at what is lacking.
const LOOK: Duration = Duration::from_millis(100);

/// For how long one stays.
pub(super) const STAY: Duration = Duration::from_millis(WATCH_MS);

/// How much longer, where the end of a stay falls into what may be a gap.
const LONGER: Duration = Duration::from_secs(2);

/// A gap that was noticed, and where.
pub(super) type Noticed = (Instance, Endpoint);

/// Somebody at an endpoint.
#[derive(Debug)]
pub(super) struct Post {
    place: Noticed,
    told: mpsc::Sender<Noticed>,
    clock: Clock,
    /// Since when an answer is waited for.
    asked_ms: u64,
    ends: Instant,
    tick: Interval,
    rhythm: Rhythm,
    has_frame: bool,
}

impl Post {
    /// One who begins now, and tells of gaps.
    pub(super) fn new(place: Noticed, told: mpsc::Sender<Noticed>, clock: Clock) -> Self {
        Self {
            place,
            told,
            clock,
            asked_ms: clock.now().mono_ms,
            ends: Instant::now() + STAY,
            tick: clock.every(LOOK),
            rhythm: Rhythm::default(),
            has_frame: false,
        }
    }

    /// The endpoint is asked from now on. To get there took so long, and so may the answer with the first frame.
    pub(super) fn asks(&mut self, way: Duration) {
        let way_ms = u64::try_from(way.as_millis()).unwrap_or(u64::MAX);
        self.asked_ms = self.clock.now().mono_ms;
        self.rhythm = Rhythm::used_to(way_ms);
        self.has_frame = false;
    }

    /// The longest gap that was seen.
    pub(super) fn worst_gap(&self) -> Duration {
        Duration::from_millis(self.rhythm.worst_ms())
    }

    /// What comes next from a stream that plays; `None` at the end of the stay.
    pub(super) async fn listen<T>(&mut self, jury: &Jury, next: impl Future<Output = T>) -> Option<T> {
        let mut next = pin!(next);
        loop {
            if jury.is_settled() || self.is_over() {
                return None;
            }
            tokio::select! {
                came = &mut next => return Some(came),
                _ = self.tick.tick() => self.look(jury),
            }
        }
    }

    /// Whether it is time to go. Nobody leaves in the middle of what may be a gap: the next one would not see it either.
    fn is_over(&self) -> bool {
        let now = Instant::now();
        now >= self.ends + LONGER || (now >= self.ends && !self.rhythm.is_uneven())
    }

    fn look(&mut self, jury: &Jury) {
        let now_ms = self.clock.now().mono_ms;
        let lacking_ms = match self.has_frame {
            true => jury.lacking_ms(now_ms),
            false => now_ms.saturating_sub(self.asked_ms),
        };
        let is_gap = self.rhythm.look(lacking_ms, now_ms);
        if jury.has_frame() && !self.has_frame {
            // From here on it is not waited for the first one any more.
            (self.has_frame, self.rhythm) = (true, Rhythm::default());
        }
        if is_gap {
            // With nobody to hear it, or too many gaps to be told, one more changes nothing.
            let _ = self.told.try_send(self.place.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use relay_core::pool::Finding;

    use super::super::fault::Fault;
    use super::super::tests::{live, playing, serving, tags};
    use super::super::visit::{Stayed, Visit};
    use super::*;

    /// How long is waited for what must not come: longer than a gap has to be.
    const WAIT: Duration = Duration::from_millis(1_700);

    /// Somebody stays where five frames come and then nothing, while `more` of them come to the origin.
    async fn notices(more: std::ops::Range<u64>) -> bool {
        let (clock, stream) = (Clock::start(), live());
        let (authority, _server) = serving(vec![playing(&tags(25..30))]).await;
        let endpoint: Endpoint = format!("http://{authority}").parse().unwrap();
        let (told, mut noticed) = mpsc::channel(4);
        let place = ("edge-1".parse().unwrap(), endpoint.clone());
        let post = Post::new(place.clone(), told, clock);
        let visit = Visit::new(endpoint, Some(Arc::clone(&stream)), clock);
        let staying = tokio::spawn(async move { visit.stay(post).await });
        for tag in tags(more) {
            stream.append(&tag, clock.now()).unwrap();
        }
        let noticed = tokio::time::timeout(WAIT, noticed.recv()).await;
        staying.abort();
        noticed.is_ok_and(|gap| gap == Some(place))
    }

    #[tokio::test]
    async fn what_the_origin_has_and_the_edge_does_not_send_is_a_gap() {
        assert!(notices(30..33).await);
    }

    #[tokio::test]
    async fn where_the_encoder_pauses_nobody_is_blamed() {
        assert!(!notices(30..30).await);
    }

    #[tokio::test]
    async fn one_who_stays_sees_a_lie_too() {
        let (clock, stream) = (Clock::start(), live());
        let mut wrong = tags(25..30);
        wrong[3].payload = Bytes::from_static(b"\x27\x01body 1121");
        let (authority, _server) = serving(vec![playing(&wrong)]).await;
        let endpoint: Endpoint = format!("http://{authority}").parse().unwrap();
        let (told, _noticed) = mpsc::channel(4);
        let post = Post::new(("edge-1".parse().unwrap(), endpoint.clone()), told, clock);
        let stayed = Visit::new(endpoint, Some(stream), clock).stay(post).await;
        let lie = Finding::Wrong(Fault::Altered.to_string());
        assert_eq!(
            stayed,
            Stayed {
                lie: Some(lie),
                worst_gap: Duration::ZERO
            }
        );
    }
}
