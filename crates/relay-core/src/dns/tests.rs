//! What is answered, each kind of question by itself; then the same over sockets.

mod answers;
mod sockets;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};

use super::server::Random;
use super::{Offers, Reply, Transport, Zone, respond};
use crate::config;

/// A zone with a name server in it and one elsewhere, and one more name.
const ZONE: &str = "zone = 'live.example.org'\nnames = ['www']\nnameservers = ['ns1.live.example.org 192.0.2.1 2001:db8::1', \
                    'ns2.example.net']";

/// Numbers to draw by that are the same each time.
pub(super) fn chance(seed: u64) -> impl FnMut() -> u64 {
    let mut random = Random::seeded(seed);
    move || random.next()
}

/// `[dns]` with these keys.
pub(super) fn config(text: &str) -> config::Dns {
    toml::from_str(text).unwrap()
}

fn zone(text: &str) -> Zone {
    Zone::of(&config(text)).unwrap().unwrap()
}

/// Six nodes of IPv4 and two of IPv6.
fn pool() -> Offers {
    let v4 = (1..=6).map(|last| (format!("198.51.100.{last}").parse().unwrap(), 1_000_000 * last));
    let v6 = (1..=2).map(|last| (format!("2001:db8:1::{last}").parse().unwrap(), 1_000_000));
    Offers::new(v4.chain(v6))
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn extended(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

fn reply_to(zone: &Zone, pool: &Offers, packet: &[u8]) -> Option<Reply> {
    respond(zone, pool, packet, Transport::Udp, false, &mut chance(1))
}
