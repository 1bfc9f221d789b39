//! Where viewers go: the edge for the next one, and samples for those who send viewers on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::endpoint::{Endpoint, Scheme};
use super::pick::Random;
use super::roster::Roster;
use super::weights::Weights;
use crate::cascade::message::{MAX_OFFERS, Offer, View};
use crate::clock::Now;

/// Draws by exact weight for one viewer, before those without enough room are left out of the draw.
const EXACT_DRAWS: u32 = 8;

/// Draws for one viewer at most: where so many are silent, or of the other address family, the next sweep or another viewer
/// finds more.
const MAX_DRAWS: u32 = 64;

/// What one more viewer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What they speak.
    pub scheme: Scheme,
    /// What their stream takes, in bits a second.
    pub bits: u64,
    /// Where they come from, if they can be sent only to an address of their own family.
    pub viewer: Option<IpAddr>,
}

impl Roster {
    /// The edge for one more viewer, whatever their address family. See [`place_for`](Self::place_for).
    pub fn place(&mut self, scheme: Scheme, bits: u64, now: Now, random: Random<'_>) -> Option<Endpoint> {
        let wish = Wish {
            scheme,
            bits,
            viewer: None,
        };
        self.place_for(&wish, now, random)
    }

    /// The edge for one more viewer, drawn by headroom from those that have room for them, and promised to it at once. `None`
    /// if there is none: then the viewer has to wait, or the origin serves them itself.
    ///
    /// Of several endpoints that would do, it is a name rather than an address, and IPv4 rather than IPv6.
    pub fn place_for(&mut self, wish: &Wish, now: Now, random: Random<'_>) -> Option<Endpoint> {
        let now_ms = self.advance(now);
        let place = self.draw(wish, now_ms, random)?;
        let endpoint = self.endpoint_for(place, wish)?.clone();
        self.members[place].promise(wish.bits, now_ms);
        self.settle(place, now_ms);
        Some(endpoint)
    }

    /// Whether any edge has room for viewers who speak `scheme`.
    pub fn room(&mut self, scheme: Scheme, now: Now) -> bool {
        self.advance(now);
        self.weights(scheme).most() > 0
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

    /// The addresses where viewers who speak `scheme` can be sent, each with its weight, for DNS. An edge's headroom is
    /// shared out to its addresses of each family; an address of several edges has the sum of theirs.
    pub fn addresses(&mut self, scheme: Scheme, now: Now) -> Vec<(IpAddr, u64)> {
        let now_ms = self.advance(now);
        let mut weights = BTreeMap::new();
        for member in &self.members {
            let headroom = member.weight(&self.rules, now_ms);
            let good = member
                .fronts
                .iter()
                .filter(|front| front.serves(scheme, &self.rules));
            let ips: Vec<IpAddr> = good.filter_map(|front| front.endpoint.ip()).collect();
            if headroom == 0 {
                continue;
            }
            for ip in &ips {
                let of_family = ips.iter().filter(|other| other.is_ipv4() == ip.is_ipv4()).count();
                let weight: &mut u64 = weights.entry(*ip).or_default();
                *weight = weight.saturating_add((headroom / of_family.max(1) as u64).max(1));
            }
        }
        weights.into_iter().collect()
    }

    const fn weights(&self, scheme: Scheme) -> &Weights {
        match scheme {
            Scheme::Http => &self.http,
            Scheme::Rtmp => &self.rtmp,
        }
    }

    fn draw(&mut self, wish: &Wish, now_ms: u64, random: Random<'_>) -> Option<usize> {
        for attempt in 0..MAX_DRAWS {
            let weights = self.weights(wish.scheme);
            if weights.most() < wish.bits {
                return None;
            }
            let place = match attempt < EXACT_DRAWS {
                true => weights.draw(random)?,
                false => weights.draw_from(wish.bits, random)?,
            };
            // The weight may be from before a silence; after this it is of now.
            let headroom = self.settle(place, now_ms);
            if headroom > 0 && headroom >= wish.bits && self.endpoint_for(place, wish).is_some() {
                return Some(place);
            }
        }
        None
    }

    fn endpoint_for(&self, place: usize, wish: &Wish) -> Option<&Endpoint> {
        let good = self.members[place].fronts.iter();
        good.filter(|front| front.serves(wish.scheme, &self.rules))
            .map(|front| &front.endpoint)
            .filter(|endpoint| wish.viewer.is_none_or(|viewer| endpoint.suits(viewer)))
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
