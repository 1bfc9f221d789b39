//! A suspicious reader of FLV: it believes no length that the other length does not confirm.

use bytes::{Buf as _, Bytes, BytesMut};
use relay_core::flv::TagKind;

use crate::media::Message;

/// Type, size, time, stream id.
const TAG_HEADER: usize = 11;

/// Larger than any message that a test sends.
const MAX_PAYLOAD: usize = 16 << 20;

/// What is wrong with a stream of bytes that should be FLV.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFlv(String);

/// Takes bytes as they come and gives messages.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    flags: Option<u8>,
    messages: Vec<Message>,
}

impl Reader {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are not what the specification allows.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NotFlv> {
        self.buffer.extend_from_slice(bytes);
        if self.flags.is_none() && !self.read_file_header()? {
            return Ok(());
        }
        while let Some(message) = self.read_tag()? {
            self.messages.push(message);
        }
        Ok(())
    }

    /// All messages that are complete by now, once.
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// Whether the file header promises (audio, video); `None` until it was read.
    pub fn promised(&self) -> Option<(bool, bool)> {
        self.flags.map(|flags| (flags & 4 != 0, flags & 1 != 0))
    }

    /// Whether the bytes so far end with a whole tag.
    pub fn is_at_boundary(&self) -> bool {
        self.buffer.is_empty()
    }

    fn read_file_header(&mut self) -> Result<bool, NotFlv> {
        let Some((header, _)) = self.buffer.split_first_chunk::<13>() else {
            return Ok(false);
        };
        let [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0] = *header else {
            return Err(NotFlv(format!("the file header is {header:02x?}")));
        };
        self.flags = Some(flags);
        self.buffer.advance(13);
        Ok(true)
    }

    fn read_tag(&mut self) -> Result<Option<Message>, NotFlv> {
        let Some((header, _)) = self.buffer.split_first_chunk::<TAG_HEADER>() else {
            return Ok(None);
        };
        let [kind, s2, s1, s0, t2, t1, t0, t3, 0, 0, 0] = *header else {
            return Err(NotFlv(format!("the tag header {header:02x?} has a stream id")));
        };
        let kind = TagKind::from_wire(kind).ok_or_else(|| NotFlv(format!("tag type {kind}")))?;
        let size = u32::from_be_bytes([0, s2, s1, s0]) as usize;
        if size > MAX_PAYLOAD {
            return Err(NotFlv(format!("a tag of {size} bytes")));
        }
        let time = u32::from_be_bytes([t3, t2, t1, t0]);
        if self.buffer.len() < TAG_HEADER + size + 4 {
            return Ok(None);
        }
        self.buffer.advance(TAG_HEADER);
        let payload: Bytes = self.buffer.split_to(size).freeze();
        let confirmed = self.buffer.get_u32() as usize;
        if confirmed != TAG_HEADER + size {
            return Err(NotFlv(format!(
                "PreviousTagSize {confirmed} after a tag of {} bytes",
                TAG_HEADER + size
            )));
        }
        Ok(Some(Message { kind, time, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\0\0\x02\x01\x02\x03\x04\0\0\0\x17\x01\0\0\0\x0d";

    #[test]
    fn reads_a_tag_byte_by_byte() {
        let mut reader = Reader::default();
        for byte in FILE {
            reader.push(&[*byte]).unwrap();
        }
        let messages = reader.take_messages();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].time, 0x0401_0203);
        assert_eq!(&messages[0].payload[..], b"\x17\x01");
        assert_eq!(reader.promised(), Some((true, true)));
        assert!(reader.is_at_boundary());
    }

    #[test]
    fn believes_no_unconfirmed_length() {
        let mut wrong = FILE.to_vec();
        *wrong.last_mut().unwrap() = 14;
        assert!(Reader::default().push(&wrong).is_err());
    }
}
