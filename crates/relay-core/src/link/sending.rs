//! One stream on its way to one child: a QUIC stream per group, written the moment its bytes exist.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::watch;

use crate::cascade::frame::{encode_header, encode_preface, encode_seal, encode_tags};
use crate::cascade::{GroupCode, GroupHeader, GroupId};
use crate::clock::Clock;
use crate::stream::{Position, Read, Stream};

/// Bytes taken from the log at a time: a keyframe and some frames, so that a fresh group can overtake soon.
const READ_BYTES: usize = 256 << 10;

/// How often a group that cannot be written is held against `max_lag`.
const LAG_CHECK: Duration = Duration::from_millis(250);

/// Finished groups that are remembered until the child has them; more are in flight on no path that still works.
const MAX_UNACKNOWLEDGED: usize = 64;

/// What a link has sent, counted.
#[derive(Debug, Default)]
pub struct SentCounts {
    /// Groups opened.
    pub groups: AtomicU64,
    /// Tags written.
    pub tags: AtomicU64,
    /// Payload bytes written.
    pub bytes: AtomicU64,
    /// Groups that went on where the child had been cut off.
    pub resumes: AtomicU64,
    /// Groups cut off because they were too late.
    pub resets: AtomicU64,
}

/// Why sending a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The stream has ended, and all of it is sent: up to here.
    Ended(Option<Position>),
    /// The child has no room for it.
    Refused,
    /// The link is gone.
    Lost,
}

/// Sends one stream down one link.
pub(super) struct Sending {
    pub(super) connection: Connection,
    pub(super) stream: Arc<Stream>,
    pub(super) clock: Clock,
    /// When the link began, on the monotonic clock: what priorities are counted from.
    pub(super) link_began_ms: u64,
    pub(super) max_lag_ms: u64,
    pub(super) counts: Arc<SentCounts>,
}

/// A group being written.
struct Open {
    stream: SendStream,
    /// When the oldest tag was appended that QUIC has not taken yet; of a finished group, when it was closed.
    oldest_ms: u64,
}

/// Where a group's writing ended.
enum Group {
    /// It is complete; the next one, once it has begun.
    Complete(Option<Position>),
    /// It is cut off: too late, or no longer held.
    CutOff,
    /// The child has it already, or is past it: the one after it may be new.
    Unwanted,
    /// The child has no room for the stream.
    Refused,
    /// The stream ended within it.
    StreamEnded,
    Lost,
}

impl Sending {
    /// Sends from where the child goes on, or from the newest start point, until the stream ends or the link does.
    pub(super) async fn run(self, held: Option<Position>) -> Sent {
        let mut changes = self.stream.watch();
        let mut at = held.filter(|at| !matches!(self.stream.read(*at, 0), Read::Gone));
        let mut resumed = at.is_some();
        let mut contiguous = at.is_some();
        let mut previous = None;
        let mut unwanted = None;
        let mut unacknowledged = VecDeque::new();
        loop {
            let Some(start) = self.next_start(at, unwanted.take(), &mut changes).await else {
                return Sent::Ended(self.stream.held());
            };
            let Some(header) = self.header(start, resumed, contiguous, previous) else {
                (at, contiguous, resumed) = (None, false, false);
                continue;
            };
            previous = Some(header.id());
            let outcome = self.send_group(&header, &mut changes, &mut unacknowledged).await;
            resumed = false;
            (at, contiguous) = match outcome {
                Group::Complete(next) => (next.or_else(|| self.stream.held()), true),
                Group::CutOff => {
                    previous = None;
                    (None, false)
                }
                Group::Unwanted => {
                    let id = header.id();
                    unwanted = Some(id);
                    (
                        self.stream
                            .seal_of(id.epoch, id.number)
                            .map(|seal| id.at(seal.count)),
                        true,
                    )
                }
                Group::Refused => return Sent::Refused,
                Group::StreamEnded => return Sent::Ended(self.stream.held()),
                Group::Lost => return Sent::Lost,
            };
        }
    }

