//! What a synthetic stream is like, and what follows from it: how many pictures a group has, and how large each is.

use std::time::Duration;

use relay_core::config::Bitrate;
use relay_core::flv::tag::MAX_PAYLOAD_BYTES;
use thiserror::Error;

use crate::picture::{MIN_KEY_BYTES, MIN_REPEAT_BYTES};
use crate::sound;

/// Pictures per second at most: beyond it a picture is gone before a period of any server is over.
pub const MAX_FPS: u32 = 120;

/// The longest way from keyframe to keyframe: a viewer who comes waits for one, or begins so far in the past.
pub const MAX_GOP: Duration = Duration::from_secs(60);

/// How much larger a keyframe is than another picture, as encoders make them of calm footage.
const KEY_WEIGHT: u64 = 8;

/// What a synthetic stream is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Bits per second of tag payloads, pictures and sound together.
    pub rate: Bitrate,
    /// Pictures per second, 1 to 120.
    pub fps: u32,
    /// From keyframe to keyframe.
    pub gop: Duration,
    /// Whether there is sound.
    pub audio: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            rate: Bitrate::from_bits(1_000_000),
            fps: 25,
            gop: Duration::from_secs(2),
            audio: false,
        }
    }
}

/// Why there is no such stream.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProfileError {
    /// No pictures, or too many.
    #[error("--fps is 1 to {MAX_FPS} pictures per second")]
    Fps,
    /// No picture fits between keyframes, or they are too far apart.
    #[error("--gop is at least one picture and at most {} s", MAX_GOP.as_secs())]
    Gop,
    /// The pictures do not fit into the rate.
    #[error("--rate is too low: these pictures (and the sound, if any) need at least {}", least.spoken())]
    TooLow {
        /// What would do.
        least: Bitrate,
    },
    /// A keyframe does not fit into a tag.
    #[error("--rate is too high for --gop: a keyframe would have more than 16 MB")]
    TooHigh,
}

/// A [`Profile`] that can be had, worked out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    profile: Profile,
    pictures: u32,
    video_bits: u64,
}

/// The sizes of a group's pictures, in bytes of tag payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the keyframe.
    pub key: usize,
    /// Of each other picture.
    pub repeat: usize,
}

impl Plan {
    /// Works a profile out.
    ///
    /// # Errors
    /// What to change.
    pub fn new(profile: Profile) -> Result<Self, ProfileError> {
        if !(1..=MAX_FPS).contains(&profile.fps) {
            return Err(ProfileError::Fps);
        }
        if profile.gop > MAX_GOP {
            return Err(ProfileError::Gop);
        }
        let nanos = profile.gop.as_nanos() * u128::from(profile.fps);
        // At most 60 s × 120.
        let pictures = ((nanos + 500_000_000) / 1_000_000_000) as u32;
        if pictures == 0 {
            return Err(ProfileError::Gop);
        }
        let sound = if profile.audio { sound::BITS_PER_SECOND } else { 0 };
        let plan = Self {
            profile,
            pictures,
            video_bits: profile.rate.bits().saturating_sub(sound),
        };
        // A group may be a byte smaller than another, which is why the least is one more than it takes.
        let least_bytes = plan.least_bytes() + 1;
        if plan.group_bytes(0) < least_bytes {
            return Err(ProfileError::TooLow {
                least: plan.least_rate(least_bytes, sound),
            });
        }
        if plan.sizes(0).key > MAX_PAYLOAD_BYTES - MIN_KEY_BYTES {
            return Err(ProfileError::TooHigh);
        }
        Ok(plan)
    }

    /// The profile.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Pictures from keyframe to keyframe, the first one counted.
    pub const fn pictures(&self) -> u32 {
        self.pictures
    }

    /// From keyframe to keyframe, as it is with whole pictures.
    pub fn gop(&self) -> Duration {
        picture_due(self.pictures.into(), self.profile.fps)
    }

    /// The sizes of group `number`'s pictures: together as many bytes as make the rate exact from the beginning of the
    /// stream to the end of the group.
    pub fn sizes(&self, number: u64) -> Sizes {
        let bytes = self.group_bytes(number);
        let others = u64::from(self.pictures - 1);
        let spare = bytes.saturating_sub(MIN_KEY_BYTES as u64);
        let fair = bytes / (others + KEY_WEIGHT);
        let repeat = fair
            .min(spare.checked_div(others).unwrap_or_default())
            .max(MIN_REPEAT_BYTES as u64);
        // Sizes fit: a group has less than MAX_GOP of the highest rate, and a keyframe less than MAX_PAYLOAD_BYTES.
        Sizes {
            key: bytes.saturating_sub(repeat * others) as usize,
            repeat: repeat as usize,
        }
    }

    fn group_bytes(&self, number: u64) -> u64 {
        self.bytes_before(number + 1) - self.bytes_before(number)
    }

