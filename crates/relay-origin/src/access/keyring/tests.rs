//! Which key opens what, when, from where; and that revoking ends it.

use std::path::{Path, PathBuf};

use relay_core::clock::Clock;

use super::*;

/// A state folder that goes away with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("relay-keyring-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A ring over a folder, and the text of its default key.
fn ring(folder: &Path, file: &[config::PublishKey]) -> (Keyring, String) {
    let state = Arc::new(State::open(folder).unwrap());
    let default = state.publish_key().unwrap();
    let text = default.expose().to_owned();
    (Keyring::open(state, &default, file).unwrap(), text)
}

fn in_file(id: &str, text: &str) -> config::PublishKey {
    config::PublishKey {
        id: id.parse().unwrap(),
        sha256: hash(text),
        stream: StreamPattern::every(),
        from: Vec::new(),
        expires: None,
    }
}

fn wish(id: &str, stream: &str) -> KeyWish {
    KeyWish {
        id: Some(id.parse().unwrap()),
        stream: stream.parse().unwrap(),
        from: Vec::new(),
        expires: None,
    }
}

fn now() -> Now {
    Clock::start().now()
}

/// What comes of showing a key for a stream from an address: the key's name, or why not.
fn tried(ring: &Keyring, secret: &str, stream: &str, peer: &str) -> Result<String, KeyDenial> {
    let lease = ring.check(
        Some(secret),
        &stream.parse().unwrap(),
        peer.parse().unwrap(),
        now(),
    );
    lease.map(|lease| lease.id().to_string())
}

const HERE: &str = "192.0.2.1";

#[test]
fn only_the_whole_key_opens() {
    let folder = Folder::new("whole");
    let (ring, default) = ring(&folder.0, &[in_file("hall", "a-key-of-the-file")]);
    assert_eq!(tried(&ring, &default, "live/cam", HERE), Ok("default".into()));
    assert_eq!(
        tried(&ring, "a-key-of-the-file", "live/cam", HERE),
        Ok("hall".into())
    );
    for wrong in [
        "",
        &default[1..],
        &format!("{default}x"),
        &default.to_uppercase(),
        "default",
    ] {
        assert_eq!(
            tried(&ring, wrong, "live/cam", HERE),
            Err(KeyDenial::Unknown),
            "{wrong:?}"
        );
    }
    let none = ring.check(None, &"live/cam".parse().unwrap(), HERE.parse().unwrap(), now());
    assert_eq!(none.unwrap_err(), KeyDenial::Missing);
}

#[test]
fn a_key_is_for_its_streams_its_networks_and_its_time() {
    let folder = Folder::new("bounds");
    let (ring, _) = ring(&folder.0, &[]);
    let bounded = KeyWish {
        from: vec!["192.0.2.0/24".parse().unwrap()],
        expires: Some(Moment {
            unix_s: now().unix_us / 1_000_000 + 3600,
        }),
        ..wish("hall", "live/hall-*")
    };
    let (id, text) = ring.add(bounded, now()).unwrap();
    assert!(
        text.starts_with("hall.") && text.len() == "hall.".len() + 22,
        "{}",
        text.len()
    );
    assert_eq!(tried(&ring, &text, "live/hall-1", HERE), Ok(id.to_string()));
    assert_eq!(tried(&ring, &text, "live/cam", HERE), Err(KeyDenial::Stream));
    assert_eq!(
        tried(&ring, &text, "live/hall-1", "203.0.113.1"),
        Err(KeyDenial::Address)
    );
    assert_eq!(
        tried(&ring, &text, "live/hall-1", "::ffff:192.0.2.9"),
        Ok(id.to_string())
    );
    let later = now().plus_ms(3_601_000);
    let late = ring.check(
        Some(&text),
        &"live/hall-1".parse().unwrap(),
        HERE.parse().unwrap(),
        later,
    );
    assert_eq!(late.unwrap_err(), KeyDenial::Expired);
}

