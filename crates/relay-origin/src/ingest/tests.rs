//! Stories of the ingest as the server of RTMP and the link see it.

use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};

use relay_core::config;
use relay_core::config::Config;
use relay_core::limits::Limits;
use relay_core::serve::ingest::{Ingest, Permit, Publication, PublishRequest, Refused};
use relay_core::stream::policy::SecondPublisher;
use relay_core::stream::{Dropped, HubConfig, Read};

use super::rtmp::Encoders;
use super::*;
use crate::access::Access;
use crate::state::State;

const KEY: &[u8] = b"\x17\x01\x00\x00\x00key";
const DELTA: &[u8] = b"\x27\x01\x00\x00\x00delta";
const AVC: &[u8] = b"\x17\x00\x00\x00\x00avcC";

struct Node {
    hub: Arc<Hub>,
    publishing: Arc<Publishing>,
    encoders: Encoders,
    access: Arc<Access>,
    secret: String,
    state: Arc<State>,
    now: Now,
    _folder: Option<Folder>,
}

/// A state folder that goes away with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("relay-ingest-{name}-{}", std::process::id()));
        // What a killed run left is in the way; most often there is nothing.
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Litter in the temporary folder fails no test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Node {
    fn new(name: &str, max_streams: usize) -> Self {
        let folder = Folder::new(name);
        let node = Self::on(&folder.0, max_streams);
        Self {
            _folder: Some(folder),
            ..node
        }
    }

    /// With a rule on second publishers.
    fn with(name: &str, second: SecondPublisher) -> Self {
        let folder = Folder::new(name);
        let origin = config::Origin {
            second_publisher: second,
            ..config::Origin::default()
        };
        let node = Self::ruled_on(&folder.0, 1000, Rules::new(&origin, &Limits::default()));
        Self {
            _folder: Some(folder),
            ..node
        }
    }

    fn on(folder: &Path, max_streams: usize) -> Self {
        Self::ruled_on(folder, max_streams, Rules::default())
    }

    fn ruled_on(folder: &Path, max_streams: usize, rules: Rules) -> Self {
        let config = HubConfig {
            max_streams,
            ..HubConfig::default()
        };
        let state = Arc::new(State::open(folder).unwrap());
        let secret = state.publish_key().unwrap().expose().to_owned();
        let hub = Arc::new(Hub::new(config));
        let clock = Clock::start();
        let records = Arc::new(state.streams().unwrap());
        let registry = prometheus::Registry::new();
        let opened = Access::open(&Config::default(), Arc::clone(&state), clock, &registry);
        let access = Arc::new(opened.unwrap().0);
        let publishing = Publishing::new(Arc::clone(&hub), rules, clock, records);
        Self {
            hub,
            encoders: Encoders::new(Arc::clone(&access), Arc::clone(&publishing)),
            access,
            publishing,
            secret,
            state,
            now: clock.now(),
            _folder: None,
        }
    }

    fn publish(&self, stream: &str) -> Result<Box<dyn Publication>, PublishRefusal> {
        self.publish_with(stream, &self.secret)
    }

    fn publish_with(&self, stream: &str, secret: &str) -> Result<Box<dyn Publication>, PublishRefusal> {
        let permit = self.decide(stream, secret);
        permit
            .and_then(|permit| permit.publish(self.now))
            .map_err(|refused| refused.why)
    }

    /// Without hooks a decision is there at once.
    fn decide(&self, stream: &str, secret: &str) -> Result<Box<dyn Permit>, Refused> {
        let request = PublishRequest {
            stream: stream.parse().unwrap(),
            secret: Some(secret.to_owned()),
            backup: false,
            query: None,
            peer: "192.0.2.1:5000".parse().unwrap(),
            encrypted: false,
        };
        let mut decision = self.encoders.decide(request, self.now);
        let mut context = Context::from_waker(Waker::noop());
        match decision.as_mut().poll(&mut context) {
            Poll::Ready(decided) => decided,
            Poll::Pending => panic!("nobody is asked"),
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.publishing.handle_time(self.now);
    }

    fn send(&self, publication: &mut dyn Publication, time: u32, payload: &'static [u8]) {
        publication.handle_tag(TagKind::Video, time, Bytes::from_static(payload), self.now);
    }
}

fn key(text: &str) -> StreamKey {
    text.parse().unwrap()
}

#[test]
fn what_an_encoder_sends_is_in_the_log() {
    let node = Node::new("log", 10);
    let mut encoder = node.publish("live/cam").unwrap();
    for (time, payload) in [(0, AVC), (90, KEY), (130, DELTA)] {
        node.send(&mut *encoder, time, payload);
    }
    let stream = node.hub.get(&key("live/cam")).unwrap();
    assert_eq!(stream.headers().video.as_deref(), Some(AVC));
    let Read::Tags(tags) = stream.read(stream.newest_start().unwrap(), 1 << 20) else {
        panic!("the start point is there")
    };
    let read: Vec<_> = tags.iter().map(|tag| (tag.time, &tag.payload[..])).collect();
    assert_eq!(read, [(0, KEY), (40, DELTA)]);
    let counts = node.publishing.counts();
    assert_eq!(
        (counts.tags, counts.epochs, counts.groups, counts.sessions),
        ([0, 3, 0], 1, 1, 1)
    );
}

#[test]
fn r03_refusals_have_reasons_and_are_counted() {
    let node = Node::new("refusals", 1);
    let refusal = |stream| node.publish(stream).err();
    let denied = node.publish_with("live/cam", "wrong").err();
    assert_eq!(denied, Some(PublishRefusal::Denied));
    assert_eq!(node.hub.list().len(), 0, "a stranger opens nothing");
    let first = node.publish("live/cam").unwrap();
    assert_eq!(refusal("live/cam"), Some(PublishRefusal::Busy));
    assert_eq!(refusal("live/slides"), Some(PublishRefusal::Full));
    assert!(!first.stopped().is_cancelled(), "the first is undisturbed");
    assert_eq!(node.publishing.counts().refusals, [1, 1, 0, 1, 0]);
}

#[test]
fn r01_a_silent_publisher_is_replaced_and_told_to_go() {
    let mut node = Node::new("replace", 10);
    let mut first = node.publish("live/cam").unwrap();
    node.send(&mut *first, 0, KEY);
    node.pass(1_900);
    assert_eq!(node.publish("live/cam").err(), Some(PublishRefusal::Busy));
    node.pass(200);
    let mut second = node.publish("live/cam").unwrap();
    assert!(first.stopped().is_cancelled() && !second.stopped().is_cancelled());
    assert_eq!(first.dismissal(), Some(Dismissal::Replaced));
    node.send(&mut *first, 40, DELTA);
    node.send(&mut *second, 0, KEY);
    drop(first);
    node.pass(500);
    node.send(&mut *second, 500, KEY);
    let counts = node.publishing.counts();
    assert_eq!((counts.epochs, counts.groups), (2, 3));
    assert_eq!(counts.removals, [1, 0, 0, 0, 0]);
}

#[test]
fn a_stream_ends_after_its_grace_window_and_its_line_goes_on() {
    let mut node = Node::new("grace", 10);
    let mut encoder = node.publish("live/cam").unwrap();
    node.send(&mut *encoder, 0, KEY);
    let stream = node.hub.get(&key("live/cam")).unwrap();
    encoder.handle_unpublish(node.now);
    drop(encoder);
    node.pass(14_000);
    assert!(!stream.ended());
    node.pass(1_000);
    assert!(stream.ended() && node.hub.get(&key("live/cam")).is_none());
    let mut encoder = node.publish("live/cam").unwrap();
    node.send(&mut *encoder, 0, KEY);
    let again = node.hub.get(&key("live/cam")).unwrap();
    assert!(again.last_time() > stream.last_time());
    assert!(again.state().epoch > stream.state().epoch);
}

/// R09: while it is decided on its publisher a stream is not lost, though its grace window ends; but not for ever.
#[test]
fn r09_a_stream_waits_for_the_decision_on_its_publisher() {
    let mut node = Node::new("hold", 10);
    assert!(
        node.publishing.hold(&key("live/cam")).is_none(),
        "nobody waits for it"
    );
    let mut encoder = node.publish("live/cam").unwrap();
    node.send(&mut *encoder, 0, KEY);
    let stream = node.hub.get(&key("live/cam")).unwrap();
    drop(encoder);
    node.now = node.publishing.clock.now();
    let hold = node.publishing.hold(&key("live/cam")).unwrap();
    node.pass(20_000);
    assert!(!stream.ended(), "it is being decided");
    let mut encoder = node.publish("live/cam").unwrap();
    drop(hold);
    node.send(&mut *encoder, 0, KEY);
    assert!(!stream.ended());
    assert_eq!(node.publishing.counts().epochs, 2);

    encoder.handle_unpublish(node.now);
    drop(encoder);
    let hold = node.publishing.hold(&key("live/cam")).unwrap();
    node.pass(74_000);
    assert!(!stream.ended());
    node.pass(2_000);
    assert!(stream.ended(), "decisions without end keep nothing alive");
    drop(hold);
}

#[test]
fn a_revoked_key_ends_its_publisher_and_no_other() {
    let node = Node::new("revoked", 10);
    let keys = node.access.keys();
    let wish = crate::access::KeyWish {
        id: None,
        stream: "live/*".parse().unwrap(),
        from: Vec::new(),
        expires: None,
    };
    let (id, text) = keys.add(wish, node.now).unwrap();
    let one = node.publish_with("live/one", &text).unwrap();
    let other = node.publish("live/other").unwrap();
    let waiting = node.decide("live/late", &text).unwrap();
    assert_eq!(keys.revoke(&id, node.now).unwrap(), Some(2));
    assert!(one.revoked().is_cancelled() && !other.revoked().is_cancelled());
    assert!(!one.stopped().is_cancelled(), "it is told the reason");
    let late = waiting.publish(node.now).err().map(|refused| refused.why);
    assert_eq!(
        late,
        Some(PublishRefusal::Denied),
        "revoked between decision and start"
    );
}

#[test]
fn r08_an_operator_frees_a_stream() {
    let node = Node::new("kick", 10);
    assert!(
        !node.publishing.kick(&key("live/cam")),
        "said, when there is none"
    );
    let encoder = node.publish("live/cam").unwrap();
    assert!(node.publishing.kick(&key("live/cam")));
    assert!(encoder.stopped().is_cancelled());
    assert_eq!(encoder.dismissal(), Some(Dismissal::Kicked));
    assert!(
        !node.publishing.kick(&key("live/cam")),
        "free, though its connection is not gone yet"
    );
    let next = node.publish("live/cam").unwrap();
    drop(encoder);
    assert!(
        node.publishing.kick(&key("live/cam")),
        "the old one's end is not the new one's"
    );
    drop(next);
}

#[test]
fn r10_silent_publishers_are_told_why_they_go_and_counted() {
    let mut node = Node::new("silence", 10);
    let mute = node.publish("live/mute").unwrap();
    let mut frozen = node.publish("live/frozen").unwrap();
    node.send(&mut *frozen, 0, KEY);
    node.pass(6_900);
    assert!(!frozen.stopped().is_cancelled());
    node.pass(100);
    assert_eq!(frozen.dismissal(), Some(Dismissal::Silent));
    node.pass(12_900);
    assert_eq!(mute.dismissal(), None);
    node.pass(100);
    assert_eq!(mute.dismissal(), Some(Dismissal::NoMedia));
    assert!(mute.stopped().is_cancelled());
    assert_eq!(node.publishing.counts().removals, [0, 1, 1, 0, 0]);
}

#[test]
fn r12_a_backup_goes_on_where_the_first_one_was_lost() {
    let mut node = Node::with("backup", SecondPublisher::Backup);
    let mut primary = node.publish("live/cam").unwrap();
    let mut backup = node.publish("live/cam").unwrap();
    assert_eq!(node.publishing.counts().standbys, 1);
    assert!(node.publishing.backed().contains("live/cam"));
    node.send(&mut *primary, 0, KEY);
    node.send(&mut *backup, 70_000, KEY);
    node.send(&mut *backup, 70_040, DELTA);
    node.send(&mut *primary, 40, DELTA);
    let stream = node.hub.get(&key("live/cam")).unwrap();
    assert_eq!((stream.state().tags, stream.last_time()), (2, Some(40)));
    drop(primary);
    assert_eq!((stream.state().tags, stream.last_time()), (4, Some(81)));
    assert!(!backup.stopped().is_cancelled());
    let counts = node.publishing.counts();
    assert_eq!(
        (counts.standbys, counts.switches, counts.epochs, counts.sessions),
        (0, [1, 0], 2, 2)
    );
    drop(backup);
    node.pass(16_000);
    assert!(stream.ended());
}

#[test]
fn backups_of_all_streams_together_are_bounded() {
    let node = Node::with("backups", SecondPublisher::Backup);
    let mut publishers = Vec::new();
    for n in 0..channel::MAX_STANDBYS {
        for _ in 0..2 {
            publishers.push(node.publish(&format!("live/{n}")).unwrap());
        }
    }
    let first = node.publish("live/more").unwrap();
    assert_eq!(node.publish("live/more").err(), Some(PublishRefusal::Full));
    assert!(!first.stopped().is_cancelled(), "the first one is undisturbed");
    assert_eq!(node.publishing.counts().standbys, channel::MAX_STANDBYS);
    drop(publishers.pop());
    let _second = node.publish("live/more").unwrap();
    drop(publishers);
    assert_eq!(node.publishing.counts().standbys, 1);
}

#[tokio::test]
async fn epochs_outlive_the_process() {
    let folder = Folder::new("restart");
    let before = Node::on(&folder.0, 10);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&before.publishing).run(stop.clone()));
    let mut encoder = before.publish("live/cam").unwrap();
    before.send(&mut *encoder, 0, KEY);
    before.send(&mut *encoder, 9_000, KEY);
    stop.cancel();
    running.await.unwrap();
    let kept = before.state.streams().unwrap().load(&key("live/cam"));
    let epoch = before.hub.get(&key("live/cam")).unwrap().state().epoch;
    assert_eq!(kept.map(|mark| mark.epoch), epoch);

    drop((encoder, before));
    let after = Node::on(&folder.0, 10);
    let mut encoder = after.publish("live/cam").unwrap();
    after.send(&mut *encoder, 0, KEY);
    let state = after.hub.get(&key("live/cam")).unwrap().state();
    assert!(state.epoch > epoch);
    assert!(
        state.last_time >= Some(9_000),
        "at or beyond what was sent before the restart"
    );
}

