//! Two encoders on one stream, one of them held ready (R12).

use super::*;
use crate::stream::publisher::standby::{FAILOVER_MS, STANDBY_BYTES, STANDBY_MESSAGES};

/// Two encoders, a keyframe each second, the backup's half a second behind the primary's; the air may change hands.
struct Pair {
    rig: Rig,
    primary: Option<SessionId>,
    backup: Option<SessionId>,
    frame: u32,
}

/// Which body is whose.
const PRIMARY_KEY: &[u8] = b"\x17\x01\x00\x00\x00primary";
const BACKUP_KEY: &[u8] = b"\x17\x01\x00\x00\x00backup";
const BACKUP_AVC: &[u8] = AVC_OTHER;

impl Pair {
    /// Both are sending, the primary on air.
    fn sending() -> Self {
        let mut pair = Self {
            rig: Rig::with(SecondPublisher::Backup),
            primary: None,
            backup: None,
            frame: 0,
        };
        pair.primary_comes();
        pair.play(30);
        pair.backup_comes();
        pair.play(50);
        assert_eq!(pair.rig.groups.len(), 4, "only the primary is heard");
        pair
    }

    fn primary_comes(&mut self) {
        self.primary = Some(self.rig.offer(Caller::default()).unwrap());
        self.send(self.primary, Video, 0, AVC);
        self.send(self.primary, Audio, 0, AAC);
    }

    fn backup_comes(&mut self) {
        self.backup = Some(self.rig.offer(Caller::default()).unwrap());
        self.send(self.backup, Video, 0, BACKUP_AVC);
        self.send(self.backup, Audio, 0, AAC);
    }

    fn send(&mut self, from: Option<SessionId>, kind: TagKind, time: u32, payload: &[u8]) {
        let Some(from) = from else { return };
        let payload = Bytes::copy_from_slice(payload);
        let now = self.rig.now;
        // What waits for a keyframe is dropped, as it should be.
        let _ = self.rig.publisher.handle_tag(from, kind, time, payload, now);
        self.rig.take_steps();
    }

    /// So many frames of 40 ms from whoever is there; their clocks have nothing to do with each other.
    fn play(&mut self, frames: u32) {
        for _ in 0..frames {
            let n = self.frame;
            let body = |key: &'static [u8], starts: bool| if starts { key } else { DELTA };
            let (primary, backup) = (self.primary, self.backup);
            self.send(primary, Video, n * 40, body(PRIMARY_KEY, n.is_multiple_of(25)));
            self.send(primary, Audio, n * 40 + 7, SOUND);
            self.send(backup, Video, 900_000 + n * 40, body(BACKUP_KEY, n % 25 == 12));
            self.send(backup, Audio, 900_007 + n * 40, SOUND);
            self.rig.pass(40);
            self.frame += 1;
        }
    }

    fn primary_is_gone(&mut self) {
        let gone = self.primary.take().unwrap();
        self.rig.publisher.handle_gone(gone, self.rig.now);
        self.rig.take_steps();
    }

    /// The newest group that began with an epoch: its place in all that came out, and the body of its first tag.
    fn splice(&self) -> (usize, &[u8]) {
        let head = self.rig.groups.iter().rfind(|head| head.number == 0).unwrap();
        let begins = |tag: &Tag| tag.kind == Video && tag.time == head.first_time;
        let place = self.rig.out.iter().position(begins).unwrap();
        (place, &self.rig.out[place].payload)
    }
}

#[test]
fn r12_a_lost_connection_is_answered_at_once_from_the_backups_last_keyframe() {
    let mut pair = Pair::sending();
    let before = pair.rig.out.len();
    // 80 frames came: the backup's last keyframe was number 62.
    pair.primary_is_gone();
    assert_eq!(pair.rig.switches, [(Role::Backup, Switch::Lost)]);
    assert_eq!(pair.splice(), (before, BACKUP_KEY), "the very next tag");
    assert_eq!(pair.rig.out.len() - before, 2 * 18, "and all that followed it");
    assert_eq!(
        pair.rig.prefaces.last().unwrap().video.as_deref(),
        Some(BACKUP_AVC)
    );
    pair.play(25);
    let out = &pair.rig.out[before..];
    let times = |kind| out.iter().filter(move |tag| tag.kind == kind).map(|tag| tag.time);
    assert!(
        times(Video)
            .zip(times(Audio))
            .all(|(video, audio)| audio - video == 7),
        "R06: one offset for both"
    );
    assert_eq!(pair.rig.publisher.repairs(), Repairs::default());
    assert!(pair.rig.stopped.is_empty() && !pair.rig.ended);
    assert_eq!(pair.rig.publisher.status(pair.rig.now), Status::Sending);
}

