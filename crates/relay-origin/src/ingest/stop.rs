//! How a publisher is told that it has to go, and why.

use std::sync::{Arc, OnceLock};

use relay_core::stream::policy::Dismissal;
use tokio_util::sync::CancellationToken;

/// Shared by a publisher's connection and the stream that it feeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    token: CancellationToken,
    why: Arc<OnceLock<Dismissal>>,
}

impl Stop {
    /// Tells it to go. The first reason stays.
    pub(super) fn tell(&self, why: Dismissal) {
        // Set before: who wakes by the token finds it.
        let _ = self.why.set(why);
        self.token.cancel();
    }

    /// Cancelled when it has to go.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Why it has to go, once it has.
    pub(super) fn why(&self) -> Option<Dismissal> {
        self.why.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let stop = Stop::default();
        assert!(stop.why().is_none() && !stop.token().is_cancelled());
        stop.tell(Dismissal::Kicked);
        stop.tell(Dismissal::Replaced);
        assert!(stop.token().is_cancelled());
        assert_eq!(stop.why(), Some(Dismissal::Kicked));
    }
}
