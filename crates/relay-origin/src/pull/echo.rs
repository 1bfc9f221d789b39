//! Telling a stream that goes on from the last pictures of one that does not: sans-IO.
//!
//! A server whose publisher is gone may hold its stream for a while, as this one does, and gives whoever comes what it has: the
//! pictures since the last keyframe. A pull that fell silent and is begun anew would get them again, call that a stream, fall
//! silent again, and show viewers the same two seconds for ever.

use std::time::Duration;

use relay_core::clock::Now;
use relay_core::codec;
use relay_core::flv::{RawTag, TagKind};

/// How long what comes is held while it may be an echo: what a server has at hand comes at once.
const HOLD: Duration = Duration::from_millis(500);

/// How many bytes are held at most: some seconds of any stream.
const HOLD_BYTES: usize = 8 << 20;

/// Holds what comes until it is known to be new. What is held goes on as a whole, since it begins with what a decoder needs.
#[derive(Debug)]
pub(super) struct Echo {
    /// What came last before the silence.
    last: RawTag,
    held: Vec<RawTag>,
    bytes: usize,
    since: Option<Now>,
    heard: bool,
}

impl Echo {
    /// Nothing has come yet; before the silence `last` did.
    pub(super) const fn of(last: RawTag) -> Self {
        Self {
            last,
            held: Vec::new(),
            bytes: 0,
            since: None,
            heard: false,
        }
    }

    /// Takes a tag. Gives all that is held, once the stream is known to go on.
    pub(super) fn handle_tag(&mut self, tag: RawTag, now: Now) -> Option<Vec<RawTag>> {
        let since = *self.since.get_or_insert(now);
        let goes_on = self.heard && is_media(&tag) && tag != self.last;
        self.heard |= tag == self.last;
        self.bytes = self.bytes.saturating_add(tag.payload.len());
        self.held.push(tag);
        let late = u128::from(now.mono_ms.saturating_sub(since.mono_ms)) >= HOLD.as_millis();
        let is_other = !self.heard && late;
        (goes_on || is_other || self.bytes > HOLD_BYTES).then(|| std::mem::take(&mut self.held))
    }

    /// What came last before the silence, for the next attempt.
    pub(super) fn into_last(self) -> RawTag {
        self.last
    }
}

/// Whether a tag can be remembered as the last: headers and metadata come again with every beginning.
pub(super) fn is_media(tag: &RawTag) -> bool {
    let info = codec::classify(tag.kind, &tag.payload);
    tag.kind != TagKind::Script && !info.sequence_header && !info.end_of_sequence
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const START: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 0,
    };

    fn tag(time: u32, payload: &'static [u8]) -> RawTag {
        RawTag {
            kind: TagKind::Video,
            time,
            payload: Bytes::from_static(payload),
        }
    }

    /// A header, a keyframe and two more pictures: what a server that holds its stream gives whoever comes.
    fn burst() -> Vec<RawTag> {
        vec![
            tag(0, b"\x17\x00\x00\x00\x00avcC"),
            tag(0, b"\x17\x01\x00\x00\x00key"),
            tag(40, b"\x27\x01\x00\x00\x00one"),
            tag(80, b"\x27\x01\x00\x00\x00two"),
        ]
    }

    fn hear(echo: &mut Echo, tags: Vec<RawTag>, after_ms: u64) -> Option<Vec<RawTag>> {
        let mut given = None;
        for tag in tags {
            if let Some(tags) = echo.handle_tag(tag, START.plus_ms(after_ms)) {
                given.get_or_insert(tags);
            }
        }
        given
    }

    #[test]
    fn the_same_again_is_no_stream() {
        let mut echo = Echo::of(tag(80, b"\x27\x01\x00\x00\x00two"));
        assert_eq!(hear(&mut echo, burst(), 0), None);
        // Nor is it one later, or with its headers once more.
        let headers = vec![burst().remove(0)];
        assert_eq!(hear(&mut echo, headers, 9_000), None);
    }

    #[test]
    fn what_goes_on_is_given_from_its_beginning() {
        let mut echo = Echo::of(tag(80, b"\x27\x01\x00\x00\x00two"));
        let mut tags = burst();
        tags.push(tag(120, b"\x27\x01\x00\x00\x00three"));
        assert_eq!(hear(&mut echo, tags.clone(), 0), Some(tags));
    }

    #[test]
    fn what_is_other_is_given_after_a_moment() {
        let mut echo = Echo::of(tag(9_000, b"\x27\x01\x00\x00\x00before"));
        assert_eq!(hear(&mut echo, burst(), 0), None);
        let next = tag(600, b"\x27\x01\x00\x00\x00later");
        let given = hear(&mut echo, vec![next], 600).unwrap();
        assert_eq!(given.len(), 5);
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let mut echo = Echo::of(tag(0, b"\x27\x01\x00\x00\x00before"));
        let large = RawTag {
            payload: vec![0x27; 1 << 20].into(),
            ..tag(0, b"")
        };
        let given = (0..).find(|_| echo.handle_tag(large.clone(), START).is_some());
        assert_eq!(given, Some(8));
    }
}
