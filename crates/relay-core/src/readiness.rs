//! Whether a node is ready: named conditions, each fulfilled or with a sentence why not; and remarks that are no conditions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a node needs before it is ready, shared by those who fulfil it and those who ask. Clones are the same value.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    conditions: BTreeMap<&'static str, Result<(), String>>,
    remarks: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// A node that needs `conditions`, none of them fulfilled yet.
    pub fn waiting_for(conditions: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let conditions = conditions
            .into_iter()
            .map(|(name, why)| (name, Err(why.to_owned())));
        Self(Arc::new(Mutex::new(State {
            conditions: conditions.collect(),
            remarks: BTreeMap::new(),
        })))
    }

    /// Fulfils a condition.
    pub fn fulfil(&self, name: &'static str) {
        self.lock().conditions.insert(name, Ok(()));
    }

    /// Says why a condition is not fulfilled, or no longer.
    pub fn lack(&self, name: &'static str, why: impl Into<String>) {
        self.lock().conditions.insert(name, Err(why.into()));
    }

    /// Whether all conditions are fulfilled.
    pub fn is_ready(&self) -> bool {
        self.lock().conditions.values().all(Result::is_ok)
    }

    /// What is lacking, in sentences.
    pub fn lacking(&self) -> Vec<String> {
        let state = self.lock();
        let conditions = state.conditions.values();
        conditions.filter_map(|state| state.clone().err()).collect()
    }

    /// A line per condition, for a person.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (name, state) in &self.lock().conditions {
            // Writing to a String cannot fail.
            let _ = match state {
                Ok(()) => writeln!(text, "{name}: ok"),
                Err(why) => writeln!(text, "{name}: {why}"),
            };
        }
        text
    }

    /// Remarks on something that works all the same; `None` takes a remark back.
    pub fn remark(&self, about: &'static str, what: Option<String>) {
        let remarks = &mut self.lock().remarks;
        match what {
            Some(what) => remarks.insert(about, what),
            None => remarks.remove(about),
        };
    }

    /// A line per remark, for a person.
    pub fn remarks(&self) -> String {
        let state = self.lock();
        let lines = state.remarks.iter();
        lines.map(|(about, what)| format!("{about}: {what}\n")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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

    #[test]
    fn a_remark_is_no_condition_and_can_be_taken_back() {
        let readiness = Readiness::default();
        readiness.remark("encoders", Some("av_skew (1)".to_owned()));
        assert!(readiness.is_ready() && readiness.report().is_empty());
        assert_eq!(readiness.remarks(), "encoders: av_skew (1)\n");
        readiness.remark("encoders", None);
        assert_eq!(readiness.remarks(), "");
    }
}
