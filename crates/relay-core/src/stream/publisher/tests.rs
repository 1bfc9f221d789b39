//! Stories of publishers, told to the state machine with time as an argument; what comes out goes to a real log.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::amf0::{self, Value};
use crate::stream::policy::{SecondPublisher, Taken};
use crate::stream::{LogConfig, Stream};
use TagKind::{Audio, Script, Video};

mod policies;
mod standbys;
mod tracks;

const START: Now = Now {
    mono_ms: 3_600_000,
    unix_us: 1_700_000_000_000_000,
};
const HOUR_MS: u64 = 3_600_000;

const AVC: &[u8] = b"\x17\x00\x00\x00\x00avcC-1";
const AVC_OTHER: &[u8] = b"\x17\x00\x00\x00\x00avcC-2";
const AAC: &[u8] = b"\xaf\x00\x12\x10";
const KEY: &[u8] = b"\x17\x01\x00\x00\x00key";
const DELTA: &[u8] = b"\x27\x01\x00\x00\x00delta";
const SOUND: &[u8] = b"\xaf\x01sound";

/// A stream being published: a machine, the log that its steps go to, and what came out.
struct Rig {
    publisher: Publisher,
    stream: Stream,
    now: Now,
    session: Option<SessionId>,
    other: Option<SessionId>,
    out: Vec<Tag>,
    groups: Vec<GroupHead>,
    prefaces: Vec<Headers>,
    mark: Option<Mark>,
    stopped: Vec<(SessionId, Dismissal)>,
    switches: Vec<(Role, Switch)>,
    dropped: Vec<Dropped>,
    ended: bool,
    newest: HashMap<u8, u64>,
}

impl Rig {
    fn new() -> Self {
        Self::restored(None, START)
    }

    fn with(second: SecondPublisher) -> Self {
        let patience = Patience {
            second,
            ..Patience::default()
        };
        Self {
            publisher: Publisher::new(patience, None),
            ..Self::new()
        }
    }

    fn restored(mark: Option<Mark>, now: Now) -> Self {
        Self {
            publisher: Publisher::new(Patience::default(), mark),
            stream: Stream::new("live/cam".parse().unwrap(), LogConfig::default()),
            now,
            session: None,
            other: None,
            out: Vec::new(),
            groups: Vec::new(),
            prefaces: Vec::new(),
            mark,
            stopped: Vec::new(),
            switches: Vec::new(),
            dropped: Vec::new(),
            ended: false,
            newest: HashMap::new(),
        }
    }

    fn pass(&mut self, ms: u64) -> &mut Self {
        self.now = self.now.plus_ms(ms);
        self.publisher.handle_time(self.now);
        self.take_steps();
        self
    }

    fn offer(&mut self, caller: Caller) -> Result<SessionId, Taken> {
        let offered = self.publisher.offer(caller, self.now);
        self.take_steps();
        offered
    }

    fn publish(&mut self) -> &mut Self {
        self.session = Some(self.offer(Caller::default()).unwrap());
        self.ended = false;
        self
    }

    fn leave(&mut self) -> &mut Self {
        self.publisher.handle_gone(self.session.unwrap(), self.now);
        self.take_steps();
        self
    }

    fn send(&mut self, kind: TagKind, time: u32, payload: &[u8]) -> Result<(), Dropped> {
        let payload = Bytes::copy_from_slice(payload);
        let session = self.session.unwrap();
        let sent = self.publisher.handle_tag(session, kind, time, payload, self.now);
        self.take_steps();
        sent
    }

    fn headers(&mut self) -> &mut Self {
        self.send(Script, 0, &metadata("videocodecid")).unwrap();
        self.send(Video, 0, AVC).unwrap();
        self.send(Audio, 0, AAC).unwrap();
        self
    }

    /// Audio and video in step, in real time, a keyframe each second, from the encoder's time `from`.
    fn play(&mut self, from: u32, frames: u32) -> &mut Self {
        for n in 0..frames {
            let time = from.wrapping_add(n * 40);
            let frame = if n % 25 == 0 { KEY } else { DELTA };
            self.send(Video, time, frame).unwrap();
            self.send(Audio, time.wrapping_add(7), SOUND).unwrap();
            self.pass(40);
        }
        self
    }

