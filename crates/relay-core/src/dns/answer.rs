//! From a question to what is said: a pure function of the zone, the pool and chance.

use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::query::Question;
use super::source::Offers;
use super::zone::{Place, Server, Zone, address_record};
use crate::family::Family;

/// How an answer turned out; a closed set, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// There are records.
    NoError,
    /// The name exists, and has no records of that type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Another zone, another class, or a transfer.
    Refused,
    /// Another operation than a lookup.
    NotImp,
    /// The query was not well-formed.
    FormErr,
    /// A version of EDNS that does not exist yet.
    BadVers,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoError,
        Self::NoData,
        Self::NxDomain,
        Self::Refused,
        Self::NotImp,
        Self::FormErr,
        Self::BadVers,
    ];

    /// As a label has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoError => "noerror",
            Self::NoData => "nodata",
            Self::NxDomain => "nxdomain",
            Self::Refused => "refused",
            Self::NotImp => "notimp",
            Self::FormErr => "formerr",
            Self::BadVers => "badvers",
        }
    }
}

/// What is said to a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) code: Code,
    /// What was asked for.
    pub(super) records: Vec<Record>,
    /// The SOA record that goes with a "no".
    pub(super) authority: Option<Record>,
    /// Whether it names the pool, and that had fewer addresses than there should be.
    pub(super) is_short: bool,
}

impl Answer {
    fn records(records: Vec<Record>) -> Self {
        Self {
            code: Code::NoError,
            records,
            authority: None,
            is_short: false,
        }
    }

    /// A "no" in the zone's own name, and for how long (RFC 2308).
    fn no(code: Code, zone: &Zone, name: &Name) -> Self {
        Self {
            code,
            records: Vec::new(),
            authority: Some(zone.soa_of_no(zone.apex_of(name))),
            is_short: false,
        }
    }

    const fn bare(code: Code) -> Self {
        Self {
            code,
            records: Vec::new(),
            authority: None,
            is_short: false,
        }
    }
}

/// Answers a question: with records, or with a "no" that says for how long.
pub(super) fn answer(
    zone: &Zone,
    pool: &Offers,
    question: &Question,
    random: &mut impl FnMut() -> u64,
) -> Answer {
    if question.extension.is_some_and(|extension| extension.version != 0) {
        return Answer::bare(Code::BadVers);
    }
    let query = &question.query;
    let (name, kind) = (&query.name, query.query_type);
    let place = zone.find(name);
    let transfer = matches!(kind, RecordType::AXFR | RecordType::IXFR);
    if query.query_class != DNSClass::IN || transfer {
        return Answer::bare(Code::Refused);
    }
    let mut is_short = false;
    let mut draw = |family| {
        let drawn = zone.draw(pool, family, random);
        is_short = drawn.is_short;
        let record = |address| address_record(name.clone(), zone.ttl(), address);
        drawn.addresses.into_iter().map(record).collect()
    };
    let records = match (place, kind) {
        (Place::Elsewhere, _) => return Answer::bare(Code::Refused),
        (Place::Nowhere, _) => return Answer::no(Code::NxDomain, zone, name),
        (Place::Between, _) => Vec::new(),
        (Place::Pool(_) | Place::Server(_), RecordType::ANY) => vec![no_list(name)],
        (Place::Pool(_), RecordType::A) => draw(Family::V4),
        (Place::Pool(_), RecordType::AAAA) => draw(Family::V6),
        (Place::Pool(true), RecordType::NS) => zone.ns(name),
        (Place::Pool(true), RecordType::SOA) => vec![zone.soa(name.clone())],
        (Place::Server(server), RecordType::A) => of_server(server, name, Family::V4),
        (Place::Server(server), RecordType::AAAA) => of_server(server, name, Family::V6),
        (Place::Pool(_) | Place::Server(_), _) => Vec::new(),
    };
    if records.is_empty() {
        return Answer::no(Code::NoData, zone, name);
    }
    Answer {
        is_short,
        ..Answer::records(records)
    }
}

fn of_server(server: &Server, name: &Name, family: Family) -> Vec<Record> {
    let record = |address| address_record(name.clone(), Server::TTL, address);
    server.addresses(family).map(record).collect()
}

/// What one gets who asks for all there is: a small record that says so (RFC 8482, 4.2).
fn no_list(name: &Name) -> Record {
    let hint = HINFO::new("RFC8482".to_owned(), String::new());
    Record::from_rdata(name.clone(), Server::TTL, RData::HINFO(hint))
}
