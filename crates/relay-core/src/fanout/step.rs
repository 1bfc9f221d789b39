//! One viewer's step: as many bytes as there are and as its socket takes, and what happens when it is late.
//!
//! Nothing here knows of sockets: a [`Sink`] takes bytes. So each rule has a test without a network.

use std::ops::AddAssign;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::allowance::Allowance;
use super::side::Side;
use super::sys;
use super::viewer::{BLOCKED, ENDING, Goodbye, Hot, LEAVING, PAUSED, RESTART, SIDE};
use crate::flavour::Flavour;
use crate::stream::{Piece, View};

/// What takes a viewer's bytes.
pub(super) trait Sink {
    /// Takes some of `bytes`, which are this viewer's own; none if it is full.
    fn send(&mut self, hot: &Hot, bytes: &[u8]) -> Result<usize, Errno>;

    /// Takes some of a piece of the log; none if it is full.
    fn send_piece(&mut self, hot: &Hot, piece: &Piece<'_>) -> Result<Sent, Errno>;
}

/// What a sink took of a piece, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The kernel copied so many bytes.
    Copied(usize),
    /// The socket holds the log's own pages, so many bytes of them.
    Lent(usize),
}

/// The viewer's own socket.
#[derive(Clone, Debug)]
pub(super) struct SocketSink {
    /// Pieces of so many bytes or more go out by `sendfile`. Below, looking up pages costs more than copying them.
    pub(super) sendfile_from: usize,
    /// What all viewers together may be sent.
    pub(super) allowance: Allowance,
}

impl Sink for SocketSink {
    fn send(&mut self, hot: &Hot, bytes: &[u8]) -> Result<usize, Errno> {
        sys::send(hot.socket.as_fd(), bytes)
    }

    fn send_piece(&mut self, hot: &Hot, piece: &Piece<'_>) -> Result<Sent, Errno> {
        // As where the interface's queue is full: the next slot tries again, and who is late by then skips.
        if !self.allowance.allows() {
            return Err(Errno::NOBUFS);
        }
        let (socket, length) = (hot.socket.as_fd(), piece.bytes.len());
        let sent = if length < self.sendfile_from {
            sys::send(socket, piece.bytes).map(Sent::Copied)
        } else {
            sys::send_file(socket, piece.file, piece.offset, length).map(Sent::Lent)
        };
        if let Ok(Sent::Copied(count) | Sent::Lent(count)) = sent {
            self.allowance.spend(count);
        }
        sent
    }
}

/// What holds for all viewers of a feed during one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The shard's short clock.
    pub(super) now_ms: u32,
    /// Cursors below this are at a byte appended more than the limit ago.
    pub(super) late_below: u64,
    /// A viewer later than this skips.
    pub(super) max_late_ms: u32,
    /// A viewer that takes nothing for this long is closed.
    pub(super) no_progress_ms: u32,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has all there is, or its socket is full.
    Stays,
    /// It has the last byte of an ended stream: its goodbye is to be said.
    AtEnd,
    /// It is to be closed.
    Leaves(Goodbye),
}

/// What a step counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Bytes that the kernel copied.
    pub(super) copied: u64,
    /// Bytes that it took as pages.
    pub(super) lent: u64,
    pub(super) sends: u64,
    pub(super) short: u64,
    pub(super) skips: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.copied += other.copied;
        self.lent += other.lent;
        self.sends += other.sends;
        self.short += other.short;
        self.skips += other.skips;
    }
}

/// Viewers during one slot, one after the other.
pub(super) struct Step<'a, S> {
    pub(super) view: &'a View,
    pub(super) flavour: Flavour,
    pub(super) moment: Moment,
    pub(super) sink: S,
    pub(super) tally: Tally,
}

