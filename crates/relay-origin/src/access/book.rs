//! The record of the publish keys that were made here, and of those from elsewhere that were revoked here. Sans-IO: whoever owns
//! the state folder writes it down.

use relay_core::clock::Now;
use relay_core::config::{KeyHash, KeyId, Moment, Network, StreamPattern};
use serde::{Deserialize, Serialize};

/// The most keys that are remembered: one for each of 500 streams, and a second one while each is changed. To look for a key
/// compares it with all of them, in some 50 µs.
pub const MAX_KEYS: usize = 1000;

/// For how long a key that has ended stays in the list, in seconds, so that its encoder is told why it is turned away.
const KEEP_ENDED_S: u64 = 30 * 24 * 3600;

/// A key as it is known here: enough to recognise it, not to say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name.
    pub id: KeyId,
    /// SHA-256 of its text.
    pub sha256: KeyHash,
    /// What may be published with it.
    pub stream: StreamPattern,
    /// From where; from everywhere if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Network>,
    /// Until when, if not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Moment>,
}

/// What a key is good for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It lets publishers in.
    Live,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// The state as a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// [`MAX_KEYS`] are live.
    #[error("there are {MAX_KEYS} publish keys already; revoke some first")]
    Full,
    /// There is one of that name.
    #[error("there is a publish key called {0} already")]
    Taken(KeyId),
}

/// All that the state folder has of publish keys. Serialises as the JSON that is kept there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyBook {
    keys: Vec<KeyRecord>,
    /// Keys of the configuration file, and the default one, that were revoked here: by their hashes, since another key may have
    /// come under the same name.
    disowned: Vec<Disowned>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Disowned {
    sha256: KeyHash,
    revoked: Moment,
}

impl KeyRecord {
    /// What it is good for now.
    pub fn state(&self, now: Now) -> KeyState {
        if self.revoked.is_some() {
            KeyState::Revoked
        } else if self.expires.is_some_and(|expires| unix_s(now) >= expires.unix_s) {
            KeyState::Expired
        } else {
            KeyState::Live
        }
    }

    /// When it ended, if it has.
    fn ended_s(&self) -> Option<u64> {
        let ends = [self.revoked, self.expires];
        ends.into_iter().flatten().map(|moment| moment.unix_s).min()
    }
}

impl KeyBook {
    /// Notes a new key.
    ///
    /// # Errors
    /// There is no room, even without those that have ended, or one of that name is there.
    pub fn add(&mut self, key: KeyRecord, now: Now) -> Result<(), BookError> {
        let kept_from = unix_s(now).saturating_sub(KEEP_ENDED_S);
        self.keys.retain(|key| {
            key.state(now) == KeyState::Live || key.ended_s().is_none_or(|end| end >= kept_from)
        });
        if self.keys.iter().any(|other| other.id == key.id) {
            return Err(BookError::Taken(key.id));
        }
        if self.keys.len() >= MAX_KEYS {
            // Those that have ended are kept as a courtesy only.
            self.keys.retain(|key| key.state(now) == KeyState::Live);
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(BookError::Full);
        }
        self.keys.push(key);
        Ok(())
    }

    /// The keys that were made here, oldest first, with those that ended lately.
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// Ends a key that was made here, at once. Says whether there was such a one.
    pub fn revoke(&mut self, id: &KeyId, now: Now) -> bool {
        let key = self.keys.iter_mut().find(|key| key.id == *id);
        key.map(|key| key.revoked.get_or_insert_with(|| moment(now)))
            .is_some()
    }

    /// Ends a key that came from elsewhere.
    pub fn disown(&mut self, sha256: KeyHash, now: Now) {
        if self.disowned(sha256).is_none() {
            self.disowned.push(Disowned {
                sha256,
                revoked: moment(now),
            });
        }
    }

    /// When a key from elsewhere was revoked here.
    pub fn disowned(&self, sha256: KeyHash) -> Option<Moment> {
        let found = self.disowned.iter().find(|disowned| disowned.sha256 == sha256);
        found.map(|disowned| disowned.revoked)
    }

    /// Forgets the keys from elsewhere that are gone from there. Says whether there were any.
    pub fn forget_all_but(&mut self, there: &[KeyHash]) -> bool {
        let before = self.disowned.len();
        self.disowned.retain(|disowned| there.contains(&disowned.sha256));
        before != self.disowned.len()
    }
}

fn moment(now: Now) -> Moment {
    Moment { unix_s: unix_s(now) }
}

const fn unix_s(now: Now) -> u64 {
    now.unix_us / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ms: 0,
        unix_us: 1_800_000_000_000_000,
    };
    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn key(id: &str) -> KeyRecord {
        KeyRecord {
            id: id.parse().unwrap(),
            sha256: KeyHash([7; 32]),
            stream: "live/*".parse().unwrap(),
            from: vec!["192.0.2.0/24".parse().unwrap()],
            expires: Some(Moment {
                unix_s: unix_s(NOW) + 3600,
            }),
            revoked: None,
        }
    }

    #[test]
    fn a_key_ends_by_time_and_by_revoking() {
        let mut book = KeyBook::default();
        book.add(key("a"), NOW).unwrap();
        assert_eq!(
            book.add(key("a"), NOW),
            Err(BookError::Taken("a".parse().unwrap()))
        );
        let state = |book: &KeyBook, ms| book.keys()[0].state(NOW.plus_ms(ms));
        assert_eq!(state(&book, 3_599_999), KeyState::Live);
        assert_eq!(state(&book, 3_600_000), KeyState::Expired);
        assert!(book.revoke(&"a".parse().unwrap(), NOW) && !book.revoke(&"b".parse().unwrap(), NOW));
        assert_eq!(state(&book, 0), KeyState::Revoked);
        let first = book.clone();
        book.revoke(&"a".parse().unwrap(), NOW.plus_ms(DAY_MS));
        assert_eq!(book, first, "it was revoked when it was");
    }

    #[test]
    fn it_reads_back_what_it_wrote() {
        let mut book = KeyBook::default();
        book.add(key("a"), NOW).unwrap();
        book.revoke(&"a".parse().unwrap(), NOW);
        book.disown(KeyHash([9; 32]), NOW);
        let json = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<KeyBook>(&json).unwrap(), book);
    }

    #[test]
    fn it_is_bounded_and_forgets_the_ended_first() {
        let mut book = KeyBook::default();
        for number in 0..MAX_KEYS {
            book.add(key(&format!("k{number}")), NOW).unwrap();
        }
        assert_eq!(book.add(key("more"), NOW), Err(BookError::Full));
        book.revoke(&"k7".parse().unwrap(), NOW);
        book.add(key("more"), NOW).unwrap();
        assert_eq!(book.keys().len(), MAX_KEYS);
        book.add(key("late"), NOW.plus_ms(31 * DAY_MS)).unwrap();
        assert_eq!(book.keys().len(), 1, "a month after their end they are forgotten");
    }

    #[test]
    fn a_key_from_elsewhere_is_known_by_its_hash() {
        let mut book = KeyBook::default();
        book.disown(KeyHash([1; 32]), NOW);
        assert!(book.disowned(KeyHash([1; 32])).is_some() && book.disowned(KeyHash([2; 32])).is_none());
        assert!(!book.forget_all_but(&[KeyHash([1; 32])]));
        assert!(book.forget_all_but(&[]));
        assert!(book.disowned(KeyHash([1; 32])).is_none());
    }
}
