//! Whether what comes from an edge is what the origin sent.

use std::sync::Arc;

use relay_core::codec;
use relay_core::flv::{Reader, TagKind};
use relay_core::stream::{Known, Stream};

use super::fault::Fault;

/// Frames that are enough for a verdict: half a second of an ordinary stream, or one keyframe and what comes with it.
const ENOUGH_FRAMES: u32 = 25;

/// Bytes that are enough, once one frame was compared: a keyframe of an ordinary stream, and some more.
const ENOUGH_BYTES: usize = 256 << 10;

/// The most that is read at all. A stream whose first frame is longer than that is nobody's.
const MAX_BYTES: usize = 4 << 20;

/// How far an edge may be from the origin, in milliseconds, where the origin's log cannot say whether it has the right tags:
/// after a restart edges play on with what they hold while their links come back.
const MAX_APART_MS: u32 = 15_000;

/// Takes tags as they come from an edge, and holds each against the origin's own log.
///
/// A tag that the log does not reach, not any more or not yet, is no evidence. It is enough that one tag has another body.
#[derive(Debug)]
pub(super) struct Jury {
    stream: Arc<Stream>,
    bytes: usize,
    /// Bytes since the newest frame.
    unframed: usize,
    /// The time of the newest tag that may be the origin's, as on the wire.
    newest: Option<u32>,
    /// Frames that are the origin's.
    same: u32,
    /// Frames in places where the origin has none.
    invented: u32,
    /// Frames that nothing can be said of, and the time of the last.
    beyond: u32,
    beyond_time: u32,
    altered: bool,
}

impl Jury {
    /// For a viewer of `stream`.
    pub(super) const fn new(stream: Arc<Stream>) -> Self {
        Self {
            stream,
            bytes: 0,
            unframed: 0,
            newest: None,
            same: 0,
            invented: 0,
            beyond: 0,
            beyond_time: 0,
            altered: false,
        }
    }

    /// Takes a tag; `time` is as on the wire.
    pub(super) fn handle_tag(&mut self, kind: TagKind, time: u32, payload: &[u8]) {
        let known = self.stream.knows(kind, time, payload);
        self.altered |= known == Known::Other;
        if matches!(known, Known::Same | Known::Beyond)
            && self.newest.is_none_or(|newest| is_after(time, newest))
        {
            self.newest = Some(time);
        }
        let info = codec::classify(kind, payload);
        // What a player needs before the first frame is compared, but it is no sign that a frame will come.
        if kind == TagKind::Script || info.sequence_header {
            return;
        }
        self.unframed = 0;
        match known {
            Known::Same => self.same += 1,
            Known::Other => {}
            Known::Never => self.invented += 1,
            Known::Beyond => (self.beyond, self.beyond_time) = (self.beyond + 1, time),
        }
    }

    /// Takes note of bytes as they came, whatever is in them.
    pub(super) const fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.unframed = self.unframed.saturating_add(bytes);
    }

    /// Whether a frame of the stream has come.
    pub(super) const fn has_frame(&self) -> bool {
        self.frames() > 0
    }

    /// Whether the verdict can be given now.
    pub(super) const fn has_enough(&self) -> bool {
        self.altered
            || self.frames() >= ENOUGH_FRAMES
            || self.bytes >= MAX_BYTES
            || (self.has_frame() && self.bytes >= ENOUGH_BYTES)
    }

    /// Whether nothing more needs to be seen by one who stays: it lies, or sends what has no end.
    pub(super) const fn is_settled(&self) -> bool {
        self.altered || self.unframed >= MAX_BYTES
    }

    /// For how long something has been lacking from there that the origin has, in milliseconds.
    pub(super) fn lacking_ms(&self, now_ms: u64) -> u64 {
        let since = self.newest.and_then(|time| self.stream.lacking_since(time));
        since.map_or(0, |since| now_ms.saturating_sub(since))
    }

    const fn frames(&self) -> u32 {
        self.same + self.invented + self.beyond
    }

    /// Judges by what has come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn verdict(&self) -> Result<(), Fault> {
        if self.altered {
            return Err(Fault::Altered);
        }
        if self.same > 0 {
            return Ok(());
        }
        if self.invented > 0 {
            return Err(Fault::Invented);
        }
        if self.beyond == 0 {
            // One that has ended meanwhile has no more frames.
            return if self.stream.ended() {
                Ok(())
            } else {
                Err(Fault::NoFrame)
            };
        }
        // Modulo 2³², as the times on the wire are.
        let newest = self.stream.last_time().unwrap_or_default() as u32;
        let apart = newest.wrapping_sub(self.beyond_time);
        match apart.min(apart.wrapping_neg()) <= MAX_APART_MS {
            true => Ok(()),
            false => Err(Fault::Behind),
        }
    }
}

/// Whether one time on the wire comes after another, modulo 2³².
const fn is_after(time: u32, other: u32) -> bool {
    let ahead = time.wrapping_sub(other);
    ahead > 0 && ahead <= i32::MAX as u32
}

/// A jury that is shown the body of an HTTP answer.
#[derive(Debug)]
pub(super) struct Witness {
    reader: Reader,
    pub(super) jury: Jury,
}