impl<S: Sink> Step<'_, S> {
    /// Sends what there is to send. `side` is looked at only when something out of the ordinary is to be done.
    pub(super) fn run<'c>(&mut self, hot: &mut Hot, side: impl FnOnce() -> &'c mut Side) -> Outcome {
        if hot.flags & BLOCKED != 0 {
            let stuck = self.moment.now_ms.wrapping_sub(hot.progress_ms) > self.moment.no_progress_ms;
            return if stuck {
                Outcome::Leaves(Goodbye::NoProgress)
            } else {
                Outcome::Stays
            };
        }
        let late = hot.cursor < self.moment.late_below || self.view.ended();
        let done = if hot.flags == 0 && !late {
            self.send_up_to(hot, self.view.end())
        } else {
            self.run_slowly(hot, side())
        };
        done.err().unwrap_or(Outcome::Stays)
    }

    /// The rare case: a side buffer, a pause, lateness, the end. An error is the outcome that ends the step early.
    fn run_slowly(&mut self, hot: &mut Hot, side: &mut Side) -> Result<(), Outcome> {
        loop {
            self.finish_record(hot)?;
            self.send_side(hot, side)?;
            if hot.flags & ENDING != 0 {
                return Err(Outcome::Leaves(match hot.flags & LEAVING {
                    0 => Goodbye::Ended,
                    _ => Goodbye::Drained,
                }));
            }
            self.leave_at_start(hot)?;
            if hot.flags & PAUSED != 0 && self.view.ended() {
                return Err(Outcome::AtEnd);
            }
            if hot.flags & PAUSED != 0 {
                hot.progress_ms = self.moment.now_ms;
                return Ok(());
            }
            if !self.skip_if_late(hot, side) {
                break;
            }
        }
        self.send_up_to(hot, self.view.end())?;
        if self.view.ended() {
            Err(Outcome::AtEnd)
        } else {
            Ok(())
        }
    }

    /// One whose turn it is to leave gets all before the newest start point that it has not passed, and no more: a whole group,
    /// so that the next node goes on where this one ends. `Ok` if it stays.
    fn leave_at_start(&mut self, hot: &mut Hot) -> Result<(), Outcome> {
        if hot.flags & LEAVING == 0 {
            return Ok(());
        }
        let start = self.view.newest_start().map(|start| start.offset);
        match start.filter(|offset| *offset >= hot.cursor) {
            _ if hot.flags & PAUSED != 0 => Err(Outcome::AtEnd),
            None => Ok(()),
            Some(offset) => {
                self.send_up_to(hot, offset)?;
                Err(Outcome::AtEnd)
            }
        }
    }

    /// Sends the rest of a record that was begun, so that the cursor stands on a boundary.
    fn finish_record(&mut self, hot: &mut Hot) -> Result<(), Outcome> {
        if hot.cursor < self.view.tail() {
            if hot.flags & (PAUSED | RESTART) == 0 {
                return Err(Outcome::Leaves(Goodbye::Overrun));
            }
            // One that pauses, or just went on, stands on a boundary: it is carried along, and goes on at a start point.
            hot.cursor = self.view.tail();
        }
        match self.view.record_at(hot.cursor) {
            Some((begin, end, _)) if begin < hot.cursor => self.send_up_to(hot, end),
            _ => Ok(()),
        }
    }

    fn send_side(&mut self, hot: &mut Hot, side: &mut Side) -> Result<(), Outcome> {
        while let Some(front) = side.front().cloned() {
            let sent = self.sink.send(hot, &front).map(Sent::Copied);
            let sent = self.count(hot, sent, front.len())?;
            side.advance(sent);
            if sent < front.len() {
                return Err(Outcome::Stays);
            }
        }
        hot.flags &= !SIDE;
        Ok(())
    }

    /// Skips to the newest start point if the viewer is late and there is one ahead of it; true if it did. The
    /// headers go out first where they differ from those that the viewer has.
    fn skip_if_late(&mut self, hot: &mut Hot, side: &mut Side) -> bool {
        let wanted = hot.flags & RESTART != 0 || self.late_ms(hot) > self.moment.max_late_ms;
        hot.flags &= !RESTART;
        let Some(target) = self.view.newest_start().filter(|_| wanted) else {
            return false;
        };
        if target.offset <= hot.cursor {
            return false;
        }
        if self.view.headers_at(hot.cursor) != Some(&target.start.headers) {
            side.push_shared(self.flavour.headers(&target.start.headers, target.start.time));
            if !side.is_empty() {
                hot.flags |= SIDE;
            }
        }
        hot.cursor = target.offset;
        hot.fresh_ms = self.moment.now_ms;
        self.tally.skips += 1;
        true
    }

    /// How late the byte at the cursor is for this viewer: since it was appended here, or since the viewer came.
    fn late_ms(&self, hot: &Hot) -> u32 {
        let Some((_, _, appended_ms)) = self.view.record_at(hot.cursor) else {
            return 0;
        };
        let since_appended = self.moment.now_ms.wrapping_sub(appended_ms as u32);
        let since_fresh = self.moment.now_ms.wrapping_sub(hot.fresh_ms);
        since_appended.min(since_fresh)
    }

    fn send_up_to(&mut self, hot: &mut Hot, end: u64) -> Result<(), Outcome> {
        while hot.cursor < end {
            let Some(piece) = self.view.piece(hot.cursor, end) else {
                return Err(Outcome::Leaves(Goodbye::Overrun));
            };
            let sent = self.sink.send_piece(hot, &piece);
            let sent = self.count(hot, sent, piece.bytes.len())?;
            hot.cursor += sent as u64;
            if sent < piece.bytes.len() {
                return Err(Outcome::Stays);
            }
        }
        Ok(())
    }

    /// What one send led to. A short one marks the viewer as blocked.
    fn count(&mut self, hot: &mut Hot, sent: Result<Sent, Errno>, wanted: usize) -> Result<usize, Outcome> {
        self.tally.sends += 1;
        let count = match sent {
            Ok(Sent::Copied(count)) => {
                self.tally.copied += count as u64;
                count
            }
            Ok(Sent::Lent(count)) => {
                self.tally.lent += count as u64;
                count
            }
            // The interface's queue is full for a moment. No event will tell when it is not: the next slot tries again.
            Err(Errno::NOBUFS | Errno::NOMEM) => return Err(Outcome::Stays),
            Err(_) => return Err(Outcome::Leaves(Goodbye::Left)),
        };
        // Also when it took none: the wait for progress begins now, not when the last byte of a quiet stream went out.
        hot.progress_ms = self.moment.now_ms;
        if count < wanted {
            hot.flags |= BLOCKED;
            self.tally.short += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
