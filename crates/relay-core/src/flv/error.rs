//! What can be wrong with an FLV file or stream.

/// What the writer of an FLV did wrong. "Need more bytes" is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The first three bytes are not `FLV`.
    #[error("this is not FLV: it begins with {0:02x?}")]
    NotFlv([u8; 3]),
    /// A version other than 1, the only one there ever was.
    #[error("FLV version {0} is unknown")]
    Version(u8),
    /// The header says that it ends before it does, or further away than any real one.
    #[error("the FLV header claims to be {0} bytes long")]
    HeaderLength(u32),
    /// A tag type other than audio, video or script.
    #[error("a tag has the unknown type {0}")]
    UnknownType(u8),
    /// The filter bit: the tag's body is encrypted, and a relay cannot find its keyframes.
    #[error("a tag is encrypted")]
    Encrypted,
    /// A tag's stream id is not 0, which in practice means that the reader and the writer are out of step.
    #[error("a tag has the stream id {0}, where only 0 is allowed")]
    StreamId(u32),
    /// A tag without a body.
    #[error("a tag has no body")]
    EmptyTag,
    /// The file ends inside its header or inside a tag.
    #[error("the FLV ends in the middle of a tag, {0} bytes after the last whole one")]
    Truncated(usize),
    /// A clip larger than what one may hold in memory.
    #[error("the FLV is {0} bytes long; at most {max} are held in memory", max = super::clip::MAX_CLIP_BYTES)]
    ClipTooLarge(usize),
    /// A clip without a single audio or video frame.
    #[error("the FLV holds no audio or video")]
    NothingToPlay,
}
