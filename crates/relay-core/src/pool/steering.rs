//! Where viewers go: the edge for the next one, and samples for those who send viewers on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::endpoint::{Endpoint, Scheme};
use super::pick::Random;
use super::roster::Roster;
use crate::cascade::message::{MAX_OFFERS, Offer, View};
use crate::clock::Now;
use crate::family::Family;

/// Draws by exact weight for one viewer, before those without enough room are left out of the draw.
const EXACT_DRAWS: u32 = 8;

/// Draws for one viewer at most: where so many are silent, the next sweep or another viewer finds more.
const MAX_DRAWS: u32 = 64;

/// What one more viewer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What they speak.
    pub scheme: Scheme,
    /// What their stream takes, in bits a second.
    pub bits: u64,
    /// The family of the address that they come from: it may be all they have.
    pub family: Family,
}

impl Roster {
    /// The edge for one more viewer, drawn by headroom from those that have room for them, and promised to it at once. `None`
    /// if there is none: then the viewer has to wait, or the origin serves them itself.
    ///
    /// It is an edge that viewers can reach from their own family, if any of those has room. Else it is one of the other family: most
    /// viewers have both, and to serve all of them here would be the end of a small uplink. Of several endpoints that would do, it is
    /// a name rather than an address.
    pub fn place(&mut self, wish: &Wish, now: Now, random: Random<'_>) -> Option<Endpoint> {
        let now_ms = self.advance(now);
        let mut families = wish.family.first().into_iter();
        let (place, family) =
            families.find_map(|family| Some((self.draw(wish, family, now_ms, random)?, family)))?;
        let endpoint = self.endpoint_for(place, wish.scheme, family)?.clone();
        self.members[place].promise(wish.bits, now_ms);
        self.settle(place, now_ms);
        Some(endpoint)
    }

    /// Whether any edge has room for viewers who speak `scheme`.
    pub fn room(&mut self, scheme: Scheme, now: Now) -> bool {
        self.advance(now);
        Family::ALL
            .into_iter()
            .any(|family| self.kinds.of(scheme, family).most() > 0)
    }

    /// A sample of at most `count` edges (and [`MAX_OFFERS`]) by headroom, for other nodes, DNS and players: only those
    /// that take viewers, with the endpoints that are good, none twice.
    pub fn view(&mut self, count: usize, now: Now, random: Random<'_>) -> View {
        let now_ms = self.advance(now);
        let count = count.min(MAX_OFFERS);
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count
            && let Some(place) = self.any.draw(random)
        {
            let headroom = self.settle(place, now_ms);
            if headroom > 0 {
                drawn.push((place, headroom));
                // Out of the draw until the sample is complete.
                self.any.set(place, 0);
            }
        }
        for (place, headroom) in &drawn {
            self.any.set(*place, *headroom);
        }
        View {
            offers: drawn
                .into_iter()
                .map(|(place, headroom)| self.offer(place, headroom))
                .collect(),
        }
    }

    /// The addresses where viewers who speak `scheme` can be sent, each with its weight, for DNS; those of full edges with none.
    /// An edge's headroom is shared out to its addresses of each family; an address of several edges has the sum of theirs.
    pub fn addresses(&mut self, scheme: Scheme, now: Now) -> Vec<(IpAddr, u64)> {
        let now_ms = self.advance(now);
        let mut weights = BTreeMap::new();
        let staying = self
            .members
            .iter()
            .filter(|member| member.stays(&self.rules, now_ms));
        for member in staying {
            let headroom = member.headroom(&self.rules, now_ms);
            let good = member
                .fronts
                .iter()
                .filter(|front| front.serves(scheme, &self.rules));
            let ips: Vec<IpAddr> = good.filter_map(|front| front.endpoint.ip()).collect();
            for ip in &ips {
                let of_family = ips.iter().filter(|other| other.is_ipv4() == ip.is_ipv4()).count();
                let weight: &mut u64 = weights.entry(*ip).or_default();
                let share = headroom / of_family.max(1) as u64;
                // What is left of a little is a little.
                *weight = weight.saturating_add(share.max(headroom.min(1)));
            }
        }
        weights.into_iter().collect()
    }

    fn draw(&mut self, wish: &Wish, family: Family, now_ms: u64, random: Random<'_>) -> Option<usize> {
        for attempt in 0..MAX_DRAWS {
            let weights = self.kinds.of(wish.scheme, family);
            if weights.most() < wish.bits {
                return None;
            }
            let place = match attempt < EXACT_DRAWS {
                true => weights.draw(random)?,
                false => weights.draw_from(wish.bits, random)?,
            };
            // The weight may be from before a silence; after this it is of now.
            let headroom = self.settle(place, now_ms);
            if headroom > 0 && headroom >= wish.bits {
                return Some(place);
            }
        }
        None
    }

    fn endpoint_for(&self, place: usize, scheme: Scheme, family: Family) -> Option<&Endpoint> {
        let good = self.members[place].fronts.iter();
        good.filter(|front| front.serves(scheme, &self.rules))
            .map(|front| &front.endpoint)
            .filter(|endpoint| endpoint.suits(family))
            .min()
    }

    fn offer(&self, place: usize, headroom: u64) -> Offer {
        let member = &self.members[place];
        let good = member.fronts.iter().filter(|front| front.is_good(&self.rules));
        Offer {
            instance: member.instance.clone(),
            public: good.map(|front| front.text.clone()).collect(),
            headroom,
        }
    }
}