    /// Bytes of all pictures before group `number`.
    fn bytes_before(&self, number: u64) -> u64 {
        let pictures = u128::from(number) * u128::from(self.pictures);
        let bytes = pictures * u128::from(self.video_bits) / (8 * u128::from(self.profile.fps));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    const fn least_bytes(&self) -> u64 {
        MIN_KEY_BYTES as u64 + (self.pictures as u64 - 1) * MIN_REPEAT_BYTES as u64
    }

    /// A rate with which groups have so many bytes, in whole kilobits.
    fn least_rate(&self, bytes: u64, sound: u64) -> Bitrate {
        let bits = (bytes * 8 * u64::from(self.profile.fps)).div_ceil(self.pictures.into());
        Bitrate::from_bits((bits + sound).div_ceil(1000) * 1000)
    }
}

/// When picture `number` is due, from the beginning of the stream.
pub(crate) fn picture_due(number: u64, fps: u32) -> Duration {
    fraction_of_seconds(number, 1, fps.into())
}

/// When frame of sound `number` is due.
pub(crate) fn sound_due(number: u64) -> Duration {
    fraction_of_seconds(number, sound::FRAME_SAMPLES, sound::SAMPLE_RATE)
}

/// `number` × `numerator` ÷ `denominator` seconds, rounded down to a nanosecond, whatever the number: nothing drifts.
fn fraction_of_seconds(number: u64, numerator: u64, denominator: u64) -> Duration {
    let ticks = u128::from(number) * u128::from(numerator);
    let denominator = u128::from(denominator);
    let seconds = u64::try_from(ticks / denominator).unwrap_or(u64::MAX);
    // Less than a second.
    let nanos = (ticks % denominator * 1_000_000_000 / denominator) as u32;
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(rate: &str, fps: u32, gop_ms: u64, audio: bool) -> Profile {
        Profile {
            rate: rate.parse().unwrap(),
            fps,
            gop: Duration::from_millis(gop_ms),
            audio,
        }
    }

    fn bytes(plan: &Plan, number: u64) -> u64 {
        let sizes = plan.sizes(number);
        (sizes.key + sizes.repeat * (plan.pictures() as usize - 1)) as u64
    }

    #[test]
    fn a_group_has_exactly_the_rate() {
        let plan = Plan::new(Profile::default()).unwrap();
        assert_eq!(plan.pictures(), 50);
        for number in 0..3 {
            assert_eq!(bytes(&plan, number), 250_000);
            let sizes = plan.sizes(number);
            assert!(sizes.key >= 8 * sizes.repeat && sizes.key < 8 * sizes.repeat + 57);
        }
    }

    #[test]
    fn what_does_not_divide_never_adds_up_to_an_error() {
        for (rate, fps, gop, audio) in [
            ("1000001bit", 30, 1990, false),
            ("777777bit", 7, 3100, true),
            ("4Mbit", 60, 2000, true),
            ("100kbit", 25, 10_000, false),
        ] {
            let plan = Plan::new(profile(rate, fps, gop, audio)).unwrap();
            let sum: u64 = (0..1000).map(|number| bytes(&plan, number)).sum();
            let sound = if audio { 63_750 } else { 0 };
            let bits = u128::from(plan.profile().rate.bits() - sound) * plan.gop().as_nanos();
            let exact = bits * 1000 / 8_000_000_000;
            let error = i128::from(sum) - exact as i128;
            assert!((-1..=1).contains(&error), "{rate}: {error} bytes");
        }
    }

    #[test]
    fn pictures_are_due_in_whole_numbers_however_long_it_takes() {
        assert_eq!(picture_due(3 * 86_400 * 30, 30), Duration::from_secs(3 * 86_400));
        assert_eq!(picture_due(1, 30), Duration::from_nanos(33_333_333));
        assert_eq!(sound_due(375), Duration::from_secs(8));
        assert_eq!(
            Plan::new(profile("1Mbit", 30, 1990, false)).unwrap().pictures(),
            60
        );
    }

    #[test]
    fn a_rate_that_is_too_low_is_answered_with_one_that_is_not() {
        for (fps, gop, audio) in [
            (25, 2000, false),
            (120, 60_000, true),
            (1, 1000, true),
            (30, 33, false),
        ] {
            let Err(ProfileError::TooLow { least }) = Plan::new(profile("1kbit", fps, gop, audio)) else {
                panic!("{fps} pictures per second in a kilobit");
            };
            let enough = Profile {
                rate: least,
                ..profile("1kbit", fps, gop, audio)
            };
            let plan = Plan::new(enough).unwrap();
            for number in 0..50 {
                let sizes = plan.sizes(number);
                assert!(
                    sizes.key >= MIN_KEY_BYTES && sizes.repeat >= MIN_REPEAT_BYTES,
                    "{sizes:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let refused = |profile| Plan::new(profile).unwrap_err();
        assert_eq!(refused(profile("1Mbit", 0, 2000, false)), ProfileError::Fps);
        assert_eq!(refused(profile("1Mbit", 121, 2000, false)), ProfileError::Fps);
        assert_eq!(refused(profile("1Mbit", 25, 0, false)), ProfileError::Gop);
        assert_eq!(refused(profile("1Mbit", 25, 61_000, false)), ProfileError::Gop);
        assert_eq!(
            refused(profile("100Gbit", 25, 2000, false)),
            ProfileError::TooHigh
        );
    }
}