    /// Does the steps, and holds what comes out against what is always true.
    fn take_steps(&mut self) {
        while let Some(step) = self.publisher.poll_step() {
            match step {
                Step::Epoch(mark) => {
                    assert!(
                        Some(mark.epoch) > self.mark.map(|mark| mark.epoch),
                        "epochs increase"
                    );
                    self.mark = Some(mark);
                }
                Step::Group(head) => {
                    assert_eq!(Some(head.epoch), self.mark.map(|mark| mark.epoch));
                    self.stream.begin_group(head, self.now).unwrap();
                    self.groups.push(head);
                }
                Step::Preface { headers, time } => {
                    self.stream.put_preface(&headers, time, self.now).unwrap();
                    self.prefaces.push(headers);
                }
                Step::Append(tag) => {
                    let newest = self.newest.entry(tag.kind as u8).or_default();
                    assert!(
                        tag.time >= *newest,
                        "{:?} back from {newest} to {}",
                        tag.kind,
                        tag.time
                    );
                    *newest = tag.time;
                    self.stream.append(&tag, self.now).unwrap();
                    self.out.push(tag);
                }
                Step::Stop(id, why) => self.stopped.push((id, why)),
                Step::Switch(role, why) => self.switches.push((role, why)),
                Step::Dropped(why) => self.dropped.push(why),
                Step::End(mark) => {
                    self.ended = true;
                    self.mark = mark.or(self.mark);
                    self.stream = Stream::new("live/cam".parse().unwrap(), LogConfig::default());
                }
            }
        }
    }

    fn times(&self, kind: TagKind) -> Vec<u64> {
        self.out
            .iter()
            .filter(|tag| tag.kind == kind)
            .map(|tag| tag.time)
            .collect()
    }

    fn last(&self) -> &Tag {
        self.out.last().unwrap()
    }
}

fn metadata(property: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::encode(&Value::from("onMetaData"), &mut payload);
    amf0::encode(&Value::object([(property, Value::from(7.0))]), &mut payload);
    payload
}

#[test]
fn a_stream_begins_at_its_keyframe_with_its_headers() {
    let mut rig = Rig::new();
    rig.publish().headers();
    assert_eq!(rig.send(Audio, 5_000, SOUND), Err(Dropped::AwaitingVideo));
    assert_eq!(rig.send(Video, 5_000, DELTA), Err(Dropped::NoKeyframe));
    rig.play(5_040, 50);
    assert_eq!(rig.times(Video)[..2], [0, 40]);
    assert_eq!(rig.times(Audio)[..2], [7, 47]);
    assert_eq!(
        rig.prefaces.len(),
        1,
        "headers come before the epoch's first tag only"
    );
    assert_eq!(rig.prefaces[0].video.as_deref(), Some(AVC));
    assert_eq!(&rig.out[0].payload[..], KEY);
    let heads: Vec<_> = rig
        .groups
        .iter()
        .map(|head| (head.number, head.first_time))
        .collect();
    assert_eq!(heads, [(0, 0), (1, 1_000)]);
    assert_eq!(rig.groups[0].epoch, START.unix_ms());
}

#[test]
fn r05_a_return_within_the_grace_window_is_spliced_at_a_keyframe_with_one_offset() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 50).leave();
    rig.pass(5_000);
    assert!(!rig.ended);
    let first_epoch = rig.groups[0].epoch;
    let before = rig.last().time;
    rig.publish().headers();
    assert_eq!(rig.send(Audio, 900_000, SOUND), Err(Dropped::AwaitingVideo));
    rig.play(900_010, 30);
    let splice = rig.groups.iter().find(|head| head.epoch > first_epoch).unwrap();
    assert_eq!((splice.number, splice.continuation), (0, false));
    assert_eq!(splice.first_time, 7_000, "2 s of frames and 5 s of outage");
    assert!(before < 2_000);
    let (video, audio) = (rig.times(Video), rig.times(Audio));
    assert_eq!(audio[50] - video[50], 7, "in step as the encoder sent them");
    assert_eq!(rig.publisher.repairs(), Repairs::default());
}

#[test]
fn r38_headers_that_did_not_change_are_not_sent_again() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 2).leave();
    rig.publish().headers().play(0, 2).leave();
    assert_eq!(
        rig.prefaces[0].video, rig.prefaces[1].video,
        "the log sends what differs"
    );
    rig.publish().headers();
    rig.play(0, 2);
    assert_eq!(rig.send(Video, 80, AVC), Err(Dropped::DuplicateHeader));
    assert_eq!(
        rig.send(Script, 80, &metadata("videocodecid")),
        Err(Dropped::DuplicateHeader)
    );
    // A change goes through, in order, and at the stream's time although it is stamped 0.
    assert_eq!(rig.send(Video, 0, AVC_OTHER), Ok(()));
    assert_eq!(&rig.last().payload[..], AVC_OTHER);
    assert_eq!(rig.last().time, rig.out[rig.out.len() - 2].time);
    assert_eq!(rig.send(Script, 0, &metadata("framerate")), Ok(()));
    assert_eq!(rig.last().kind, Script);
    assert_eq!(rig.stream.headers().video.as_deref(), Some(AVC_OTHER));
}

