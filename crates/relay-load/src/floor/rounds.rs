//! The loop itself.

use std::array;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::history::History;
use crate::footage::{Footage, Shot};
use crate::profile::Plan;

/// Slots of a period, each with its part of the viewers: the same spread as the relay's.
const SLOTS: usize = 10;

/// Viewers taken in one slot, so that a storm of joiners does not hold up those who watch.
const JOINS_PER_SLOT: usize = 64;

/// What the door hands over: a socket whose request was read.
pub(super) struct Joiner {
    pub(super) socket: OwnedFd,
    pub(super) stream: usize,
}

/// A stream and what is kept of it.
struct Channel {
    footage: Footage,
    next: Option<Shot>,
    history: History,
    /// How long it had been going when the loop began: streams that began together would have all keyframes at once.
    head_start: Duration,
}

/// Sixteen bytes per viewer are all that a slot goes through.
struct Viewer {
    cursor: u64,
    channel: u32,
    socket: OwnedFd,
}

/// All viewers, and the thread's work.
pub(super) struct Rounds {
    channels: Vec<Channel>,
    slots: [Vec<Viewer>; SLOTS],
    slot_length: Duration,
    join_slot: usize,
    joiners: Receiver<Joiner>,
    watching: Arc<AtomicUsize>,
}

impl Rounds {
    pub(super) fn new(
        plan: Plan,
        streams: usize,
        period: Duration,
        joiners: Receiver<Joiner>,
        watching: Arc<AtomicUsize>,
    ) -> Self {
        // Few enough for a u32, by MAX_STREAMS.
        let head_start = |number: usize| plan.gop() * number as u32 / streams as u32;
        Self {
            channels: (0..streams)
                .map(|number| Channel::new(plan, head_start(number)))
                .collect(),
            slots: array::from_fn(|_| Vec::new()),
            slot_length: period / SLOTS as u32,
            join_slot: 0,
            joiners,
            watching,
        }
    }

    /// Runs until `stop`.
    pub(super) fn run(mut self, stop: &CancellationToken) {
        let started = Instant::now();
        let mut due = started;
        for slot in (0..SLOTS).cycle() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if stop.is_cancelled() {
                return;
            }
            let begun = Instant::now();
            self.record(begun - started);
            self.take_joiners();
            self.send(slot);
            // Slots are counted from the beginning, so that nothing drifts. A loop that was held up for longer than a slot
            // goes on from now: catching up would send tiny bursts.
            due = (due + self.slot_length).max(begun);
        }
    }

    /// Makes what is due by now.
    fn record(&mut self, elapsed: Duration) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for channel in &mut self.channels {
            channel.record(elapsed, unix);
        }
    }

    fn take_joiners(&mut self) {
        for _ in 0..JOINS_PER_SLOT {
            // Empty now, or for ever: those who watch go on either way.
            let Ok(joiner) = self.joiners.try_recv() else {
                return;
            };
            self.join(joiner);
        }
    }

    /// A viewer's beginning: head, headers, and all from the newest keyframe on. What the socket does not take follows in
    /// its slot.
    fn join(&mut self, joiner: Joiner) {
        let Some(channel) = self.channels.get(joiner.stream) else {
            return self.left(1);
        };
        let (start, prelude) = channel.history.start();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::MORE;
        // Less than a kilobyte into an empty socket: one that does not take it whole is gone.
        if rustix::net::send(&joiner.socket, prelude, flags) != Ok(prelude.len()) {
            return self.left(1);
        }
        let mut viewer = Viewer {
            cursor: start,
            // At most MAX_STREAMS.
            channel: joiner.stream as u32,
            socket: joiner.socket,
        };
        if !viewer.send(&channel.history) {
            return self.left(1);
        }
        self.slots[self.join_slot].push(viewer);
        self.join_slot = (self.join_slot + 1) % SLOTS;
    }

    fn send(&mut self, slot: usize) {
        let channels = &self.channels;
        let viewers = &mut self.slots[slot];
        let before = viewers.len();
        viewers.retain_mut(|viewer| {
            channels
                .get(viewer.channel as usize)
                .is_some_and(|channel| viewer.send(&channel.history))
        });
        let gone = before - viewers.len();
        if gone > 0 {
            self.left(gone);
        }
    }

    fn left(&self, viewers: usize) {
        self.watching.fetch_sub(viewers, Ordering::Relaxed);
    }
}

impl Channel {
    fn new(plan: Plan, head_start: Duration) -> Self {
        let mut footage = Footage::new(plan);
        Self {
            next: footage.next(),
            footage,
            history: History::new(&plan, Footage::headers(&plan)),
            head_start,
        }
    }

