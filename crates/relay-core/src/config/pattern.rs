//! Which streams somebody may have: one, those of an app, or all.

use std::fmt;

use super::text::{Text, written_as_text};
use crate::stream::StreamKey;

/// One stream, `live/camera`, or all whose names begin alike, `live/*`; `*` is every stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamPattern {
    /// All before the star, or the whole name.
    lead: String,
    star: bool,
}

impl StreamPattern {
    /// Every stream.
    pub const fn every() -> Self {
        Self {
            lead: String::new(),
            star: true,
        }
    }

    /// Whether it means this stream.
    pub fn matches(&self, stream: &StreamKey) -> bool {
        match self.star {
            true => stream.as_str().starts_with(&self.lead),
            false => stream.as_str() == self.lead,
        }
    }

    /// The stream, if it means exactly one.
    pub fn only(&self) -> Option<StreamKey> {
        // A pattern without a star was read as a stream's name.
        (!self.star).then(|| self.lead.parse().ok()).flatten()
    }
}

impl Text for StreamPattern {
    const EXPECTED: &'static str = "a stream such as \"live/camera\", or several such as \"live/*\"";

    fn read(text: &str) -> Result<Self, String> {
        let Some(lead) = text.strip_suffix('*') else {
            let stream: StreamKey = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self {
                lead: stream.as_str().to_owned(),
                star: false,
            });
        };
        // What the star stands for may be a whole name or the rest of one.
        let whole = match lead.contains('/') {
            true => format!("{lead}x"),
            false => format!("{lead}x/x"),
        };
        if whole.parse::<StreamKey>().is_err() {
            return Err(
                "the star stands at the end of a stream's name, as in \"live/*\" or \"*\"".to_owned(),
            );
        }
        Ok(Self {
            lead: lead.to_owned(),
            star: true,
        })
    }
}

impl fmt::Display for StreamPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.star { "*" } else { "" };
        write!(f, "{}{star}", self.lead)
    }
}

written_as_text!(StreamPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_one_stream_or_those_that_begin_alike() {
        for (pattern, means, not) in [
            ("live/cam", "live/cam", "live/cam2"),
            ("live/*", "live/cam", "lives/cam"),
            ("live/cam*", "live/cam2", "live/ca"),
            ("li*", "live/cam", "vod/cam"),
            ("v2/pub/*", "v2/pub/cam", "v2/cam"),
        ] {
            let read: StreamPattern = pattern.parse().unwrap();
            assert!(read.matches(&means.parse().unwrap()), "{pattern} {means}");
            assert!(!read.matches(&not.parse().unwrap()), "{pattern} {not}");
            assert_eq!(read.to_string(), pattern);
        }
        let every: StreamPattern = "*".parse().unwrap();
        assert_eq!(every, StreamPattern::every());
        assert!(every.matches(&"a/b".parse().unwrap()) && every.only().is_none());
        let one: StreamPattern = "live/cam".parse().unwrap();
        assert_eq!(one.only(), Some("live/cam".parse().unwrap()));
    }

    #[test]
    fn what_no_stream_could_match_is_refused() {
        for wrong in ["", "live", "live/**", "*/cam", "a b/*", "live//*", "watch/*"] {
            assert!(wrong.parse::<StreamPattern>().is_err(), "{wrong}");
        }
    }
}
