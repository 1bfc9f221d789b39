//! A packet in, a packet out.

use std::collections::HashSet;
use std::net::IpAddr;

use hickory_proto::op::{MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record};

use super::*;
use crate::dns::{Code, Source};

/// The answer to a question, read back.
fn ask(name: &str, kind: RecordType) -> (Code, Message) {
    told(&query(name, kind))
}

fn told(question: &Message) -> (Code, Message) {
    told_by(&zone(ZONE), &pool(), question)
}

fn told_by(zone: &Zone, pool: &Offers, question: &Message) -> (Code, Message) {
    let reply = reply_to(zone, pool, &question.to_vec().unwrap()).unwrap();
    let message = Message::from_vec(&reply.bytes).unwrap();
    assert_eq!(message.metadata.id, question.metadata.id);
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert!(!message.metadata.recursion_available);
    (reply.code.unwrap(), message)
}

fn addresses(records: &[Record]) -> Vec<IpAddr> {
    let address = |record: &Record| match &record.data {
        RData::A(address) => IpAddr::V4(address.0),
        RData::AAAA(address) => IpAddr::V6(address.0),
        other => panic!("{other}"),
    };
    records.iter().map(address).collect()
}

/// A "no" has the zone's SOA record, which says for how long it holds.
fn assert_no(message: &Message) {
    assert!(message.answers.is_empty() && message.metadata.authoritative);
    let [record] = &message.authorities[..] else {
        panic!("{message}")
    };
    let RData::SOA(soa) = &record.data else {
        panic!("{message}")
    };
    assert_eq!(record.name.to_ascii().to_lowercase(), "live.example.org.");
    assert_eq!((record.ttl, soa.minimum), (5, 5));
    assert_eq!(soa.mname.to_ascii(), "ns1.live.example.org.");
    assert_eq!(soa.rname.to_ascii(), "hostmaster.live.example.org.");
}

#[test]
fn an_answer_has_four_of_the_pool_for_a_few_seconds() {
    for name in ["live.example.org.", "www.live.example.org."] {
        let (code, message) = ask(name, RecordType::A);
        assert_eq!(code, Code::NoError);
        assert!(message.metadata.authoritative && message.authorities.is_empty());
        let drawn: HashSet<_> = addresses(&message.answers).into_iter().collect();
        assert_eq!(drawn.len(), 4);
        assert!(
            drawn
                .iter()
                .all(|address| address.to_string().starts_with("198.51.100."))
        );
        assert!(
            message
                .answers
                .iter()
                .all(|record| record.ttl == 5 && record.name.to_ascii() == name)
        );
    }
}

#[test]
fn each_family_is_answered_by_itself() {
    let (code, message) = ask("live.example.org.", RecordType::AAAA);
    assert_eq!((code, message.answers.len()), (Code::NoError, 2));
    let v4_only = Offers::new([("198.51.100.1".parse().unwrap(), 1)]);
    let zone = zone(&format!("{ZONE}\nfallback = ['2001:db8::9']"));
    let (code, message) = told_by(&zone, &v4_only, &query("live.example.org.", RecordType::AAAA));
    assert_eq!(code, Code::NoData, "the last resort is not for one family");
    assert_no(&message);
}

#[test]
fn an_empty_pool_says_so_for_a_few_seconds() {
    let (code, message) = told_by(
        &zone(ZONE),
        &Offers::default(),
        &query("live.example.org.", RecordType::A),
    );
    assert_eq!(code, Code::NoData);
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert_no(&message);
}

