use bytes::Bytes;

use super::*;
use crate::clock::Now;
use crate::flv::{Tag, TagKind};
use crate::stream::{GroupHead, Headers, LogConfig, Stream};

/// Takes as many bytes as it is allowed to.
struct Wire {
    taken: Vec<u8>,
    room: usize,
    /// What the next sends fail with.
    fails: Vec<Errno>,
}

impl Sink for &mut Wire {
    fn send(&mut self, _: &Hot, bytes: &[u8]) -> Result<usize, Errno> {
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn send_piece(&mut self, hot: &Hot, piece: &Piece<'_>) -> Result<Sent, Errno> {
        if let Some(error) = self.fails.pop() {
            return Err(error);
        }
        self.send(hot, piece.bytes).map(Sent::Copied)
    }
}

struct Scene {
    stream: Stream,
    view: View,
    hot: Hot,
    side: Side,
    wire: Wire,
    tally: Tally,
    now: Now,
    groups: u64,
}

impl Scene {
    fn new() -> Self {
        let stream = Stream::new("live/cam".parse().unwrap(), LogConfig::default());
        let socket = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let now = Now {
            mono_ms: 1_000_000,
            unix_us: 0,
        };
        let hot = Hot {
            cursor: 0,
            socket,
            cold: 0,
            progress_ms: 1_000_000,
            fresh_ms: 1_000_000,
            flags: 0,
        };
        let wire = Wire {
            taken: Vec::new(),
            room: usize::MAX,
            fails: Vec::new(),
        };
        let (view, side, tally) = (View::default(), Side::default(), Tally::default());
        Self {
            stream,
            view,
            hot,
            side,
            wire,
            tally,
            now,
            groups: 0,
        }
    }

    /// One group: a keyframe and a frame, each named.
    fn group(&mut self, name: &str, codec: &'static [u8]) {
        let head = GroupHead {
            epoch: 1,
            number: self.groups,
            continuation: false,
            first_time: 0,
            origin_us: 0,
        };
        self.groups += 1;
        self.stream.begin_group(head, self.now).unwrap();
        let headers = Headers {
            video: Some(Bytes::from_static(codec)),
            ..Headers::default()
        };
        self.stream.put_preface(&headers, 0, self.now).unwrap();
        for part in ["\x17\x01key-", "\x27\x01frame-"] {
            let payload = Bytes::from(format!("{part}{name}"));
            self.stream
                .append(
                    &Tag {
                        kind: TagKind::Video,
                        time: 0,
                        payload,
                    },
                    self.now,
                )
                .unwrap();
        }
    }

    fn step_at(&mut self, ms: u64) -> Outcome {
        self.now.mono_ms = ms;
        assert!(self.stream.sync(Flavour::Flv, &mut self.view));
        let moment = Moment {
            now_ms: ms as u32,
            late_below: self.view.first_appended_since(ms - 5000),
            max_late_ms: 5000,
            no_progress_ms: 15_000,
        };
        let Self {
            view,
            hot,
            side,
            wire,
            tally,
            ..
        } = self;
        let mut step = Step {
            view,
            flavour: Flavour::Flv,
            moment,
            sink: wire,
            tally: *tally,
        };
        let outcome = step.run(hot, || side);
        *tally = step.tally;
        outcome
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.wire.taken).into_owned()
    }
}

#[test]
fn sends_all_there_is_and_stops_at_the_newest_record() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    assert_eq!(scene.step_at(1_000_000), Outcome::Stays);
    assert_eq!(scene.hot.cursor, scene.view.end());
    assert_eq!(scene.tally.sends, 1, "one send for all of a burst");
    assert_eq!(scene.step_at(1_000_050), Outcome::Stays);
    assert_eq!(scene.tally.sends, 1, "and none when nothing is new");
}

#[test]
fn a_late_viewer_finishes_its_record_and_skips_forward_to_the_newest_start_point() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.wire.room = 45;
    scene.step_at(1_000_000);
    assert_ne!(scene.hot.flags & BLOCKED, 0);
    for (name, ms) in [("b", 1_002_000), ("c", 1_006_000)] {
        scene.now.mono_ms = ms;
        scene.group(name, b"\x17\x00c");
    }
    (scene.hot.flags, scene.wire.room) = (scene.hot.flags & !BLOCKED, usize::MAX);
    assert_eq!(scene.step_at(1_006_100), Outcome::Stays);
    let text = scene.text();
    assert!(text.contains("key-a") && text.contains("key-c"), "{text}");
    assert!(
        !text.contains("frame-a") && !text.contains("key-b"),
        "skipped: {text}"
    );
    assert_eq!(scene.tally.skips, 1);
    whole_chunks(&scene.wire.taken);
}

#[test]
fn a_skip_brings_the_headers_only_where_they_changed() {
    for (codec, again) in [(b"\x17\x00c", 1), (b"\x17\x00d", 2)] {
        let mut scene = Scene::new();
        scene.group("a", b"\x17\x00c");
        scene.wire.room = 0;
        scene.step_at(1_000_000);
        scene.now.mono_ms = 1_006_000;
        scene.group("b", codec);
        (scene.hot.flags, scene.wire.room) = (0, usize::MAX);
        // The viewer stands at the very beginning, before the first headers.
        scene.hot.cursor = scene.view.newest_start().unwrap().offset;
        scene.step_at(1_006_100);
        let headers = scene
            .wire
            .taken
            .windows(2)
            .filter(|bytes| bytes == b"\x17\x00")
            .count();
        assert_eq!(headers + 1, again);
        whole_chunks(&scene.wire.taken);
    }
}

