//! A clip: a whole FLV in memory, with the period at which it loops without a seam.

use super::error::FlvError;
use super::file::{RawTag, Reader};
use super::tag::TagKind;
use crate::codec;

/// The largest clip that is held in memory: half an hour at 1 Mbit/s. Longer ones are a job for an encoder.
pub const MAX_CLIP_BYTES: usize = 256 << 20;

/// Bytes pushed into the reader at a time.
const PIECE_BYTES: usize = 64 << 10;

/// By how much a track's times may be off from its samples and still be mere rounding: a millisecond at either end.
const ROUNDING_MS: u64 = 2;

/// Samples in a frame of AAC.
const AAC_FRAME_SAMPLES: u64 = 1024;

/// Sampling rates by their index in AAC's configuration (ISO/IEC 14496-3, table 1.18).
const AAC_RATES: [u64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// A whole FLV in memory.
#[derive(Clone, Debug)]
pub struct Clip {
    tags: Vec<RawTag>,
    loop_period_ms: u64,
}

impl Clip {
    /// Reads an FLV whole.
    ///
    /// # Errors
    /// What is wrong with it, or that there is nothing to play in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, FlvError> {
        if bytes.len() > MAX_CLIP_BYTES {
            return Err(FlvError::ClipTooLarge(bytes.len()));
        }
        let mut reader = Reader::new();
        let mut tags = Vec::new();
        for piece in bytes.chunks(PIECE_BYTES) {
            reader.push(piece);
            while let Some(tag) = reader.poll_tag()? {
                tags.push(tag);
            }
        }
        reader.finish()?;
        let period = [video_duration(&tags), audio_duration(&tags)]
            .into_iter()
            .flatten()
            .max();
        let loop_period_ms = period.ok_or(FlvError::NothingToPlay)?;
        Ok(Self { tags, loop_period_ms })
    }

    /// All tags, in the file's order, sequence headers and metadata among them.
    pub fn tags(&self) -> &[RawTag] {
        &self.tags
    }

    /// After how many milliseconds the clip begins again: the longer track's duration, its last frame's included. Never
    /// the last timestamp, which would cut that frame off and let the tracks slip a little with every loop.
    pub const fn loop_period_ms(&self) -> u64 {
        self.loop_period_ms
    }
}

/// Times of the frames of a track, without sequence headers.
fn frame_times(tags: &[RawTag], kind: TagKind) -> impl Iterator<Item = u32> + '_ {
    tags.iter().filter(move |tag| tag.kind == kind).filter_map(|tag| {
        let info = codec::classify(tag.kind, &tag.payload);
        (!info.sequence_header && !info.end_of_sequence && !info.metadata).then_some(tag.time)
    })
}

/// From the first frame to the last, and one average interval more: n frames last n intervals.
fn span(times: impl Iterator<Item = u32>) -> Option<u64> {
    let times: Vec<u64> = times.map(u64::from).collect();
    let (first, last) = (times.iter().min()?, times.iter().max()?);
    let intervals = (times.len() as u64).saturating_sub(1).max(1);
    let span = last - first;
    // Rounded, since times are whole milliseconds and frames are not.
    Some(span + (span + intervals / 2) / intervals)
}

fn video_duration(tags: &[RawTag]) -> Option<u64> {
    span(frame_times(tags, TagKind::Video))
}

/// By the number of samples where the codec tells it and the times agree, which is exact; else by the times, as for
/// video: a recording may have holes.
fn audio_duration(tags: &[RawTag]) -> Option<u64> {
    let by_times = span(frame_times(tags, TagKind::Audio))?;
    let frames = frame_times(tags, TagKind::Audio).count() as u64;
    let by_samples = aac_rate(tags).map(|rate| (frames * AAC_FRAME_SAMPLES * 1000 + rate / 2) / rate);
    by_samples
        .filter(|samples| samples.abs_diff(by_times) <= ROUNDING_MS)
        .or(Some(by_times))
}

