//! A lane: one stream's groups on one link, taken in the order in which the parent opened them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::{ReadError, RecvStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::intake::{Entry, Intake, Untaken};
use crate::cascade::{Decoder, FrameError, GroupCode, GroupHeader, GroupId, Item};
use crate::clock::Clock;
use crate::flv::TagKind;
use crate::stream::Headers;

/// How long a group waits for the one before it, whose stream the parent may have reset before its first byte came: longer
/// than a parent lets a group be late.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(12);

/// Groups of one stream that may wait for their turn; beyond it the parent is held back by not reading.
pub(super) const WAITING_GROUPS: usize = 64;

/// When something was heard on a link, on the monotonic clock.
#[derive(Debug)]
pub(super) struct Heard {
    clock: Clock,
    last_ms: AtomicU64,
}

impl Heard {
    pub(super) fn now(clock: Clock) -> Self {
        Self {
            clock,
            last_ms: AtomicU64::new(clock.now().mono_ms),
        }
    }

    pub(super) fn note(&self) {
        self.last_ms.store(self.clock.now().mono_ms, Ordering::Relaxed);
    }

    pub(super) fn silent_ms(&self) -> u64 {
        self.clock
            .now()
            .mono_ms
            .saturating_sub(self.last_ms.load(Ordering::Relaxed))
    }
}

/// A group whose header has been read.
pub(super) struct Incoming {
    pub(super) header: GroupHeader,
    pub(super) decoder: Decoder,
    pub(super) stream: RecvStream,
    /// When its header was read.
    since: Instant,
}

impl Incoming {
    /// Whether it has waited for its predecessor for long enough. Whether it can be taken all the same, the receiver knows.
    fn has_waited(&self) -> bool {
        self.since.elapsed() >= PREDECESSOR_WAIT
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Reads up to a group's header; `None` if it was reset before, or the link is gone.
pub(super) async fn read_header(
    mut stream: RecvStream,
    heard: &Heard,
) -> Result<Option<Incoming>, FrameError> {
    let mut decoder = Decoder::default();
    loop {
        match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => {
                heard.note();
                decoder.push(chunk.bytes);
            }
            Ok(None) => decoder.finish()?,
            Err(_) => return Ok(None),
        }
        if let Some(Item::Header(header)) = decoder.poll()? {
            return Ok(Some(Incoming {
                header,
                decoder,
                stream,
                since: Instant::now(),
            }));
        }
    }
}

/// One stream's groups on one link.
pub(super) struct Lane {
    pub(super) intake: Arc<Intake>,
    pub(super) entry: Arc<Mutex<Entry>>,
    pub(super) heard: Arc<Heard>,
}

impl Lane {
    /// Takes what comes until the link lets go of the lane.
    pub(super) async fn run(self, mut arrivals: mpsc::Receiver<Incoming>) -> Result<(), FrameError> {
        let mut waiting: BTreeMap<GroupId, Incoming> = BTreeMap::new();
        let mut done: Option<GroupId> = None;
        loop {
            let its_turn = |incoming: &Incoming| {
                incoming
                    .header
                    .previous
                    .is_none_or(|previous| done >= Some(previous))
                    || incoming.has_waited()
            };
            let ready = waiting
                .first_key_value()
                .filter(|(_, incoming)| its_turn(incoming))
                .map(|(id, _)| *id);
            if let Some(incoming) = ready.and_then(|id| waiting.remove(&id)) {
                self.take(incoming).await?;
                done = done.max(ready);
                continue;
            }
            let deadline = waiting
                .first_key_value()
                .map(|(_, incoming)| incoming.since + PREDECESSOR_WAIT);
            let room = waiting.len() < WAITING_GROUPS;
            let arrival = tokio::select! {
                biased;
                () = until(deadline) => continue,
                arrival = arrivals.recv(), if room => arrival,
            };
            let Some(incoming) = arrival else { return Ok(()) };
            waiting.insert(incoming.header.id(), incoming);
        }
    }

    /// Takes one group until its end, its reset, or until it is not wanted any more.
    async fn take(&self, mut incoming: Incoming) -> Result<(), FrameError> {
        match self.take_items(&mut incoming).await {
            Ok(()) => Ok(()),
            Err(Stopped::By(code)) => {
                // Ended already is as good.
                let _ = incoming.stream.stop(VarInt::from_u32(code.number()));
                Ok(())
            }
            Err(Stopped::Error(error)) => Err(error),
        }
    }

    async fn take_items(
        &self,
        Incoming {
            header,
            decoder,
            stream,
            ..
        }: &mut Incoming,
    ) -> Result<(), Stopped> {
        self.intake.handle_group(&self.entry, header)?;
        let mut headers = Headers::default();
        let mut index = header.first_tag;
        loop {
            while let Some(item) = decoder.poll()? {
                match item {
                    Item::Header(_) => {}
                    Item::Preface(kind, payload) => match kind {
                        TagKind::Script => headers.metadata = Some(payload),
                        TagKind::Video => headers.video = Some(payload),
                        TagKind::Audio => headers.audio = Some(payload),
                    },
                    Item::Extra(extra) => headers.extras.push(extra),
                    Item::Stated(stated) => headers.stated = stated,
                    Item::Tag(tag) => {
                        self.intake
                            .handle_tag(&self.entry, header, &headers, index, &tag)?;
                        index += 1;
                    }
                    Item::Seal(seal) => self.intake.handle_seal(&self.entry, header, &seal)?,
                }
            }
            match stream.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => {
                    self.heard.note();
                    decoder.push(chunk.bytes);
                }
                Ok(None) => return Ok(decoder.finish()?),
                // Too late, by the parent's word; or the link is gone, and another one will bring the rest.
                Err(ReadError::Reset(_) | ReadError::ConnectionLost(_)) => return Ok(()),
                Err(_) => return Ok(()),
            }
        }
    }
}

enum Stopped {
    By(GroupCode),
    Error(FrameError),
}

impl From<Untaken> for Stopped {
    fn from(why: Untaken) -> Self {
        match why {
            Untaken::Held => Self::By(GroupCode::Held),
            Untaken::NoRoom => Self::By(GroupCode::NoRoom),
            // Also when memory is out for one stream: the others of the link go on.
            Untaken::Stale | Untaken::Gap(_) | Untaken::Log(_) => Self::By(GroupCode::Stale),
        }
    }
}

impl From<FrameError> for Stopped {
    fn from(error: FrameError) -> Self {
        Self::Error(error)
    }
}
