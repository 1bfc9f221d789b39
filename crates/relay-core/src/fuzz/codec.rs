//! Any bytes as the body of a tag.

use super::choice;
use crate::codec::classify;
use crate::flv::TagKind;

/// Classifies the data as a tag of one kind: an answer comes whatever they are, and is one that makes sense.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let kind = match choice(&mut data) % 4 {
        0 => TagKind::Audio,
        1 => TagKind::Script,
        _ => TagKind::Video,
    };
    let info = classify(kind, data);
    assert!(
        !(info.keyframe && info.sequence_header),
        "a configuration is no frame"
    );
    assert!(!(info.keyframe && info.end_of_sequence), "nor is an end");
    assert!(!info.keyframe || kind == TagKind::Video);
    assert!(!info.metadata || kind == TagKind::Script);
    assert_eq!(classify(kind, data), info, "and is the same again");
}
