//! The publish keys, wherever each comes from: the state folder's default one, the configuration file's, those made here.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_core::clock::Now;
use relay_core::config::{self, KeyHash, KeyId, Moment, Network, StreamPattern};
use relay_core::stream::StreamKey;
use relay_core::tls::hex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::book::{BookError, KeyBook, KeyRecord, KeyState};
use super::denial::KeyDenial;
use crate::state::{PublishKey, State, StateError, random};

/// 128 random bits: nobody guesses them, and a URL with them still fits the fields of encoders.
const KEY_BYTES: usize = 16;

/// Random bytes of a name that nobody chose: enough for [`MAX_KEYS`](super::book::MAX_KEYS) of them to differ.
const ID_BYTES: usize = 4;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The state folder's `publish-key`.
    Default,
    /// `[[publish_key]]`.
    File,
    /// `relay-origin key add`.
    Made,
}

impl Source {
    /// The source as a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "state",
            Self::File => "file",
            Self::Made => "added",
        }
    }
}

/// Why an operator's wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It does not go together with what is there.
    #[error(transparent)]
    Book(#[from] BookError),
    /// It could not be written down.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A key that is wanted.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// Its name; drawn if there is none.
    pub id: Option<KeyId>,
    /// What may be published with it.
    pub stream: StreamPattern,
    /// From where; from everywhere if empty.
    pub from: Vec<Network>,
    /// Until when, if not for ever.
    pub expires: Option<Moment>,
}

/// A key as an operator sees it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What is known of it.
    pub record: KeyRecord,
    /// Where it comes from.
    pub source: Source,
    /// How many publish with it now.
    pub publishing: usize,
}

/// The right to publish that a key gave; dropped when the publisher is gone.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Life>);

/// What all who publish with a key share.
#[derive(Debug)]
struct Life {
    id: KeyId,
    revoked: CancellationToken,
}

/// All publish keys. Each change is on disk before it counts.
pub struct Keyring {
    state: Arc<State>,
    inner: Mutex<Inner>,
}

struct Inner {
    book: KeyBook,
    keys: Vec<Held>,
}

struct Held {
    record: KeyRecord,
    source: Source,
    life: Arc<Life>,
}

impl Lease {
    /// The key's name.
    pub fn id(&self) -> &KeyId {
        &self.0.id
    }

    /// Cancelled when the key is revoked.
    pub fn revoked(&self) -> &CancellationToken {
        &self.0.revoked
    }
}

impl Keyring {
    /// The default key, those of the file, and those that were made here.
    ///
    /// # Errors
    /// When the state folder's file is damaged, or cannot be written.
    pub fn open(
        state: Arc<State>,
        default: &PublishKey,
        file: &[config::PublishKey],
    ) -> Result<Self, StateError> {
        let mut book = state.keys()?;
        let elsewhere: Vec<KeyHash> = std::iter::once(hash(default.expose()))
            .chain(file.iter().map(|key| key.sha256))
            .collect();
        if book.forget_all_but(&elsewhere) {
            state.save_keys(&book)?;
        }
        let default = KeyRecord {
            id: KeyId::default_key(),
            sha256: hash(default.expose()),
            stream: StreamPattern::every(),
            from: Vec::new(),
            expires: None,
            revoked: book.disowned(hash(default.expose())),
        };
        let mut keys = vec![Held::new(default, Source::Default)];
        keys.extend(file.iter().map(|key| {
            let record = KeyRecord {
                id: key.id.clone(),
                sha256: key.sha256,
                stream: key.stream.clone(),
                from: key.from.clone(),
                expires: key.expires,
                revoked: book.disowned(key.sha256),
            };
            Held::new(record, Source::File)
        }));
        let made = book.keys().iter().cloned();
        keys.extend(made.map(|record| Held::new(record, Source::Made)));
        Ok(Self {
            state,
            inner: Mutex::new(Inner { book, keys }),
        })
    }