#[test]
fn an_empty_pool_falls_back_to_the_last_resort() {
    let zone = zone(&format!("{ZONE}\nfallback = ['192.0.2.7', '192.0.2.8']"));
    let (code, message) = told_by(
        &zone,
        &Offers::default(),
        &query("live.example.org.", RecordType::A),
    );
    let mut drawn = addresses(&message.answers);
    drawn.sort_unstable();
    assert_eq!(code, Code::NoError);
    assert_eq!(
        drawn,
        ["192.0.2.7", "192.0.2.8"].map(|address| address.parse::<IpAddr>().unwrap())
    );
    let (_, message) = told_by(&zone, &pool(), &query("live.example.org.", RecordType::A));
    assert!(
        addresses(&message.answers)
            .iter()
            .all(|address| !drawn.contains(address))
    );
}

/// What a pool of these addresses, each with its headroom, is answered to a question for IPv4; and whether it was too short.
fn drawn(keys: &str, pool: &[(&str, u64)], is_old: bool, seed: u64) -> (Vec<String>, bool) {
    let source = Source::default();
    let pool = pool.iter();
    source.offer(pool.map(|(address, weight)| (address.parse().unwrap(), *weight)));
    if is_old {
        source.grows_old();
    }
    let packet = query("live.example.org.", RecordType::A).to_vec().unwrap();
    let zone = zone(&format!("{ZONE}\n{keys}"));
    let reply = respond(
        &zone,
        &source.offers(),
        &packet,
        Transport::Udp,
        false,
        &mut chance(seed),
    );
    let reply = reply.unwrap();
    let found = addresses(&Message::from_vec(&reply.bytes).unwrap().answers);
    (found.iter().map(ToString::to_string).collect(), reply.is_short)
}

/// R81: who keeps an answer for a minute has a second way, if the machine of the only node is gone.
#[test]
fn a_lone_node_gets_company() {
    const LAST: &str = "fallback = ['192.0.2.7', '2001:db8::7', '192.0.2.8']";
    const LONE: (&str, u64) = ("198.51.100.1", 5);
    for seed in 0..20 {
        let (found, is_short) = drawn(LAST, &[LONE], false, seed);
        assert_eq!((found.len(), found[0].as_str(), is_short), (2, LONE.0, true));
        assert!(found[1].starts_with("192.0.2."), "the node first: {found:?}");
        let full = [LONE, ("198.51.100.2", 0), ("198.51.100.3", 0)];
        let (found, is_short) = drawn(LAST, &full, false, seed);
        assert_eq!((found.len(), found[0].as_str(), is_short), (2, LONE.0, true));
        assert!(
            found[1].starts_with("198.51.100."),
            "a full one before: {found:?}"
        );
        let (found, _) = drawn(&format!("{LAST}\nat_least = 4"), &full, false, seed);
        assert_eq!(found.len(), 4, "{found:?}");
    }
    let (found, _) = drawn("fallback = ['198.51.100.1']", &[LONE], false, 1);
    assert_eq!(found, [LONE.0], "not twice the same");
    let two = [LONE, ("198.51.100.2", 1)];
    let (found, is_short) = drawn(LAST, &two, false, 1);
    assert!(found.len() == 2 && !is_short && !found[1].starts_with("192"));
}

/// R82: a pool whose players cannot be sent on names nobody who would have to.
#[test]
fn company_is_a_choice() {
    let keys = "fallback = ['192.0.2.7']\nat_least = 1";
    let pool = [("198.51.100.1", 5), ("198.51.100.2", 0)];
    assert_eq!(
        drawn(keys, &pool, false, 1),
        (vec!["198.51.100.1".to_owned()], false)
    );
    let keys = "fallback = ['192.0.2.7']\nanswers = 1";
    assert_eq!(drawn(keys, &pool, false, 1).0, ["198.51.100.1"], "no room for it");
}

/// An edge that has lost its origin sends nobody there; but if there is nobody else, it does.
#[test]
fn the_last_resort_is_no_company_once_it_may_be_gone() {
    let keys = "fallback = ['192.0.2.7']";
    let (found, is_short) = drawn(keys, &[("198.51.100.1", 5)], true, 1);
    assert_eq!((found, is_short), (vec!["198.51.100.1".to_owned()], true));
    let (found, _) = drawn(keys, &[("198.51.100.1", 5), ("198.51.100.2", 0)], true, 1);
    assert_eq!(found, ["198.51.100.1", "198.51.100.2"]);
    assert_eq!(drawn(keys, &[("198.51.100.2", 0)], true, 1).0, ["192.0.2.7"]);
}

