//! The other nodes of the pool, as the origin last told of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay_core::cascade::message::{Offer, View};
use relay_core::pool::{Endpoint, Scheme, pick_one};
use relay_core::serve::Elsewhere;

/// The newest view. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Others(Arc<Mutex<View>>);

impl Others {
    /// The origin tells of them anew.
    pub fn learn(&self, view: View) {
        *self.view() = view;
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Replaced whole, or a figure in it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Elsewhere for Others {
    fn place(&self, scheme: Scheme, bits: u64) -> Option<Endpoint> {
        let mut view = self.view();
        let places: Vec<Option<Endpoint>> = view
            .offers
            .iter()
            .map(|offer| endpoint(offer, scheme).filter(|_| offer.headroom >= bits))
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
}

/// The way to it for viewers of that kind, if there is one: the one that most viewers can go.
fn endpoint(offer: &Offer, scheme: Scheme) -> Option<Endpoint> {
    let endpoints = offer
        .public
        .iter()
        .filter_map(|text| text.parse::<Endpoint>().ok());
    endpoints.filter(|endpoint| endpoint.scheme() == scheme).min()
}

/// Random bits. Without any, the first of the others has to do.
fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
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
    }
}
