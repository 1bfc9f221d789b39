//! What a node's doorman is told: its streams and viewers, its links, its capacity.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Node;
use crate::admission::{Bandwidth, Bounds, Load};
use crate::check::Facts;
use crate::config::{Config, Program};
use crate::fanout::{Fanout, FanoutMetrics};
use crate::serve::Doorman;
use crate::stream::Hub;
use crate::tcp_memory::tcp_memory;

/// How often the counters are looked at. A look costs some microseconds per stream.
const LOOK: Duration = Duration::from_millis(100);

/// For how long viewers may save up what they are not sent: two looks, so that one that is late costs nobody anything.
const KEPT: Duration = Duration::from_millis(200);

/// In how many looks the kernel's files are read once.
const LOOKS_PER_MEMORY: u32 = 5;

/// All that is counted for a doorman.
pub(super) struct Counted {
    pub(super) hub: Arc<Hub>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) metrics: FanoutMetrics,
    /// The fan-out's threads.
    pub(super) threads: u64,
}

/// What a node may give away. What the configuration says counts; else what the card does, of what is known.
pub(super) fn bounds(config: &Config, program: Program, facts: &Facts, viewers: u64) -> Bounds {
    let stated = match program {
        Program::Origin => config
            .origin
            .uplink
            .map(|uplink| Bandwidth::Uplink(uplink.bits())),
        Program::Edge => config
            .edge
            .capacity
            .map(|capacity| Bandwidth::SetAside(capacity.bits())),
    };
    let card = || facts.nic.as_ref().map(|nic| Bandwidth::Card(nic.speed.bits()));
    Bounds {
        bandwidth: stated.or_else(card).unwrap_or_default(),
        viewers,
    }
}

impl Counted {
    /// What is counted now. The sum over the streams is what their viewers may take; those whom a shard has not taken yet are
    /// in the doorman's own books.
    fn load(&self, doorman: &Doorman, tcp_memory: Option<(u64, u64)>) -> Load {
        let links = doorman.link_load();
        let (mut viewers_bits, mut streams_bits) = (0_u64, 0_u64);
        for stream in self.hub.list() {
            let bits = stream.peak_bytes_per_second().saturating_mul(8);
            viewers_bits = viewers_bits.saturating_add(bits.saturating_mul(stream.viewer_count()));
            streams_bits = streams_bits.saturating_add(bits);
        }
        let sent = self.metrics.load();
        Load {
            viewer_bytes: sent.bytes,
            link_bytes: links.bytes,
            viewers_bits,
            children_bits: streams_bits.saturating_mul(links.children),
            viewers: self.fanout.viewers() as u64,
            // Some hundred thousand years fit.
            busy_us: (sent.busy_seconds * 1e6) as u64,
            threads: self.threads,
            tcp_memory,
        }
    }
}

impl Node {
    /// Tells the doorman what is counted, from now on.
    pub(super) fn keep_doorman_posted(&self, counted: Counted) {
        let (doorman, stop, clock) = (Arc::clone(&self.doorman), self.stop.clone(), self.clock);
        self.tasks.spawn(async move {
            let mut tick = clock.every(LOOK);
            let (mut looks, mut memory, mut filled) = (0_u32, None, Instant::now());
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                if looks.is_multiple_of(LOOKS_PER_MEMORY) {
                    memory = tcp_memory();
                }
                looks = looks.wrapping_add(1);
                if let Some(share) = doorman.observe(counted.load(&doorman, memory)) {
                    let since = filled.elapsed().min(KEPT);
                    filled = Instant::now();
                    let bytes = |time: Duration| (share as f64 * time.as_secs_f64()) as u64;
                    counted.fanout.allowance().fill(bytes(since), bytes(KEPT));
                }
            }
        });
    }
}