#[test]
fn r12_silence_is_a_loss_within_a_second() {
    let mut pair = Pair::sending();
    let before = pair.rig.out.len();
    let silent = pair.primary.take();
    pair.play(19);
    assert!(pair.rig.switches.is_empty(), "0.8 s since its last tag, not more");
    pair.play(1);
    assert_eq!(pair.rig.switches, [(Role::Backup, Switch::Lost)]);
    assert_eq!(pair.splice(), (before, BACKUP_KEY));
    // The silent one's connection is still there: it is let go in its time, and nothing of it comes out again.
    pair.rig.session = silent;
    pair.play(160);
    assert_eq!(pair.rig.stopped, [(silent.unwrap(), Dismissal::Silent)]);
    assert!(
        pair.rig.out[before..]
            .iter()
            .all(|tag| tag.payload != PRIMARY_KEY)
    );
}

#[test]
fn r12_the_primary_is_back_at_a_keyframe_once_it_was_well_for_ten_seconds() {
    let mut pair = Pair::sending();
    pair.primary_is_gone();
    pair.play(50);
    pair.primary_comes();
    pair.play(100);
    // A pause of half a second: its ten seconds begin anew.
    let pausing = pair.primary.take();
    pair.play(12);
    pair.primary = pausing;
    pair.play(249);
    assert_eq!(pair.rig.switches.len(), 1, "not yet");
    while pair.rig.switches.len() == 1 {
        pair.play(1);
        assert!(pair.frame < 600, "it comes with the next keyframe");
    }
    let switches = [(Role::Backup, Switch::Lost), (Role::Primary, Switch::Back)];
    assert_eq!(pair.rig.switches, switches);
    assert_eq!(pair.splice().1, PRIMARY_KEY);
    assert_eq!(pair.rig.prefaces.last().unwrap().video.as_deref(), Some(AVC));
    // The backup is held ready again, with the keyframe that it sent when it was on air, and steps in again.
    let before = pair.rig.out.len();
    pair.primary_is_gone();
    assert_eq!(pair.rig.switches.len(), 3);
    assert_eq!(pair.splice(), (before, BACKUP_KEY), "at once");
    let epochs: std::collections::BTreeSet<_> = pair.rig.groups.iter().map(|head| head.epoch).collect();
    assert_eq!(epochs.len(), 4);
}

/// Our own line stalls, and both pause: that says nothing of either.
#[test]
fn r12_when_both_pause_nothing_is_switched() {
    let mut pair = Pair::sending();
    for pause_ms in [500, 900, 3_000] {
        pair.rig.pass(pause_ms);
        // What was under way comes at once, the backup's first.
        let both = (pair.primary.take(), pair.backup);
        pair.play(3);
        pair.primary = both.0;
        pair.play(100);
        assert!(pair.rig.switches.is_empty(), "{pause_ms} ms");
    }
}

#[test]
fn r12_a_third_encoder_is_refused_and_a_silent_one_gives_way() {
    let mut pair = Pair::sending();
    let busy = |taken| matches!(taken, Err(Taken::Busy { .. }));
    assert!(busy(pair.rig.offer(Caller::default())));
    let says_backup = Caller {
        backup: true,
        ..Caller::default()
    };
    assert!(busy(pair.rig.offer(says_backup)));
    // The backup's connection is half open: its return takes its place (R01).
    let half_open = pair.backup.take().unwrap();
    pair.play(50);
    pair.backup_comes();
    assert_eq!(pair.rig.stopped, [(half_open, Dismissal::Replaced)]);
    pair.play(60);
    // And so does the primary's, while the backup is on air.
    let half_open = pair.primary.take().unwrap();
    pair.play(55);
    assert_eq!(pair.rig.switches.len(), 1);
    pair.primary_comes();
    assert_eq!(pair.rig.stopped[1], (half_open, Dismissal::Replaced));
    pair.play(300);
    assert_eq!(pair.rig.switches[1], (Role::Primary, Switch::Back));
}

#[test]
fn r12_one_that_says_it_is_the_backup_gives_the_air_up_whoever_came_first() {
    let mut rig = Rig::with(SecondPublisher::Backup);
    let says_backup = Caller {
        backup: true,
        ..Caller::default()
    };
    let backup = rig.offer(says_backup).unwrap();
    rig.session = Some(backup);
    rig.headers().play(0, 50);
    let primary = rig.offer(Caller::default()).unwrap();
    let mut pair = Pair {
        rig,
        primary: Some(primary),
        backup: Some(backup),
        frame: 0,
    };
    pair.play(300);
    assert_eq!(pair.rig.switches, [(Role::Primary, Switch::Back)]);
}

