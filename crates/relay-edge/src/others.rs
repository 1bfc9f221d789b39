//! The nodes of the pool, as the origin last told of them: whom viewers are sent to, and what the zone's names stand for.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use relay_core::cascade::Instance;
use relay_core::cascade::message::{Offer, View};
use relay_core::dns;
use relay_core::pool::{Endpoint, Scheme, pick_one};
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
        let mut addresses = Vec::new();
        for offer in &view.offers {
            let ips: Vec<IpAddr> = endpoints(offer, Scheme::Http).filter_map(|e| e.ip()).collect();
            addresses.extend(ips.into_iter().map(|ip| (ip, offer.headroom)));
        }
        self.0.names.offer(addresses);
        *self.lock() = view;
    }

    /// The addresses of all that were told of. They stay when the origin is gone.
    pub fn names(&self) -> &Arc<dns::Source> {
        &self.0.names
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        // Replaced whole, or a figure in it.
        self.0.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to a node for viewers of that kind who need so much, if there is one: the one that most viewers can go.
    fn way(&self, offer: &Offer, scheme: Scheme, bits: u64) -> Option<Endpoint> {
        let fits = offer.headroom >= bits && self.0.us.get() != Some(&offer.instance);
        fits.then(|| endpoints(offer, scheme).min()).flatten()
    }
}

impl Elsewhere for Others {
    fn place(&self, scheme: Scheme, bits: u64) -> Option<Endpoint> {
        let mut view = self.lock();
        let places: Vec<Option<Endpoint>> = view
            .offers
            .iter()
            .map(|offer| self.way(offer, scheme, bits))
            .collect();
        let offers = view.offers.iter().zip(&places);
        let weights: Vec<u64> = offers
            .map(|(offer, place)| place.as_ref().map_or(0, |_| offer.headroom))
            .collect();
        let chosen = pick_one(&weights, &mut chance)?;
        // Until the origin tells anew, what is sent there is no longer to be had.
        if let Some(offer) = view.offers.get_mut(chosen) {
            offer.headroom -= bits;
        }
        places.into_iter().nth(chosen)?
    }

    fn view(&self) -> View {
        self.lock().clone()
    }
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

    #[test]
    fn viewers_go_where_there_is_room_and_each_takes_some_of_it() {
        let others = Others::default();
        assert_eq!(others.place(Scheme::Http, 1), None, "nobody is known");
        others.learn(View {
            offers: vec![offer("1", 2), offer("2", 30), offer("3", 9)],
        });
        let mut places: Vec<String> = (0..3)
            .map(|_| others.place(Scheme::Http, 10).unwrap().to_string())
            .collect();
        places.dedup();
        assert_eq!(places, ["http://192.0.2.2:8080"], "IPv4 first, and where 10 fit");
        assert_eq!(others.place(Scheme::Http, 10), None, "30 are taken");
        assert_eq!(others.place(Scheme::Rtmp, 1), None, "none speaks RTMP");
        let drawn = others.names().offers().draw(dns::Family::V4, 4, &mut || 7);
        assert_eq!(drawn.len(), 3, "all of them are named");
    }

    #[test]
    fn nobody_is_sent_back_to_where_it_was() {
        let others = Others::default();
        others.learn(View {
            offers: vec![offer("1", 20)],
        });
        others.leave_out("1".parse().unwrap());
        assert_eq!(others.place(Scheme::Http, 1), None);
    }
}
