//! Viewers who come by DNS, and how even that is by itself: what a pool of players that follow no redirect would see.
//!
//! It cannot be as even as redirects are, since a resolver's draw is made once and holds for all who ask it meanwhile. If `n` of `N`
//! viewers were told by one draw of four addresses, a part of the pool that has the share `p` of all headroom gets from them
//! `p` on average, with a variance of `p (1 - p) (1/4 + 3/(4 n))`. Draws know nothing of each other, so all of them together have
//! `p (1 - p) Σ (n/N)² (1/4 + 3/(4 n))`. That is the bound, and it is judged at five standard deviations. One cache that a
//! fifth of all viewers sit behind makes nearly all of it: six draws in half a minute for two fifths of those who ask.

use super::{Edge, Failure, Outcome, World, others};

/// How far a share may be off its mean, in standard deviations: over some thousand windows, chance alone does not get there once in
/// a thousand runs.
const DEVIATIONS: f64 = 5.0;

/// The part of the pool whose share is judged: a quarter of all headroom. Of a single edge nothing can be said: a cache that has drawn
/// it sends it a twentieth of all viewers for five seconds.
const PART: f64 = 0.25;

/// How much a part's share of the headroom may have moved since old answers were drawn: a blow takes a fiftieth of the pool, and what
/// comes in its place is empty.
const DRIFT: f64 = 0.02;

/// What those who share no cache with a fifth of all get, off their share at most: the bound of the redirects.
const WITHOUT_THE_CACHE: f64 = 0.25;

pub(super) struct Resolver {
    keeps_ms: u64,
    answer: Vec<usize>,
    until_ms: u64,
    /// Viewers of this window that were told by this answer.
    told: f64,
}

impl Resolver {
    pub(super) const fn new(keeps_ms: u64) -> Self {
        Self {
            keeps_ms,
            answer: Vec::new(),
            until_ms: 0,
            told: 0.0,
        }
    }
}

/// Those who came by DNS in a window: through the one cache, or through others.
#[derive(Default)]
pub(super) struct Asked {
    viewers: [f64; 2],
    /// The sum over all draws that bounds how uneven it is.
    scatter: f64,
    /// How far a part's share was off at most: of all, and of those who do not share the one cache.
    pub(super) worst: [f64; 2],
}

impl Asked {
    fn draw_ends(&mut self, resolver: &mut Resolver) {
        let told = std::mem::take(&mut resolver.told);
        self.scatter += told * told / 4.0 + 3.0 * told / 4.0;
    }
}

impl World {
    pub(super) fn comes_by_dns(&mut self, bits: u64) -> Outcome {
        let resolver = match self.dice.below(5) < 2 {
            // Two fifths of those who ask DNS are a fifth of all.
            true => 0,
            false => 1 + self.dice.below(self.resolvers.len() as u64 - 1) as usize,
        };
        let cache = &mut self.resolvers[resolver];
        if self.now.mono_ms >= cache.until_ms {
            let dice = &mut self.dice;
            let view = self.roster.view(4, self.now, &mut || dice.roll());
            self.asked.draw_ends(cache);
            cache.answer = others(&view).edges;
            cache.until_ms = self.now.mono_ms + cache.keeps_ms;
        }
        if cache.answer.is_empty() {
            return Err(Failure::Refused);
        }
        // Resolvers turn the order, so that the first is any.
        let n = cache.answer[self.dice.below(cache.answer.len() as u64) as usize];
        cache.told += 1.0;
        let kind = usize::from(resolver > 0);
        self.asked.viewers[kind] += 1.0;
        self.edges[n].named[kind] += 1.0;
        self.comes_to_an_edge(n, bits, 0)
    }

    /// A window begins, with what answers are held.
    pub(super) fn open_asked(&mut self) {
        self.asked.viewers = [0.0; 2];
        self.asked.scatter = 0.0;
        self.resolvers.iter_mut().for_each(|resolver| resolver.told = 0.0);
        self.edges.iter_mut().for_each(|edge| edge.named = [0.0; 2]);
    }

    /// Whether DNS alone sent each quarter of the pool its share, as far as chance lets it.
    pub(super) fn judge_asked(&mut self) {
        for resolver in &mut self.resolvers {
            self.asked.draw_ends(resolver);
        }
        let headroom: u64 = self.edges.iter().map(Edge::headroom).sum();
        let [cache, rest] = self.asked.viewers;
        let all = cache + rest;
        let (mut part, mut named) = (0.0, [0.0; 2]);
        for edge in &self.edges {
            part += (edge.share + edge.headroom() as f64 / headroom as f64) / 2.0;
            named[0] += edge.named[0];
            named[1] += edge.named[1];
            if part < PART {
                continue;
            }
            let off = (named[0] + named[1]) / all - part;
            let deviation = (part * (1.0 - part) * self.asked.scatter).sqrt() / all;
            assert!(
                off.abs() <= DEVIATIONS * deviation + DRIFT,
                "second {}: a part with {part:.3} of the headroom is {off:.3} off, of {deviation:.3}",
                self.second
            );
            let off_rest = named[1] / rest / part - 1.0;
            assert!(
                off_rest.abs() <= WITHOUT_THE_CACHE,
                "second {}: without the one cache {off_rest:.3}",
                self.second
            );
            let [worst, worst_rest] = &mut self.asked.worst;
            *worst = worst.max((off / part).abs());
            *worst_rest = worst_rest.max(off_rest.abs());
            (part, named) = (0.0, [0.0; 2]);
        }
    }
}
