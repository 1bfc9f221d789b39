//! The state folder: what must outlive the origin's process, and nothing else.
//!
//! | file | what | when broken |
//! |---|---|---|
//! | `pool-ca.pem` | the pool's authority, certificate and key | an error; a new one would lock every edge out |
//! | `instance` | who this origin is on its links | an error |
//! | `publish-key` | what encoders publish with | an error |
//! | `publish-keys.json` | further publish keys, as hashes, and which were revoked | an error |
//! | `tokens.json` | the join tokens, as hashes | an error; it says what was revoked |
//! | `members.json` | the pool's members | an error |
//! | `started.json` | when edges were started that have not joined | an error; more might be started than may |
//! | `revoked.json` | the edges that may not come back | an error |
//! | `streams/` | a record per stream: epoch and anchor | that stream starts afresh, with a warning |
//! | `lock` | keeps a second origin out | |
//!
//! Files are readable by their owner only, and replaced whole: written beside, fsynced, renamed, the folder fsynced.

mod files;
mod streams;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay_core::clock::Now;
use relay_core::pool::Remembered;
use relay_core::tls::{CaError, InstanceId, PoolCa};
use relay_core::token::TokenBook;

use crate::access::KeyBook;
use crate::tokens::Revocations;

pub use streams::{MAX_STREAM_RECORDS, StreamRecords};

const CA: &str = "pool-ca.pem";
const INSTANCE: &str = "instance";
const PUBLISH_KEY: &str = "publish-key";
const PUBLISH_KEYS: &str = "publish-keys.json";
const TOKENS: &str = "tokens.json";
const REVOKED: &str = "revoked.json";
const MEMBERS: &str = "members.json";
const STARTED: &str = "started.json";
const LOCK: &str = "lock";

/// The largest file read back: ten times what a full token book comes to.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// 128 random bits, as 22 characters that stand in a URL as they are.
const PUBLISH_KEY_BYTES: usize = 16;

/// An origin's state folder, held by this process alone.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    /// Released when the process ends, however it ends.
    _lock: File,
}

/// What encoders publish with.
#[derive(Clone)]
pub struct PublishKey(String);

