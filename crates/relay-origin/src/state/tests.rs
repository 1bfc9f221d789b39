use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use relay_core::clock::{Clock, Now};
use relay_core::link::join::JoinDesk as _;
use relay_core::link::refusal::Refusal;
use relay_core::stream::StreamKey;
use relay_core::stream::epoch::Mark;

use super::*;
use crate::tokens::Desk;

const HOUR: Duration = Duration::from_hours(1);

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("relay-state-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> Now {
    Clock::start().now()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn all_of_it_outlives_the_process_and_is_its_owners_alone() {
    let folder = Folder::new("outlives");
    let state = State::open(&folder.0).unwrap();
    let first = (
        state.pool_ca(now()).unwrap().fingerprint(),
        state.instance().unwrap(),
        state.publish_key().unwrap().expose().to_owned(),
    );
    drop(state);
    let state = State::open(&folder.0).unwrap();
    let again = (
        state.pool_ca(now()).unwrap().fingerprint(),
        state.instance().unwrap(),
        state.publish_key().unwrap().expose().to_owned(),
    );
    assert_eq!(first, again);
    assert_eq!(mode(&folder.0), 0o700);
    for entry in fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let key = state.publish_key().unwrap();
    assert!(!format!("{key:?}").contains(&first.2));
}

#[test]
fn a_second_origin_is_kept_out_with_a_sentence() {
    let folder = Folder::new("second");
    let _first = State::open(&folder.0).unwrap();
    let error = State::open(&folder.0).unwrap_err().to_string();
    assert!(
        error.starts_with("another relay-origin is running on the state folder"),
        "{error}"
    );
}

#[test]
fn what_is_damaged_is_named_and_never_made_anew() {
    let folder = Folder::new("damaged");
    let state = State::open(&folder.0).unwrap();
    state.pool_ca(now()).unwrap();
    state.instance().unwrap();
    for file in [CA, INSTANCE, PUBLISH_KEY, PUBLISH_KEYS, TOKENS, REVOKED] {
        fs::write(folder.0.join(file), "\u{7}").unwrap();
    }
    let errors = [
        (CA, state.pool_ca(now()).err()),
        (INSTANCE, state.instance().err()),
        (PUBLISH_KEY, state.publish_key().err()),
        (PUBLISH_KEYS, state.keys().err()),
        (TOKENS, state.tokens().err()),
        (REVOKED, state.revocations().err()),
    ];
    for (file, error) in errors {
        let error = error.unwrap().to_string();
        assert!(error.contains(file) && error.contains("is damaged"), "{error}");
        assert_eq!(fs::read_to_string(folder.0.join(file)).unwrap(), "\u{7}");
        assert_eq!(mode(&folder.0.join(file)), 0o600, "closed to others");
    }
}

#[test]
fn an_authority_that_is_lost_is_not_replaced_behind_the_pools_back() {
    let folder = Folder::new("lost");
    let state = State::open(&folder.0).unwrap();
    state.pool_ca(now()).unwrap();
    state.save_tokens(&TokenBook::default()).unwrap();
    fs::remove_file(folder.0.join(CA)).unwrap();
    let error = state.pool_ca(now()).unwrap_err();
    assert!(matches!(error, StateError::LostAuthority(_)), "{error}");
}

#[test]
fn streams_are_remembered_damaged_ones_left_out() {
    let folder = Folder::new("streams");
    let state = State::open(&folder.0).unwrap();
    let (one, two): (StreamKey, StreamKey) = ("live/one".parse().unwrap(), "live/two".parse().unwrap());
    let mark = |epoch| Mark { epoch, anchor_ms: -5 };
    let records = state.streams().unwrap();
    assert_eq!(records.load(&one), None);
    records.save(&one, mark(1)).unwrap();
    records.save(&one, mark(2)).unwrap();
    records.save(&two, mark(3)).unwrap();
    let again = state.streams().unwrap();
    assert_eq!(
        (again.load(&one), again.load(&two)),
        (Some(mark(2)), Some(mark(3)))
    );
    assert_eq!(fs::read_dir(folder.0.join("streams")).unwrap().count(), 2);
    for entry in fs::read_dir(folder.0.join("streams")).unwrap() {
        let path = entry.unwrap().path();
        if fs::read_to_string(&path).unwrap().contains("live/one") {
            fs::write(path, "{").unwrap();
        }
    }
    let again = state.streams().unwrap();
    assert_eq!((again.load(&one), again.load(&two)), (None, Some(mark(3))));
    again.save(&one, mark(4)).unwrap();
    assert_eq!(state.streams().unwrap().load(&one), Some(mark(4)));
}

#[test]
fn the_longest_silent_stream_is_forgotten_first() {
    let folder = Folder::new("bounded");
    let state = State::open(&folder.0).unwrap();
    let records = state.streams().unwrap();
    let key = |n: usize| -> StreamKey { format!("live/{n}").parse().unwrap() };
    for n in 0..MAX_STREAM_RECORDS + 2 {
        let epoch = n as u64 + 1;
        records.save(&key(n), Mark { epoch, anchor_ms: 0 }).unwrap();
    }
    assert_eq!((records.load(&key(0)), records.load(&key(1))), (None, None));
    assert!(records.load(&key(2)).is_some());
    let files = fs::read_dir(folder.0.join("streams")).unwrap().count();
    assert_eq!(files, MAX_STREAM_RECORDS);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_admits_nobody() {
    let folder = Folder::new("full");
    let state = Arc::new(State::open(&folder.0).unwrap());
    let ca = Arc::new(state.pool_ca(now()).unwrap());
    let addresses = vec!["o.example:4433".parse().unwrap()];
    let desk = Desk::open(Arc::clone(&state), Arc::clone(&ca), HOUR, addresses.clone()).unwrap();
    let token = desk.create(HOUR, 1, now()).unwrap();
    // A folder in the way of the file that is written beside stands for a full disk, which root's tests cannot have.
    let in_the_way = folder.0.join("tokens.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let instance = InstanceId::new([1; 16]);
    let refused = desk.redeem(token.id, &token.secret, instance, now());
    assert_eq!(refused, Err(Refusal::OriginFault));
    assert!(desk.revoke(token.id).is_err());
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(desk.list()[0].used, 0);
    assert_eq!(desk.redeem(token.id, &token.secret, instance, now()), Ok(()));

    let reopened = Desk::open(state, ca, HOUR, addresses).unwrap();
    assert_eq!(reopened.list(), desk.list());
    let other = InstanceId::new([2; 16]);
    let used_up = reopened.redeem(token.id, &token.secret, other, now());
    assert_eq!(used_up, Err(Refusal::UsedUpToken));
}

#[test]
fn a_revoked_edge_stays_so_over_a_restart() {
    let folder = Folder::new("revoked");
    let state = Arc::new(State::open(&folder.0).unwrap());
    let ca = Arc::new(state.pool_ca(now()).unwrap());
    let desk = Desk::open(Arc::clone(&state), Arc::clone(&ca), HOUR, Vec::new()).unwrap();
    let instance = InstanceId::new([1; 16]);
    assert_eq!(desk.renew(instance, now()), Ok(()));
    desk.revoke_edge(instance, now()).unwrap();
    let reopened = Desk::open(state, ca, HOUR, Vec::new()).unwrap();
    assert_eq!(reopened.renew(instance, now()), Err(Refusal::EdgeRevoked));
    assert!(!reopened.is_revoked(InstanceId::new([2; 16])));
}