    /// Waits until there is something to send at `at`, or a start point without one; `None` if the stream ends first.
    /// Of an `unwanted` group nothing more is sent.
    async fn next_start(
        &self,
        at: Option<Position>,
        unwanted: Option<GroupId>,
        changes: &mut watch::Receiver<u64>,
    ) -> Option<Position> {
        loop {
            changes.borrow_and_update();
            let ready = match at.map(|at| (at, self.stream.read(at, 0))) {
                Some((_, Read::End { next, .. })) => next,
                Some((at, Read::Tags(_) | Read::CaughtUp)) if Some(GroupId::of(at)) != unwanted => Some(at),
                Some((_, Read::Tags(_) | Read::CaughtUp)) => self.after(unwanted),
                Some((_, Read::Gone)) | None => self.stream.newest_start(),
            };
            if ready.is_some() {
                return ready;
            }
            if self.stream.ended() || changes.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The group after an unwanted one, once it has begun.
    fn after(&self, unwanted: Option<GroupId>) -> Option<Position> {
        let id = unwanted?;
        let count = self.stream.seal_of(id.epoch, id.number)?.count;
        match self.stream.read(id.at(count), 0) {
            Read::End { next, .. } => next,
            _ => None,
        }
    }

    fn header(
        &self,
        at: Position,
        resumed: bool,
        contiguous: bool,
        previous: Option<GroupId>,
    ) -> Option<GroupHeader> {
        let (head, ..) = self.stream.group(at.epoch, at.group)?;
        Some(GroupHeader {
            stream: self.stream.key().clone(),
            head,
            resumed,
            discontinuity: !contiguous,
            previous,
            first_tag: at.tags,
        })
    }

    async fn send_group(
        &self,
        header: &GroupHeader,
        changes: &mut watch::Receiver<u64>,
        unacknowledged: &mut VecDeque<Open>,
    ) -> Group {
        let id = header.id();
        let Some((_, headers, began_ms)) = self.stream.group(id.epoch, id.number) else {
            return Group::CutOff;
        };
        let Ok(stream) = self.connection.open_uni().await else {
            return Group::Lost;
        };
        self.give_up_late(unacknowledged);
        let mut open = Open {
            stream,
            oldest_ms: self.clock.now().mono_ms,
        };
        // The oldest group goes first, over all streams of the link. Refused only by a stream that is closed.
        let _ = open.stream.set_priority(self.priority(began_ms));
        self.counts.groups.fetch_add(1, Ordering::Relaxed);
        self.counts
            .resumes
            .fetch_add(u64::from(header.resumed), Ordering::Relaxed);
        let mut first = vec![encode_header(header)];
        if header.first_tag == 0 {
            encode_preface(&headers, &mut first);
        }
        let mut at = header.position();
        let mut waiting = first;
        loop {
            if !waiting.is_empty() {
                match self.write(&mut open, id, &mut waiting, unacknowledged).await {
                    Wrote::All => {}
                    Wrote::Late => return self.cut_off(&mut open, GroupCode::Late),
                    Wrote::Stopped(code) => return stopped(code),
                    Wrote::Lost => return Group::Lost,
                }
            }
            changes.borrow_and_update();
            match self.stream.read(at, READ_BYTES) {
                Read::Tags(tags) => {
                    let oldest_ms = tags.first().map_or(began_ms, |tag| tag.appended_ms);
                    self.give_up_late(unacknowledged);
                    if self.is_late(oldest_ms, id) {
                        return self.cut_off(&mut open, GroupCode::Late);
                    }
                    open.oldest_ms = oldest_ms;
                    at.tags += u32::try_from(tags.len()).unwrap_or(u32::MAX);
                    let bytes: usize = tags.iter().map(|tag| tag.payload.len()).sum();
                    self.counts.tags.fetch_add(tags.len() as u64, Ordering::Relaxed);
                    self.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    encode_tags(tags, &mut waiting);
                }
                Read::CaughtUp => {
                    if changes.changed().await.is_err() {
                        return Group::StreamEnded;
                    }
                }
                Read::End { seal, next } => {
                    let mut last = vec![encode_seal(&seal)];
                    match self.write(&mut open, id, &mut last, unacknowledged).await {
                        Wrote::All => {}
                        Wrote::Late => return self.cut_off(&mut open, GroupCode::Late),
                        Wrote::Stopped(code) => return stopped(code),
                        Wrote::Lost => return Group::Lost,
                    }
                    // Fails only if the child stopped the stream, which it does when it has the group.
                    let _ = open.stream.finish();
                    open.oldest_ms = self.clock.now().mono_ms;
                    unacknowledged.push_back(open);
                    if unacknowledged.len() > MAX_UNACKNOWLEDGED {
                        unacknowledged.pop_front();
                    }
                    let ended = next.is_none() && self.stream.ended();
                    return if ended {
                        Group::StreamEnded
                    } else {
                        Group::Complete(next)
                    };
                }
                Read::Gone => return self.cut_off(&mut open, GroupCode::Trimmed),
            }
        }
    }

    /// Writes all of `bytes`, for as long as the group is not too late.
    async fn write(
        &self,
        open: &mut Open,
        id: GroupId,
        bytes: &mut Vec<Bytes>,
        unacknowledged: &mut VecDeque<Open>,
    ) -> Wrote {
        let mut bytes: Vec<Bytes> = std::mem::take(bytes);
        let mut left = &mut bytes[..];
        loop {
            let written = tokio::time::timeout(LAG_CHECK, open.stream.write_chunks(left)).await;
            match written {
                Ok(Ok(written)) => {
                    left = &mut left[written.chunks..];
                    if left.is_empty() {
                        return Wrote::All;
                    }
                }
                Ok(Err(quinn::WriteError::Stopped(code))) => return Wrote::Stopped(code),
                Ok(Err(_)) => return Wrote::Lost,
                Err(_) => {
                    self.give_up_late(unacknowledged);
                    if self.is_late(open.oldest_ms, id) {
                        return Wrote::Late;
                    }
                }
            }
        }
    }

    /// Whether what was appended then is older than `max_lag`, with a newer start point in the log. It is not late for a child
    /// that was not there: one that resumes gets all that is held.
    fn is_late(&self, appended_ms: u64, id: GroupId) -> bool {
        let age = self
            .clock
            .now()
            .mono_ms
            .saturating_sub(appended_ms.max(self.link_began_ms));
        age > self.max_lag_ms
            && self
                .stream
                .newest_start()
                .is_some_and(|start| GroupId::of(start) > id)
    }

    /// Resets finished groups that the child should have had long ago: what is newer waits behind them.
    fn give_up_late(&self, unacknowledged: &mut VecDeque<Open>) {
        let now = self.clock.now().mono_ms;
        while unacknowledged
            .front()
            .is_some_and(|open| now.saturating_sub(open.oldest_ms) > self.max_lag_ms)
        {
            if let Some(mut open) = unacknowledged.pop_front()
                && open
                    .stream
                    .reset(VarInt::from_u32(GroupCode::Late.number()))
                    .is_ok()
            {
                self.counts.resets.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn cut_off(&self, open: &mut Open, code: GroupCode) -> Group {
        // Closed already is as good.
        let _ = open.stream.reset(VarInt::from_u32(code.number()));
        self.counts.resets.fetch_add(1, Ordering::Relaxed);
        Group::CutOff
    }

    /// Older is higher; a link that lasts 24 days ends up at the bottom, where all are equal, and a redial cures that.
    fn priority(&self, began_ms: u64) -> i32 {
        let age_of_link = began_ms.saturating_sub(self.link_began_ms);
        -i32::try_from(age_of_link).unwrap_or(i32::MAX)
    }
}

enum Wrote {
    All,
    Late,
    Stopped(VarInt),
    Lost,
}

/// What it means that the child stopped a group.
const fn stopped(code: VarInt) -> Group {
    match GroupCode::from_number(code.into_inner()) {
        Some(GroupCode::NoRoom) => Group::Refused,
        _ => Group::Unwanted,
    }
}

impl SentCounts {
    /// Adds another's counts to these.
    pub(super) fn add(&self, other: &Self) {
        let pairs = [
            (&self.groups, &other.groups),
            (&self.tags, &other.tags),
            (&self.bytes, &other.bytes),
            (&self.resumes, &other.resumes),
            (&self.resets, &other.resets),
        ];
        for (to, from) in pairs {
            to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