/// What is wrong with the state folder; each sentence names the file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another origin runs on the same folder.
    #[error(
        "another relay-origin is running on the state folder {}; stop it, or give this one a state_dir of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// The file system said no.
    #[error("cannot {verb} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// A file holds what it should not.
    #[error(
        "{} is damaged: {reason}; restore it from a copy, or move it away if you accept what is lost",
        .path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// The authority is gone, and what it vouched for is not.
    #[error(
        "{} is missing, though this pool has had tokens: every edge would be locked out; restore it from a copy, or \
         move {TOKENS} away to begin a new pool",
        .0.display()
    )]
    LostAuthority(PathBuf),
    /// No authority could be made.
    #[error("cannot make the pool's authority: {0}")]
    Authority(#[from] CaError),
    /// The machine gives no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

impl State {
    /// Takes hold of the folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be had, or another origin holds it.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        files::make_folder(folder)?;
        let path = folder.join(LOCK);
        let lock = files::open_lock(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(StateError::Io {
                verb: "lock",
                path,
                source,
            }),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The pool's authority, made at the first start.
    ///
    /// # Errors
    /// When it is damaged, or lost by a pool that has had tokens.
    pub fn pool_ca(&self, now: Now) -> Result<PoolCa, StateError> {
        let path = self.folder.join(CA);
        if let Some(pem) = files::read(&path, MAX_FILE_BYTES)? {
            return PoolCa::from_pem(&pem).map_err(|error| StateError::Damaged {
                path,
                reason: error.to_string(),
            });
        }
        if self.folder.join(TOKENS).exists() {
            return Err(StateError::LostAuthority(path));
        }
        let ca = PoolCa::create(now)?;
        files::write(&path, ca.to_pem().as_bytes())?;
        Ok(ca)
    }

    /// Who this origin is on its links, drawn at the first start.
    ///
    /// # Errors
    /// When the file is damaged or cannot be had.
    pub fn instance(&self) -> Result<InstanceId, StateError> {
        let path = self.folder.join(INSTANCE);
        if let Some(text) = files::read(&path, MAX_FILE_BYTES)? {
            return text.trim().parse().map_err(|error| damaged(&path, error));
        }
        let instance = InstanceId::new(random()?);
        files::write(&path, format!("{instance}\n").as_bytes())?;
        Ok(instance)
    }

    /// What encoders publish with, drawn at the first start.
    ///
    /// # Errors
    /// When the file is damaged or cannot be had.
    pub fn publish_key(&self) -> Result<PublishKey, StateError> {
        if let Some(key) = PublishKey::peek(&self.folder)? {
            return Ok(key);
        }
        let key = PublishKey(URL_SAFE_NO_PAD.encode(random::<PUBLISH_KEY_BYTES>()?));
        files::write(&self.folder.join(PUBLISH_KEY), format!("{}\n", key.0).as_bytes())?;
        Ok(key)
    }

    /// Further publish keys; none at the first start.
    ///
    /// # Errors
    /// When the file is damaged or cannot be had.
    pub fn keys(&self) -> Result<KeyBook, StateError> {
        self.json(PUBLISH_KEYS)
    }

    /// Keeps the further publish keys; on disk when it returns.
    ///
    /// # Errors
    /// When it cannot; then the former ones are still there.
    pub fn save_keys(&self, book: &KeyBook) -> Result<(), StateError> {
        self.save_json(PUBLISH_KEYS, book)
    }

    /// The join tokens; none at the first start.
    ///
    /// # Errors
    /// When the file is damaged or cannot be had.
    pub fn tokens(&self) -> Result<TokenBook, StateError> {
        self.json(TOKENS)
    }

    /// Keeps the join tokens; on disk when it returns.
    ///
    /// # Errors
    /// When it cannot; then the former ones are still there.
    pub fn save_tokens(&self, book: &TokenBook) -> Result<(), StateError> {
        self.save_json(TOKENS, book)
    }

    /// The edges that may not come back; none at the first start.
    ///
    /// # Errors
    /// When the file is damaged or cannot be had.
    pub fn revocations(&self) -> Result<Revocations, StateError> {
        self.json(REVOKED)
    }

    /// Keeps the edges that may not come back; on disk when it returns.
    ///
    /// # Errors
    /// When it cannot; then the former ones are still there.
    pub fn save_revocations(&self, revoked: &Revocations) -> Result<(), StateError> {
        self.save_json(REVOKED, revoked)
    }

    /// The records of streams.
    ///
    /// # Errors
    /// When their folder cannot be had; a damaged record is left out with a warning.
    pub fn streams(&self) -> Result<StreamRecords, StateError> {
        StreamRecords::open(&self.folder)
    }

    /// The members as they were when they were last written down; none in a new pool.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn members(&self) -> Result<Vec<Remembered>, StateError> {
        self.json(MEMBERS)
    }

    /// Writes the members down.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_members(&self, members: &[Remembered]) -> Result<(), StateError> {
        self.save_json(MEMBERS, &members)
    }

    /// When edges were started that had not joined, in Unix milliseconds; none in a new pool.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn started(&self) -> Result<Vec<u64>, StateError> {
        self.json(STARTED)
    }

    /// Writes down when edges were started that have not joined.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_started(&self, started: &[u64]) -> Result<(), StateError> {
        self.save_json(STARTED, &started)
    }

    fn json<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> Result<T, StateError> {
        json(&self.folder, name)
    }

    fn save_json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.folder.join(name);
        let text = serde_json::to_vec_pretty(value).map_err(|error| damaged(&path, error))?;
        files::write(&path, &text)
    }
}

/// What a file of the folder holds, or the default if it is not there.
fn json<T: serde::de::DeserializeOwned + Default>(folder: &Path, name: &str) -> Result<T, StateError> {
    let path = folder.join(name);
    match files::read(&path, MAX_FILE_BYTES)? {
        Some(text) => serde_json::from_str(&text).map_err(|error| damaged(&path, error)),
        None => Ok(T::default()),
    }
}

impl KeyBook {
    /// Reads the further publish keys of an origin that may be running: for the verb that prints the default one.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
    pub fn peek(folder: &Path) -> Result<Self, StateError> {
        json(folder, PUBLISH_KEYS)
    }
}

impl PublishKey {
    /// Reads the key of an origin that may be running: for the verb that prints it.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
    pub fn peek(folder: &Path) -> Result<Option<Self>, StateError> {
        let path = folder.join(PUBLISH_KEY);
        let Some(text) = files::read(&path, MAX_FILE_BYTES)? else {
            return Ok(None);
        };
        let key = text.trim();
        // An operator may put in a key of their own; it only has to stand in a URL as it is, and be no joke.
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        if !(8..=128).contains(&key.len()) || !key.bytes().all(good) {
            return Err(damaged(&path, "a key is 8 to 128 letters, digits and - _ . ~"));
        }
        Ok(Some(Self(key.to_owned())))
    }

    /// The key itself: for the one who asked for it, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[publish key]")
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> StateError {
    StateError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