#[test]
fn r36_metadata_is_not_emptied() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 1);
    let empty = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
    assert_eq!(rig.send(Script, 0, empty), Err(Dropped::EmptyHeader));
    let kept = metadata("videocodecid");
    assert_eq!(rig.stream.headers().metadata.as_deref(), Some(&kept[..]));
}

#[test]
fn r13_audio_only_goes_at_once_and_forgets_the_camera_before_it() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 2).leave();
    rig.publish();
    rig.send(Script, 0, &metadata("audiocodecid")).unwrap();
    rig.send(Audio, 0, AAC).unwrap();
    for n in 0..300 {
        rig.send(Audio, n * 20, SOUND).unwrap();
        rig.pass(20);
    }
    assert_eq!(rig.prefaces[1].video, None);
    let second: Vec<_> = rig
        .groups
        .iter()
        .filter(|head| head.epoch == rig.prefaces_epoch())
        .collect();
    assert_eq!(second.len(), 3, "a start point each 2 s");
    assert!(second.iter().all(|head| !head.continuation));
}

impl Rig {
    fn prefaces_epoch(&self) -> u64 {
        self.groups.last().unwrap().epoch
    }
}

#[test]
fn r01_r02_r04_a_second_publisher_waits_for_two_seconds_of_silence() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 25);
    let first = rig.session.unwrap();
    let epoch = rig.prefaces_epoch();
    rig.pass(1_860);
    assert_eq!(
        rig.offer(Caller::default()),
        Err(Taken::Busy { silent_ms: 1_900 }),
        "1.9 s"
    );
    assert_eq!(rig.send(Video, 1_000, KEY), Ok(()), "the first is undisturbed");
    rig.pass(2_100).publish().headers();
    assert_eq!(rig.stopped, [(first, Dismissal::Replaced)]);
    rig.play(77_000, 2);
    assert!(rig.prefaces_epoch() > epoch);
    rig.session = Some(first);
    assert_eq!(
        rig.send(Video, 1_040, KEY),
        Err(Dropped::Replaced),
        "the old one woke up"
    );
    rig.leave();
    assert!(rig.publisher.is_taken(), "and its leaving changes nothing");
}

#[test]
fn the_stream_ends_after_the_grace_window_and_may_begin_again() {
    let mut rig = Rig::new();
    assert_eq!(rig.publisher.status(rig.now), Status::Over);
    rig.publish().headers().play(0, 25);
    assert_eq!(rig.publisher.status(rig.now), Status::Sending);
    assert_eq!(rig.publisher.status(rig.now.plus_ms(2_000)), Status::Silent);
    rig.leave();
    assert_eq!(rig.publisher.status(rig.now), Status::Awaited);
    let (last, epoch) = (rig.last().time, rig.prefaces_epoch());
    rig.pass(14_999);
    assert!(!rig.ended);
    rig.pass(1);
    assert!(rig.ended && rig.publisher.is_over());
    assert_eq!(rig.publisher.deadline(), None);
    rig.pass(HOUR_MS).publish().headers().play(0, 1);
    assert!(rig.prefaces_epoch() > epoch);
    assert!(rig.last().time > last + HOUR_MS, "one line of time for good");
}

#[test]
fn r10_a_silent_publisher_is_let_go_with_a_reason() {
    let mut rig = Rig::new();
    rig.publish();
    let first = rig.session.unwrap();
    rig.pass(19_999);
    assert_eq!(rig.stopped, []);
    assert_eq!(rig.publisher.deadline(), Some(rig.now.mono_ms + 1));
    rig.pass(1);
    assert_eq!(rig.stopped, [(first, Dismissal::NoMedia)], "nothing ever came");
    rig.publish().headers().play(0, 25);
    rig.pass(6_900);
    assert_eq!(rig.stopped.len(), 1);
    rig.pass(100);
    assert_eq!(rig.stopped[1].1, Dismissal::Silent);
    rig.pass(7_900);
    assert!(!rig.ended);
    rig.pass(100);
    assert!(rig.ended, "15 s after the last tag, however it fell silent");
}

