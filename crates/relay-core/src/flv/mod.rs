//! FLV: the tag, its wire form, and the file. Adobe FLV specification 10.1, annex E.
//!
//! - [`tag`]: a tag and its 11-byte header.
//! - [`mod@file`]: an incremental reader of a whole FLV, from a file or a socket.
//! - [`clip`]: an FLV held in memory, with the period at which it loops without a seam.

pub mod clip;
pub mod error;
pub mod file;
pub mod tag;

pub use clip::Clip;
pub use error::FlvError;
pub use file::{RawTag, Reader};
pub use tag::{Tag, TagHeader, TagKind, encode_into, file_header};
