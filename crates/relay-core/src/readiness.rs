//! Whether a node is ready: named conditions, each fulfilled or with a sentence why not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a node needs before it is ready, shared by those who fulfil it and those who ask. Clones are the same value.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Readiness {
    /// A node that needs `conditions`, none of them fulfilled yet.
    pub fn waiting_for(conditions: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let conditions = conditions
            .into_iter()
            .map(|(name, why)| (name, Err(why.to_owned())));
        Self(Arc::new(Mutex::new(conditions.collect())))
    }

    /// Fulfils a condition.
    pub fn fulfil(&self, name: &'static str) {
        self.lock().insert(name, Ok(()));
    }

    /// Says why a condition is not fulfilled, or no longer.
    pub fn lack(&self, name: &'static str, why: impl Into<String>) {
        self.lock().insert(name, Err(why.into()));
    }

    /// Whether all conditions are fulfilled.
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(Result::is_ok)
    }

    /// What is lacking, in sentences.
    pub fn lacking(&self) -> Vec<String> {
        let state = self.lock();
        state.values().filter_map(|state| state.clone().err()).collect()
    }

    /// A line per condition, for a person.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (name, state) in &*self.lock() {
            // Writing to a String cannot fail.
            let _ = match state {
                Ok(()) => writeln!(text, "{name}: ok"),
                Err(why) => writeln!(text, "{name}: {why}"),
            };
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        // Each insert is whole, whatever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_when_it_lacks_nothing_and_says_what_it_lacks() {
        let readiness = Readiness::waiting_for([("doors", "not open yet"), ("pool", "not joined yet")]);
        readiness.fulfil("doors");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report(), "doors: ok\npool: not joined yet\n");
        assert_eq!(readiness.lacking(), ["not joined yet"]);
        readiness.clone().fulfil("pool");
        assert!(readiness.is_ready());
        readiness.lack("pool", "lost");
        assert!(!readiness.is_ready());
    }
}
