//! What test publishers send: the demo's clip, or footage made up from a seed.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use relay_core::flv::TagKind;

use crate::flv;
use crate::media::{Message, Role};
use crate::random::Random;
use crate::story::workspace_dir;

/// The committed clip's loop: 128 frames at 25 fps, and 240 AAC frames at 48 kHz.
const CLIP_PERIOD_MS: u32 = 5120;

/// AVC High 4.0, one SPS and one PPS: enough for who only relays it.
const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x28\xff\xe1\x00\x08\x67\x64\x00\x28\xac\xd9\x40\x50\x01\x00\x04\x68\xeb\xe3\xcb";

/// AAC-LC, 48 kHz, stereo.
const AAC_HEADER: &[u8] = b"\xaf\x00\x11\x90";

/// Made-up footage: every body is different and tells nothing to a decoder, so only the relay can be tested with it,
/// but to that it is a stream like any other.
#[derive(Clone, Debug)]
pub struct Synthetic {
    /// Pictures in a second; 0 is sound only.
    pub fps: u32,
    /// Pictures from keyframe to keyframe.
    pub gop: u32,
    /// Kilobits of picture in a second.
    pub video_kbps: u32,
    /// Whether there is sound, 50 messages in a second of 240 bytes each.
    pub audio: bool,
    /// Whether there is a script message each second besides the metadata.
    pub captions: bool,
    /// From which the bodies are made.
    pub seed: u64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            fps: 25,
            gop: 50,
            video_kbps: 600,
            audio: true,
            captions: true,
            seed: 1,
        }
    }
}

/// An endless sequence of messages, times from 0 on.
pub type Footage = Box<dyn Iterator<Item = Message> + Send>;

impl Synthetic {
    /// Plays it from its beginning, for ever.
    pub fn play(self) -> Footage {
        let mut random = Random::seeded(self.seed);
        let opening = self.opening();
        // A tick of 20 ms is one sound message; pictures and captions fall on ticks too, after the sound.
        let body = (0u32..).flat_map(move |tick| self.at(tick, &mut random));
        Box::new(opening.into_iter().chain(body))
    }

    fn opening(&self) -> Vec<Message> {
        let mut opening = vec![message(TagKind::Script, 0, &metadata(self.fps, self.audio))];
        if self.fps > 0 {
            opening.push(message(TagKind::Video, 0, AVC_HEADER));
        }
        if self.audio {
            opening.push(message(TagKind::Audio, 0, AAC_HEADER));
        }
        opening
    }