#[test]
fn keys_are_changed_one_beside_the_other() {
    let folder = Folder::new("rotation");
    let (ring, _) = ring(&folder.0, &[]);
    let (old, old_text) = ring.add(wish("old", "live/cam"), now()).unwrap();
    let (_, new_text) = ring.add(wish("new", "live/cam"), now()).unwrap();
    let lease = ring
        .check(
            Some(&old_text),
            &"live/cam".parse().unwrap(),
            HERE.parse().unwrap(),
            now(),
        )
        .unwrap();
    let listed = |ring: &Keyring| {
        let found = ring.list().into_iter().find(|key| key.record.id == old);
        found
            .map(|key| (key.publishing, key.record.state(now())))
            .unwrap()
    };
    assert_eq!(listed(&ring), (1, KeyState::Live));
    assert!(!lease.revoked().is_cancelled());
    assert_eq!(ring.revoke(&old, now()).unwrap(), Some(1));
    assert!(lease.revoked().is_cancelled(), "whoever publishes by it is told");
    drop(lease);
    assert_eq!(listed(&ring), (0, KeyState::Revoked));
    assert_eq!(tried(&ring, &old_text, "live/cam", HERE), Err(KeyDenial::Revoked));
    assert_eq!(tried(&ring, &new_text, "live/cam", HERE), Ok("new".into()));
    assert_eq!(ring.revoke(&"none".parse().unwrap(), now()).unwrap(), None);
}

#[test]
fn what_was_made_and_revoked_outlives_the_process_and_no_key_is_on_disk() {
    let folder = Folder::new("outlives");
    let file = [in_file("hall", "a-key-of-the-file")];
    let (first, default) = ring(&folder.0, &file);
    let (_, made) = first.add(wish("made", "*"), now()).unwrap();
    for id in ["hall", "default"] {
        first.revoke(&id.parse().unwrap(), now()).unwrap();
    }
    drop(first);
    let written = std::fs::read_to_string(folder.0.join("publish-keys.json")).unwrap();
    assert!(!written.contains(&made) && !written.contains(&made["made.".len()..]));

    let (second, same) = ring(&folder.0, &file);
    assert_eq!(default, same);
    assert_eq!(tried(&second, &made, "live/cam", HERE), Ok("made".into()));
    assert_eq!(
        tried(&second, "a-key-of-the-file", "live/cam", HERE),
        Err(KeyDenial::Revoked)
    );
    assert_eq!(
        tried(&second, &default, "live/cam", HERE),
        Err(KeyDenial::Revoked)
    );
    assert!(!second.default_is_live(now()));
    drop(second);

    // Another key under the same name is another key.
    let (third, _) = ring(&folder.0, &[in_file("hall", "another-key-of-it")]);
    assert_eq!(
        tried(&third, "another-key-of-it", "live/cam", HERE),
        Ok("hall".into())
    );
    drop(third);
    std::fs::remove_file(folder.0.join("publish-key")).unwrap();
    let (fourth, fresh) = ring(&folder.0, &[]);
    assert_eq!(tried(&fourth, &fresh, "live/cam", HERE), Ok("default".into()));
}

#[test]
fn no_two_keys_have_one_name() {
    let folder = Folder::new("names");
    let (ring, _) = ring(&folder.0, &[in_file("hall", "a-key-of-the-file")]);
    for id in ["hall", "default"] {
        assert!(
            ring.add(wish(id, "*"), now())
                .unwrap_err()
                .to_string()
                .contains(id)
        );
    }
    let drawn = KeyWish {
        id: None,
        ..wish("x", "*")
    };
    let (one, _) = ring.add(drawn.clone(), now()).unwrap();
    let (other, _) = ring.add(drawn, now()).unwrap();
    assert_ne!(one, other);
}

#[test]
fn one_text_under_two_names_opens_what_either_does() {
    let folder = Folder::new("twice");
    let narrow = config::PublishKey {
        stream: "live/a".parse().unwrap(),
        ..in_file("a", "a-key-of-the-file")
    };
    let other = config::PublishKey {
        stream: "live/b".parse().unwrap(),
        ..in_file("b", "a-key-of-the-file")
    };
    let (ring, _) = ring(&folder.0, &[narrow, other]);
    assert_eq!(tried(&ring, "a-key-of-the-file", "live/a", HERE), Ok("a".into()));
    assert_eq!(tried(&ring, "a-key-of-the-file", "live/b", HERE), Ok("b".into()));
    assert_eq!(
        tried(&ring, "a-key-of-the-file", "live/c", HERE),
        Err(KeyDenial::Stream)
    );
}
