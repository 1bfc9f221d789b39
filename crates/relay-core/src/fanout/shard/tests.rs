//! A shard turned by hand: no thread, no waiting.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use prometheus::Registry;

use super::*;
use crate::fanout::sys::Waker;
use crate::fanout::{Dialogue, Reply};
use crate::flv::{Tag, TagKind};
use crate::limits::OpenFiles;
use crate::stream::{GroupHead, LogConfig, Stream};

/// A shard, a stream, and the far ends of its viewers' sockets.
struct Scene {
    shard: Shard,
    stream: Arc<Stream>,
    ends: Vec<UnixStream>,
    everywhere: Population,
    tags: u64,
}

impl Scene {
    fn new(sendfile_from: usize) -> Self {
        let config = FanoutConfig {
            sendfile_from,
            ..FanoutConfig::default()
        };
        let mailbox = Arc::new(Mailbox {
            commands: Mutex::default(),
            waker: Waker::new().unwrap(),
            load: AtomicU64::new(0),
        });
        let everywhere = Population::default();
        let metrics = FanoutMetrics::register(&Registry::new()).unwrap();
        let clock = Clock::start();
        let shard = Shard::new(&config, 0, clock, mailbox, everywhere.clone(), metrics).unwrap();
        let stream = Arc::new(Stream::new("live/cam".parse().unwrap(), LogConfig::default()));
        let head = GroupHead {
            epoch: 1,
            number: 0,
            continuation: false,
            first_time: 0,
            origin_us: 0,
        };
        stream.begin_group(head, clock.now()).unwrap();
        let mut scene = Self {
            shard,
            stream,
            ends: Vec::new(),
            everywhere,
            tags: 0,
        };
        scene.append(100);
        scene
    }

    fn append(&mut self, bytes: usize) {
        let mut payload = b"\x17\x01".to_vec();
        payload.resize(bytes.max(2), 7);
        let tag = Tag {
            kind: TagKind::Video,
            time: self.tags * 40,
            payload: payload.into(),
        };
        self.tags += 1;
        self.stream.append(&tag, self.shard.clock.now()).unwrap();
    }

    fn hand_over(&mut self, dialogue: Option<Box<dyn Dialogue>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        self.everywhere.viewers.fetch_add(1, Ordering::Relaxed);
        let lease = self.stream.lease(Flavour::Flv).unwrap();
        let viewer = Box::new(NewViewer {
            socket: OwnedFd::from(ours),
            peer: "127.0.0.1:1".parse().unwrap(),
            stream: Arc::clone(&self.stream),
            flavour: Flavour::Flv,
            head: Bytes::new(),
            dialogue,
        });
        let id = self.ends.len() as u64;
        self.shard.handle_command(Command::Add { id, viewer, lease });
        self.ends.push(theirs);
    }

    fn let_all_in(&mut self) {
        while !self.shard.joiners.is_empty() {
            self.shard.take_joiners(Instant::now());
        }
    }

    fn watching(&self) -> usize {
        self.shard.colds.len()
    }

    /// Reads what has come at each end; how much of it at the first.
    fn read_all(&mut self) -> usize {
        let mut buffer = [0; 1 << 16];
        let mut first = 0;
        for (number, end) in self.ends.iter_mut().enumerate() {
            while let Ok(count @ 1..) = end.read(&mut buffer) {
                first += if number == 0 { count } else { 0 };
            }
        }
        first
    }

    fn period(&mut self) {
        for slot in 0..SLOTS {
            self.shard.run_slot(slot);
        }
        self.shard.publish_counts();
    }
}

/// R58, R64: what a viewer costs per tag is a system call, and no memory.
#[test]
fn a_viewer_and_a_tag_cost_no_allocation() {
    for sendfile_from in [usize::MAX, 0] {
        let mut scene = Scene::new(sendfile_from);
        for _ in 0..100 {
            scene.hand_over(None);
        }
        scene.let_all_in();
        // The view's index grows by doubling; by now it has room for what comes.
        for _ in 0..40 {
            scene.append(500);
            scene.period();
            scene.read_all();
        }
        let mut served = 0;
        for _ in 0..20 {
            scene.append(500);
            let spent = allocation_counter::measure(|| scene.period());
            assert_eq!((spent.count_total, spent.bytes_total), (0, 0), "{sendfile_from}");
            served += scene.read_all();
        }
        assert!(served > 20 * 500, "they did get it: {served}");
    }
}

/// The writer's side: per tag nothing either, but for a segment each 2 MB and an index that doubles.
#[test]
fn appending_allocates_next_to_nothing_whatever_the_audience() {
    let mut scene = Scene::new(usize::MAX);
    let tag = Tag {
        kind: TagKind::Video,
        time: 0,
        payload: Bytes::from(vec![0x27; 500]),
    };
    let (stream, now) = (Arc::clone(&scene.stream), scene.shard.clock.now());
    scene.hand_over(None);
    scene.let_all_in();
    for _ in 0..100 {
        stream.append(&tag, now).unwrap();
    }
    let spent = allocation_counter::measure(|| {
        for _ in 0..1000 {
            stream.append(&tag, now).unwrap();
        }
    });
    assert!(spent.count_total < 20, "{} for 1000 tags", spent.count_total);
}

