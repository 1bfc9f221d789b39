//! What publishers meet on each stream, as the configuration has it.

use std::collections::BTreeMap;

use relay_core::config::Origin;
use relay_core::limits::Limits;
use relay_core::stream::StreamKey;
use relay_core::stream::policy::{Patience, SecondPublisher};

/// What publishers meet, on all streams and on those that are named.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    patience: Patience,
    second_on: BTreeMap<StreamKey, SecondPublisher>,
}

impl Rules {
    /// As configured.
    pub fn new(origin: &Origin, limits: &Limits) -> Self {
        Self {
            patience: Patience {
                second: origin.second_publisher,
                grace_ms: origin.grace.millis(),
                replace_idle_ms: origin.replace_idle.millis(),
                replace_hold_ms: origin.replace_hold.millis(),
                first_tag_ms: limits.publisher_start.millis(),
                idle_ms: limits.publisher_silence.millis(),
                switch_back_ms: origin.switch_back.millis(),
            },
            second_on: origin.second_publisher_on.clone(),
        }
    }

    /// On one stream.
    pub fn of(&self, stream: &StreamKey) -> Patience {
        let second = self.second_on.get(stream).copied();
        Patience {
            second: second.unwrap_or(self.patience.second),
            ..self.patience
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_machine() {
        let rules = Rules::new(&Origin::default(), &Limits::default());
        assert_eq!(rules.of(&"live/cam".parse().unwrap()), Patience::default());
    }

    #[test]
    fn r02_a_stream_may_have_a_rule_of_its_own() {
        let main: StreamKey = "live/main".parse().unwrap();
        let origin = Origin {
            second_publisher: SecondPublisher::Reject,
            second_publisher_on: [(main.clone(), SecondPublisher::Backup)].into(),
            ..Origin::default()
        };
        let rules = Rules::new(&origin, &Limits::default());
        assert_eq!(rules.of(&main).second, SecondPublisher::Backup);
        assert_eq!(
            rules.of(&"live/cam".parse().unwrap()).second,
            SecondPublisher::Reject
        );
    }
}
