//! Groups: cuts of a stream in arrival order, the unit in which it travels down the cascade.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::headers::Headers;
use crate::flv::Tag;

/// How a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHead {
    /// The incarnation of the publisher's time that it belongs to.
    pub epoch: u64,
    /// Its number, counted up by one within the epoch.
    pub number: u64,
    /// Set if it merely goes on with an overlong group: no place to start.
    pub continuation: bool,
    /// The time of its first tag in milliseconds.
    pub first_time: u64,
    /// The origin's wall clock when its first tag arrived there, in microseconds: for lag metrics only.
    pub origin_us: u64,
}

/// The next tag to come, for a reader or a child: tag `tags` of group `group` of epoch `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The epoch.
    pub epoch: u64,
    /// The group's number in it.
    pub group: u64,
    /// How many of the group's tags are held already.
    pub tags: u32,
}

/// What closes a group: how many tags, and SHA-256 over them as appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSeal {
    /// Tags in the group, a preface not counted.
    pub count: u32,
    /// SHA-256 over each tag's type (1 byte), time (8, big-endian), length (4) and payload.
    pub hash: [u8; 32],
}

/// A group as the log keeps it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) head: GroupHead,
    /// Sequence number of its first counted record.
    pub(super) first_record: u64,
    pub(super) count: u32,
    pub(super) appended_ms: u64,
    /// The headers in force at its first tag.
    pub(super) headers: Arc<Headers>,
    hasher: Sha256,
    seal: Option<GroupSeal>,
}

impl Group {
    pub(super) fn new(head: GroupHead, first_record: u64, headers: Arc<Headers>, appended_ms: u64) -> Self {
        Self {
            head,
            first_record,
            count: 0,
            appended_ms,
            headers,
            hasher: Sha256::new(),
            seal: None,
        }
    }

    pub(super) fn count_tag(&mut self, tag: &Tag) {
        self.count += 1;
        self.hasher.update([tag.kind as u8]);
        self.hasher.update(tag.time.to_be_bytes());
        self.hasher
            .update(u32::try_from(tag.payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.hasher.update(&tag.payload);
    }

    /// Count and hash of what the group holds by now.
    pub(super) fn seal_now(&self) -> GroupSeal {
        self.seal.unwrap_or_else(|| GroupSeal {
            count: self.count,
            hash: self.hasher.clone().finalize().into(),
        })
    }

    pub(super) fn close(&mut self) {
        self.seal = Some(self.seal_now());
    }

    pub(super) fn closed(&self) -> Option<GroupSeal> {
        self.seal
    }

    pub(super) fn position(&self, tags: u32) -> Position {
        Position {
            epoch: self.head.epoch,
            group: self.head.number,
            tags,
        }
    }
}
