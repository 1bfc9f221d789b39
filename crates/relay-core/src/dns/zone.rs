//! The zone: what `[dns]` says, ready to be asked.

mod error;

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{Name, RData, Record};

pub use error::ZoneError;

use super::source::Offers;
use crate::config;
use crate::config::DomainName;
use crate::family::Family;

/// Name servers of a zone: all of their names have to fit into one small answer (the root zone's 13 did in 512 bytes).
const MAX_NAMESERVERS: usize = 8;

/// Addresses of one name server.
const MAX_SERVER_ADDRESSES: usize = 4;

/// Names of the pool beside the zone's own: looked through for each query.
const MAX_NAMES: usize = 32;

/// Addresses of last resort.
const MAX_FALLBACK: usize = 32;

/// How long the records of the zone itself may be kept, in seconds: they change with the configuration only.
const STABLE_TTL: u32 = 3600;

/// Nothing transfers this zone, so its serial says nothing; one and the same on all of its servers keeps those quiet who compare.
const SERIAL: u32 = 1;

/// What a secondary would wait, in seconds, if there were one: RIPE-203 in spirit.
const REFRESH: i32 = 14_400;
const RETRY: i32 = 3600;
const EXPIRE: i32 = 604_800;

/// A zone that can be answered for.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    /// The pool's names: the apex and those that `names` adds.
    pool: Vec<Name>,
    servers: Vec<Server>,
    soa: SOA,
    ttl: u32,
    answers: usize,
    at_least: usize,
    fallback: Offers,
}

/// The addresses of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the pool had fewer than there should be.
    pub(super) is_short: bool,
}

/// A name server, and its addresses if it lies in the zone.
#[derive(Clone, Debug)]
pub(super) struct Server {
    name: Name,
    addresses: Vec<IpAddr>,
}

/// What a name is to a zone.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// Not of the zone at all.
    Elsewhere,
    /// Of the zone, and nobody has it.
    Nowhere,
    /// Nobody has it, but somebody has a name below it (an empty non-terminal, RFC 8020).
    Between,
    /// The pool's; true at the apex.
    Pool(bool),
    /// A name server's.
    Server(&'a Server),
}

impl Zone {
    /// The zone of a configuration; none if `[dns]` names none.
    ///
    /// # Errors
    /// [`ZoneError`], whose [`key`](ZoneError::key) says what to mend.
    pub fn of(config: &config::Dns) -> Result<Option<Self>, ZoneError> {
        let Some(zone) = &config.zone else { return Ok(None) };
        check_numbers(config)?;
        let apex = absolute(zone.as_str(), "zone", zone)?;
        let mut pool = vec![apex.clone()];
        for (at, label) in config.names.iter().enumerate() {
            let name = absolute(&format!("{label}.{zone}"), &format!("names.{at}"), label)?;
            if pool.contains(&name) {
                let name = label.to_string();
                return Err(ZoneError::NameTwice { at, name });
            }
            pool.push(name);
        }
        let servers = servers(config, &apex, &pool)?;
        let first = servers.first().ok_or(ZoneError::NoNameservers)?;
        let ttl = u32::try_from(config.ttl.get().as_secs()).unwrap_or(STABLE_TTL);
        let contact = absolute(&format!("hostmaster.{zone}"), "zone", zone)?;
        let soa = SOA::new(first.name.clone(), contact, SERIAL, REFRESH, RETRY, EXPIRE, ttl);
        Ok(Some(Self {
            soa,
            apex,
            pool,
            servers,
            ttl,
            answers: usize::try_from(config.answers).unwrap_or_default(),
            at_least: usize::try_from(config.at_least.min(config.answers)).unwrap_or_default(),
            fallback: fallback(config)?,
        }))
    }

    /// The zone's name, with its dot.
    pub fn name(&self) -> String {
        self.apex.to_ascii()
    }

    /// The records that the zone above needs, as a zone file has them: who answers for this one, and where those are whom
    /// only this one could tell about.
    pub fn delegation(&self) -> Vec<String> {
        let names = self
            .servers
            .iter()
            .map(|server| format!("{} {STABLE_TTL} IN NS {}", self.apex, server.name));
        let glue = self.servers.iter().flat_map(|server| {
            server.addresses.iter().map(|address| {
                let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                format!("{} {STABLE_TTL} IN {kind} {address}", server.name)
            })
        });
        names.chain(glue).collect()
    }