#[test]
fn a_child_keeps_a_stream_open_after_a_restart_until_its_publisher_is_back() {
    let mut node = Node::new("child", 10);
    let floors = node.publishing.floors();
    let held = Held {
        epoch: 1 << 50,
        time: 77_000,
    };
    floors.raise_at(&key("live/cam"), held, node.now);
    let stream = node.hub.get(&key("live/cam")).expect("open, and empty");
    node.pass(10_000);
    assert!(!stream.ended());
    let mut encoder = node.publish("live/cam").unwrap();
    node.send(&mut *encoder, 0, KEY);
    let state = stream.state();
    assert!(state.epoch > Some(held.epoch) && state.last_time > Some(held.time));
    // Later claims only lift the floor: a stream that has ended is not brought back by a child that remembers it.
    node.pass(10_000);
    floors.raise_at(&key("live/old"), held, node.now);
    assert!(node.hub.get(&key("live/old")).is_none());
    floors.raise_at(
        &key("live/old"),
        Held {
            epoch: u64::MAX,
            time: 0,
        },
        node.now,
    );
    assert_eq!(node.publishing.counts().claims_refused, 1);
}

#[test]
fn a_stream_whose_publisher_never_returns_after_a_restart_ends() {
    let mut node = Node::new("never", 10);
    let held = Held { epoch: 5, time: 5 };
    node.publishing
        .floors()
        .raise_at(&key("live/cam"), held, node.now);
    node.pass(15_000);
    assert!(node.hub.get(&key("live/cam")).is_none());
}

