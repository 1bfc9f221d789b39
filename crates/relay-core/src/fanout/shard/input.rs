//! What viewers say.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Shard;
use super::turnover::{INPUT_BUFFER, MAX_IGNORED_INPUT};
use crate::clock::Now;
use crate::fanout::side::Side;
use crate::fanout::sys;
use crate::fanout::viewer::{Dialogue, Goodbye, PAUSED, RESTART, Reply, SIDE};

/// Reads of one viewer's input per turn of the loop: who talks faster is heard out in the turns that follow, so that nobody
/// else waits for it.
const READS_PER_TURN: usize = 8;

impl Shard {
    /// Reads what a viewer has said.
    pub(super) fn handle_input(&mut self, cold: usize) {
        let mut buffer = [0; INPUT_BUFFER];
        for _ in 0..READS_PER_TURN {
            let Some(place) = self.place(cold) else { return };
            let Some(hot) = self.hot(place) else { return };
            let read = match sys::receive(hot.socket.as_fd(), &mut buffer) {
                Ok(None) => return,
                Ok(Some(count)) => count,
                Err(_) => return self.leave(cold, Goodbye::Left),
            };
            if let Some(reason) = self.handle_bytes(cold, &buffer[..read]) {
                return self.leave(cold, reason);
            }
            if read == 0 {
                return;
            }
        }
        if !self.talkers.contains(&cold) {
            self.talkers.push(cold);
        }
    }

    /// What one read of input leads to; a reason if the viewer is to go.
    fn handle_bytes(&mut self, cold: usize, bytes: &[u8]) -> Option<Goodbye> {
        let now = self.clock.now();
        let cold = self.colds.get_mut(cold)?;
        let Some(dialogue) = &mut cold.dialogue else {
            // An HTTP viewer has nothing to say. One that shuts down its sending side may go on reading.
            cold.ignored += bytes.len();
            return (cold.ignored > MAX_IGNORED_INPUT).then_some(Goodbye::BadInput);
        };
        if bytes.is_empty() {
            return Some(Goodbye::Left);
        }
        let heard = guarded(|| converse(&mut **dialogue, bytes, now, &mut cold.side));
        let Heard { flags, pause } = match heard {
            Some(Ok(heard)) => heard,
            Some(Err(reason)) => return Some(reason),
            None => {
                tracing::error!(viewer = cold.id, "a viewer's session panicked; please report it");
                return Some(Goodbye::Fault);
            }
        };
        let place = cold.place;
        let hot = self.hot(place)?;
        hot.flags |= flags;
        match pause {
            Some(true) => hot.flags |= PAUSED,
            Some(false) if hot.flags & PAUSED != 0 => {
                hot.flags = (hot.flags & !PAUSED) | RESTART;
            }
            _ => {}
        }
        None
    }
}

/// What a viewer's words lead to.
struct Heard {
    /// For its hot state.
    flags: u8,
    /// Whether it paused, or goes on.
    pause: Option<bool>,
}

/// Tells a viewer's session what it said, and takes the replies.
fn converse(dialogue: &mut dyn Dialogue, bytes: &[u8], now: Now, side: &mut Side) -> Result<Heard, Goodbye> {
    if let Err(reason) = dialogue.handle_input(bytes, now) {
        tracing::debug!(reason, "a viewer broke its protocol");
        return Err(Goodbye::BadInput);
    }
    let mut heard = Heard {
        flags: 0,
        pause: None,
    };
    while let Some(reply) = dialogue.poll_reply() {
        match reply {
            Reply::Bytes(bytes) => {
                if !side.push_reply(bytes) {
                    return Err(Goodbye::BadInput);
                }
                heard.flags |= SIDE;
            }
            Reply::Pause(on) => heard.pause = Some(on),
            Reply::Stop => return Err(Goodbye::Left),
        }
    }
    Ok(heard)
}

/// Runs what one viewer's session does: a panic in there is a fault of ours, and may cost that viewer but not the thread that
/// thousands of others share. `None` means that it panicked; the session is then dropped with its viewer, so nobody
/// sees the state it was left in.
pub(super) fn guarded<T>(session: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(session)).ok()
}