impl Witness {
    /// For a viewer of `stream`.
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self {
            reader: Reader::new(),
            jury: Jury::new(stream),
        }
    }

    /// Takes the next bytes, cut anywhere.
    ///
    /// # Errors
    /// [`Fault::Garbled`].
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.jury.count(bytes.len());
        self.reader.push(bytes);
        loop {
            match self.reader.poll_tag() {
                Ok(None) => return Ok(()),
                Ok(Some(tag)) => self.jury.handle_tag(tag.kind, tag.time, &tag.payload),
                Err(error) => {
                    tracing::debug!(%error, "an edge sends no FLV");
                    return Err(Fault::Garbled);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use relay_core::flv::{Tag, encode_into, file_header};

    use super::super::tests::{AUDIO_HEADER, stream_of, tags, video};
    use super::*;

    /// What an edge sends of these tags: what is before a start, and all from there on.
    fn sent(tags: &[Tag]) -> Vec<u8> {
        let mut out = file_header(true, true).to_vec();
        let header = Tag {
            kind: TagKind::Audio,
            time: tags[0].time,
            payload: AUDIO_HEADER.into(),
        };
        [header]
            .iter()
            .chain(tags)
            .for_each(|tag| encode_into(&mut out, tag));
        out
    }

    fn judge(stream: &Arc<Stream>, pieces: &[&[u8]]) -> Result<(), Fault> {
        let mut witness = Witness::new(Arc::clone(stream));
        pieces.iter().try_for_each(|piece| witness.push(piece))?;
        witness.jury.verdict()
    }

    #[test]
    fn the_same_is_the_same_however_it_is_cut() {
        let stream = stream_of(&tags(0..10));
        let body = sent(&tags(0..10));
        for cut in 0..=body.len() {
            assert_eq!(
                judge(&stream, &[&body[..cut], &body[cut..]]),
                Ok(()),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn one_bit_in_any_body_is_a_lie() {
        let stream = stream_of(&tags(0..4));
        let (right, mut seen) = (tags(0..4), 0);
        for index in 0..right.len() {
            for at in 0..right[index].payload.len() {
                let mut wrong = right.clone();
                let mut body = wrong[index].payload.to_vec();
                body[at] ^= 0x04;
                wrong[index].payload = body.into();
                assert_eq!(judge(&stream, &[&sent(&wrong)]), Err(Fault::Altered), "byte {at}");
                seen += 1;
            }
        }
        assert!(seen > 20);
    }

    #[test]
    fn a_header_that_is_not_the_origins_is_a_lie() {
        let stream = stream_of(&tags(0..4));
        let mut body = sent(&tags(0..4));
        let at = body
            .windows(2)
            .position(|pair| *pair == AUDIO_HEADER[..2])
            .unwrap();
        body[at + 2] ^= 1;
        assert_eq!(judge(&stream, &[&body]), Err(Fault::Altered));
    }

    #[test]
    fn broken_framing_is_a_lie_too() {
        let stream = stream_of(&tags(0..4));
        let mut body = sent(&tags(0..4));
        body[13] = 0x77;
        assert_eq!(judge(&stream, &[&body]), Err(Fault::Garbled));
    }

    #[test]
    fn a_time_that_the_origin_never_had_is_an_invention() {
        let stream = stream_of(&tags(0..10));
        let mut strange = tags(2..4);
        strange.iter_mut().for_each(|tag| tag.time += 7);
        assert_eq!(judge(&stream, &[&sent(&strange)]), Err(Fault::Invented));
    }

    /// Right after a restart edges play on with what the origin's new log never had.
    #[test]
    fn what_the_log_does_not_reach_is_no_evidence_but_for_being_far_away() {
        let late = |from: u64| -> Vec<Tag> { (from..from + 3).map(|n| video(n * 40, n == from)).collect() };
        let stream = stream_of(&late(1_000));
        assert_eq!(judge(&stream, &[&sent(&late(900))]), Ok(()), "4 s behind");
        assert_eq!(judge(&stream, &[&sent(&late(1_100))]), Ok(()), "4 s ahead");
        assert_eq!(
            judge(&stream, &[&sent(&late(500))]),
            Err(Fault::Behind),
            "20 s behind"
        );
    }

    #[test]
    fn a_header_alone_is_no_frame_unless_the_stream_has_ended() {
        let stream = stream_of(&tags(0..4));
        let alone = sent(&tags(0..1));
        let alone = &alone[..alone.len() - tags(0..1)[0].payload.len()];
        assert_eq!(judge(&stream, &[alone]), Err(Fault::NoFrame));
        stream.end();
        assert_eq!(judge(&stream, &[alone]), Ok(()));
    }

    #[test]
    fn a_little_is_enough_and_nothing_is_read_for_ever() {
        let stream = stream_of(&tags(0..60));
        let mut witness = Witness::new(Arc::clone(&stream));
        let mut pushed = 0;
        for byte in sent(&tags(0..60)) {
            if witness.jury.has_enough() {
                break;
            }
            witness.push(&[byte]).unwrap();
            pushed += 1;
        }
        assert_eq!(witness.jury.frames(), ENOUGH_FRAMES);
        assert!(pushed < sent(&tags(0..30)).len());
        let mut endless = Witness::new(stream);
        let mut head = file_header(true, true).to_vec();
        head.extend([9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0]);
        endless.push(&head).unwrap();
        let mut read = 0;
        while !endless.jury.has_enough() {
            endless.push(&[0; 4096]).unwrap();
            read += 4096;
        }
        assert!(read <= MAX_BYTES);
        assert_eq!(endless.jury.verdict(), Err(Fault::NoFrame));
    }

    #[test]
    fn times_wrap_on_the_wire() {
        let far = (1_u64 << 32) - 60;
        let wrapped: Vec<Tag> = (0..4).map(|n| video(far + n * 40, n == 0)).collect();
        let stream = stream_of(&wrapped);
        assert_eq!(judge(&stream, &[&sent(&wrapped)]), Ok(()));
    }
}