#[test]
fn r07_ten_flaps_leave_one_publisher_and_one_line_of_epochs() {
    let mut rig = Rig::new();
    for _ in 0..10 {
        rig.publish().headers().play(0, 25).leave().pass(5_000);
    }
    let mut epochs: Vec<_> = rig.groups.iter().map(|head| head.epoch).collect();
    epochs.dedup();
    assert_eq!(epochs.len(), 10);
    assert!(!rig.publisher.is_taken() && rig.steps_left() == 0);
}

impl Rig {
    fn steps_left(&self) -> usize {
        self.publisher.steps.len()
    }
}

#[test]
fn r15_time_wraps_in_mid_session() {
    let mut rig = Rig::new();
    rig.publish().headers().play(u32::MAX - 1_000, 100);
    let video = rig.times(Video);
    assert!(video.windows(2).all(|pair| pair[1] - pair[0] == 40));
    assert_eq!(rig.publisher.repairs(), Repairs::default());
}

#[test]
fn r06_times_that_restart_at_zero_keep_both_tracks_in_step() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 50).play(0, 50);
    let (video, audio) = (rig.times(Video), rig.times(Audio));
    assert!(video.iter().zip(&audio).all(|(video, audio)| audio - video == 7));
    assert_eq!(rig.publisher.repairs(), Repairs { held: 0, leaps: 1 });
    assert_eq!(rig.groups[0].epoch, rig.prefaces_epoch(), "no new epoch for that");
}

#[test]
fn a_minute_between_keyframes_is_continued_in_flagged_groups() {
    let mut rig = Rig::new();
    rig.publish().headers();
    for n in 0..1_500 {
        rig.send(Video, n * 40, if n == 0 { KEY } else { DELTA }).unwrap();
        rig.pass(40);
    }
    let flags: Vec<_> = rig.groups.iter().map(|head| head.continuation).collect();
    assert_eq!(flags, [false, true, true, true]);
    assert_eq!(rig.out.len(), 1_500, "and nothing is lost");
}

#[test]
fn state_lost_and_clock_set_back_never_goes_back_for_a_child() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 250);
    let held = Held {
        epoch: rig.prefaces_epoch(),
        time: rig.last().time,
    };
    let clock = Now {
        mono_ms: START.mono_ms,
        unix_us: rig.now.unix_us - HOUR_MS * 1000,
    };
    // The child's Hello comes before the publisher is back …
    let mut early = Rig::restored(None, clock);
    assert_eq!(early.publisher.handle_claim(held), Ok(false));
    early.publish().headers().play(0, 5);
    assert!(early.groups[0].epoch > held.epoch && early.groups[0].first_time > held.time);
    // … or after: then a new epoch begins at its next keyframe.
    let mut late = Rig::restored(None, clock);
    late.publish().headers().play(0, 5);
    assert_eq!(late.publisher.handle_claim(held), Ok(true));
    assert_eq!(late.send(Video, 200, DELTA), Ok(()));
    assert_eq!(late.groups.len(), 1);
    assert_eq!(late.send(Video, 240, KEY), Ok(()));
    let next = late.groups.last().unwrap();
    assert!(next.epoch > held.epoch && next.first_time > held.time);
    assert_eq!(
        late.prefaces.len(),
        2,
        "with the headers that the session announced"
    );
}

#[test]
fn a_restart_goes_on_from_the_kept_mark() {
    let mut rig = Rig::new();
    rig.publish().headers().play(0, 250);
    let mut after = Rig::restored(rig.mark, rig.now.plus_ms(3_000));
    after.publish().headers().play(0, 5);
    assert!(after.groups[0].epoch > rig.groups[0].epoch);
    assert_eq!(after.groups[0].first_time, 13_000);
}

#[test]
fn a_claim_begins_a_new_epoch_of_an_audio_stream_too() {
    let mut rig = Rig::new();
    rig.publish();
    rig.send(Script, 0, &metadata("audiocodecid")).unwrap();
    rig.send(Audio, 0, SOUND).unwrap();
    let claim = Held {
        epoch: START.unix_ms() + 5,
        time: 9_000,
    };
    assert_eq!(rig.publisher.handle_claim(claim), Ok(true));
    for n in 1..150 {
        rig.pass(20).send(Audio, n * 20, SOUND).unwrap();
    }
    assert_eq!(
        rig.groups.len(),
        2,
        "at the next start point, after 2 s, and once"
    );
    assert!(rig.groups[1].epoch > claim.epoch && rig.groups[1].first_time > claim.time);
}

