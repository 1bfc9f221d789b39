//! The lanes of one link: each group goes to its stream's, and there are no more of them than streams that fit here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::intake::{Entry, Intake, lock};
use super::lane::{Heard, Incoming, Lane, WAITING_GROUPS};
use crate::cascade::message::MAX_PUSHED;
use crate::cascade::{FrameError, GroupCode};
use crate::stream::StreamKey;

/// A parent pushes what no node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it pushes more streams than any node has")]
pub(super) struct TooManyStreams;

/// The lanes of one link.
pub(super) struct Lanes {
    intake: Arc<Intake>,
    heard: Arc<Heard>,
    open: HashMap<StreamKey, Entrance>,
    tasks: JoinSet<Result<(), FrameError>>,
    /// Groups of streams that there was no room for. An honest parent sends one of each stream.
    refused: usize,
}

/// Where a lane begins, and the stream that it leads to.
struct Entrance {
    lane: mpsc::Sender<Incoming>,
    entry: Arc<Mutex<Entry>>,
}

impl Lanes {
    /// None yet.
    pub(super) fn new(intake: Arc<Intake>, heard: Arc<Heard>) -> Self {
        Self {
            intake,
            heard,
            open: HashMap::new(),
            tasks: JoinSet::new(),
            refused: 0,
        }
    }

    /// Gives a group to its stream's lane. One that there is no room for is stopped, so that its parent sends no more of the stream.
    ///
    /// # Errors
    /// [`TooManyStreams`] once that was so more often than any parent has streams.
    pub(super) async fn sort(&mut self, incoming: Incoming) -> Result<(), TooManyStreams> {
        let key = &incoming.header.stream;
        if !self.open.contains_key(key) {
            if !self.has_room_for(key) {
                incoming.refuse(GroupCode::NoRoom);
                self.refused += 1;
                return (self.refused <= MAX_PUSHED).then_some(()).ok_or(TooManyStreams);
            }
            self.begin(key.clone());
        }
        if let Some(entrance) = self.open.get(key) {
            // A lane that is gone has said why in its task's result.
            let _ = entrance.lane.send(incoming).await;
        }
        Ok(())
    }

    /// What was wrong with a group, once something is. Safe to cancel.
    pub(super) async fn broken(&mut self) -> FrameError {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether one more stream fits, without those that have ended.
    fn has_room_for(&mut self, key: &StreamKey) -> bool {
        let most = self.intake.max_lanes();
        if self.open.len() >= most {
            self.open.retain(|_, entrance| !lock(&entrance.entry).has_ended());
        }
        self.open.len() < most && self.intake.has_room_for(key)
    }

    fn begin(&mut self, key: StreamKey) {
        let (sender, receiver) = mpsc::channel(WAITING_GROUPS);
        let entry = self.intake.entry(&key);
        let lane = Lane {
            intake: Arc::clone(&self.intake),
            entry: Arc::clone(&entry),
            heard: Arc::clone(&self.heard),
        };
        self.tasks.spawn(lane.run(receiver));
        self.open.insert(key, Entrance { lane: sender, entry });
    }
}