    /// Makes what is due `elapsed` after the loop's beginning, which is `unix` on the wall clock.
    fn record(&mut self, elapsed: Duration, unix: Duration) {
        let position = elapsed + self.head_start;
        while let Some(shot) = self.next.filter(|shot| shot.due <= position) {
            let due = unix.saturating_sub(position - shot.due);
            // Microseconds of 584,000 years.
            let tag = shot.tag(due.as_micros() as u64);
            self.history.append(&tag, shot.is_key());
            self.next = self.footage.next();
        }
    }
}

impl Viewer {
    /// Sends what is new, as far as the socket takes it now; false if the viewer is gone, or too far behind.
    fn send(&mut self, history: &History) -> bool {
        let Some(bytes) = history.since(self.cursor) else {
            return false;
        };
        if bytes.is_empty() {
            return true;
        }
        match rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => {
                self.cursor += sent as u64;
                true
            }
            // Full, or the interface's queue is: its next slot tries again.
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => true,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use tokio::sync::mpsc;

    use super::*;
    use crate::profile::Profile;

    fn rounds(streams: usize) -> (Rounds, mpsc::Sender<Joiner>, Arc<AtomicUsize>) {
        let (joins, joiners) = mpsc::channel(8);
        let watching = Arc::new(AtomicUsize::new(0));
        let plan = Plan::new(Profile::default()).unwrap();
        let rounds = Rounds::new(
            plan,
            streams,
            Duration::from_millis(50),
            joiners,
            Arc::clone(&watching),
        );
        (rounds, joins, watching)
    }

    fn join(joins: &mpsc::Sender<Joiner>, watching: &AtomicUsize, stream: usize) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        watching.fetch_add(1, Ordering::Relaxed);
        let joiner = Joiner {
            socket: ours.into(),
            stream,
        };
        joins.try_send(joiner).unwrap_or_else(|_| panic!("no room"));
        theirs
    }

    /// All that is there to be read.
    fn drain(socket: &mut UnixStream) -> Vec<u8> {
        let mut out = vec![0; 1 << 20];
        let count = socket.read(&mut out).unwrap_or(0);
        out.truncate(count);
        out
    }

    #[test]
    fn a_viewer_takes_sixteen_bytes() {
        assert_eq!(size_of::<Viewer>(), 16);
    }

    #[test]
    fn a_viewer_gets_each_byte_once_and_nothing_between_its_slots() {
        let (mut rounds, joins, watching) = rounds(1);
        rounds.record(Duration::from_millis(100));
        let mut viewer = join(&joins, &watching, 0);
        rounds.take_joiners();
        let mut got = drain(&mut viewer);
        for turn in 1..100 {
            rounds.record(Duration::from_millis(100 + turn * 40));
            rounds.send(5);
            assert!(drain(&mut viewer).is_empty(), "the slot of nobody");
            rounds.send(0);
            got.extend(drain(&mut viewer));
        }
        let history = &rounds.channels[0].history;
        assert!(got.ends_with(history.since(history.start().0).unwrap()));
        let head = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let prelude = history.start().1.len();
        assert_eq!(got.len() - prelude, history.end() as usize, "from 0 on");
        assert!(head < prelude);
    }

    #[test]
    fn viewers_are_spread_and_those_who_leave_are_forgotten() {
        let (mut rounds, joins, watching) = rounds(3);
        rounds.record(Duration::ZERO);
        let viewers: Vec<UnixStream> = (0..6).map(|number| join(&joins, &watching, number % 3)).collect();
        rounds.take_joiners();
        assert!(rounds.slots[..6].iter().all(|slot| slot.len() == 1));
        drop(viewers);
        rounds.record(Duration::from_millis(50));
        (0..SLOTS).for_each(|slot| rounds.send(slot));
        assert!(rounds.slots.iter().all(Vec::is_empty));
        assert_eq!(watching.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_reads_nothing_is_closed_when_its_place_is_forgotten() {
        let (mut rounds, joins, watching) = rounds(1);
        rounds.record(Duration::ZERO);
        let stalled = join(&joins, &watching, 0);
        rounds.take_joiners();
        for second in 0..9 {
            rounds.record(Duration::from_secs(second));
            rounds.send(0);
        }
        assert_eq!(watching.load(Ordering::Relaxed), 1, "ten seconds are kept");
        for second in 9..30 {
            rounds.record(Duration::from_secs(second));
            rounds.send(0);
        }
        assert_eq!(watching.load(Ordering::Relaxed), 0);
        drop(stalled);
    }

    #[test]
    fn streams_have_their_keyframes_at_different_times() {
        let (mut rounds, _joins, _) = rounds(4);
        rounds.record(Duration::ZERO);
        let ends: Vec<u64> = rounds
            .channels
            .iter()
            .map(|channel| channel.history.end())
            .collect();
        assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
    }
}