#[test]
fn the_zone_names_its_servers() {
    let (code, message) = ask("live.example.org.", RecordType::NS);
    let names: Vec<String> = message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    assert_eq!(
        (code, names),
        (
            Code::NoError,
            vec!["ns1.live.example.org.".into(), "ns2.example.net.".into()]
        )
    );
    assert!(message.additionals.is_empty(), "no more than was asked for");
    let (_, message) = ask("ns1.live.example.org.", RecordType::A);
    assert_eq!(
        addresses(&message.answers),
        ["192.0.2.1".parse::<IpAddr>().unwrap()]
    );
    assert_eq!(message.answers[0].ttl, 3600);
    let (_, message) = ask("ns1.live.example.org.", RecordType::AAAA);
    assert_eq!(
        addresses(&message.answers),
        ["2001:db8::1".parse::<IpAddr>().unwrap()]
    );
}

#[test]
fn the_zone_has_a_start_of_authority() {
    let (code, message) = ask("live.example.org.", RecordType::SOA);
    assert_eq!(code, Code::NoError);
    assert!(matches!(
        &message.answers[..],
        [Record {
            data: RData::SOA(_),
            ..
        }]
    ));
}

#[test]
fn a_name_that_nobody_has_does_not_exist() {
    for name in [
        "x.live.example.org.",
        "x.www.live.example.org.",
        "*.live.example.org.",
    ] {
        let (code, message) = ask(name, RecordType::A);
        assert_eq!(code, Code::NxDomain);
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
        assert_no(&message);
    }
}

#[test]
fn a_type_that_nobody_has_is_no_data() {
    for (name, kind) in [
        ("live.example.org.", RecordType::MX),
        ("live.example.org.", RecordType::HTTPS),
        ("live.example.org.", RecordType::DS),
        ("www.live.example.org.", RecordType::NS),
        ("ns1.live.example.org.", RecordType::TXT),
    ] {
        let (code, message) = ask(name, kind);
        assert_eq!(code, Code::NoData, "{name} {kind}");
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        assert_no(&message);
    }
    let deep = zone("zone = 'live.example.org'\nnameservers = ['ns1.dns.live.example.org 192.0.2.1']");
    let (code, _) = told_by(&deep, &pool(), &query("dns.live.example.org.", RecordType::A));
    assert_eq!(code, Code::NoData, "there is a name below it (RFC 8020)");
}

#[test]
fn other_zones_are_refused() {
    for name in ["example.org.", ".", "www.example.com.", "alive.example.org."] {
        let (code, message) = ask(name, RecordType::A);
        assert_eq!(code, Code::Refused);
        assert_eq!(message.metadata.response_code, ResponseCode::Refused);
        assert!(!message.metadata.authoritative && message.authorities.is_empty());
    }
}

#[test]
fn transfers_and_other_classes_are_refused() {
    for kind in [RecordType::AXFR, RecordType::IXFR] {
        assert_eq!(ask("live.example.org.", kind).0, Code::Refused);
    }
    for class in [DNSClass::CH, DNSClass::HS, DNSClass::ANY, DNSClass::NONE] {
        for name in ["version.bind.", "live.example.org."] {
            let mut question = query(name, RecordType::TXT);
            question.queries[0].query_class = class;
            assert_eq!(told(&question).0, Code::Refused);
        }
    }
}

