//! Keeps the marks of all streams durably, off the threads that move media.
//!
//! A new epoch's mark is handed over when the epoch begins, and is on the disk some milliseconds later; its tags do not
//! wait for that. What a crash in those milliseconds can lose is one epoch's number, and the next one is the wall clock
//! in milliseconds: lower only if the clock was set back in the same moment, and then the children's claims lift it.
//! Holding tags back instead would put a disk's worst case, seconds, into the way of every publisher's return.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay_core::stream::StreamKey;
use relay_core::stream::epoch::Mark;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::state::StreamRecords;

/// The marks on their way to the disk: the newest of each stream, so never more than there are streams.
pub(super) struct Keeper {
    records: Arc<StreamRecords>,
    pending: Mutex<HashMap<StreamKey, Mark>>,
    handed_over: Notify,
}

impl Keeper {
    pub(super) fn new(records: Arc<StreamRecords>) -> Self {
        Self {
            records,
            pending: Mutex::default(),
            handed_over: Notify::new(),
        }
    }

    /// What was kept of a stream before this process, or is on its way.
    pub(super) fn load(&self, stream: &StreamKey) -> Option<Mark> {
        let pending = self.pending().get(stream).copied();
        pending.or_else(|| self.records.load(stream))
    }

    /// Hands a mark over; returns at once.
    pub(super) fn hand_over(&self, stream: &StreamKey, mark: Mark) {
        self.pending().insert(stream.clone(), mark);
        self.handed_over.notify_one();
    }

    /// Writes what is handed over, until `stop`, and then the rest.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = stop.cancelled() => stopping = true,
                () = self.handed_over.notified() => {}
            }
            let writer = Arc::clone(&self);
            if let Err(panic) = tokio::task::spawn_blocking(move || writer.write()).await {
                tracing::error!(%panic, "the writer of the streams' epochs failed");
            }
        }
    }

    /// Writes what is pending. A mark that cannot be written is dropped, loudly: the next epoch's will be tried anew.
    fn write(&self) {
        let pending = std::mem::take(&mut *self.pending());
        for (stream, mark) in pending {
            if let Err(error) = self.records.save(&stream, mark) {
                tracing::warn!(epoch = mark.epoch, %stream, %error, "cannot keep the stream's epoch in the state folder");
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<StreamKey, Mark>> {
        // Each insert is whole, whatever panicked beside it.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
