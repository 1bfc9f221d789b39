//! What is wrong with a stream, in words.

use serde::{Deserialize, Serialize};

use super::words::rate;
use crate::stream::{Raised, Warning};

/// One thing that the operator of a stream's encoder should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningRow {
    /// A label of `relay_stream_warning`, such as `keyframe_interval`.
    pub warning: String,
    /// What is wrong, as the rest of a sentence that begins with the stream's name.
    pub says: String,
    /// What to do.
    pub hand: String,
}

impl From<Raised> for WarningRow {
    fn from(raised: Raised) -> Self {
        Self {
            warning: raised.warning.label().to_owned(),
            says: says(&raised),
            hand: hand(raised.warning).to_owned(),
        }
    }
}

fn says(raised: &Raised) -> String {
    let seconds = raised.measured.unsigned_abs() as f64 / 1000.0;
    let bits = |bytes: i64| rate(bytes.unsigned_abs().saturating_mul(8));
    match raised.warning {
        Warning::LongInterval => {
            format!("has keyframes {seconds:.1} s apart or more, and by so much joiners are behind")
        }
        Warning::SilentAudio => format!("should have sound, and has had none for {seconds:.0} s"),
        Warning::SilentVideo => format!("should have pictures, and has had none for {seconds:.0} s"),
        Warning::Skew if raised.measured > 0 => {
            format!("has pictures {seconds:.1} s ahead of their sound, for which players wait")
        }
        Warning::Skew => format!("has sound {seconds:.1} s ahead of its pictures, for which players wait"),
        Warning::Leap => format!("leapt from {} to {}", bits(raised.usual), bits(raised.measured)),
        Warning::Mislabelled => "has HEVC under the label of AVC, which most players cannot show".to_owned(),
    }
}

const fn hand(warning: Warning) -> &'static str {
    match warning {
        Warning::LongInterval => "set the encoder's keyframe interval to 2 s",
        Warning::SilentAudio => "look at the encoder's microphone, or leave sound out there",
        Warning::SilentVideo => "look at the encoder's camera, or leave video out there",
        Warning::Skew => "look at the delays that the encoder gives sound and pictures, and at its processor",
        Warning::Leap => "set a constant bitrate at the encoder, so that the uplink can be relied on",
        Warning::Mislabelled => "use an encoder that sends HEVC by enhanced RTMP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_says_what_is_wrong() {
        let row = |warning, measured, usual| {
            WarningRow::from(Raised {
                warning,
                measured,
                usual,
            })
        };
        for (warning, measured, usual, says) in [
            (
                Warning::LongInterval,
                10_000,
                0,
                "has keyframes 10.0 s apart or more, and by so much joiners are behind",
            ),
            (
                Warning::Skew,
                -2_960,
                0,
                "has sound 3.0 s ahead of its pictures, for which players wait",
            ),
            (
                Warning::Skew,
                2_960,
                0,
                "has pictures 3.0 s ahead of their sound, for which players wait",
            ),
            (
                Warning::Leap,
                1_000_000,
                250_000,
                "leapt from 2 Mbit/s to 8 Mbit/s",
            ),
        ] {
            assert_eq!(row(warning, measured, usual).says, says);
        }
        for warning in Warning::ALL {
            let row = row(warning, 5_000, 1);
            assert!(!row.says.is_empty() && !row.hand.is_empty());
            assert_eq!(row.warning, warning.label());
        }
    }
}