    /// What `name` is to this zone; upper and lower case are the same.
    pub(super) fn find(&self, name: &Name) -> Place<'_> {
        if !self.apex.zone_of(name) {
            return Place::Elsewhere;
        }
        if self.pool.contains(name) {
            return Place::Pool(*name == self.apex);
        }
        if let Some(server) = self.servers.iter().find(|server| server.name == *name) {
            return Place::Server(server);
        }
        let mut names = self
            .pool
            .iter()
            .chain(self.servers.iter().map(|server| &server.name));
        if names.any(|below| name.zone_of(below)) {
            return Place::Between;
        }
        Place::Nowhere
    }

    /// The zone's own name in the spelling of `name`, which lies in it: so that an answer can point to the question's.
    pub(super) fn apex_of(&self, name: &Name) -> Name {
        name.trim_to(self.apex.iter().len())
    }

    /// Its SOA record, for one who asked for it.
    pub(super) fn soa(&self, owner: Name) -> Record {
        Record::from_rdata(owner, STABLE_TTL, RData::SOA(self.soa.clone()))
    }

    /// The same to go with a "no", for as long as the "no" may be kept (RFC 2308, 3).
    pub(super) fn soa_of_no(&self, owner: Name) -> Record {
        Record::from_rdata(owner, self.ttl, RData::SOA(self.soa.clone()))
    }

    /// Its NS records.
    pub(super) fn ns(&self, owner: &Name) -> Vec<Record> {
        let record = |server: &Server| {
            Record::from_rdata(owner.clone(), STABLE_TTL, RData::NS(NS(server.name.clone())))
        };
        self.servers.iter().map(record).collect()
    }

    /// How long an address of the pool may be kept, in seconds.
    pub(super) const fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Whom to name in an answer: some of the pool, by what they have left; or those of last resort while it has nobody at all. A pool
    /// that has addresses of one family only is not helped out with the other, which would send everybody who prefers that one to
    /// the last resort.
    ///
    /// A lone node gets company, for those who keep an answer though its machine is gone: nodes that are full and send viewers on; then
    /// those of last resort, unless the origin is lost, which most likely is one of them.
    pub(super) fn draw(&self, pool: &Offers, family: Family, random: &mut impl FnMut() -> u64) -> Drawn {
        if pool.is_empty() {
            let addresses = self.fallback.draw(family, self.answers, random);
            let is_short = false;
            return Drawn { addresses, is_short };
        }
        let mut addresses = pool.draw(family, self.answers, random);
        let is_short = (1..self.at_least).contains(&addresses.len());
        if is_short {
            let full = pool.draw_full(family, self.at_least, random);
            let last = self.fallback.draw(family, self.at_least, random);
            let company = full
                .into_iter()
                .chain(last.into_iter().filter(|_| !pool.is_old()));
            for address in company {
                if addresses.len() < self.at_least && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Drawn { addresses, is_short }
    }
}

impl Server {
    /// Its addresses of a family.
    pub(super) fn addresses(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        let own = move |address: &IpAddr| Family::of(*address) == family;
        self.addresses.iter().copied().filter(own)
    }

    /// How long one may be kept, in seconds.
    pub(super) const TTL: u32 = STABLE_TTL;
}

/// An address as a record.
pub(super) fn address_record(owner: Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(owner, ttl, data)
}

fn check_numbers(config: &config::Dns) -> Result<(), ZoneError> {
    let numbers = [
        ("nameservers", config.nameservers.len(), MAX_NAMESERVERS),
        ("names", config.names.len(), MAX_NAMES),
        ("fallback", config.fallback.len(), MAX_FALLBACK),
    ];
    match numbers.into_iter().find(|(_, count, limit)| count > limit) {
        Some((key, _, limit)) => Err(ZoneError::TooMany { key, limit }),
        None => Ok(()),
    }
}

fn servers(config: &config::Dns, apex: &Name, pool: &[Name]) -> Result<Vec<Server>, ZoneError> {
    let mut servers: Vec<Server> = Vec::new();
    for (at, server) in config.nameservers.iter().enumerate() {
        let absolute = absolute(server.name.as_str(), &format!("nameservers.{at}"), &server.name)?;
        let name = server.name.to_string();
        if servers.iter().any(|other| other.name == absolute) {
            return Err(ZoneError::ServerTwice { at, name });
        }
        if pool.contains(&absolute) {
            return Err(ZoneError::ServerIsPool { at, name });
        }
        match (apex.zone_of(&absolute), server.addresses.len()) {
            (true, 0) => return Err(ZoneError::ServerWithoutAddress { at, name }),
            (true, count) if count > MAX_SERVER_ADDRESSES => {
                return Err(ZoneError::ServerTooLarge { at, name });
            }
            (false, 1..) => {
                let zone = apex.to_ascii().trim_end_matches('.').to_owned();
                return Err(ZoneError::ServerElsewhere { at, name, zone });
            }
            _ => {}
        }
        servers.push(Server {
            name: absolute,
            addresses: server.addresses.clone(),
        });
    }
    Ok(servers)
}

/// The addresses of last resort, each as likely as the other.
fn fallback(config: &config::Dns) -> Result<Offers, ZoneError> {
    let undiallable = |address: &IpAddr| address.is_unspecified() || address.is_multicast();
    if let Some(at) = config.fallback.iter().position(undiallable) {
        let address = config.fallback[at];
        return Err(ZoneError::Undiallable { at, address });
    }
    Ok(Offers::new(config.fallback.iter().map(|address| (*address, 1))))
}

/// A name from the root on; `key` and `written` are for whoever has to mend it.
fn absolute(name: &str, key: &str, written: &DomainName) -> Result<Name, ZoneError> {
    Name::from_ascii(format!("{name}.")).map_err(|_| ZoneError::TooLong {
        key: key.to_owned(),
        name: written.to_string(),
    })
}

#[cfg(test)]
mod tests;
