//! The handshake: a version byte and 1,536 bytes each way, each echoed (section 5.2), or signed by digests.
//!
//! Whoever needs the digest handshake shows it in C1, which is held whole before anything is answered: a client whose C1
//! has a digest gets one, in its own scheme, and every other gets the simple answer (R23). Our own client is a simple one.

use sha2::{Digest, Sha256};

use super::digest::{self, DIGEST_BYTES, SERVER_VERSION, Scheme};
use super::error::HandshakeError;
use crate::clock::Now;

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
            self.answer(now, out);
        }
        self.c2_left -= skip(input, self.c2_left);
        Ok(self.c2_left == 0)
    }

    fn answer(&self, now: Now, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self.c1.whole().and_then(digest::of_client) {
            Some((scheme, client)) => put_signed(out, self.random, now, scheme, client),
            None => {
                out.extend_from_slice(&own_packet(self.random, now));
                // S2 is C1 as it came, times included: some clients compare all of it.
                out.extend_from_slice(&self.c1.0);
            }
        }
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
        out.extend_from_slice(&own_packet(random, now));
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

    fn whole(&self) -> Option<&[u8; PACKET_BYTES]> {
        self.0.as_slice().try_into().ok()
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
fn own_packet(random: [u8; 32], now: Now) -> [u8; PACKET_BYTES] {
    let mut packet = noise(random);
    // The wrap is what the field wants.
    packet[..4].copy_from_slice(&(now.mono_ms as u32).to_be_bytes());
    packet[4..8].fill(0);
    packet
}

/// S1 and S2 for a client that shows a digest.
fn put_signed(out: &mut Vec<u8>, random: [u8; 32], now: Now, scheme: Scheme, client: [u8; DIGEST_BYTES]) {
    let mut s1 = own_packet(random, now);
    s1[4..8].copy_from_slice(&SERVER_VERSION);
    digest::sign_server(&mut s1, scheme);
    // Other noise than S1's.
    let mut s2 = noise(Sha256::digest(s1).into());
    digest::sign_answer(&mut s2, client);
    out.extend_from_slice(&s1);
    out.extend_from_slice(&s2);
}

fn noise(seed: [u8; 32]) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    let mut block = seed;
    for piece in packet.chunks_exact_mut(block.len()) {
        block = Sha256::digest(block).into();
        piece.copy_from_slice(&block);
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        mono_ms: 5000,
        unix_us: 0,
    };

    #[test]
    fn r23_both_sides_finish_however_the_bytes_are_cut() {
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

    /// Byte by byte, as everything else: the answer comes with the last byte of C1.
    #[test]
    fn r23_a_client_with_a_digest_gets_one_in_its_own_scheme() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            let mut c1 = noise([7; 32]);
            c1[4..8].copy_from_slice(&[9, 0, 124, 2]);
            digest::sign_client(&mut c1, scheme);
            let (mut server, mut down) = (Server::new([2; 32]), Vec::new());
            for byte in [&[VERSION][..], &c1].concat() {
                assert!(down.is_empty(), "nothing is said before C1 is whole");
                assert!(!server.handle_input(&mut &[byte][..], NOW, &mut down).unwrap());
            }
            let (s1, s2) = down[1..].split_at(PACKET_BYTES);
            let (s1, s2) = (s1.try_into().unwrap(), s2.try_into().unwrap());
            assert!(digest::convinces_client(&c1, s1, s2, scheme));
            assert_eq!(s1[..8], [0, 0, 0x13, 0x88, 4, 5, 0, 1]);
            // C2 is not looked at.
            let mut rest = &[&[0; PACKET_BYTES][..], b"chunks"].concat()[..];
            assert!(server.handle_input(&mut rest, NOW, &mut down).unwrap());
            assert_eq!(rest, b"chunks");
        }
    }

    /// Whatever version bytes it shows (some encoders put their own there), a C1 without a digest is echoed whole.
    #[test]
    fn r23_a_client_without_a_digest_gets_the_simple_answer() {
        for version in [[0; 4], [9, 0, 124, 2], [255; 4]] {
            let mut c1 = noise([7; 32]);
            c1[4..8].copy_from_slice(&version);
            let mut down = Vec::new();
            let mut input = &[&[VERSION][..], &c1].concat()[..];
            Server::new([2; 32])
                .handle_input(&mut input, NOW, &mut down)
                .unwrap();
            assert_eq!(down[1 + 4..][..4], [0; 4], "S1 says that it is simple");
            assert_eq!(down[1 + PACKET_BYTES..], c1, "S2 echoes C1");
        }
    }

    #[test]
    fn r23_another_version_is_refused_without_an_answer() {
        for version in [0, 6, b'G', 0x16] {
            let mut out = Vec::new();
            let mut input = &[version, 0, 0][..];
            let refused = Server::new([0; 32]).handle_input(&mut input, NOW, &mut out);
            assert_eq!(refused, Err(HandshakeError::Version(version)));
            assert!(out.is_empty());
        }
    }
}
