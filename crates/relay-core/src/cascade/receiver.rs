//! What of a stream is new: one receiver per stream, whatever the number of links that bring it.

use super::frame::{GroupHeader, GroupId};
use crate::stream::{GroupSeal, Position};

/// Decides on each tag of a stream, whichever link brings it: in order, each once, nothing in between left out.
///
/// The driver asks [`handle_group`](Self::handle_group) once per group and link, [`handle_tag`](Self::handle_tag) for
/// each tag and [`handle_seal`](Self::handle_seal) at the end; links may take turns at any tag. Count and hash stay
/// with the log, so that they outlive a link.
#[derive(Debug, Default)]
pub struct Receiver {
    held: Option<Position>,
    /// Whether the newest group is known to be whole.
    whole: bool,
}

/// What to do with a group that a link brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on: some of it may be new.
    Take,
    /// All of it is held: stop the link's stream.
    Held,
    /// It is of an older epoch: stop the link's stream.
    Stale,
}

/// What to do with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagVerdict {
    /// Append it; if `begin`, after beginning its group.
    Append {
        /// It is the first of its group.
        begin: bool,
        /// What was held before it is not whole: tags between are lost.
        skipped: bool,
    },
    /// It is held already.
    Held,
}

/// What to make of a closing record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealVerdict {
    /// The log has as many tags: its hash has to be the same.
    Compare,
    /// The group is empty here too, and not begun: begin it, then compare.
    Begin,
    /// The log went on beyond it, or past this group: nothing to compare.
    Beyond,
}

/// A parent left something out: tags are missing before these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a group goes on at {at:?} where {held:?} is held: tags are missing between")]
pub struct Gap {
    /// Where it goes on.
    pub at: Position,
    /// What is held.
    pub held: Option<Position>,
}

impl Receiver {
    /// A receiver for a log that holds what is before `held`.
    pub const fn new(held: Option<Position>) -> Self {
        Self { held, whole: false }
    }

    /// The next tag to come.
    pub const fn held(&self) -> Option<Position> {
        self.held
    }

    /// Decides on a group that a link is about to bring.
    ///
    /// # Errors
    /// [`Gap`] if tags between are missing and it is no place to start.
    pub fn handle_group(&self, header: &GroupHeader) -> Result<Verdict, Gap> {
        let Some(held) = self.held else {
            return self.check_start(header).map(|()| Verdict::Take);
        };
        let (id, newest) = (header.id(), GroupId::of(held));
        if id.epoch < newest.epoch {
            return Ok(Verdict::Stale);
        }
        if id < newest {
            return Ok(Verdict::Held);
        }
        if id == newest {
            return match header.first_tag <= held.tags {
                true => Ok(Verdict::Take),
                false => Err(self.gap(header)),
            };
        }
        self.check_start(header).map(|()| Verdict::Take)
    }

    /// A group beyond what is held begins at its first tag, and is a place to start or follows a whole group.
    fn check_start(&self, header: &GroupHeader) -> Result<(), Gap> {
        if header.first_tag > 0 || (header.head.continuation && !self.follows(header.id())) {
            return Err(self.gap(header));
        }
        Ok(())
    }

    /// Whether `id` comes right after what is held, with nothing between.
    fn follows(&self, id: GroupId) -> bool {
        let next = |held: Position| GroupId {
            epoch: held.epoch,
            number: held.group.saturating_add(1),
        };
        self.whole && self.held.map(next) == Some(id)
    }

    const fn gap(&self, header: &GroupHeader) -> Gap {
        Gap {
            at: header.position(),
            held: self.held,
        }
    }

    /// Decides on tag number `index` of a group that [`Verdict::Take`] was said of.
    ///
    /// # Errors
    /// [`Gap`] as above; since another link may have moved on meanwhile, it is looked at anew for each tag.
    pub fn handle_tag(&mut self, header: &GroupHeader, index: u32) -> Result<TagVerdict, Gap> {
        let id = header.id();
        let begin = match self.held {
            Some(held) if id < GroupId::of(held) => return Ok(TagVerdict::Held),
            Some(held) if id == GroupId::of(held) => {
                if index < held.tags {
                    return Ok(TagVerdict::Held);
                }
                if index > held.tags {
                    return Err(self.gap(header));
                }
                held.tags == 0
            }
            _ => {
                if index > 0 {
                    return Err(self.gap(header));
                }
                self.check_start(header)?;
                true
            }
        };
        let skipped = begin && self.skips(id);
        self.advance(id, index.saturating_add(1));
        Ok(TagVerdict::Append { begin, skipped })
    }

    /// Whether tags are lost when `id` is begun. A new epoch follows a whole group of the old one.
    fn skips(&self, id: GroupId) -> bool {
        let Some(held) = self.held else { return false };
        if held.epoch != id.epoch {
            return !self.whole;
        }
        GroupId::of(held) != id && !self.follows(id)
    }

    const fn advance(&mut self, id: GroupId, tags: u32) {
        self.held = Some(id.at(tags));
        self.whole = false;
    }

    /// Decides on the closing record of a group.
    pub fn handle_seal(&mut self, header: &GroupHeader, seal: &GroupSeal) -> SealVerdict {
        let id = header.id();
        match self.held {
            Some(held) if GroupId::of(held) == id && held.tags == seal.count => {
                self.whole = true;
                SealVerdict::Compare
            }
            // A group without a tag; real parents have none, but a log may.
            Some(held) if GroupId::of(held) < id && seal.count == 0 => {
                self.advance(id, 0);
                self.whole = true;
                SealVerdict::Begin
            }
            None if seal.count == 0 => {
                self.advance(id, 0);
                self.whole = true;
                SealVerdict::Begin
            }
            _ => SealVerdict::Beyond,
        }
    }

    /// Takes back the last [`TagVerdict::Append`]: the log did not take the tag.
    pub const fn undo(&mut self, held: Option<Position>) {
        self.held = held;
        self.whole = false;
    }
}