#[test]
fn a_viewer_that_is_late_with_nowhere_to_skip_goes_on_in_order() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.wire.room = 45;
    scene.step_at(1_000_000);
    (scene.hot.flags, scene.wire.room) = (0, usize::MAX);
    assert_eq!(scene.step_at(1_009_000), Outcome::Stays);
    assert!(
        scene.text().contains("frame-a"),
        "the newest start point is behind it: never backwards"
    );
    assert_eq!(scene.tally.skips, 0);
}

#[test]
fn one_that_takes_nothing_for_15_s_is_closed_and_a_slow_one_is_not() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.wire.room = 10;
    scene.step_at(1_000_000);
    assert_eq!(scene.step_at(1_014_900), Outcome::Stays);
    assert_eq!(scene.step_at(1_015_100), Outcome::Leaves(Goodbye::NoProgress));
    (scene.hot.flags, scene.wire.room) = (0, 1);
    scene.step_at(1_015_200);
    assert_eq!(
        scene.step_at(1_030_000),
        Outcome::Stays,
        "it took a byte 14.8 s ago"
    );
}

#[test]
fn the_side_buffer_goes_out_between_two_records() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.wire.room = 30;
    scene.step_at(1_000_000);
    scene.side.push_shared(Bytes::from_static(b"3\r\nSID\r\n"));
    (scene.hot.flags, scene.wire.room) = (SIDE, usize::MAX);
    scene.step_at(1_000_050);
    assert!(scene.text().contains("SID"));
    whole_chunks(&scene.wire.taken);
}

#[test]
fn a_paused_viewer_gets_nothing_and_is_not_closed_for_it() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.step_at(1_000_000);
    scene.hot.flags |= PAUSED;
    scene.group("b", b"\x17\x00c");
    assert_eq!(scene.step_at(1_020_000), Outcome::Stays);
    assert_eq!(scene.step_at(1_060_000), Outcome::Stays);
    assert!(!scene.text().contains("key-b"));
    scene.now.mono_ms = 1_060_000;
    scene.group("c", b"\x17\x00c");
    scene.hot.flags = RESTART;
    scene.step_at(1_060_100);
    assert!(
        scene.text().contains("key-c") && !scene.text().contains("key-b"),
        "it goes on at the start point"
    );
}

#[test]
fn at_the_true_end_a_viewer_has_all_and_then_its_goodbye() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.stream.end();
    assert_eq!(scene.step_at(1_000_000), Outcome::AtEnd);
    scene.side.push_shared(Bytes::from_static(Flavour::Flv.trailer()));
    scene.hot.flags |= SIDE | ENDING;
    assert_eq!(scene.step_at(1_000_000), Outcome::Leaves(Goodbye::Ended));
    assert!(
        scene.text().ends_with("frame-a\0\0\0\x14\r\n0\r\n\r\n"),
        "{:?}",
        scene.text()
    );
}

#[test]
fn a_queue_that_is_full_for_a_moment_is_tried_again_and_a_peer_that_is_gone_is_let_go() {
    for transient in [Errno::NOBUFS, Errno::NOMEM] {
        let mut scene = Scene::new();
        scene.group("a", b"\x17\x00c");
        scene.wire.fails = vec![transient];
        assert_eq!(scene.step_at(1_000_000), Outcome::Stays);
        assert_eq!((scene.hot.flags, scene.hot.cursor), (0, 0), "no event will tell");
        assert_eq!(scene.step_at(1_000_050), Outcome::Stays);
        assert_eq!(scene.hot.cursor, scene.view.end());
        whole_chunks(&scene.wire.taken);
    }
    for fatal in [Errno::PIPE, Errno::CONNRESET, Errno::TIMEDOUT] {
        let mut scene = Scene::new();
        scene.group("a", b"\x17\x00c");
        scene.wire.fails = vec![fatal];
        assert_eq!(scene.step_at(1_000_000), Outcome::Leaves(Goodbye::Left));
    }
}

/// Every byte belongs to a whole chunk.
fn whole_chunks(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let line = bytes
            .iter()
            .position(|byte| *byte == b'\r')
            .expect("a chunk head");
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        let end = line + 2 + len;
        assert_eq!(&bytes[end..end + 2], b"\r\n", "a chunk ends where its head says");
        bytes = &bytes[end + 2..];
    }
}

/// A viewer that is to leave gets the group that it is in, whole, and not a byte of the next one.
#[test]
fn one_who_leaves_ends_before_a_keyframe() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    assert_eq!(scene.step_at(1_000_000), Outcome::Stays);
    scene.hot.flags |= LEAVING;
    assert_eq!(scene.step_at(1_000_050), Outcome::Stays, "in mid-group");
    scene.group("b", b"\x17\x00c");
    scene.group("c", b"\x17\x00c");
    assert_eq!(scene.step_at(1_000_100), Outcome::AtEnd);
    let text = scene.text();
    assert!(text.contains("frame-b") && !text.contains("key-c"), "{text}");
    scene.hot.flags |= ENDING;
    assert_eq!(scene.step_at(1_000_150), Outcome::Leaves(Goodbye::Drained));
    assert!(!scene.text().contains("key-c"));
    whole_chunks(&scene.wire.taken);
}

#[test]
fn one_who_pauses_leaves_at_once() {
    let mut scene = Scene::new();
    scene.group("a", b"\x17\x00c");
    scene.step_at(1_000_000);
    scene.hot.flags |= PAUSED | LEAVING;
    assert_eq!(scene.step_at(1_000_050), Outcome::AtEnd);
}
