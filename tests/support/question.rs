//! A question to a name server, and what it answers: as little of RFC 1035 as a resolver needs for one address record.

use std::net::Ipv4Addr;

/// Bytes of a header.
const HEADER_BYTES: usize = 12;

/// Type A, class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// Names in an answer that are passed over at most: a server's may be 255 bytes long, of labels of one letter.
const MAX_LABELS: usize = 128;

/// Records that are read at most: ours has 8 addresses in an answer at most.
const MAX_RECORDS: u16 = 64;

/// What a name server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// For how many seconds it holds.
    pub ttl: u32,
}

/// The packet that asks for the addresses of a name.
pub fn ask(id: u16, name: &str) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    packet.extend_from_slice(&id.to_be_bytes());
    // No recursion wanted; one question.
    packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(label.len() as u8); // a label has 63 bytes at most
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&A_IN);
    packet
}

/// What an answer says; `None` if it is none to that question, or says "no". A good answer without addresses has none.
pub fn answer(id: u16, packet: &[u8]) -> Option<Answer> {
    let header = packet.get(..HEADER_BYTES)?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (is_answer, is_cut) = (header[2] & 0x80 != 0, header[2] & 0x02 != 0);
    if number(0) != id || !is_answer || is_cut || header[3] & 0x0f != 0 {
        return None;
    }
    let mut at = HEADER_BYTES;
    for _ in 0..number(4).min(MAX_RECORDS) {
        at = behind_name(packet, at)? + 4;
    }
    let mut answer = Answer {
        addresses: Vec::new(),
        ttl: u32::MAX,
    };
    for _ in 0..number(6).min(MAX_RECORDS) {
        at = behind_name(packet, at)?;
        let (kind, rest) = packet.get(at..)?.split_first_chunk::<4>()?;
        let (ttl, rest) = rest.split_first_chunk::<4>()?;
        let (length, data) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let data = data.get(..length)?;
        if let (A_IN, Ok(octets)) = (*kind, <[u8; 4]>::try_from(data)) {
            answer.addresses.push(octets.into());
            answer.ttl = answer.ttl.min(u32::from_be_bytes(*ttl));
        }
        at += 10 + length;
    }
    Some(answer)
}

/// Where the name at `at` ends: by a pointer to another, or by the root.
fn behind_name(packet: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_LABELS {
        match usize::from(*packet.get(at)?) {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            label => at += 1 + label,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = ask(7, "live.example.org");
        packet[2] |= 0x84;
        packet[7] = 2;
        for last in [2, 3] {
            packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 198, 18, last, 2]);
        }
        packet
    }

    #[test]
    fn an_answer_has_addresses_and_a_time() {
        let said = answer(7, &packet()).unwrap();
        let [one, two] = [Ipv4Addr::new(198, 18, 2, 2), Ipv4Addr::new(198, 18, 3, 2)];
        assert_eq!((said.addresses, said.ttl), (vec![one, two], 5));
        assert_eq!(answer(8, &packet()), None, "to another question");
        let mut refused = packet();
        refused[3] |= 5;
        assert_eq!(answer(7, &refused), None);
    }

    #[test]
    fn what_is_cut_off_is_no_answer() {
        let whole = packet();
        for length in 0..whole.len() {
            assert_eq!(answer(7, &whole[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_question_names_what_it_is_about() {
        let packet = ask(0x0102, "a.bc");
        assert_eq!(&packet[..2], [1, 2]);
        assert_eq!(&packet[12..], b"\x01a\x02bc\0\0\x01\0\x01");
    }
}
