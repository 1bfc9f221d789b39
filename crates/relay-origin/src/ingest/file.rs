//! Clips that the origin plays itself, in real time, as if an encoder sent them: `[[source]]`.
//!
//! A clip comes in by the same door as every publisher, so that a looping clip shows what a camera would: one timeline,
//! groups, grace. Its times go on over its loops, by the period that its tracks' durations give.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relay_core::clock::{Clock, Now};
use relay_core::codec;
use relay_core::config;
use relay_core::flv::clip::MAX_CLIP_BYTES;
use relay_core::flv::{Clip, FlvError, RawTag};
use relay_core::stream::StreamKey;
use tokio_util::sync::CancellationToken;

use super::{Feed, Publishing};

/// How long a clip that was refused or sent away waits before it comes again, as an encoder would.
const RETRY: Duration = Duration::from_secs(5);

/// What is wrong with a source; each sentence names the file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// It is no FLV, or none that can be played.
    #[error("cannot play {}: {source}", .file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: FlvError,
    },
}

/// A clip, ready to play.
pub struct Source {
    clip: Clip,
    stream: StreamKey,
    repeat: bool,
}

/// How a clip's playing ended.
enum Over {
    /// At its last tag.
    Played,
    /// It was sent away: kicked, or the log was full.
    SentAway,
}

