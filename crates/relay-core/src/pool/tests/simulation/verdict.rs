//! What has to hold, and the figures.

use super::{Edge, LEAST_EXPECTED, World};

impl World {
    pub(super) fn check_budgets(&mut self) {
        let mut load = 0;
        for edge in &self.edges {
            assert!(edge.committed <= edge.capacity, "an edge is over its budget");
            load += edge.committed;
        }
        self.peak = self.peak.max(load);
    }

    /// Notes what part of the pool's headroom each edge has.
    pub(super) fn open_window(&mut self) {
        let total: u64 = self.edges.iter().map(Edge::headroom).sum();
        for edge in &mut self.edges {
            edge.placed = 0.0;
            edge.share = edge.headroom() as f64 / total as f64;
        }
    }

    /// Whether what the origin sent to edges in this window was in proportion to their headroom: the mean of what it
    /// was at the window's beginning and is at its end. Where an edge expects too few viewers, several are judged together.
    pub(super) fn judge_window(&mut self) {
        let total: f64 = self.edges.iter().map(|edge| edge.placed).sum();
        let headroom: u64 = self.edges.iter().map(Edge::headroom).sum();
        let (mut expected, mut placed) = (0.0, 0.0);
        for edge in &mut self.edges {
            let share = (edge.share + edge.headroom() as f64 / headroom as f64) / 2.0;
            expected += share * total;
            placed += edge.placed;
            edge.expected_ever += share * total;
            edge.placed_ever += edge.placed;
            if expected >= LEAST_EXPECTED {
                let off: f64 = placed / expected - 1.0;
                self.worst_share = self.worst_share.max(off.abs());
                assert!(off.abs() <= 0.25, "{placed} viewers instead of {expected:.0}");
                (expected, placed) = (0.0, 0.0);
            }
        }
    }

    /// Each edge by itself, over all windows, and chance allowed for.
    pub(super) fn judge_edges(&self) {
        for edge in &self.edges {
            let off = (edge.placed_ever - edge.expected_ever).abs();
            let allowed = 0.25 * edge.expected_ever + 5.0 * edge.expected_ever.sqrt() + 5.0;
            assert!(
                off <= allowed,
                "{} viewers instead of {}",
                edge.placed_ever,
                edge.expected_ever
            );
        }
    }

    pub(super) fn judge_joins(&mut self) {
        let normal = self.normal.at_first as f64 / self.normal.tries as f64;
        self.worst_normal = self.worst_normal.min(normal);
        assert!(
            normal >= 0.995,
            "second {}: {normal:.4} of the joins succeeded at once: {} dead, {} wrong, {} refused of {}",
            self.second,
            self.normal.dead,
            self.normal.wrong,
            self.normal.refused,
            self.normal.tries
        );
    }

    pub(super) fn tell(&self, seconds: f64) {
        let all = &self.all;
        println!(
            "seed {}: {} edges, {} viewers, {} s: peak {} Gbit/s, nobody over budget; joined at first try {:.3} %, worst normal \
             minute {:.3} %; {} met a dead edge, {} a lying one, {} were refused; {:.2} redirects a viewer, {} sent to a \
             full edge by the origin; worst share of load off by {:.1} %; by DNS alone a quarter of the pool off by {:.0} % at \
             most in 30 s, by {:.1} % without the one cache; {seconds:.1} s",
            self.plan.seed,
            self.edges.len(),
            all.tries,
            self.plan.seconds,
            self.peak / 1_000_000_000,
            100.0 * all.at_first as f64 / all.tries as f64,
            100.0 * self.worst_normal,
            all.dead,
            all.wrong,
            all.refused,
            all.redirects as f64 / all.tries as f64,
            all.misplaced,
            100.0 * self.worst_share,
            100.0 * self.asked.worst[0],
            100.0 * self.asked.worst[1],
        );
    }
}
