//! FLV: the tag, its wire form, and the file. Adobe FLV specification 10.1, annex E.

pub mod tag;

pub use tag::{Tag, TagKind, encode_into, file_header};