/// Something that happens to a stream.
#[derive(Clone, Debug)]
enum Event {
    Publish(u8, bool),
    /// The other one of the two that were let in last.
    Other,
    Leave,
    Kick,
    Pass(u64),
    Tag(TagKind, u32, &'static [u8]),
    Step(TagKind, u32, &'static [u8]),
    Claim(u64, u64),
    Restart {
        keep_state: bool,
        clock_back_ms: u64,
    },
}

fn second_publisher() -> impl Strategy<Value = SecondPublisher> {
    prop::sample::select(vec![
        SecondPublisher::Reject,
        SecondPublisher::ReplaceIfIdle,
        SecondPublisher::Replace,
        SecondPublisher::Backup,
    ])
}

fn event() -> impl Strategy<Value = Event> {
    let body = prop::sample::select(vec![
        (Video, KEY),
        (Video, DELTA),
        (Audio, SOUND),
        (Video, AVC),
        (Video, AVC_OTHER),
        (Audio, AAC),
        (Script, b"\x02\x00\x0aonMetaData\x05".as_slice()),
        (Script, b"\x02\x00\x0aonCuePoint".as_slice()),
        (Video, b"".as_slice()),
        (Video, b"\x17\x02\x00\x00\x00".as_slice()),
    ]);
    prop_oneof![
        4 => (1..4_u8, any::<bool>()).prop_map(|(address, backup)| Event::Publish(address, backup)),
        8 => Just(Event::Other),
        2 => Just(Event::Leave),
        1 => Just(Event::Kick),
        8 => (0..3_000_u64).prop_map(Event::Pass),
        1 => (0..60_000_u64).prop_map(Event::Pass),
        3 => (body.clone(), any::<u32>()).prop_map(|((kind, body), time)| Event::Tag(kind, time, body)),
        40 => (body, 0..100_u32).prop_map(|((kind, body), step)| Event::Step(kind, step, body)),
        1 => (0..100_000_u64, 0..100_000_u64).prop_map(|(epoch, time)| Event::Claim(epoch, time)),
        1 => (any::<bool>(), 0..2 * HOUR_MS).prop_map(|(keep_state, clock_back_ms)| Event::Restart {
            keep_state,
            clock_back_ms
        }),
    ]
}

proptest! {
    /// Whatever publishers do, per-track output times never decrease and epochs strictly increase (the rig asserts both
    /// at each step, and the log refuses anything stale); across restarts too, with a child that says what it holds.
    #[test]
    fn output_never_goes_back(second in second_publisher(), events in prop::collection::vec(event(), 1..300)) {
        let mut rig = Rig::with(second);
        let mut clock = 0_u32;
        for event in events {
            match event {
                Event::Publish(address, backup) => {
                    let address = Some(std::net::IpAddr::from([192, 0, 2, address]));
                    if let Ok(id) = rig.offer(Caller { address, backup }) {
                        rig.other = rig.session.replace(id);
                    }
                }
                Event::Other => std::mem::swap(&mut rig.session, &mut rig.other),
                Event::Kick => {
                    rig.publisher.handle_kick(rig.now);
                    rig.take_steps();
                }
                Event::Leave => if rig.session.is_some() {
                    rig.leave();
                },
                Event::Pass(ms) => {
                    clock = clock.wrapping_add(u32::try_from(ms).unwrap());
                    rig.pass(ms);
                }
                Event::Tag(kind, time, body) if rig.session.is_some() => {
                    let _ = rig.send(kind, time, body);
                }
                Event::Step(kind, step, body) if rig.session.is_some() => {
                    clock = clock.wrapping_add(step);
                    let _ = rig.send(kind, clock, body);
                }
                Event::Claim(epoch, time) => {
                    let held = Held { epoch: START.unix_ms() + epoch, time };
                    rig.publisher.handle_claim(held).unwrap();
                }
                Event::Restart { keep_state, clock_back_ms } => {
                    let held = rig.newest.values().max().copied().zip(rig.mark.map(|mark| mark.epoch));
                    let mark = rig.mark.filter(|_| keep_state);
                    let now = Now { unix_us: rig.now.unix_us - clock_back_ms * 1000, ..rig.now };
                    let newest = std::mem::take(&mut rig.newest);
                    let known = rig.mark;
                    rig = Rig { newest, ..Rig::restored(mark, now) };
                    rig.publisher.patience.second = second;
                    rig.mark = known;
                    if let Some((time, epoch)) = held {
                        rig.publisher.handle_claim(Held { epoch, time }).unwrap();
                    }
                }
                Event::Tag(..) | Event::Step(..) => {}
            }
            prop_assert_eq!(rig.steps_left(), 0);
            prop_assert!(rig.publisher.is_taken() || !rig.publisher.has_standby());
        }
    }
}
