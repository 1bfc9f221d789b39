//! Many viewers at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::calibration::percentile;
use crate::checker::Report;
use crate::ledger::Ledger;
use crate::viewer::{Flavour, Viewer};

/// Viewers of one stream at one node.
#[derive(Default)]
pub struct Crowd {
    viewers: Vec<Viewer>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many more come at once.
    pub fn join(&mut self, count: usize, flavour: Flavour, url: &str, ledger: &Ledger) {
        let newcomers = (0..count).map(|_| Viewer::watch(flavour, url, Some(ledger)));
        self.viewers.extend(newcomers);
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.viewers.len()
    }

    /// Whether nobody came.
    pub fn is_empty(&self) -> bool {
        self.viewers.is_empty()
    }

    /// Waits until each one's report is as wished.
    ///
    /// # Errors
    /// When one's is not within the limit, or its connection ended.
    pub async fn until(&mut self, what: &str, wished: impl Fn(&Report) -> bool) -> Result<()> {
        for (number, viewer) in self.viewers.iter_mut().enumerate() {
            viewer
                .until(what, &wished)
                .await
                .with_context(|| format!("viewer {number}"))?;
        }
        Ok(())
    }

    /// Waits until each one got so many media messages more.
    ///
    /// # Errors
    /// When one does not.
    pub async fn get(&mut self, more: usize) -> Result<()> {
        let goals: Vec<usize> = self
            .viewers
            .iter()
            .map(|viewer| viewer.ask(|report| report.media) + more)
            .collect();
        for (number, (viewer, goal)) in self.viewers.iter_mut().zip(goals).enumerate() {
            let what = format!("{more} more messages");
            viewer
                .until(&what, |report| report.media >= goal)
                .await
                .with_context(|| format!("viewer {number}"))?;
        }
        Ok(())
    }

    /// Each is connected since it came, and nothing was wrong.
    ///
    /// # Errors
    /// With the first complaint.
    pub fn is_content(&self) -> Result<()> {
        self.each(Viewer::is_content)
    }

    /// Content, and nobody missed anything.
    ///
    /// # Errors
    /// With the first complaint.
    pub fn missed_nothing(&self) -> Result<()> {
        self.each(Viewer::missed_nothing)
    }

    /// Each one's report.
    pub fn reports(&self) -> Vec<Report> {
        self.viewers.iter().map(Viewer::report).collect()
    }

    /// The delay from the publisher's socket that so many percent of all messages since a moment stayed below.
    pub fn delay(&self, percent: f64, since: Instant) -> Duration {
        let mut delays: Vec<Duration> = self
            .viewers
            .iter()
            .flat_map(|viewer| viewer.ask(|report| report.delays_since(since)))
            .collect();
        delays.sort_unstable();
        percentile(&delays, percent)
    }

    fn each(&self, judge: impl Fn(&Viewer) -> Result<()>) -> Result<()> {
        for (number, viewer) in self.viewers.iter().enumerate() {
            judge(viewer).with_context(|| format!("viewer {number} of {}", self.viewers.len()))?;
        }
        Ok(())
    }
}
