//! The nodes of the pool, as the origin last told of them: whom viewers are sent to, and what the zone's names stand for.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use relay_core::cascade::Instance;
use relay_core::cascade::message::{Offer, View};
use relay_core::dns;
use relay_core::family::Family;
use relay_core::pool::{Endpoint, Scheme, Wish, pick_one};
use relay_core::serve::{Elsewhere, chance};

/// The newest view. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Others(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    view: Mutex<View>,
    /// This node, to which no viewer is sent on.
    us: OnceLock<Instance>,
    names: Arc<dns::Source>,
}

impl Others {
    /// This node is called so. Only the first call counts.
    pub fn leave_out(&self, us: Instance) {
        // A node has one name for life.
        let _ = self.0.us.set(us);
    }

    /// The origin tells of them anew.
    pub fn learn(&self, view: View) {
        self.0.names.offer(view.offers.iter().flat_map(addresses));
        *self.lock() = view;
    }

    /// Nobody tells of them any more.
    pub fn origin_is_lost(&self) {
        self.0.names.grows_old();
    }

    /// The addresses of all that were told of. They stay when the origin is gone.
    pub fn names(&self) -> &Arc<dns::Source> {
        &self.0.names
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        // Replaced whole, or a figure in it.
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to a node that a viewer can go from addresses of `family`, if there is one and it has room: rather by a name than
    /// by an address.
    fn way(&self, offer: &Offer, wish: &Wish, family: Family) -> Option<Endpoint> {
        let fits = offer.headroom >= wish.bits && self.0.us.get() != Some(&offer.instance);
        let suiting = || endpoints(offer, wish.scheme).filter(|endpoint| endpoint.suits(family));
        fits.then(|| suiting().min()).flatten()
    }

    /// The same for one of the nodes, chosen by what they have left; and which it is.
    fn choose(&self, view: &View, wish: &Wish, family: Family) -> Option<(usize, Endpoint)> {
        let ways: Vec<_> = view
            .offers
            .iter()
            .map(|offer| self.way(offer, wish, family))
            .collect();
        let weights: Vec<u64> = view
            .offers
            .iter()
            .zip(&ways)
            .map(|(offer, way)| way.as_ref().map_or(0, |_| offer.headroom))
            .collect();
        let chosen = pick_one(&weights, &mut chance)?;
        Some((chosen, ways.into_iter().nth(chosen)??))
    }
}

impl Elsewhere for Others {
    fn place(&self, wish: &Wish) -> Option<Endpoint> {
        let mut view = self.lock();
        let mut families = wish.family.first().into_iter();
        let (chosen, endpoint) = families.find_map(|family| self.choose(&view, wish, family))?;
        // Until the origin tells anew, what is sent there is no longer to be had.
        if let Some(offer) = view.offers.get_mut(chosen) {
            offer.headroom -= wish.bits;
        }
        Some(endpoint)
    }

    fn view(&self) -> View {
        self.lock().clone()
    }
}

/// The addresses of a node that browsers can be sent to, with what it has left shared out to those of each family.
fn addresses(offer: &Offer) -> Vec<(IpAddr, u64)> {
    let ips: Vec<IpAddr> = endpoints(offer, Scheme::Http).filter_map(|e| e.ip()).collect();
    let share = |ip: &IpAddr| {
        let of_family = ips.iter().filter(|other| other.is_ipv4() == ip.is_ipv4()).count();
        (offer.headroom / of_family.max(1) as u64).max(1)
    };
    ips.iter().map(|ip| (*ip, share(ip))).collect()
}

/// Where viewers of that kind reach a node; what a later version writes is left out.
fn endpoints(offer: &Offer, scheme: Scheme) -> impl Iterator<Item = Endpoint> + '_ {
    let parsed = offer
        .public
        .iter()
        .filter_map(|text| text.parse::<Endpoint>().ok());
    parsed.filter(move |endpoint| endpoint.scheme() == scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str, headroom: u64) -> Offer {
        Offer {
            instance: name.parse().unwrap(),
            public: vec![
                format!("http://[2001:db8::{name}]:8080"),
                format!("http://192.0.2.{name}:8080"),
                "what a later version writes".to_owned(),
            ],
            headroom,
        }
    }

    /// A viewer by HTTP, who has IPv4.
    fn wish(bits: u64) -> Wish {
        Wish {
            scheme: Scheme::Http,
            bits,
            family: Family::V4,
        }
    }

    #[test]
    fn viewers_go_where_there_is_room_and_each_takes_some_of_it() {
        let others = Others::default();
        assert_eq!(others.place(&wish(1)), None, "nobody is known");
        others.learn(View {
            offers: vec![offer("1", 2), offer("2", 30), offer("3", 9)],
        });
        let mut places: Vec<String> = (0..3)
            .map(|_| others.place(&wish(10)).unwrap().to_string())
            .collect();
        places.dedup();
        assert_eq!(places, ["http://192.0.2.2:8080"], "by IPv4, and where 10 fit");
        assert_eq!(others.place(&wish(10)), None, "30 are taken");
        let rtmp = Wish {
            scheme: Scheme::Rtmp,
            ..wish(1)
        };
        assert_eq!(others.place(&rtmp), None, "none speaks RTMP");
        let drawn = others.names().offers().draw(Family::V4, 4, &mut || 7);
        assert_eq!(drawn.len(), 3, "all of them are named");
        assert!(!others.names().offers().is_old());
        others.origin_is_lost();
        assert!(others.names().offers().is_old());
    }

    #[test]
    fn nobody_is_sent_back_to_where_it_was() {
        let others = Others::default();
        others.learn(View {
            offers: vec![offer("1", 20)],
        });
        others.leave_out("1".parse().unwrap());
        assert_eq!(others.place(&wish(1)), None);
    }

    /// R86: who may have IPv6 only is sent to where that is enough, as long as one of those has room.
    #[test]
    fn viewers_are_sent_to_their_own_family() {
        let others = Others::default();
        let mut small = offer("1", 10);
        small.public.truncate(1);
        let mut large = offer("2", 1000);
        large.public.remove(0);
        others.learn(View {
            offers: vec![small, large],
        });
        let six = Wish {
            family: Family::V6,
            ..wish(10)
        };
        let goes = |wish: &Wish| others.place(wish).unwrap().to_string();
        assert_eq!(goes(&wish(10)), "http://192.0.2.2:8080");
        assert_eq!(goes(&six), "http://[2001:db8::1]:8080");
        assert_eq!(goes(&six), "http://192.0.2.2:8080", "the small one is full");
    }
}
