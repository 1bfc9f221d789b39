//! Any bytes as a DNS query.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use hickory_proto::op::{Message, MessageType};

use super::choice;
use crate::config::Dns;
use crate::dns::{Code, Offers, Question, Reply, Transport, Zone, respond};

/// What a reply over UDP may have beyond its query: four addresses of IPv6 at 28 bytes. All else that this zone says is
/// shorter.
const GAIN: usize = 4 * 28;

/// The bytes of a header, and of an OPT record that is empty.
const HEADER: usize = 12;
const EXTENSION: usize = 11;

/// The largest reply over UDP.
const MAX_UDP_BYTES: usize = 1232;

/// Asks a name server, over UDP or TCP, within its limit or beyond it. What it answers can be read, is an answer to that
/// question, and is little more than what came: over the limit no more at all.
///
/// # Panics
/// An invariant is broken.
pub fn body(data: &[u8]) {
    let mut data = data;
    let choices = choice(&mut data);
    let transport = if choices & 1 == 0 {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    let terse = choices & 6 == 6;
    let mut seed = u64::from(choice(&mut data));
    let mut random = || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        seed
    };
    let Some(zone) = &*ZONE else {
        panic!("the zone of this body is valid");
    };
    let nobody = Offers::default();
    let pool = if choices & 8 == 0 { &*POOL } else { &nobody };
    let Some(reply) = respond(zone, pool, data, transport, terse, &mut random) else {
        assert!(
            data.len() < 12 || data[2] & 0x80 != 0,
            "a question gets an answer"
        );
        return;
    };
    if terse && reply.code.is_none() {
        assert!(
            reply.bytes.len() <= data.len(),
            "nothing is gained over the limit"
        );
    }
    if transport == Transport::Udp {
        assert!(
            reply.bytes.len() <= data.len() + GAIN,
            "{} for {}",
            reply.bytes.len(),
            data.len()
        );
        assert!(reply.bytes.len() <= MAX_UDP_BYTES);
    }
    check(&reply, data);
}

fn check(reply: &Reply, query: &[u8]) {
    let message = match Message::from_vec(&reply.bytes) {
        Ok(message) => message,
        Err(error) => panic!("our own answer cannot be read: {error}"),
    };
    assert_eq!(reply.bytes[..2], query[..2], "it has the question's number");
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert_eq!(message.metadata.truncation, reply.truncated);
    let Ok(question) = Question::parse(query) else {
        assert!(matches!(reply.code, Some(Code::FormErr | Code::NotImp)));
        assert!(reply.bytes.len() <= HEADER + EXTENSION, "a header says it all");
        return;
    };
    let Some(asked) = message.queries.first() else {
        panic!("the question is not in the answer");
    };
    assert!(question.is(asked), "the question is echoed as it was spelt");
    let has_records = !message.answers.is_empty();
    assert_eq!(has_records, reply.code == Some(Code::NoError) && !reply.truncated);
}

// Made once: no input changes them.
static ZONE: LazyLock<Option<Zone>> = LazyLock::new(zone);
static POOL: LazyLock<Offers> = LazyLock::new(pool);

/// A zone with all that one can have.
fn zone() -> Option<Zone> {
    let config = Dns {
        zone: Some("live.example.org".parse().ok()?),
        nameservers: vec![
            "ns1.dns.live.example.org 192.0.2.1 2001:db8::1".parse().ok()?,
            "ns2.example.net".parse().ok()?,
        ],
        names: vec!["www".parse().ok()?],
        fallback: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        ..Dns::default()
    };
    Zone::of(&config).ok()?
}

fn pool() -> Offers {
    let v4 = (1..=9).map(|last| (IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)), u64::from(last)));
    let v6 = (1..=9).map(|last| {
        (
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, last)),
            u64::from(last),
        )
    });
    Offers::new(v4.chain(v6))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Query};
    use hickory_proto::rr::{Name, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16, extended: bool) -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(
            Name::from_ascii(name).unwrap(),
            RecordType::from(kind),
        ));
        message.edns = extended.then(Edns::new);
        message.to_vec().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn changed_queries_survive(
            choices: [u8; 2],
            extended: bool,
            kind in prop::sample::select(vec![1_u16, 2, 6, 13, 28, 41, 65, 250, 251, 252, 255, 999]),
            name in prop::sample::select(vec!["live.example.org.", "wWw.LIVE.example.org.", "ns1.dns.live.example.org.", "dns.live.example.org.", "x.live.example.org.", "."]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3, 0usize..3), 0..3),
        ) {
            let mut packet = query(name, kind, extended);
            for (index, byte, removed, inserted) in changes {
                let at = index.index(packet.len() + 1);
                let end = (at + removed).min(packet.len());
                packet.splice(at..end, std::iter::repeat_n(byte, inserted));
            }
            body(&[&choices[..], &packet].concat());
        }

        #[test]
        fn noise_survives(data in prop::collection::vec(any::<u8>(), 0..300)) {
            body(&data);
        }
    }
}
