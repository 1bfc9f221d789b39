//! Any bytes as a chunk stream.

use super::choice;
use crate::rtmp::ChunkError;
use crate::rtmp::chunk::{Limits, Message, Reader, Writer};

/// Small, so that data of a few kilobytes reach them.
const LIMITS: Limits = Limits {
    message: 20_000,
    unfinished: 30_000,
};

/// Reads the data in one piece, byte by byte, and in pieces as the data say: always with the same end. What was
/// read is read again from what our writer makes of it.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let (size, chunk_size) = (choice(&mut data), choice(&mut data));
    let whole = read(data, data.len());
    assert_eq!(read(data, 1), whole, "byte by byte");
    assert_eq!(read(data, usize::from(size)), whole, "in pieces of {size}");
    write_and_read(&whole.0, u32::from(chunk_size));
}

fn read(data: &[u8], size: usize) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = Reader::new(LIMITS);
    let mut messages = Vec::new();
    for mut piece in data.chunks(size.max(1)) {
        loop {
            match reader.read(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
            assert!(reader.unfinished() <= LIMITS.unfinished);
        }
        assert!(piece.is_empty(), "all is taken");
    }
    let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
    assert!(bytes <= data.len(), "nothing is made up");
    (messages, None)
}

fn write_and_read(messages: &[Message], chunk_size: u32) {
    use crate::rtmp::message::MessageType;
    let writer = Writer::new(chunk_size);
    let mut stream = Vec::new();
    let size = chunk_size.max(1).to_be_bytes();
    Writer::new(128).write(MessageType::SetChunkSize, 2, 0, 0, &size, &mut stream);
    for (csid, message) in (2..66).cycle().zip(messages) {
        writer.write(
            message.kind,
            csid,
            message.stream_id,
            message.time,
            &message.payload,
            &mut stream,
        );
    }
    let (again, error) = read(&stream, stream.len());
    assert_eq!((&again[..], error), (messages, None));
}