#[test]
fn whoever_asks_for_all_gets_little() {
    let (code, message) = ask("live.example.org.", RecordType::ANY);
    assert_eq!(code, Code::NoError);
    let [
        Record {
            data: RData::HINFO(hint),
            ..
        },
    ] = &message.answers[..]
    else {
        panic!("{message}")
    };
    assert_eq!(&*hint.cpu, b"RFC8482");
    assert_eq!(ask("x.live.example.org.", RecordType::ANY).0, Code::NxDomain);
}

#[test]
fn only_lookups_are_answered() {
    for operation in [OpCode::Notify, OpCode::Update, OpCode::Status, OpCode::from_u8(6)] {
        let mut question = query("live.example.org.", RecordType::SOA);
        question.metadata.op_code = operation;
        let (code, message) = told(&question);
        assert_eq!((code, message.metadata.op_code), (Code::NotImp, operation));
        assert_eq!(message.metadata.response_code, ResponseCode::NotImp);
        assert!(message.edns.is_none());
        let (code, message) = told(&extended(question, 1232));
        assert!(
            code == Code::NotImp && message.edns.is_some(),
            "what could be read is answered in kind"
        );
    }
}

#[test]
fn the_questions_spelling_comes_back() {
    let name = "lIvE.eXample.ORG.";
    let packet = query(name, RecordType::A).to_vec().unwrap();
    let reply = reply_to(&zone(ZONE), &pool(), &packet).unwrap();
    let message = Message::from_vec(&reply.bytes).unwrap();
    assert_eq!(message.queries[0].name.to_ascii(), name);
    assert_eq!(
        reply.bytes.len(),
        packet.len() + 4 * 16,
        "each record points to it"
    );
    assert_no(&ask("X.lIvE.eXample.ORG.", RecordType::A).1);
}

#[test]
fn extensions_are_answered_in_kind() {
    let (_, message) = ask("live.example.org.", RecordType::A);
    assert!(message.edns.is_none());
    let mut question = extended(query("live.example.org.", RecordType::A), 4096);
    question.edns.as_mut().unwrap().set_dnssec_ok(true);
    let (code, message) = told(&question);
    let edns = message.edns.unwrap();
    assert_eq!(code, Code::NoError);
    assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
    assert!(edns.flags().dnssec_ok, "RFC 3225, 3");
}

#[test]
fn a_version_that_does_not_exist_yet_is_told_which_does() {
    let mut question = extended(query("live.example.org.", RecordType::A), 1232);
    question.edns.as_mut().unwrap().set_version(1);
    let packet = question.to_vec().unwrap();
    let reply = reply_to(&zone(ZONE), &pool(), &packet).unwrap();
    let message = Message::from_vec(&reply.bytes).unwrap();
    assert_eq!(reply.code, Some(Code::BadVers));
    assert_eq!(u16::from(message.metadata.response_code), 16);
    assert_eq!(message.edns.unwrap().version(), 0);
    assert!(message.answers.is_empty());
}

/// A zone with so many name servers of long names that they do not fit into 512 bytes.
fn wide_zone() -> Zone {
    let servers: Vec<String> = (0..8)
        .map(|n| format!("'{n}{}.example.net'", "n".repeat(60)))
        .collect();
    zone(&format!(
        "zone = 'live.example.org'\nnameservers = [{}]",
        servers.join(",")
    ))
}

#[test]
fn what_does_not_fit_comes_by_tcp() {
    let zone = wide_zone();
    let ask = |question: &Message, transport| {
        let packet = question.to_vec().unwrap();
        respond(&zone, &pool(), &packet, transport, false, &mut chance(1)).unwrap()
    };
    let question = query("live.example.org.", RecordType::NS);
    let short = ask(&question, Transport::Udp);
    assert!(short.truncated && short.bytes.len() == question.to_vec().unwrap().len());
    let message = Message::from_vec(&short.bytes).unwrap();
    assert!(message.metadata.truncation && message.answers.is_empty());
    assert!(
        ask(&extended(question.clone(), 100), Transport::Udp).truncated,
        "less than 512 is 512"
    );
    let whole = ask(&extended(question.clone(), 4096), Transport::Udp);
    assert!(!whole.truncated && whole.bytes.len() > 512);
    let whole = ask(&question, Transport::Tcp);
    assert_eq!(Message::from_vec(&whole.bytes).unwrap().answers.len(), 8);
}