/// A stream with sound alone has no keyframes to wait for.
#[test]
fn r12_r13_sound_alone_goes_on_with_its_next_frame() {
    let mut rig = Rig::with(SecondPublisher::Backup);
    let ids = [(); 2].map(|()| rig.offer(Caller::default()).unwrap());
    let sound = |rig: &mut Rig, who: usize, n: u32| {
        rig.session = Some(ids[who]);
        rig.send(Audio, n * 20, SOUND)
    };
    for n in 0..300 {
        // Whether there is video to come is not known at first.
        let _ = sound(&mut rig, 0, n);
        let _ = sound(&mut rig, 1, n);
        rig.pass(20);
    }
    let before = rig.out.len();
    rig.session = Some(ids[0]);
    rig.leave();
    assert_eq!(rig.out.len(), before + 1, "the frame that it was held ready with");
    assert_eq!(sound(&mut rig, 1, 300), Ok(()));
    assert_eq!(rig.out.len(), before + 2);
}

#[test]
fn what_is_held_ready_is_bounded_by_bytes_messages_and_time() {
    let held = |pair: &Pair| !pair.rig.publisher.standby.as_ref().unwrap().held.is_empty();
    let mut pair = Pair::sending();
    assert!(held(&pair));
    pair.send(pair.backup, Video, 0, &vec![0x27; STANDBY_BYTES]);
    assert!(!held(&pair), "bytes");
    // Lost now, it waits for the backup's next keyframe, and takes no part of a group.
    pair.primary_is_gone();
    let before = pair.rig.out.len();
    pair.play(30);
    assert_eq!(pair.splice(), (before, BACKUP_KEY));

    let mut pair = Pair::sending();
    for n in 0..u32::try_from(STANDBY_MESSAGES).unwrap() {
        pair.send(pair.backup, Audio, 900_000 + n, SOUND);
    }
    assert!(!held(&pair), "messages");

    let mut pair = Pair::sending();
    for n in 0..200 {
        pair.send(pair.backup, Video, 900_000 + n * 40, DELTA);
        pair.send(pair.primary, Video, 900_000 + n * 40, DELTA);
        pair.rig.pass(40);
    }
    assert!(!held(&pair), "time");
}

#[test]
fn a_new_header_drops_what_was_coded_by_the_old_one() {
    let mut pair = Pair::sending();
    pair.send(pair.backup, Video, 0, AVC);
    pair.primary_is_gone();
    let before = pair.rig.out.len();
    pair.play(30);
    assert_eq!(pair.splice(), (before, BACKUP_KEY), "its next keyframe");
    assert_eq!(pair.rig.prefaces.last().unwrap().video.as_deref(), Some(AVC));
}

#[test]
fn r08_a_kick_lets_the_one_on_air_go_and_the_other_goes_on() {
    let mut pair = Pair::sending();
    assert!(pair.rig.publisher.handle_kick(pair.rig.now));
    pair.rig.take_steps();
    assert_eq!(pair.rig.stopped, [(pair.primary.unwrap(), Dismissal::Kicked)]);
    assert_eq!(pair.rig.switches, [(Role::Backup, Switch::Lost)]);
    assert!(pair.rig.publisher.handle_kick(pair.rig.now));
    pair.rig.take_steps();
    assert_eq!(pair.rig.publisher.status(pair.rig.now), Status::Awaited);
}

#[test]
fn when_the_log_refuses_both_are_let_go() {
    let mut pair = Pair::sending();
    pair.rig.publisher.give_up(pair.rig.now);
    pair.rig.take_steps();
    let both = [pair.backup, pair.primary].map(|id| (id.unwrap(), Dismissal::Log));
    assert_eq!(pair.rig.stopped, both);
    assert_eq!(pair.rig.publisher.status(pair.rig.now), Status::Awaited);
}

#[test]
fn a_pause_that_is_no_loss_is_shorter_than_one() {
    const { assert!(STEADY_GAP_MS < FAILOVER_MS && FAILOVER_MS < 1_000) };
}

#[test]
fn a_backup_on_air_is_held_only_beside_the_first_publisher_and_without_a_hole() {
    let held = |pair: &Pair| pair.rig.publisher.on_air.as_ref().unwrap().held.len();
    let mut pair = Pair::sending();
    assert_eq!(held(&pair), 0, "a primary on air is not");
    pair.primary_is_gone();
    pair.play(60);
    assert_eq!(held(&pair), 0, "nobody is there to give the air back to");
    pair.primary_comes();
    pair.play(25);
    let before = held(&pair);
    assert!(before > 0);
    // The same header once more: nothing that is held was coded otherwise.
    pair.send(pair.backup, Audio, 0, AAC);
    assert_eq!(held(&pair), before);
    pair.send(pair.backup, Video, 0, AVC);
    assert_eq!(held(&pair), 0, "another one");
    pair.play(25);
    pair.primary_is_gone();
    pair.play(1);
    assert_eq!(held(&pair), 0);
}