impl Source {
    /// Reads the clips among the sources.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn load_all(config: &[config::Source]) -> Result<Vec<Self>, SourceError> {
        let clips = config.iter().filter_map(|source| match source {
            config::Source::Clip(clip) => Some(Self::load(clip)),
            config::Source::Pull(_) => None,
        });
        clips.collect()
    }

    /// Reads the file whole, so that what is wrong with it is said at the start.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(config: &config::ClipSource) -> Result<Self, SourceError> {
        let bytes = read(&config.file)?;
        let clip = Clip::parse(&bytes).map_err(|source| SourceError::Bad {
            file: config.file.clone(),
            source,
        })?;
        Ok(Self {
            clip,
            stream: config.stream.clone(),
            repeat: config.repeat,
        })
    }

    /// Plays until the end of the clip, if it does not repeat, or until `stop`.
    pub async fn run(self, publishing: Arc<Publishing>, clock: Clock, stop: CancellationToken) {
        let playing = async {
            loop {
                match publishing.open(&self.stream, clock.now()) {
                    Ok(feed) => match self.play(&feed, clock).await {
                        Over::Played => return,
                        Over::SentAway => tracing::info!(stream = %self.stream, "the clip was sent away"),
                    },
                    Err(why) => tracing::warn!(stream = %self.stream, %why, "the clip cannot be published"),
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = playing => {}
        }
    }

    async fn play(&self, feed: &Feed, clock: Clock) -> Over {
        let stopped = feed.stopped();
        let mut playback = Playback::new(&self.clip, self.repeat, clock.now());
        loop {
            let now = clock.now();
            while let Some((tag, time)) = playback.poll_tag(now) {
                feed.handle_tag(tag.kind, time, tag.payload.clone(), now);
            }
            let Some(deadline) = playback.deadline() else {
                return Over::Played;
            };
            let wait = Duration::from_millis(deadline.saturating_sub(now.mono_ms));
            tokio::select! {
                () = stopped.cancelled() => return Over::SentAway,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// A clip on its way through real time. Each tag is due when its time has passed since the start.
struct Playback<'a> {
    clip: &'a Clip,
    repeat: bool,
    started_ms: u64,
    lap: u64,
    next: usize,
}

impl<'a> Playback<'a> {
    const fn new(clip: &'a Clip, repeat: bool, now: Now) -> Self {
        Self {
            clip,
            repeat,
            started_ms: now.mono_ms,
            lap: 0,
            next: 0,
        }
    }

    /// The next tag, if it is due, and its time over all laps as an encoder would write it.
    fn poll_tag(&mut self, now: Now) -> Option<(&'a RawTag, u32)> {
        loop {
            let due = self.due()?;
            if self.started_ms + due > now.mono_ms {
                return None;
            }
            let tag = &self.clip.tags()[self.next];
            self.next += 1;
            if self.repeat && self.next == self.clip.tags().len() {
                (self.lap, self.next) = (self.lap + 1, 0);
            }
            // A clip that begins again has no end: its end-of-sequence tags would tell decoders otherwise.
            if self.repeat && codec::classify(tag.kind, &tag.payload).end_of_sequence {
                continue;
            }
            // Modulo 2^32, as on the wire of an encoder that has been up for 50 days.
            return Some((tag, due as u32));
        }
    }

    /// When the next tag is due, on the monotonic clock; none after the last.
    fn deadline(&self) -> Option<u64> {
        Some(self.started_ms + self.due()?)
    }

    /// The next tag's time since the start.
    fn due(&self) -> Option<u64> {
        let tag = self.clip.tags().get(self.next)?;
        let first = self.clip.tags().first().map_or(0, |first| first.time);
        Some(self.lap * self.clip.loop_period_ms().max(1) + u64::from(tag.time.saturating_sub(first)))
    }
}

/// Reads a file that may be a clip.
fn read(file: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::Read {
        file: file.to_owned(),
        source,
    };
    let opened = File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that the clip itself says that it is too large.
    let limit = MAX_CLIP_BYTES as u64 + 1;
    opened.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use relay_core::flv::{Tag, TagKind, encode_into, file_header};

    use super::*;

    const START: Now = Now {
        mono_ms: 1_000_000,
        unix_us: 0,
    };

    /// A sequence header, two frames 40 ms apart, an end of sequence: a loop of 80 ms.
    fn flv() -> Vec<u8> {
        let mut bytes = file_header(false, true).to_vec();
        for (time, payload) in [
            (0, b"\x17\x00\x00\x00\x00avcC".as_slice()),
            (0, b"\x17\x01\x00\x00\x00key"),
            (40, b"\x27\x01\x00\x00\x00delta"),
            (40, b"\x17\x02\x00\x00\x00"),
        ] {
            let tag = Tag {
                kind: TagKind::Video,
                time,
                payload: Bytes::from_static(payload),
            };
            encode_into(&mut bytes, &tag);
        }
        bytes
    }

    /// What is played by `until_ms`, looked at whenever the next tag is due, as (time, kind of packet).
    fn played(repeat: bool, until_ms: u64) -> Vec<(u32, u8)> {
        let clip = Clip::parse(&flv()).unwrap();
        let mut playback = Playback::new(&clip, repeat, START);
        let mut played = Vec::new();
        while let Some(due) = playback.deadline().filter(|due| due - START.mono_ms <= until_ms) {
            let early = START.plus_ms((due - START.mono_ms).saturating_sub(1));
            if early != START {
                assert_eq!(playback.poll_tag(early), None, "never before its time");
            }
            while let Some((tag, time)) = playback.poll_tag(START.plus_ms(due - START.mono_ms)) {
                played.push((time, tag.payload[1]));
            }
        }
        played
    }

    #[test]
    fn a_clip_plays_in_real_time_and_once() {
        assert_eq!(played(false, 39), [(0, 0), (0, 1)]);
        assert_eq!(played(false, 1_000), [(0, 0), (0, 1), (40, 1), (40, 2)]);
    }

    #[test]
    fn a_looping_clip_goes_on_by_its_period_and_never_says_that_it_ends() {
        let loops = played(true, 160);
        let frames: Vec<_> = loops.iter().filter(|(_, packet)| *packet == 1).collect();
        assert_eq!(frames, [&(0, 1), &(40, 1), &(80, 1), &(120, 1), &(160, 1)]);
        assert!(loops.iter().all(|(_, packet)| *packet != 2));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let load = |file: &Path| {
            let config = config::ClipSource {
                file: file.to_owned(),
                stream: "live/cam".parse().unwrap(),
                repeat: true,
            };
            Source::load(&config).err().unwrap().to_string()
        };
        let said = load(Path::new("/no/such/clip.flv"));
        assert!(
            said.starts_with("cannot read /no/such/clip.flv: No such file"),
            "{said}"
        );
        let bad = std::env::temp_dir().join(format!("relay-clip-{}.mp4", std::process::id()));
        std::fs::write(&bad, b"\0\0\0\x20ftypisom").unwrap();
        let said = load(&bad);
        std::fs::remove_file(&bad).unwrap();
        assert!(
            said.contains("relay-clip-") && said.contains("cannot play"),
            "{said}"
        );
    }
}
