//! Why a publisher's message did not become a tag of the stream.

/// Why a message did not become a tag of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Dropped {
    /// From a publisher that has been replaced or let go.
    #[error("the publisher has been replaced")]
    Replaced,
    /// Nothing in it (R29).
    #[error("the message is empty")]
    Empty,
    /// Video that builds on a keyframe which nobody has.
    #[error("no keyframe has come yet")]
    NoKeyframe,
    /// Audio before the keyframe at which the session begins.
    #[error("the session waits for video to begin")]
    AwaitingVideo,
    /// Older than the session's first tag.
    #[error("it is older than where the session begins")]
    BeforeStart,
    /// A sequence header or metadata that readers have already (R38).
    #[error("the same header has been sent before")]
    DuplicateHeader,
    /// A sequence header or metadata without anything in it (R36): writers send such before they know better.
    #[error("the header is empty")]
    EmptyHeader,
    /// Script data before the session has begun.
    #[error("the session has not begun")]
    NotBegun,
}

impl Dropped {
    /// All reasons, in the order of [`index`](Self::index): the label values of a metric.
    pub const ALL: [Self; 8] = [
        Self::Replaced,
        Self::Empty,
        Self::NoKeyframe,
        Self::AwaitingVideo,
        Self::BeforeStart,
        Self::DuplicateHeader,
        Self::EmptyHeader,
        Self::NotBegun,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name as a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Empty => "empty",
            Self::NoKeyframe => "no_keyframe",
            Self::AwaitingVideo => "awaiting_video",
            Self::BeforeStart => "before_start",
            Self::DuplicateHeader => "duplicate_header",
            Self::EmptyHeader => "empty_header",
            Self::NotBegun => "not_begun",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place() {
        for (index, reason) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index, "{}", reason.label());
        }
    }
}
