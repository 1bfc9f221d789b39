//! A broadcast of sixty days: every width of time and of bytes that some wire has runs out on the way, and nobody notices.

use super::players::Player;
use super::relay::Relay;
use crate::flavour::Flavour;
use crate::flv::TagKind::{self, Audio, Script, Video};
use crate::rtmp::chunk::{self, Limits};
use crate::rtmp::message::MessageType;
use crate::wire;

const DAY_MS: u64 = 24 * 3_600_000;
const DAYS: u64 = 60;

/// Times that are the last of some width: 24 bits of RTMP and FLV, 31 of players that count with a sign, 32 of both wires.
const EDGES: [u64; 3] = [0x00FF_FFFF, 1 << 31, 1 << 32];

/// Far from an edge the encoder is looked at this often. A real one sends more; to send it all would take an hour.
const SPARSE_MS: u64 = 180_000;

/// Around each edge it sends as encoders do, 25 frames a second, for so long before and after.
const DENSE_MS: u64 = 5_000;
const FRAME_MS: u64 = 40;

/// Counters of bytes begin so far before 4 GiB, so that they cross it on the way; sixty days of real video would cross it
/// some thousand times.
const BYTES_BEFORE: u64 = (1 << 32) - (4 << 20);

const AVC: &[u8] =
    b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x04\x67\x64\x00\x1f\x01\x00\x02\x68\xee";
const AAC: &[u8] = b"\xaf\x00\x12\x10";

/// A frame of so many bytes that no two in a row are alike.
fn frame(kind: TagKind, number: u64, bytes: usize) -> Vec<u8> {
    let lead: &[u8] = match kind {
        Video if number.is_multiple_of(2) => b"\x17\x01\x00\x00\x00",
        Video => b"\x27\x01\x00\x00\x00",
        _ => b"\xaf\x01",
    };
    let mut body = lead.to_vec();
    body.extend_from_slice(&number.to_be_bytes());
    body.resize(bytes, number as u8);
    body
}

/// When the encoder sends, in milliseconds since its beginning.
fn moments() -> impl Iterator<Item = u64> {
    let near = |time: u64| {
        EDGES
            .iter()
            .find(|edge| (*edge - DENSE_MS..*edge + DENSE_MS).contains(&time))
    };
    let step = move |time: &u64| {
        let next = match near(*time) {
            Some(_) => time + FRAME_MS,
            None => EDGES
                .iter()
                .map(|edge| edge - DENSE_MS)
                .filter(|begin| begin > time)
                .fold(time + SPARSE_MS, u64::min),
        };
        Some(next).filter(|next| *next <= DAYS * DAY_MS)
    };
    std::iter::successors(Some(0), step)
}

/// The numbers that are acknowledged in what one end said to the other.
struct Acknowledged {
    reader: chunk::Reader,
    numbers: Vec<u32>,
}

impl Acknowledged {
    fn new() -> Self {
        Self {
            reader: chunk::Reader::new(Limits {
                message: 1 << 16,
                unfinished: 1 << 16,
            }),
            numbers: Vec::new(),
        }
    }

    fn hear(&mut self, mut said: &[u8]) {
        while let Some(message) = self.reader.read(&mut said).unwrap() {
            if message.kind == MessageType::Acknowledgement {
                self.numbers
                    .push(wire::Reader::new(&message.payload).u32().unwrap());
            }
        }
    }
}

/// A viewer who was there from the first tag, or joined at an edge, and where the last tag of each kind was.
struct Watcher {
    player: Player,
    node: usize,
    newest: [Option<u64>; 3],
    tags: u64,
    /// When it has seen enough; who is there from the beginning stays to the end.
    leaves: u64,
}

impl Watcher {
    fn join(relay: &Relay, node: usize, flavour: Flavour) -> Self {
        Self {
            player: Player::join(relay.streams()[node], flavour),
            node,
            newest: [None; 3],
            tags: 0,
            leaves: u64::MAX,
        }
    }

    /// Takes what came, which is what the origin appended: at its time, in its order, byte for byte.
    fn check(&mut self, relay: &Relay) {
        self.player.watch(relay.streams()[self.node]);
        let got = self.player.take_tags();
        let sent = &relay.appended;
        assert_eq!(got.len(), sent.len());
        for ((kind, time, payload), tag) in got.into_iter().zip(sent) {
            assert_eq!((kind, payload), (tag.kind, tag.payload.clone()));
            assert_eq!(time as u32, tag.time as u32, "as on the wire");
            let place = match kind {
                Audio => 0,
                Video => 1,
                Script => 2,
            };
            if let Some(newest) = self.newest[place] {
                let step = time.checked_sub(newest).expect("time never goes back");
                assert!(step <= SPARSE_MS + FRAME_MS, "a leap of {step} ms at {time}");
            }
            self.newest[place] = Some(time);
            self.tags += 1;
        }
    }
}

