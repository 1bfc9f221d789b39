//! A synthetic stream, tag by tag, each with the moment at which it is due.
//!
//! [`Footage`] is endless and reads no clock: whoever sends it waits until a [`Shot`] is due, makes its tag with the time
//! that it is then, and sends it.

use std::time::Duration;

use bytes::Bytes;
use relay_core::amf0::{self, Value};
use relay_core::flv::{Tag, TagKind};
use relay_core::stream::Headers;

use crate::mark::Mark;
use crate::picture;
use crate::profile::{Plan, picture_due, sound_due};
use crate::sound;

/// Codec numbers of FLV's metadata.
const AVC: f64 = 7.0;
const AAC: f64 = 10.0;

/// An endless stream, in the order in which its tags are due; a picture before sound of the same moment.
#[derive(Clone, Debug)]
pub struct Footage {
    plan: Plan,
    pictures: u64,
    sounds: u64,
}

/// A tag to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    /// When it is to be sent, from the beginning of the stream.
    pub due: Duration,
    /// What it is.
    pub frame: Frame,
}

/// What a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A picture.
    Picture {
        /// Which of all.
        sequence: u64,
        /// Which group it is in.
        group: u64,
        /// Which of the group; 0 is the keyframe.
        place: u32,
        /// Bytes of its tag's payload.
        size: usize,
    },
    /// Some milliseconds of silence.
    Sound,
}

impl Footage {
    /// The stream from its beginning.
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            pictures: 0,
            sounds: 0,
        }
    }

    /// What a player needs before the first picture.
    pub fn headers(plan: &Plan) -> Headers {
        let profile = plan.profile();
        Headers {
            metadata: Some(metadata(plan)),
            video: Some(picture::sequence_header(profile.fps).into()),
            audio: profile.audio.then(|| sound::sequence_header().into()),
            has_video: true,
            has_audio: profile.audio,
            ..Headers::default()
        }
    }

    fn next_picture(&mut self) -> Shot {
        let sequence = self.pictures;
        self.pictures += 1;
        let in_group = u64::from(self.plan.pictures());
        let (group, place) = (sequence / in_group, (sequence % in_group) as u32);
        let sizes = self.plan.sizes(group);
        Shot {
            due: picture_due(sequence, self.plan.profile().fps),
            frame: Frame::Picture {
                sequence,
                group,
                place,
                size: if place == 0 { sizes.key } else { sizes.repeat },
            },
        }
    }
}

impl Iterator for Footage {
    type Item = Shot;

    fn next(&mut self) -> Option<Shot> {
        let sound = self.plan.profile().audio.then(|| sound_due(self.sounds));
        match sound {
            Some(due) if due < picture_due(self.pictures, self.plan.profile().fps) => {
                self.sounds += 1;
                Some(Shot {
                    due,
                    frame: Frame::Sound,
                })
            }
            _ => Some(self.next_picture()),
        }
    }
}

impl Shot {
    /// Whether a viewer can begin here.
    pub const fn is_key(&self) -> bool {
        matches!(self.frame, Frame::Picture { place: 0, .. })
    }

    /// Makes the tag. `made_us` is what its mark will say: microseconds of Unix time.
    pub fn tag(&self, made_us: u64) -> Tag {
        // A stream would have to run for 584 million years to have more milliseconds.
        let time = self.due.as_millis() as u64;
        let (kind, payload) = match self.frame {
            Frame::Sound => (TagKind::Audio, sound::silence()),
            Frame::Picture {
                sequence,
                group,
                place,
                size,
            } => {
                let mark = Mark { sequence, made_us };
                let payload = match place {
                    0 => picture::key(mark, group, size),
                    place => picture::repeat(mark, place, size),
                };
                (TagKind::Video, payload)
            }
        };
        Tag {
            kind,
            time,
            payload: payload.into(),
        }
    }
}

/// The `onMetaData` of the stream.
fn metadata(plan: &Plan) -> Bytes {
    let profile = plan.profile();
    let sound_bits = if profile.audio { sound::BITS_PER_SECOND } else { 0 };
    let kilobits = |bits: u64| bits as f64 / 1000.0;
    let mut values = vec![
        ("width", f64::from(picture::WIDTH)),
        ("height", f64::from(picture::HEIGHT)),
        ("framerate", f64::from(profile.fps)),
        ("videocodecid", AVC),
        (
            "videodatarate",
            kilobits(profile.rate.bits().saturating_sub(sound_bits)),
        ),
    ];
    if profile.audio {
        values.extend([
            ("audiocodecid", AAC),
            ("audiosamplerate", sound::SAMPLE_RATE as f64),
            ("audiodatarate", kilobits(sound_bits)),
        ]);
    }
    let mut values: Vec<(String, Value)> = values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    values.push(("encoder".to_owned(), "relay-load".into()));
    let mut out = Vec::new();
    amf0::encode(&"onMetaData".into(), &mut out);
    amf0::encode(&Value::EcmaArray(values), &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use relay_core::codec::{TagInfo, classify};
    use relay_core::config::Bitrate;

    use super::*;
    use crate::profile::Profile;

    fn footage(profile: Profile) -> Footage {
        Footage::new(Plan::new(profile).unwrap())
    }

    fn until(footage: Footage, end: Duration) -> Vec<Shot> {
        footage.take_while(|shot| shot.due < end).collect()
    }

    #[test]
    fn ten_seconds_have_their_pictures_and_their_bytes() {
        let shots = until(footage(Profile::default()), Duration::from_secs(10));
        assert_eq!(shots.len(), 250);
        assert_eq!(shots.iter().filter(|shot| shot.is_key()).count(), 5);
        let bytes: usize = shots.iter().map(|shot| shot.tag(0).payload.len()).sum();
        assert_eq!(bytes, 1_250_000);
    }

    #[test]
    fn sound_is_part_of_the_rate_and_in_order() {
        let profile = Profile {
            audio: true,
            fps: 30,
            rate: Bitrate::from_bits(500_000),
            ..Profile::default()
        };
        // 8 s are 375 frames of sound and 4 groups.
        let shots = until(footage(profile), Duration::from_secs(8));
        let sounds = shots.iter().filter(|shot| shot.frame == Frame::Sound).count();
        assert_eq!(sounds, 375);
        assert!(shots.is_sorted_by_key(|shot| shot.due));
        assert!(shots[0].is_key(), "the first is where a viewer can begin");
        let bytes: usize = shots.iter().map(|shot| shot.tag(0).payload.len()).sum();
        assert_eq!(bytes, 500_000);
    }

    #[test]
    fn each_picture_says_what_it_is() {
        for (expected, shot) in (0..120).zip(footage(Profile::default())) {
            let tag = shot.tag(1_000_000 + expected);
            let mark = Mark::verify(&tag.payload).unwrap();
            assert_eq!((mark.sequence, mark.made_us), (expected, 1_000_000 + expected));
            assert_eq!(tag.time, expected * 40);
            let info = classify(tag.kind, &tag.payload);
            assert_eq!(info.keyframe, expected % 50 == 0);
        }
    }

    #[test]
    fn headers_are_taken_for_what_they_are() {
        let profile = Profile {
            audio: true,
            ..Profile::default()
        };
        let headers = Footage::headers(&Plan::new(profile).unwrap());
        let infos: Vec<TagInfo> = headers
            .tags(0)
            .map(|tag| classify(tag.kind, &tag.payload))
            .collect();
        assert!(infos[0].metadata && infos[1].sequence_header && infos[2].sequence_header);
        let silent = Footage::headers(&Plan::new(Profile::default()).unwrap());
        assert_eq!(silent.tags(0).count(), 2);
    }
}
