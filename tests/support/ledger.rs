//! What was published, in its order: the truth that a viewer's every message is held against.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use relay_core::flv::TagKind;

use crate::media::{Hash, Message, Role, hash};

/// One published message.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Audio, video or script.
    pub kind: TagKind,
    /// What it is for.
    pub role: Role,
    /// Of the body.
    pub hash: Hash,
    /// As the publisher stamped it.
    pub time: u32,
    /// Which incarnation of the publisher sent it, from 1 on.
    pub session: u32,
    /// The headers that a decoder needs for it.
    pub headers: HeadersInForce,
    /// When it was handed to the socket.
    pub sent: Instant,
}

/// Hashes of the sequence headers that hold at some point of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadersInForce {
    /// Of the video.
    pub video: Option<Hash>,
    /// Of the audio.
    pub audio: Option<Hash>,
}

impl HeadersInForce {
    /// Takes note of a message, if it is a header.
    pub fn note(&mut self, kind: TagKind, role: Role, hash: Hash) {
        match (role, kind) {
            (Role::Header, TagKind::Video) => self.video = Some(hash),
            (Role::Header, TagKind::Audio) => self.audio = Some(hash),
            _ => {}
        }
    }
}

/// A record of a stream that a publisher writes and any number of viewers read.
///
/// Headers, metadata and end marks have no place of their own in the order (a relay sends them whenever a viewer needs them);
/// each entry says which headers hold for it.
#[derive(Clone, Default)]
pub struct Ledger {
    book: Arc<RwLock<Book>>,
}

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    places: HashMap<Hash, Vec<usize>>,
    headers: HeadersInForce,
    metadata: Option<Hash>,
    session: u32,
}

impl Ledger {
    /// A publisher begins, for the first time or again: it has to send its headers anew.
    pub fn begin_session(&self) {
        let mut book = self.write();
        book.session += 1;
        book.headers = HeadersInForce::default();
    }

    /// Writes down a message that is about to be sent.
    pub fn note(&self, message: &Message) {
        let role = message.role();
        let hash = hash(&message.payload);
        let mut book = self.write();
        book.headers.note(message.kind, role, hash);
        match role {
            Role::Header | Role::EndMark => {}
            Role::MetaData => book.metadata = Some(hash),
            _ => {
                let entry = Entry {
                    kind: message.kind,
                    role,
                    hash,
                    time: message.time,
                    session: book.session,
                    headers: book.headers,
                    sent: Instant::now(),
                };
                let place = book.entries.len();
                book.places.entry(hash).or_default().push(place);
                book.entries.push(entry);
            }
        }
    }

    /// How many messages are written down.
    pub fn len(&self) -> usize {
        self.read().entries.len()
    }

    /// Whether nothing was published yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message at a place.
    pub fn entry(&self, place: usize) -> Option<Entry> {
        self.read().entries.get(place).cloned()
    }

    /// Every place at which a body of this hash was published; more than one if footage repeats.
    pub fn places(&self, hash: &Hash) -> Vec<usize> {
        self.read().places.get(hash).cloned().unwrap_or_default()
    }

    /// Whether the body at a place has this hash.
    pub fn is_at(&self, place: usize, hash: &Hash) -> bool {
        self.read()
            .entries
            .get(place)
            .is_some_and(|entry| entry.hash == *hash)
    }

    /// The newest metadata's hash.
    pub fn metadata(&self) -> Option<Hash> {
        self.read().metadata
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Book> {
        self.book
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Book> {
        self.book
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