#[test]
fn joiners_come_in_one_by_one_and_the_slots_go_on_between_them() {
    let mut scene = Scene::new(usize::MAX);
    for _ in 0..5 {
        scene.hand_over(None);
    }
    let over = Instant::now();
    for left in (0..5).rev() {
        scene.shard.take_joiners(over);
        assert_eq!((scene.shard.joiners.len(), scene.watching()), (left, 5 - left));
        scene.append(10);
        scene.period();
    }
    assert!(
        scene.read_all() > 100,
        "the first burst went out at the hand-over"
    );
}

#[test]
fn one_who_is_kicked_before_it_was_let_in_is_gone_and_no_longer_counted() {
    let mut scene = Scene::new(usize::MAX);
    scene.hand_over(None);
    scene.hand_over(None);
    scene.shard.handle_command(Command::Kick { id: 0 });
    scene.let_all_in();
    assert_eq!(
        (scene.watching(), scene.everywhere.viewers.load(Ordering::Relaxed)),
        (1, 1)
    );
    assert_eq!(scene.ends[0].read(&mut [0; 8]).unwrap(), 0, "closed");
}

/// Takes anything and has nothing to say.
struct Patient;

impl Dialogue for Patient {
    fn handle_input(&mut self, _: &[u8], _: Now) -> Result<(), String> {
        Ok(())
    }

    fn poll_reply(&mut self) -> Option<Reply> {
        None
    }

    fn handle_end(&mut self) {}
}

#[test]
fn one_who_talks_without_end_holds_up_nobody() {
    let mut scene = Scene::new(usize::MAX);
    scene.hand_over(Some(Box::new(Patient)));
    scene.let_all_in();
    while scene.ends[0].write(&[b'x'; 4096]).is_ok() {}
    scene.shard.handle_input(0);
    assert_eq!(scene.shard.talkers, [0], "heard in part");
    assert_eq!(
        scene.shard.time_until(Instant::now() + Duration::from_secs(9)),
        Duration::ZERO
    );
    let mut turns = 0;
    while let Some(talker) = scene.shard.talkers.pop() {
        scene.shard.handle_input(talker);
        turns += 1;
    }
    assert!(turns > 1, "and in the turns that follow");
    assert!(scene.ends[0].write(b"more").is_ok());
}

#[test]
fn a_shard_weighs_what_its_viewers_take() {
    let mut scene = Scene::new(usize::MAX);
    scene.append(900);
    for _ in 0..3 {
        scene.hand_over(None);
    }
    scene.shard.take_joiners(Instant::now());
    let each = scene.stream.weight();
    assert!(each >= 1000, "{each}");
    scene.shard.weigh();
    let load = scene.shard.mailbox.load.load(Ordering::Relaxed);
    assert_eq!(load, 3 * each, "served and coming alike");
}

#[test]
fn a_thread_with_few_viewers_wakes_for_their_slots_only() {
    let mut scene = Scene::new(usize::MAX);
    assert_eq!(
        scene.shard.slots_to_next(3),
        SLOTS,
        "nobody: once a period, for those who close"
    );
    for _ in 0..=VIEWERS_PER_SLOT {
        scene.hand_over(None);
    }
    scene.let_all_in();
    assert_eq!(
        (scene.shard.slots_to_next(0), scene.shard.slots_to_next(5)),
        (5, 5),
        "one more than one slot takes: two, half a period apart"
    );
    scene.shard.leave(VIEWERS_PER_SLOT, Goodbye::Left);
    assert_eq!(scene.shard.slots_to_next(0), SLOTS);
}

#[test]
fn a_large_audience_is_spread_evenly_and_stays_so_when_some_leave() {
    OpenFiles::raise();
    let mut scene = Scene::new(usize::MAX);
    let hand_over = |scene: &mut Scene, count: usize| {
        (0..count).for_each(|_| scene.hand_over(None));
        scene.let_all_in();
    };
    hand_over(&mut scene, 12 * VIEWERS_PER_SLOT);
    let even = |scene: &Scene| {
        let least = scene.shard.population.iter().min().unwrap();
        let most = scene.shard.population.iter().max().unwrap();
        most - least <= 1
    };
    assert!(even(&scene), "{:?}", scene.shard.population);
    // All of one slot go; who comes takes their places.
    let slot = scene.shard.place(0).unwrap().slot;
    for cold in 0..12 * VIEWERS_PER_SLOT {
        if scene.shard.place(cold).is_some_and(|place| place.slot == slot) {
            scene.shard.leave(cold, Goodbye::Left);
        }
    }
    hand_over(&mut scene, 3 * VIEWERS_PER_SLOT);
    assert!(even(&scene), "{:?}", scene.shard.population);
}

