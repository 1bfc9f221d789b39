//! A peer that cuts messages into chunks in every way there is, and, if it is a rogue, in some that there are not.

use arbitrary::{Result, Unstructured};

use crate::rtmp::chunk::MAX_CHUNK_SIZE;
use crate::rtmp::message::MessageType;

/// From this time on a header has the extended field.
const EXTENDED: u32 = 0xFF_FFFF;

/// Chunk streams that encoders use, and those at the ends of the three forms of the number (R20).
const CHUNK_STREAMS: [u32; 10] = [2, 3, 4, 6, 8, 63, 64, 319, 320, 65599];

/// A message to send.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) kind: MessageType,
    pub(super) stream_id: u32,
    pub(super) time: u32,
    pub(super) payload: Vec<u8>,
}

/// What a chunk stream's next header may leave out.
#[derive(Clone, Copy, Debug)]
struct Last {
    csid: u32,
    time: u32,
    field: u32,
    kind: u8,
    length: usize,
    stream_id: u32,
}

/// The sending side of a chunk stream.
#[derive(Debug)]
pub(super) struct Peer {
    /// All that was sent.
    pub(super) out: Vec<u8>,
    /// Whether it breaks rules now and then.
    rogue: bool,
    chunk_size: usize,
    last: Vec<Last>,
    /// The chunks of a message that others may get in between of, and its chunk stream.
    pending: (u32, Vec<Vec<u8>>),
}

impl Peer {
    pub(super) const fn new(rogue: bool, out: Vec<u8>) -> Self {
        Self {
            out,
            rogue,
            chunk_size: 128,
            last: Vec::new(),
            pending: (0, Vec::new()),
        }
    }

    /// The most bytes of a message that one chunk takes.
    pub(super) const fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Sends a message, some of it now and some of it between the chunks of the next ones.
    pub(super) fn send(&mut self, choices: &mut Unstructured<'_>, sent: &Sent) -> Result<()> {
        let mut csid = *choices.choose(&CHUNK_STREAMS)?;
        if csid == self.pending.0 && !self.rogue {
            // On the chunk stream of an unfinished message nothing may begin.
            csid = if csid == 3 { 4 } else { 3 };
        }
        let mut chunks = self.chunks(choices, csid, sent)?;
        if sent.kind == MessageType::SetChunkSize {
            self.finish();
            self.out.extend(chunks.concat());
            self.obey(&sent.payload);
            return Ok(());
        }
        while !self.pending.1.is_empty() {
            self.out.extend(self.pending.1.remove(0));
            // Its last chunk comes behind the other message's, so that messages end in the order in which they begin.
            if chunks.len() > 1 && choices.arbitrary()? {
                self.out.extend(chunks.remove(0));
            }
        }
        let hold = choices.int_in_range(0..=chunks.len().min(3))?;
        let held = chunks.split_off(chunks.len() - hold);
        self.out.extend(chunks.concat());
        self.pending = (if held.is_empty() { 0 } else { csid }, held);
        Ok(())
    }

    /// Sends what is left of an unfinished message.
    pub(super) fn finish(&mut self) {
        let (_, chunks) = std::mem::take(&mut self.pending);
        self.out.extend(chunks.concat());
    }

    /// Sends bytes that are no chunk, or happen to be one.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn obey(&mut self, payload: &[u8]) {
        if let Some(size) = payload.first_chunk::<4>() {
            let size = u32::from_be_bytes(*size).clamp(1, MAX_CHUNK_SIZE);
            self.chunk_size = size as usize;
        }
    }

    fn chunks(&mut self, choices: &mut Unstructured<'_>, csid: u32, sent: &Sent) -> Result<Vec<Vec<u8>>> {
        let last = self.last.iter().position(|last| last.csid == csid);
        let before = last.map(|index| self.last[index]);
        let header = self.header(choices, before, sent)?;
        let delta = before.map_or(sent.time, |before| sent.time.wrapping_sub(before.time));
        let field = match header {
            0 => sent.time,
            3 => before.map_or(0, |before| before.field),
            _ => delta,
        };
        let (kind, length) = (sent.kind.to_wire(), sent.payload.len());
        let mut first = basic(header, csid);
        if header < 3 {
            first.extend(&field.min(EXTENDED).to_be_bytes()[1..]);
        }
        if header < 2 {
            first.extend(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()[1..]);
            first.push(kind);
        }
        if header < 1 {
            first.extend(sent.stream_id.to_le_bytes());
        }
        let extended = field.to_be_bytes();
        let extended = if field >= EXTENDED { &extended[..] } else { &[] };
        first.extend(extended);
        let mut pieces = sent.payload.chunks(self.chunk_size);
        first.extend(pieces.next().unwrap_or_default());
        let mut chunks = vec![first];
        for piece in pieces {
            let mut chunk = basic(3, csid);
            // Some leave it out (R14); an honest one here does not, since then its payload could be taken for it.
            if !self.rogue || choices.ratio(3, 4)? {
                chunk.extend(extended);
            }
            chunk.extend(piece);
            chunks.push(chunk);
        }
        let now = Last {
            csid,
            time: sent.time,
            field,
            kind,
            length,
            stream_id: sent.stream_id,
        };
        match last {
            Some(index) => self.last[index] = now,
            None => self.last.push(now),
        }
        Ok(chunks)
    }

    /// A type of header that says enough; a rogue takes any.
    fn header(&self, choices: &mut Unstructured<'_>, before: Option<Last>, sent: &Sent) -> Result<u8> {
        let wish = choices.int_in_range(0..=3)?;
        if self.rogue && choices.ratio(1, 8)? {
            return Ok(wish);
        }
        let Some(before) = before.filter(|before| before.stream_id == sent.stream_id) else {
            return Ok(0);
        };
        let alike = before.kind == sent.kind.to_wire() && before.length == sent.payload.len();
        let goes_on = before.time.wrapping_add(before.field) == sent.time;
        Ok(match wish {
            3 if alike && goes_on => 3,
            2 | 3 if alike => 2,
            0 => 0,
            _ => 1,
        })
    }
}

fn basic(header: u8, csid: u32) -> Vec<u8> {
    let top = header << 6;
    let [low, high, ..] = csid.saturating_sub(64).to_le_bytes();
    match csid {
        0..=63 => vec![top | csid.to_le_bytes()[0]],
        64..=319 => vec![top, low],
        _ => vec![top | 1, low, high],
    }
}