    /// Whether one who showed `secret` may publish `stream` from `peer`. How long it takes tells nothing of any key: what was
    /// shown is hashed, and its hash held against each of ours to its end.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        secret: Option<&str>,
        stream: &StreamKey,
        peer: IpAddr,
        now: Now,
    ) -> Result<Lease, KeyDenial> {
        let shown = hash(secret.ok_or(KeyDenial::Missing)?);
        let mut denial = KeyDenial::Unknown;
        let mut lease = None;
        for key in &self.lock().keys {
            if !bool::from(key.record.sha256.0.ct_eq(&shown.0)) {
                continue;
            }
            // The same text may be a key under several names: what any of them grants is granted.
            match key.judge(stream, peer, now) {
                Ok(()) => lease = Some(Lease(Arc::clone(&key.life))),
                Err(why) => denial = denial.max(why),
            }
        }
        lease.ok_or(denial)
    }

    /// Makes a key and gives its text, which is never seen again.
    ///
    /// # Errors
    /// There is no room, one of that name is there, or it cannot be written down.
    pub fn add(&self, wish: KeyWish, now: Now) -> Result<(KeyId, String), KeyError> {
        let mut inner = self.lock();
        let id = match wish.id {
            Some(id) => id,
            None => inner.fresh_id()?,
        };
        // The name in front lets people see which key a URL has.
        let secret = URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>().map_err(StateError::from)?);
        let text = format!("{id}.{secret}");
        let record = KeyRecord {
            id: id.clone(),
            sha256: hash(&text),
            stream: wish.stream,
            from: wish.from,
            expires: wish.expires,
            revoked: None,
        };
        let mut elsewhere = inner.keys.iter().filter(|held| held.source != Source::Made);
        if elsewhere.any(|held| held.record.id == id) {
            return Err(BookError::Taken(id).into());
        }
        let mut next = inner.book.clone();
        next.add(record.clone(), now)?;
        self.state.save_keys(&next)?;
        inner.book = next;
        // The book may have forgotten some that ended.
        let Inner { book, keys } = &mut *inner;
        keys.retain(|held| {
            held.source != Source::Made || book.keys().iter().any(|key| key.id == held.record.id)
        });
        keys.push(Held::new(record, Source::Made));
        Ok((id, text))
    }

    /// Ends a key at once, and with it whoever publishes by it. Says how many those are; `None` if there is no such key.
    ///
    /// # Errors
    /// When it cannot be written down; the key is live then.
    pub fn revoke(&self, id: &KeyId, now: Now) -> Result<Option<usize>, KeyError> {
        let mut inner = self.lock();
        let Some(at) = inner.keys.iter().position(|held| held.record.id == *id) else {
            return Ok(None);
        };
        let mut next = inner.book.clone();
        let (source, sha256) = (inner.keys[at].source, inner.keys[at].record.sha256);
        match source {
            Source::Made => {
                next.revoke(id, now);
            }
            Source::Default | Source::File => next.disown(sha256, now),
        }
        self.state.save_keys(&next)?;
        inner.book = next;
        let held = &mut inner.keys[at];
        held.record.revoked.get_or_insert(Moment {
            unix_s: now.unix_us / 1_000_000,
        });
        let publishing = held.publishing();
        held.life.revoked.cancel();
        Ok(Some(publishing))
    }

    /// All keys, with those that ended lately.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |held: &Held| Listed {
            record: held.record.clone(),
            source: held.source,
            publishing: held.publishing(),
        };
        self.lock().keys.iter().map(listed).collect()
    }

    /// Whether the default key lets publishers in.
    pub fn default_is_live(&self, now: Now) -> bool {
        let inner = self.lock();
        let default = inner.keys.iter().find(|held| held.source == Source::Default);
        default.is_some_and(|held| held.record.state(now) == KeyState::Live)
    }

    /// Nothing panics while it is held; were it so, each part holds either the old value or the new one, whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn fresh_id(&self) -> Result<KeyId, StateError> {
        loop {
            let text = hex::encode(&random::<ID_BYTES>()?);
            // Hex digits make a good name.
            if let Ok(id) = text.parse::<KeyId>()
                && !self.keys.iter().any(|held| held.record.id == id)
            {
                return Ok(id);
            }
        }
    }
}

impl Held {
    fn new(record: KeyRecord, source: Source) -> Self {
        let life = Life {
            id: record.id.clone(),
            revoked: CancellationToken::new(),
        };
        Self {
            record,
            source,
            life: Arc::new(life),
        }
    }

    /// Every lease holds the life, and so does the ring.
    fn publishing(&self) -> usize {
        Arc::strong_count(&self.life) - 1
    }

    fn judge(&self, stream: &StreamKey, peer: IpAddr, now: Now) -> Result<(), KeyDenial> {
        match self.record.state(now) {
            KeyState::Revoked => return Err(KeyDenial::Revoked),
            KeyState::Expired => return Err(KeyDenial::Expired),
            KeyState::Live => {}
        }
        if !self.record.stream.matches(stream) {
            return Err(KeyDenial::Stream);
        }
        let from = &self.record.from;
        if !from.is_empty() && !from.iter().any(|network| network.contains(peer)) {
            return Err(KeyDenial::Address);
        }
        Ok(())
    }
}

/// What is kept of a key's text. A key has 128 random bits, so that a slow hash would only help who floods.
pub fn hash(text: &str) -> KeyHash {
    KeyHash(Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests;
