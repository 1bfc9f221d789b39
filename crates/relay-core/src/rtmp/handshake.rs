//! The simple handshake: a version byte and 1,536 bytes each way, each echoed. (Section 5.2.)
//!
//! Whoever needs the digest handshake shows it in C1, which is held whole before anything is answered, so that the
//! answer can depend on it.

use sha2::{Digest, Sha256};

use super::error::HandshakeError;
use crate::clock::Now;
use crate::wire;

/// The version of RTMP that is spoken in the open.
pub const VERSION: u8 = 3;

/// The length of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;

/// The server's side.
///
/// Feed it until it says that it is done; what is left of the input then is the chunk stream.
#[derive(Debug)]
pub struct Server {
    random: [u8; 32],
    c1: Packet,
    /// Bytes of C2 still to come. They are not looked at: not every client echoes, and nothing hangs on it.
    c2_left: usize,
    version_seen: bool,
}

impl Server {
    /// A handshake not yet begun. The random bytes fill S1.
    pub const fn new(random: [u8; 32]) -> Self {
        Self {
            random,
            c1: Packet(Vec::new()),
            c2_left: PACKET_BYTES,
            version_seen: false,
        }
    }

    /// Takes from `input` what belongs to the handshake and appends the answer, once there is one. True means done.
    ///
    /// # Errors
    /// The first byte is not [`VERSION`] (R23).
    pub fn handle_input(
        &mut self,
        input: &mut &[u8],
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<bool, HandshakeError> {
        if !self.version_seen {
            let Some(()) = take_version(input)? else {
                return Ok(false);
            };
            self.version_seen = true;
        }
        if !self.c1.is_whole() {
            self.c1.fill(input);
            if !self.c1.is_whole() {
                return Ok(false);
            }
            out.push(VERSION);
            put_own_packet(out, self.random, now);
            // S2 is C1 as it came, times included: some clients compare all of it.
            out.extend_from_slice(&self.c1.0);
        }
        self.c2_left -= skip(input, self.c2_left);
        Ok(self.c2_left == 0)
    }
}

/// The client's side.
#[derive(Debug)]
pub struct Client {
    s1: Packet,
    s2_left: usize,
    version_seen: bool,
}

impl Client {
    /// Begins a handshake: appends C0 and C1.
    pub fn start(random: [u8; 32], now: Now, out: &mut Vec<u8>) -> Self {
        out.push(VERSION);
        put_own_packet(out, random, now);
        Self {
            s1: Packet(Vec::new()),
            s2_left: PACKET_BYTES,
            version_seen: false,
        }
    }

    /// Takes from `input` what belongs to the handshake, and appends C2 once S1 is there. True means done.
    ///
    /// # Errors
    /// The server's first byte is not [`VERSION`].
    pub fn handle_input(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, HandshakeError> {
        if !self.version_seen {
            let Some(()) = take_version(input)? else {
                return Ok(false);
            };
            self.version_seen = true;
        }
        if !self.s1.is_whole() {
            self.s1.fill(input);
            if !self.s1.is_whole() {
                return Ok(false);
            }
            out.extend_from_slice(&self.s1.0);
        }
        self.s2_left -= skip(input, self.s2_left);
        Ok(self.s2_left == 0)
    }
}

/// A peer's packet, as far as it has come.
#[derive(Debug)]
struct Packet(Vec<u8>);

impl Packet {
    const fn is_whole(&self) -> bool {
        self.0.len() == PACKET_BYTES
    }

    fn fill(&mut self, input: &mut &[u8]) {
        let (piece, rest) = input.split_at(input.len().min(PACKET_BYTES - self.0.len()));
        self.0.extend_from_slice(piece);
        *input = rest;
    }
}

fn take_version(input: &mut &[u8]) -> Result<Option<()>, HandshakeError> {
    match input.split_first() {
        None => Ok(None),
        Some((&VERSION, rest)) => {
            *input = rest;
            Ok(Some(()))
        }
        Some((&other, _)) => Err(HandshakeError::Version(other)),
    }
}

fn skip(input: &mut &[u8], at_most: usize) -> usize {
    let skipped = input.len().min(at_most);
    *input = &input[skipped..];
    skipped
}

/// C1 or S1: a time, four zero bytes (which say "simple"), and noise.
fn put_own_packet(out: &mut Vec<u8>, random: [u8; 32], now: Now) {
    let end = out.len() + PACKET_BYTES;
    // The wrap is what the field wants.
    wire::put_u32(out, now.mono_ms as u32);
    wire::put_u32(out, 0);
    let mut block = random;
    while out.len() < end {
        block = Sha256::digest(block).into();
        out.extend_from_slice(&block[..block.len().min(end - out.len())]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ms: 5000,
        unix_us: 0,
    };

    #[test]
    fn both_sides_finish_however_the_bytes_are_cut() {
        for cut in [1, 2, 7, 1535, 1536, 1537, 5000] {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            let mut client = Client::start([1; 32], NOW, &mut up);
            let mut server = Server::new([2; 32]);
            assert_eq!(up.len(), 1 + PACKET_BYTES);
            let c1 = up[1..].to_vec();
            let mut done = false;
            for mut piece in std::mem::take(&mut up).chunks(cut) {
                done = server.handle_input(&mut piece, NOW, &mut down).unwrap();
            }
            assert!(!done);
            assert_eq!(down.len(), 1 + 2 * PACKET_BYTES);
            assert_eq!(down[0], VERSION);
            assert_eq!(down[1 + PACKET_BYTES..], c1, "S2 echoes C1");
            assert_ne!(down[1..1 + PACKET_BYTES], c1);
            let mut client_done = false;
            for mut piece in down.chunks(cut) {
                client_done = client.handle_input(&mut piece, &mut up).unwrap();
            }
            assert!(client_done);
            assert_eq!(up, down[1..1 + PACKET_BYTES], "C2 echoes S1");
            up.extend_from_slice(b"chunks");
            let mut rest = &up[..];
            let mut finished = false;
            while !finished {
                let (mut piece, _) = rest.split_at(cut.min(rest.len()));
                let before = piece.len();
                finished = server.handle_input(&mut piece, NOW, &mut down).unwrap();
                rest = &rest[before - piece.len()..];
            }
            assert_eq!(rest, b"chunks");
        }
    }

    #[test]
    fn another_version_is_refused_without_an_answer() {
        for version in [0, 6, b'G', 0x16] {
            let mut out = Vec::new();
            let mut input = &[version, 0, 0][..];
            let refused = Server::new([0; 32]).handle_input(&mut input, NOW, &mut out);
            assert_eq!(refused, Err(HandshakeError::Version(version)));
            assert!(out.is_empty());
        }
    }
}