    fn at(&self, tick: u32, random: &mut Random) -> Vec<Message> {
        let time = tick * 20;
        let mut messages = Vec::new();
        if let Some(frame) = self.frame_at(tick) {
            let key = frame % self.gop == 0;
            let mean = self.video_kbps * 125 / self.fps;
            // A keyframe weighs four others, as in real footage.
            let share = mean * self.gop / (self.gop + 3);
            let size = if key { share * 4 } else { share };
            let head = if key { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" };
            messages.push(body(TagKind::Video, time, head, size, random));
        }
        if self.audio {
            messages.push(body(TagKind::Audio, time, b"\xaf\x01", 240, random));
        }
        if self.captions && tick % 50 == 25 {
            messages.push(body(
                TagKind::Script,
                time,
                b"\x02\0\x0aonTextData\x02\0\x40",
                64,
                random,
            ));
        }
        messages
    }

    /// The number of the picture that is due in this tick, if one is.
    fn frame_at(&self, tick: u32) -> Option<u32> {
        let due = |tick: u32| (u64::from(tick) * u64::from(self.fps)).div_ceil(50) as u32;
        (due(tick + 1) > due(tick)).then(|| due(tick))
    }
}

/// The demo's clip, again and again without a seam.
///
/// # Errors
/// When the clip is not there or is not what it should be.
pub fn clip() -> Result<Footage> {
    let messages = clip_once()?;
    let opening = messages
        .iter()
        .filter(|m| is_opening(m))
        .cloned()
        .collect::<Vec<_>>();
    let rest = messages
        .into_iter()
        .filter(|m| !is_opening(m) && m.role() != Role::EndMark)
        .collect::<Vec<_>>();
    ensure!(
        rest.iter().any(|m| m.role() == Role::Keyframe),
        "the clip has no keyframe"
    );
    let looped = (0u32..).flat_map(move |turn| {
        let shifted = |m: &Message| Message {
            time: m.time + turn * CLIP_PERIOD_MS,
            ..m.clone()
        };
        rest.iter().map(shifted).collect::<Vec<_>>()
    });
    Ok(Box::new(opening.into_iter().chain(looped)))
}

/// Where the clip lies.
pub fn clip_path() -> PathBuf {
    workspace_dir().join("tests/media/bunny.flv")
}

/// The clip's messages as they are in the file.
///
/// # Errors
/// When the clip is not there or is no FLV.
pub fn clip_once() -> Result<Vec<Message>> {
    let path = clip_path();
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut reader = flv::Reader::default();
    reader.push(&bytes).context("the clip is no FLV")?;
    Ok(reader.take_messages())
}

fn is_opening(message: &Message) -> bool {
    matches!(message.role(), Role::Header | Role::MetaData)
}

fn message(kind: TagKind, time: u32, payload: &[u8]) -> Message {
    Message {
        kind,
        time,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn body(kind: TagKind, time: u32, head: &[u8], size: u32, random: &mut Random) -> Message {
    let mut payload = head.to_vec();
    payload.resize(head.len() + size as usize, 0);
    random.fill(&mut payload[head.len()..]);
    message(kind, time, &payload)
}

/// `onMetaData` and a small ECMA array.
fn metadata(fps: u32, audio: bool) -> Vec<u8> {
    let mut out = b"\x02\0\x0aonMetaData\x08\0\0\0\x02".to_vec();
    let mut number = |name: &str, value: f64| {
        out.extend_from_slice(&[0, u8::try_from(name.len()).unwrap_or(0)]);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.extend_from_slice(&value.to_be_bytes());
    };
    number("framerate", f64::from(fps));
    number("audiocodecid", if audio { 10.0 } else { 0.0 });
    out.extend_from_slice(b"\0\0\x09");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footage_keeps_its_rate_and_its_keyframes() {
        let synthetic = Synthetic::default();
        let played: Vec<Message> = synthetic.play().take_while(|m| m.time < 10_000).collect();
        let of = |kind| played.iter().filter(move |m| m.kind == kind);
        let coded = of(TagKind::Video).filter(|m| m.role() != Role::Header);
        assert_eq!(coded.count(), 250);
        assert_eq!(played.iter().filter(|m| m.role() == Role::Keyframe).count(), 5);
        let bytes: usize = of(TagKind::Video).map(|m| m.payload.len()).sum();
        assert!((700_000..800_000).contains(&bytes), "{bytes} bytes in 10 s");
        assert_eq!(of(TagKind::Audio).count(), 501);
        assert_eq!(played.iter().filter(|m| m.role() == Role::Script).count(), 10);
    }

    #[test]
    fn the_clip_loops_without_a_seam() {
        let once = clip_once().unwrap();
        let coded = |kind| {
            once.iter()
                .filter(move |m| m.kind == kind && !is_opening(m) && m.role() != Role::EndMark)
        };
        assert_eq!(coded(TagKind::Video).count() * 40, CLIP_PERIOD_MS as usize);
        assert_eq!(
            coded(TagKind::Audio).count() * 1024 * 1000 / 48_000,
            CLIP_PERIOD_MS as usize
        );
        assert_eq!(coded(TagKind::Video).next().unwrap().role(), Role::Keyframe);
    }

    #[test]
    fn the_same_seed_plays_the_same() {
        let play = |seed| -> Vec<Message> {
            let synthetic = Synthetic {
                seed,
                ..Synthetic::default()
            };
            synthetic.play().take(200).collect()
        };
        assert_eq!(play(7), play(7));
        assert_ne!(play(7), play(8));
    }
}