#[test]
fn over_the_limit_nothing_is_gained() {
    for question in [
        query("live.example.org.", RecordType::A),
        extended(query("www.live.example.org.", RecordType::ANY), 4096),
    ] {
        let packet = question.to_vec().unwrap();
        let reply = respond(
            &zone(ZONE),
            &pool(),
            &packet,
            Transport::Udp,
            true,
            &mut chance(1),
        )
        .unwrap();
        assert_eq!(reply.bytes.len(), packet.len());
        let message = Message::from_vec(&reply.bytes).unwrap();
        assert!(message.metadata.truncation && message.answers.is_empty() && reply.code.is_none());
    }
}

#[test]
fn what_is_no_question_gets_no_answer() {
    let mut answer = query("live.example.org.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    for packet in [&answer.to_vec().unwrap()[..], b"", b"\0", &[0; 11]] {
        assert!(reply_to(&zone(ZONE), &pool(), packet).is_none());
    }
}

#[test]
fn what_is_not_well_formed_is_told_so() {
    let good = query("live.example.org.", RecordType::A).to_vec().unwrap();
    let extended = extended(query("live.example.org.", RecordType::A), 1232)
        .to_vec()
        .unwrap();
    let twice = [
        &extended[..10],
        &[0, 2],
        &extended[12..],
        &extended[extended.len() - 11..],
    ]
    .concat();
    let with = |at: usize, byte: u8| {
        let mut packet = good.clone();
        packet[at] = byte;
        packet
    };
    for (packet, what) in [
        (good[..12].to_vec(), "a question that is missing"),
        (good[..good.len() - 1].to_vec(), "cut short"),
        ([&good[..], b"x"].concat(), "more than that"),
        (with(5, 0), "no question"),
        (with(5, 2), "two questions (RFC 9619)"),
        (with(7, 1), "an answer within the question"),
        (with(12, 0x40), "a label of no known kind"),
        (
            [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(),
            "a name that is its own end",
        ),
        (
            [&good[..12], &[0xc0, 4, 0, 1, 0, 1]].concat(),
            "a name within the header",
        ),
        (with(11, 1), "a record that is missing"),
        (twice, "two OPT records (RFC 6891, 6.1.1)"),
    ] {
        let reply = reply_to(&zone(ZONE), &pool(), &packet).unwrap();
        assert_eq!(
            (reply.code, reply.bytes.len()),
            (Some(Code::FormErr), 12),
            "{what}"
        );
        assert_eq!(reply.bytes[..2], packet[..2]);
    }
}

#[test]
fn no_reply_is_much_larger_than_its_question() {
    // On the wire, with headers of IPv4 and UDP.
    const HEADERS: usize = 28;
    let pool = Offers::new((1..=9).map(|last| (format!("2001:db8:1::{last}").parse().unwrap(), 1)));
    let mut worst = 0.0_f64;
    for kind in [
        RecordType::A,
        RecordType::AAAA,
        RecordType::NS,
        RecordType::SOA,
        RecordType::ANY,
        RecordType::TXT,
    ] {
        for name in [
            "live.example.org.",
            "www.live.example.org.",
            "x.live.example.org.",
        ] {
            let packet = query(name, kind).to_vec().unwrap();
            let reply = reply_to(&zone(ZONE), &pool, &packet).unwrap();
            assert!(reply.bytes.len() <= packet.len() + 4 * 28, "{name} {kind}");
            worst = worst.max((reply.bytes.len() + HEADERS) as f64 / (packet.len() + HEADERS) as f64);
        }
    }
    assert!(worst < 3.0, "{worst}");
}
