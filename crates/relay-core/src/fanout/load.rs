//! What the fan-out has done so far, for who works out what it can carry.

use super::FanoutMetrics;

/// Totals over all shards, since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Seconds that the threads worked.
    pub busy_seconds: f64,
    /// Bursts that were sent.
    pub bursts: u64,
    /// Bytes that the kernel took for viewers.
    pub bytes: u64,
}

impl FanoutMetrics {
    /// What was counted so far.
    pub fn load(&self) -> Load {
        let bytes = crate::flavour::Flavour::ALL
            .map(|flavour| self.egress.with_label_values(&[flavour.name()]).get())
            .into_iter()
            .sum();
        Load {
            busy_seconds: self.busy.get(),
            bursts: self.sends.get(),
            bytes,
        }
    }
}