#[test]
fn an_event_of_one_who_is_gone_finds_nobody() {
    let mut scene = Scene::new(usize::MAX);
    scene.hand_over(None);
    scene.let_all_in();
    let of_the_first = Shard::token(0, 0);
    scene.shard.leave(0, Goodbye::Left);
    scene.hand_over(None);
    scene.let_all_in();
    scene.shard.handle_readiness(Readiness {
        token: of_the_first,
        input: true,
        output: true,
        hung_up: true,
    });
    assert_eq!(scene.watching(), 1, "the newcomer has the same place, and stays");
}

#[test]
fn one_who_leaves_counts_until_its_socket_is_closed() {
    let mut scene = Scene::new(usize::MAX);
    for _ in 0..2 {
        scene.hand_over(None);
    }
    scene.let_all_in();
    scene.shard.leave(0, Goodbye::Kicked);
    scene.shard.leave(1, Goodbye::Kicked);
    let leaving = |scene: &Scene| scene.everywhere.leaving.load(Ordering::Relaxed);
    assert_eq!(leaving(&scene), 2);
    scene.shard.drain_closing(0, true);
    assert_eq!((leaving(&scene), scene.watching()), (1, 1));
    // Its place is taken before the list is swept.
    scene.hand_over(None);
    scene.let_all_in();
    let later = scene.shard.clock.now().plus_ms(5000);
    scene.shard.drop_closed(later);
    assert_eq!(
        (leaving(&scene), scene.watching()),
        (0, 1),
        "who came meanwhile stays"
    );
}

#[test]
fn a_shard_that_was_left_by_all_carries_nothing() {
    let mut scene = Scene::new(usize::MAX);
    scene.hand_over(None);
    scene.let_all_in();
    scene.shard.weigh();
    scene.shard.leave(0, Goodbye::Left);
    assert!(scene.shard.is_idle());
    scene.shard.rest();
    assert_eq!(scene.shard.mailbox.load.load(Ordering::Relaxed), 0);
}

#[test]
fn events_beyond_a_turn_wait_for_the_next_one() {
    let mut scene = Scene::new(usize::MAX);
    for _ in 0..3 {
        scene.hand_over(None);
    }
    scene.let_all_in();
    let hung_up = |cold| Readiness {
        token: Shard::token(cold, cold as u64),
        input: false,
        output: false,
        hung_up: true,
    };
    let mut ready: VecDeque<Readiness> = (0..3).map(hung_up).collect();
    for left in [2, 1, 0] {
        scene.shard.handle_events(&mut ready, Instant::now());
        assert_eq!((ready.len(), scene.watching()), (left, left));
    }
}

/// Answers pings by its number, and panics at one word, or at the end.
struct Fragile {
    at_end: bool,
    answers: Vec<Reply>,
}

impl Fragile {
    fn boxed(at_end: bool) -> Option<Box<dyn Dialogue>> {
        let answers = Vec::new();
        Some(Box::new(Self { at_end, answers }))
    }
}

impl Dialogue for Fragile {
    fn handle_input(&mut self, bytes: &[u8], _: Now) -> Result<(), String> {
        assert!(bytes != b"panic", "as the test wants it");
        self.answers.push(Reply::Bytes(Bytes::copy_from_slice(bytes)));
        Ok(())
    }

    fn poll_reply(&mut self) -> Option<Reply> {
        self.answers.pop()
    }

    fn handle_end(&mut self) {
        assert!(!self.at_end, "as the test wants it");
        self.answers.push(Reply::Bytes(Bytes::from_static(b"the end")));
    }
}

fn all_of(end: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    // It ends with the connection or for want of more; what came before either is what counts.
    let _ = end.read_to_end(&mut all);
    all
}

fn ends_with(end: &mut UnixStream, what: &[u8]) -> bool {
    all_of(end).ends_with(what)
}

#[test]
fn a_panic_in_one_viewers_session_costs_that_viewer_only() {
    let mut scene = Scene::new(usize::MAX);
    for _ in 0..3 {
        scene.hand_over(Fragile::boxed(false));
    }
    scene.let_all_in();
    scene.read_all();
    for (end, word) in scene.ends.iter_mut().zip([&b"one"[..], b"panic", b"three"]) {
        end.write_all(word).unwrap();
    }
    for cold in 0..3 {
        scene.shard.handle_input(cold);
    }
    assert!(scene.shard.is_closing(1), "it has to go");
    let faults = scene.shard.metrics.goodbyes.with_label_values(&["fault"]).get();
    assert_eq!(faults, 1);
    scene.append(100);
    scene.period();
    assert!(all_of(&mut scene.ends[0]).windows(3).any(|piece| piece == b"one"));
    assert!(all_of(&mut scene.ends[1]).is_empty());
    assert!(
        all_of(&mut scene.ends[2])
            .windows(5)
            .any(|piece| piece == b"three")
    );
}

#[test]
fn a_panic_at_the_end_of_a_stream_costs_the_goodbye_of_one_viewer() {
    let mut scene = Scene::new(usize::MAX);
    scene.hand_over(Fragile::boxed(true));
    scene.hand_over(Fragile::boxed(false));
    scene.let_all_in();
    scene.read_all();
    scene.stream.end();
    scene.period();
    assert!(!ends_with(&mut scene.ends[0], b"the end"));
    assert!(ends_with(&mut scene.ends[1], b"the end"));
}
