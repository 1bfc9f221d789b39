//! Two publishers with one key: who gives way to whom (R02, R03, R08).

use std::net::IpAddr;

use super::*;

const HALL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const VAN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

impl Rig {
    fn publish_from(&mut self, place: IpAddr) -> SessionId {
        let id = self.offer(Caller::from(place)).unwrap();
        self.session = Some(id);
        id
    }

    fn refused(&mut self, place: IpAddr) -> Taken {
        self.offer(Caller::from(place)).unwrap_err()
    }
}

#[test]
fn r02_reject_refuses_the_second_until_the_first_is_let_go() {
    let mut rig = Rig::with(SecondPublisher::Reject);
    let first = rig.publish_from(HALL);
    rig.headers().play(0, 25);
    rig.pass(5_000);
    assert!(matches!(rig.refused(VAN), Taken::Busy { silent_ms: 5_040 }));
    rig.pass(2_000);
    assert_eq!(rig.stopped, [(first, Dismissal::Silent)], "never minutes");
    rig.publish_from(VAN);
}

#[test]
fn r02_replace_takes_over_at_once_and_the_loser_does_not_come_back() {
    let mut rig = Rig::with(SecondPublisher::Replace);
    let first = rig.publish_from(HALL);
    rig.headers().play(0, 25);
    rig.publish_from(VAN);
    assert_eq!(rig.stopped, [(first, Dismissal::Replaced)]);
    rig.headers().play(0, 25);
    // It tries every ten seconds, for longer than it is refused after one attempt.
    for _ in 0..10 {
        assert_eq!(rig.refused(HALL), Taken::HeldOff { wait_ms: 30_000 });
        rig.play(0, 250);
    }
    assert_eq!(rig.stopped.len(), 1, "the one that took over goes on");
    // Once it gave up for so long, it is a publisher like any other.
    rig.play(0, 750);
    rig.publish_from(HALL);
    assert_eq!(rig.stopped.len(), 2);
}

#[test]
fn r02_a_loser_may_return_once_the_winner_is_gone_or_silent() {
    let mut rig = Rig::with(SecondPublisher::Replace);
    rig.publish_from(HALL);
    rig.publish_from(VAN);
    rig.headers().play(0, 25);
    assert!(matches!(rig.refused(HALL), Taken::HeldOff { .. }));
    rig.leave();
    rig.publish_from(HALL);
    rig.headers().play(0, 25);
    // The winner is held off no more; but now it has lost.
    let mut other = Rig::with(SecondPublisher::Replace);
    other.publish_from(HALL);
    other.publish_from(VAN);
    other.headers().play(0, 25).pass(2_000);
    other.publish_from(HALL);
}

/// R01, R02: behind one NAT a loser and a winner look alike; the winner's own return waits for its silence at most.
#[test]
fn two_encoders_in_one_place_do_not_take_turns_either() {
    let mut rig = Rig::with(SecondPublisher::Replace);
    rig.publish_from(HALL);
    rig.headers().play(0, 25);
    rig.publish_from(HALL);
    rig.headers().play(0, 25);
    assert!(matches!(rig.refused(HALL), Taken::HeldOff { .. }));
    rig.pass(1_960);
    rig.publish_from(HALL);
}

#[test]
fn r02_under_the_default_a_loser_is_told_who_has_its_place() {
    let mut rig = Rig::new();
    rig.publish_from(HALL);
    rig.headers().play(0, 25).pass(2_000);
    rig.publish_from(VAN);
    rig.headers().play(0, 25);
    assert!(matches!(rig.refused(HALL), Taken::HeldOff { .. }));
    let other = IpAddr::from([192, 0, 2, 3]);
    assert!(matches!(rig.refused(other), Taken::Busy { .. }));
}

#[test]
fn many_losers_are_remembered_within_a_bound() {
    let mut rig = Rig::with(SecondPublisher::Replace);
    for n in 0..=255 {
        rig.publish_from(IpAddr::from([198, 51, 100, n]));
    }
    rig.headers().play(0, 2);
    for n in 247..255 {
        let place = IpAddr::from([198, 51, 100, n]);
        assert!(matches!(rig.refused(place), Taken::HeldOff { .. }), "{n}");
    }
    rig.publish_from(IpAddr::from([198, 51, 100, 246]));
}

#[test]
fn r08_a_kick_frees_the_name_at_once() {
    let mut rig = Rig::with(SecondPublisher::Reject);
    assert!(!rig.publisher.handle_kick(rig.now), "nobody is there");
    let stuck = rig.publish_from(HALL);
    rig.headers().play(0, 25);
    assert!(rig.publisher.handle_kick(rig.now));
    rig.take_steps();
    assert_eq!(rig.stopped, [(stuck, Dismissal::Kicked)]);
    assert_eq!(rig.publisher.status(rig.now), Status::Awaited);
    assert_eq!(rig.send(Video, 1_000, KEY), Err(Dropped::Replaced));
    rig.publish_from(VAN);
    assert_eq!(rig.publisher.status(rig.now), Status::Sending);
}

#[test]
fn r07_flaps_of_two_encoders_leave_nothing_behind() {
    for second in [SecondPublisher::Replace, SecondPublisher::Backup] {
        let mut rig = Rig::with(second);
        for round in 0..100 {
            rig.publish_from(IpAddr::from([192, 0, 2, round]));
            rig.headers().play(0, 5).leave().pass(100);
        }
        assert!(!rig.publisher.is_taken() && !rig.publisher.has_standby());
        assert!(rig.publisher.losers.is_empty() && rig.steps_left() == 0);
        rig.pass(15_000);
        assert!(rig.publisher.is_over());
    }
}