#[tokio::test]
async fn a_clip_that_ends_leaves_its_stream_to_the_grace_window() {
    let node = Node::new("clip", 10);
    let folder = Folder::new("clip-file");
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("short.flv");
    let mut bytes = relay_core::flv::file_header(false, true).to_vec();
    for (time, payload) in [(0, AVC), (0, KEY), (40, DELTA)] {
        let tag = relay_core::flv::Tag {
            kind: TagKind::Video,
            time,
            payload: Bytes::from_static(payload),
        };
        relay_core::flv::encode_into(&mut bytes, &tag);
    }
    std::fs::write(&file, bytes).unwrap();
    let source = config::ClipSource {
        file,
        stream: key("live/clip"),
        repeat: false,
    };
    let source = file::Source::load(&source).unwrap();
    let clock = node.publishing.clock;
    source
        .run(Arc::clone(&node.publishing), clock, CancellationToken::new())
        .await;
    let state = node.hub.get(&key("live/clip")).unwrap().state();
    assert_eq!((state.tags, state.last_time), (2, Some(40)));
    let statuses = node.publishing.statuses(clock.now());
    assert_eq!(statuses, [(key("live/clip"), Status::Awaited)]);
}

/// The demo's camera: what a looping clip sends is one stream without a leap or a repair, headers once.
#[test]
fn a_looping_clip_is_one_seamless_stream() {
    let mut node = Node::new("loop", 10);
    let bytes = include_bytes!("../../../../tests/media/bunny.flv");
    let clip = relay_core::flv::Clip::parse(bytes).unwrap();
    let feed = node.publishing.open(&key("live/clip"), node.now).unwrap();
    let start = node.now;
    for lap in 0..3 {
        for tag in clip.tags() {
            let time = u32::try_from(lap * clip.loop_period_ms()).unwrap() + tag.time;
            node.now = start.plus_ms(u64::from(time));
            feed.handle_tag(tag.kind, time, tag.payload.clone(), node.now);
        }
    }
    let counts = node.publishing.counts();
    assert_eq!(
        (counts.repairs_held, counts.repairs_leaps, counts.epochs),
        (0, 0, 1)
    );
    let dropped = |why: Dropped| counts.dropped[why.index()];
    assert_eq!(dropped(Dropped::DuplicateHeader), 6, "three headers, two laps");
    assert_eq!(dropped(Dropped::EmptyHeader), 0);
    let sent = counts.tags.iter().sum::<u64>() - counts.dropped.iter().sum::<u64>();
    // Metadata and both sequence headers come before the first keyframe: they are the preface.
    let state = node.hub.get(&key("live/clip")).unwrap().state();
    assert_eq!((state.tags, sent - 3), (3 * (128 + 240), state.tags));
}