/// The sampling rate in AAC's sequence header: 4 bits behind the 5 of the object type.
fn aac_rate(tags: &[RawTag]) -> Option<u64> {
    let header = tags.iter().find(|tag| {
        tag.kind == TagKind::Audio && matches!(*tag.payload, [first, 0, ..] if first >> 4 == 10)
    })?;
    let (first, second) = (*header.payload.get(2)?, *header.payload.get(3)?);
    AAC_RATES
        .get(usize::from((first & 7) << 1 | second >> 7))
        .copied()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::flv::tag::{Tag, encode_into, file_header};

    fn flv(tags: &[(TagKind, u64, &'static [u8])]) -> Vec<u8> {
        let mut out = file_header(true, true).to_vec();
        for (kind, time, payload) in tags {
            encode_into(
                &mut out,
                &Tag {
                    kind: *kind,
                    time: *time,
                    payload: Bytes::from_static(payload),
                },
            );
        }
        out
    }

    #[test]
    fn the_demo_clip_loops_after_5120_ms_exactly() {
        let clip = Clip::parse(include_bytes!("../../../../tests/media/bunny.flv")).unwrap();
        assert_eq!(clip.loop_period_ms(), 5120);
        let frames = |kind| frame_times(clip.tags(), kind).count();
        assert_eq!((frames(TagKind::Video), frames(TagKind::Audio)), (128, 240));
        let info = |tag: &&RawTag| codec::classify(tag.kind, &tag.payload);
        let video = clip.tags().iter().filter(|tag| tag.kind == TagKind::Video);
        let first = video
            .filter(|tag| !info(tag).sequence_header)
            .map(|tag| info(&tag).keyframe)
            .next();
        assert_eq!(first, Some(true), "a loop begins where a decoder can");
    }

    #[test]
    fn a_last_frame_has_its_full_length() {
        let clip = flv(&[
            (TagKind::Video, 0, b"\x17\x00\0\0\0c"),
            (TagKind::Video, 0, b"\x17\x01\0\0\0k"),
            (TagKind::Video, 33, b"\x27\x01\0\0\0p"),
            (TagKind::Video, 67, b"\x27\x01\0\0\0p"),
        ]);
        assert_eq!(Clip::parse(&clip).unwrap().loop_period_ms(), 101);
    }

    #[test]
    fn audio_lasts_as_long_as_its_samples_unless_it_has_a_hole() {
        const HEADER: (TagKind, u64, &[u8]) = (TagKind::Audio, 0, b"\xaf\x00\x11\x90");
        let frame = |n: u64, late: u64| (TagKind::Audio, n * 64 / 3 + late, b"\xaf\x01x".as_slice());
        let whole: Vec<_> = (0..100).map(|n| frame(n, 0)).collect();
        let period = |frames: &[_]| {
            Clip::parse(&flv(&[&[HEADER], frames].concat()))
                .unwrap()
                .loop_period_ms()
        };
        assert_eq!(period(&whole), 2133, "100 frames of 1024 samples at 48 kHz");
        let holed: Vec<_> = (0..100).map(|n| frame(n, n / 50 * 3000)).collect();
        let last = holed[99].1;
        assert!(
            period(&holed) > last,
            "time would go back from one loop to the next"
        );
    }

    #[test]
    fn a_clip_without_frames_or_cut_short_is_refused() {
        assert_eq!(Clip::parse(&flv(&[])).err(), Some(FlvError::NothingToPlay));
        assert_eq!(Clip::parse(b"RIFF").err(), Some(FlvError::NotFlv(*b"RIF")));
        let whole = flv(&[(TagKind::Video, 0, b"\x17\x01\0\0\0k")]);
        assert!(matches!(
            Clip::parse(&whole[..whole.len() - 6]).err(),
            Some(FlvError::Truncated(_))
        ));
    }

    #[test]
    fn reads_the_same_however_it_is_cut() {
        let bytes = flv(&[
            (TagKind::Video, 0, b"\x17\x01\0\0\0k"),
            (TagKind::Audio, 7, b"\xaf\x01abc"),
        ]);
        let whole = Clip::parse(&bytes).unwrap();
        for cut in 0..=bytes.len() {
            let mut reader = Reader::new();
            let mut tags = Vec::new();
            for piece in [&bytes[..cut], &bytes[cut..]] {
                reader.push(piece);
                while let Some(tag) = reader.poll_tag().unwrap() {
                    tags.push(tag);
                }
            }
            assert_eq!(tags, whole.tags(), "cut at {cut}");
        }
    }
}
