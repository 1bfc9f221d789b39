//! The digest within a handshake's packets, as Flash's players and servers have it and ffmpeg and librtmp copy it (R23).
//!
//! C1 and S1 are a time, a version that is not zero, and two blocks of 764 bytes, one of which hides a digest of all
//! the rest at an offset that its own first bytes tell. Which block it is makes the two schemes; the server answers
//! in the client's. C2 and S2 end in a digest that only who has read the other's can make. The keys are known to
//! everybody, so all of this proves nothing: it is there because some clients go away without it.

use ring::hmac;

use super::handshake::PACKET_BYTES;

/// The length of a digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// The version that a server shows in S1: not zero, and at least 3, below which clients take a server for one without digests.
pub(super) const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

/// What a client signs C1 with: the readable part of its key.
const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";

/// What a server signs S1 with: the readable part of its key.
const SERVER_NAME: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// What both keys have behind the name, for C2 and S2.
const TAIL: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, 0x6E,
    0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

/// The bytes of a block in which a digest may begin: what is left of 764 behind the offset and before a whole digest.
const PLACES: usize = 764 - 4 - DIGEST_BYTES;

/// Which block has the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// The first: what Flash's players since 10 and ffmpeg write.
    DigestFirst,
    /// The second, behind the block that encryption would need.
    KeyFirst,
}

impl Scheme {
    /// Where the packet says that its digest is: always within it, whatever the four bytes are.
    fn place(self, packet: &[u8; PACKET_BYTES]) -> usize {
        let block = match self {
            Self::DigestFirst => 8,
            Self::KeyFirst => 8 + 764,
        };
        let sum: usize = packet[block..block + 4]
            .iter()
            .map(|byte| usize::from(*byte))
            .sum();
        block + 4 + sum % PLACES
    }
}

/// The scheme and the digest of a client's C1; `None` of one without.
pub(super) fn of_client(c1: &[u8; PACKET_BYTES]) -> Option<(Scheme, [u8; DIGEST_BYTES])> {
    [Scheme::DigestFirst, Scheme::KeyFirst]
        .into_iter()
        .find_map(|scheme| {
            let place = scheme.place(c1);
            let digest = packet_digest(c1, place, CLIENT_NAME);
            (digest == c1[place..place + DIGEST_BYTES]).then_some((scheme, digest))
        })
}

/// Puts a server's digest into S1.
pub(super) fn sign_server(s1: &mut [u8; PACKET_BYTES], scheme: Scheme) {
    let place = scheme.place(s1);
    let digest = packet_digest(s1, place, SERVER_NAME);
    s1[place..place + DIGEST_BYTES].copy_from_slice(&digest);
}

/// Puts the digest that answers the client's at the end of S2.
pub(super) fn sign_answer(s2: &mut [u8; PACKET_BYTES], client: [u8; DIGEST_BYTES]) {
    let once = keyed(&[SERVER_NAME, &TAIL].concat(), &[&client]);
    let (said, place) = s2.split_at_mut(PACKET_BYTES - DIGEST_BYTES);
    place.copy_from_slice(&keyed(&once, &[said]));
}

/// The digest of all of a packet but the place of the digest itself.
fn packet_digest(packet: &[u8; PACKET_BYTES], place: usize, key: &[u8]) -> [u8; DIGEST_BYTES] {
    keyed(key, &[&packet[..place], &packet[place + DIGEST_BYTES..]])
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; DIGEST_BYTES];
    // An HMAC of SHA-256 has just these 32 bytes.
    digest.copy_from_slice(context.sign().as_ref());
    digest
}

/// Makes a client's C1 of any packet, for tests: ours sends none.
#[cfg(test)]
pub(super) fn sign_client(c1: &mut [u8; PACKET_BYTES], scheme: Scheme) {
    let place = scheme.place(c1);
    let digest = packet_digest(c1, place, CLIENT_NAME);
    c1[place..place + DIGEST_BYTES].copy_from_slice(&digest);
}

/// What a client makes of a server's answer, for tests: whether S1 has a digest in that scheme, and S2 one that answers
/// C1's.
#[cfg(test)]
pub(super) fn convinces_client(
    c1: &[u8; PACKET_BYTES],
    s1: &[u8; PACKET_BYTES],
    s2: &[u8; PACKET_BYTES],
    scheme: Scheme,
) -> bool {
    let place = scheme.place(s1);
    let own = scheme.place(c1);
    let once = keyed(&[SERVER_NAME, &TAIL].concat(), &[&c1[own..own + DIGEST_BYTES]]);
    let (said, answer) = s2.split_at(PACKET_BYTES - DIGEST_BYTES);
    packet_digest(s1, place, SERVER_NAME) == s1[place..place + DIGEST_BYTES]
        && keyed(&once, &[said]) == answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(fill: u8) -> [u8; PACKET_BYTES] {
        std::array::from_fn(|index| fill.wrapping_add(index.to_le_bytes()[0].wrapping_mul(31)))
    }

    #[test]
    fn r23_a_digest_is_found_in_the_scheme_that_it_was_put_in() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            for fill in 0..=u8::MAX {
                let mut c1 = packet(fill);
                assert_eq!(of_client(&c1), None);
                sign_client(&mut c1, scheme);
                assert_eq!(of_client(&c1).map(|(scheme, _)| scheme), Some(scheme));
                c1[PACKET_BYTES - 1] ^= 1;
                assert_eq!(of_client(&c1), None, "one bit is another packet");
            }
        }
    }

    /// Without the modulus the last of these would be past the block, or the packet.
    #[test]
    fn r23_every_offset_leads_into_the_packet() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            for bytes in [[0; 4], [255, 255, 255, 252], [255, 255, 255, 253], [255; 4]] {
                let mut c1 = packet(0);
                c1[8..12].copy_from_slice(&bytes);
                c1[772..776].copy_from_slice(&bytes);
                sign_client(&mut c1, scheme);
                assert_eq!(
                    of_client(&c1).map(|(scheme, _)| scheme),
                    Some(scheme),
                    "{bytes:?}"
                );
            }
        }
    }

    #[test]
    fn r23_the_answer_convinces() {
        for scheme in [Scheme::DigestFirst, Scheme::KeyFirst] {
            let (mut c1, mut s1, mut s2) = (packet(1), packet(2), packet(3));
            sign_client(&mut c1, scheme);
            let (found, digest) = of_client(&c1).unwrap();
            sign_server(&mut s1, found);
            sign_answer(&mut s2, digest);
            assert!(convinces_client(&c1, &s1, &s2, scheme));
            s2[0] ^= 1;
            assert!(!convinces_client(&c1, &s1, &s2, scheme));
        }
    }
}