/// R14, R15, R16, R41 and the bar of the issue.
#[test]
fn sixty_days_cross_every_width_without_a_discontinuity() {
    let mut relay = Relay::counting_from(BYTES_BEFORE);
    let mut acknowledged = Acknowledged::new();
    relay.send(
        Script,
        0,
        b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09",
    );
    relay.send(Video, 0, AVC);
    relay.send(Audio, 0, AAC);
    let mut watchers = Vec::new();
    let (mut sent_bytes, mut first, mut joined_late) = (0_u64, None, 0);
    for (number, moment) in (0_u64..).zip(moments()) {
        relay.now = super::START.plus_ms(moment);
        // Its clock has run for a while before, so that its wraps are not the output's.
        let clock = moment.wrapping_add(1_000) as u32;
        for (kind, time) in [(Video, clock), (Audio, clock.wrapping_add(7))] {
            // Now and then one that takes several chunks, so that the extended time is repeated in them.
            let bytes = if number % 64 < 2 { 66_000 } else { 120 };
            relay.send(kind, time, &frame(kind, number, bytes));
            sent_bytes += bytes as u64;
            let frame = relay.appended.last().expect("each frame becomes a tag");
            let expected = moment + if kind == Audio { 7 } else { 0 };
            assert_eq!(frame.time, expected, "R41: one offset for sixty days");
            for watcher in &mut watchers {
                Watcher::check(watcher, &relay);
            }
            if first.is_none() {
                first = Some(moment);
                for node in [0, 1] {
                    for flavour in Flavour::ALL {
                        let mut watcher = Watcher::join(&relay, node, flavour);
                        watcher.player.count_from(BYTES_BEFORE);
                        let joined = watcher.player.take_tags();
                        assert_eq!(joined.len(), 3 + 1, "metadata, two headers, a keyframe");
                        watcher.newest = [None, Some(0), None];
                        watchers.push(watcher);
                    }
                }
            }
        }
        // Some join right before an edge, and some right behind it.
        let at_edge = |edge: &u64| (edge - FRAME_MS..edge + FRAME_MS).contains(&moment);
        if EDGES.iter().any(at_edge) {
            for node in [0, 1] {
                for flavour in Flavour::ALL {
                    watchers.push(joined_at(&relay, node, flavour, moment));
                    joined_late += 1;
                }
            }
        }
        watchers.retain(|watcher| watcher.leaves > moment);
        acknowledged.hear(&std::mem::take(&mut relay.said));
    }
    let end = DAYS * DAY_MS;
    assert!(relay.origin.last_time().unwrap() > end - SPARSE_MS);
    assert_eq!(
        relay.publisher.repairs(),
        Default::default(),
        "nothing was mended"
    );
    assert_eq!(watchers.len(), 6, "from the first day to the last");
    assert_eq!(joined_late, 3 * 2 * 6, "before each edge and behind it");
    for watcher in &watchers {
        let newest = watcher.newest[1].unwrap();
        assert_eq!(newest as u32, relay.origin.last_time().unwrap() as u32 - 7);
    }
    bytes_crossed(&relay, &watchers, &acknowledged.numbers, sent_bytes);
}

/// One who joins there: its headers bear the time of the start point, whatever width that has outgrown.
fn joined_at(relay: &Relay, node: usize, flavour: Flavour, moment: u64) -> Watcher {
    let mut watcher = Watcher::join(relay, node, flavour);
    watcher.leaves = moment + 10 * SPARSE_MS;
    if flavour != Flavour::Rtmp {
        assert_eq!(watcher.player.promised, Some((true, true)));
    }
    let joined = watcher.player.take_tags();
    let kinds: Vec<_> = joined.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds[..4], [Script, Video, Audio, Video], "R39");
    let start = joined[3].1;
    for (kind, time, _) in joined {
        let behind = (moment as u32).wrapping_sub(time as u32).cast_signed();
        assert!(
            (-8..=2 * FRAME_MS as i32).contains(&behind),
            "{kind:?} {time} at {moment}"
        );
        let first = watcher.newest[place(kind)].replace(time);
        assert!(first.is_none_or(|first| first <= time) && time >= start);
    }
    watcher
}

const fn place(kind: TagKind) -> usize {
    match kind {
        Audio => 0,
        Video => 1,
        Script => 2,
    }
}

/// Both ways: what the encoder sent, and what each viewer got.
fn bytes_crossed(relay: &Relay, watchers: &[Watcher], acknowledged: &[u32], sent: u64) {
    assert!(sent > 2 * (4 << 20), "far beyond the edge: {sent}");
    let wraps = acknowledged.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(wraps, 1, "R16: the number is the total, modulo 4 GiB");
    assert!(
        acknowledged
            .first()
            .is_some_and(|first| u64::from(*first) > BYTES_BEFORE)
    );
    for watcher in watchers {
        assert!(watcher.player.received > 1 << 32);
        assert!(watcher.tags > 2 * DAYS * DAY_MS / SPARSE_MS);
    }
    for stream in relay.streams() {
        assert!(stream.bytes_written() > 1 << 32);
    }
}
