//! What is wrong with what an encoder sends, in the log: once when it begins, once when it is over.

use relay_core::admin::WarningRow;
use relay_core::stream::{Stream, Warning};

/// What was said of one stream's encoder.
#[derive(Debug, Default)]
pub(super) struct Told {
    holding: Vec<Warning>,
}

impl Told {
    /// Says what has changed since it was last asked.
    pub(super) fn tell(&mut self, stream: &Stream) {
        let raised = stream.warnings();
        let holds = |warning: &Warning| raised.iter().any(|raised| raised.warning == *warning);
        for over in self.holding.iter().filter(|warning| !holds(warning)) {
            tracing::info!(stream = %stream.key(), warning = over.label(), "the encoder mended it");
        }
        for raised in raised
            .iter()
            .filter(|raised| !self.holding.contains(&raised.warning))
        {
            let warning = raised.warning.label();
            let WarningRow { says, hand, .. } = (*raised).into();
            tracing::warn!(stream = %stream.key(), warning, "the stream {says}: {hand}");
        }
        self.holding = raised.iter().map(|raised| raised.warning).collect();
    }
}

#[cfg(test)]
mod tests {
    use relay_core::clock::Now;
    use relay_core::flv::{Tag, TagKind};
    use relay_core::stream::{GroupHead, LogConfig};

    use super::*;

    fn play(stream: &Stream, epoch: u64, keyframe_each_ms: u64) {
        let now = Now {
            mono_ms: 1_000_000,
            unix_us: 0,
        };
        for time in (0..12_000).step_by(40) {
            let key = time % keyframe_each_ms == 0;
            if key {
                let head = GroupHead {
                    epoch,
                    number: time / keyframe_each_ms,
                    continuation: false,
                    first_time: time,
                    origin_us: 0,
                };
                stream.begin_group(head, now).unwrap();
            }
            let payload = if key {
                &b"\x17\x01\0\0\0"[..]
            } else {
                b"\x27\x01\0\0\0"
            };
            let tag = Tag {
                kind: TagKind::Video,
                time,
                payload: payload.into(),
            };
            stream.append(&tag, now.plus_ms(time)).unwrap();
        }
    }

    #[test]
    fn a_warning_is_said_once_and_taken_back_once() {
        let stream = Stream::new("live/cam".parse().unwrap(), LogConfig::default());
        let mut told = Told::default();
        play(&stream, 1, 2_000);
        told.tell(&stream);
        assert_eq!(told.holding, []);
        play(&stream, 2, 6_000);
        told.tell(&stream);
        assert_eq!(told.holding, [Warning::LongInterval]);
        told.tell(&stream);
        assert_eq!(told.holding, [Warning::LongInterval]);
        play(&stream, 3, 2_000);
        told.tell(&stream);
        assert_eq!(told.holding, []);
    }
}
