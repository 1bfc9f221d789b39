//! The newest seconds of a stream as viewers get them: one buffer in which any two moments are one piece.

use std::time::Duration;

use bytes::Bytes;
use relay_core::flavour::Flavour;
use relay_core::flv::Tag;
use relay_core::http::{Version, live_head};
use relay_core::stream::Headers;

use crate::profile::Plan;

/// How far a viewer may fall behind before it is closed. A group that is longer is kept whole.
const KEPT: Duration = Duration::from_secs(10);

/// What a tag has around it: chunk head and tail, FLV header, PreviousTagSize.
const FRAMING_BYTES: u64 = 32;

/// Tags of sound in a second, rounded up.
const SOUNDS_PER_SECOND: u64 = 47;

/// The records of one stream. Places in it are counted from the stream's first byte.
pub(super) struct History {
    bytes: Vec<u8>,
    /// The place of the first byte that is kept.
    begin: u64,
    kept: usize,
    /// The place of the newest keyframe.
    start: u64,
    headers: Headers,
    /// What comes before it, from the status line on.
    prelude: Bytes,
}

impl History {
    pub(super) fn new(plan: &Plan, headers: Headers) -> Self {
        Self {
            bytes: Vec::with_capacity(Self::capacity(plan)),
            begin: 0,
            kept: kept_bytes(plan),
            start: 0,
            headers,
            prelude: Bytes::new(),
        }
    }

    /// Bytes that one of these takes.
    pub(super) fn capacity(plan: &Plan) -> usize {
        let kept = kept_bytes(plan);
        // Half as much again goes by between two moves of the whole.
        kept.saturating_add(kept / 2).saturating_add(plan.sizes(0).key)
    }

    /// Adds a tag; `is_start` if a viewer can begin with it.
    pub(super) fn append(&mut self, tag: &Tag, is_start: bool) {
        if self.bytes.len() > self.kept.saturating_add(self.kept / 2) {
            self.forget();
        }
        if is_start {
            self.start = self.end();
            let head = live_head(Version::Http11, "");
            let headers = Flavour::Flv.prelude(&self.headers, tag.time);
            self.prelude = [head, headers].concat().into();
        }
        Flavour::Flv.frame(tag, &mut self.bytes);
    }

    /// Moves what is kept to the front: a copy of ten seconds each five seconds, so that no send is ever in two pieces.
    fn forget(&mut self) {
        let before_start = usize::try_from(self.start - self.begin).unwrap_or(usize::MAX);
        let old = (self.bytes.len() - self.kept).min(before_start);
        self.bytes.drain(..old);
        self.begin += old as u64;
    }

    /// The place behind the last byte.
    pub(super) const fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    /// Where a viewer begins who comes now, and what it gets before that.
    pub(super) const fn start(&self) -> (u64, &Bytes) {
        (self.start, &self.prelude)
    }

    /// All from a place on; `None` if that is not kept any more.
    pub(super) fn since(&self, place: u64) -> Option<&[u8]> {
        let behind = place.checked_sub(self.begin)?;
        self.bytes.get(usize::try_from(behind).ok()?..)
    }
}

fn kept_bytes(plan: &Plan) -> usize {
    // The longest group and its keyframe's successors, too.
    let time = KEPT.max(plan.gop() + Duration::from_secs(1));
    let rate = plan.profile().rate.bytes();
    let tags = u64::from(plan.profile().fps) + SOUNDS_PER_SECOND;
    let a_second = rate.saturating_add(tags * FRAMING_BYTES);
    let bytes = u128::from(a_second) * time.as_millis() / 1000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::Footage;
    use crate::profile::Profile;

    fn fill(profile: Profile, seconds: u64, mut look: impl FnMut(&History)) -> History {
        let plan = Plan::new(profile).unwrap();
        let mut history = History::new(&plan, Footage::headers(&plan));
        let capacity = history.bytes.capacity();
        for shot in Footage::new(plan).take_while(|shot| shot.due < Duration::from_secs(seconds)) {
            history.append(&shot.tag(0), shot.is_key());
            look(&history);
        }
        assert_eq!(history.bytes.capacity(), capacity, "it never grows");
        history
    }

    #[test]
    fn ten_seconds_are_kept_and_not_much_more() {
        let mut most = 0;
        let history = fill(Profile::default(), 60, |history| {
            most = most.max(history.bytes.len());
        });
        assert!(history.begin > 0 && history.end() > 7_500_000);
        let kept = history.end() - history.begin;
        assert!((1_250_000..2_000_000).contains(&kept), "{kept}");
        assert!(most < 2_000_000, "{most}");
        assert_eq!(history.since(history.end()), Some(&[][..]));
        assert_eq!(history.since(history.begin).map(<[u8]>::len), Some(kept as usize));
        assert_eq!(history.since(history.begin - 1), None);
        assert_eq!(history.since(history.end() + 1), None);
    }

    #[test]
    fn the_newest_start_is_always_kept_whole() {
        let profile = Profile {
            gop: Duration::from_secs(30),
            ..Profile::default()
        };
        let history = fill(profile, 89, |history| {
            let (start, prelude) = history.start();
            assert!(history.since(start).is_some_and(|bytes| !bytes.is_empty()));
            assert!(prelude.starts_with(b"HTTP/1.1 200 OK\r\n"));
        });
        let (start, _) = history.start();
        let bytes = history.since(start).unwrap();
        let head = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
        assert_eq!(bytes[head + 2], 9, "a chunk with a video tag");
        assert_eq!(bytes[head + 2 + 11], 0x17, "a keyframe");
    }

    #[test]
    fn a_slow_stream_is_kept_within_its_room_too() {
        let profile = Profile {
            rate: relay_core::config::Bitrate::from_bits(200_000),
            fps: 120,
            audio: true,
            ..Profile::default()
        };
        fill(profile, 40, |_| {});
    }
}
