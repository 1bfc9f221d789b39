//! The hub: all live streams of a node, and the one memory budget of their logs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::watch;

use super::key::StreamKey;
use super::live::{LogConfig, Stream};
use super::tracks::Stated;

/// How many streams and how much memory a node holds.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// Streams at a time. One costs 2 MB of log at least while it sends.
    pub max_streams: usize,
    /// Bytes of all logs together.
    pub log_budget: usize,
    /// How each log is kept.
    pub log: LogConfig,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            max_streams: 1000,
            log_budget: 512 << 20,
            log: LogConfig::default(),
        }
    }
}

/// No room for one more stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node holds its limit of {limit} streams ([limits] max_streams)")]
pub struct HubFull {
    /// The limit.
    pub limit: usize,
}

/// How often the memory budget bit.
#[derive(Debug, Default)]
pub struct HubCounters {
    /// Logs cut back to their newest start point before their resume window was over.
    pub groups_shed: AtomicU64,
    /// Logs that lost their newest start point: joiners waited for the next keyframe.
    pub starts_shed: AtomicU64,
}

/// All live streams of a node.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    streams: RwLock<BTreeMap<StreamKey, Arc<Stream>>>,
    version: watch::Sender<u64>,
    counters: HubCounters,
    stated: OnceLock<HashMap<StreamKey, Stated>>,
}

impl Hub {
    /// An empty hub.
    pub fn new(config: HubConfig) -> Self {
        Self {
            config,
            streams: RwLock::default(),
            version: watch::Sender::new(0),
            counters: HubCounters::default(),
            stated: OnceLock::new(),
        }
    }

    /// From now on the operator's word on these streams' tracks counts. Only the first call does.
    pub fn state_tracks(&self, stated: impl IntoIterator<Item = (StreamKey, Stated)>) {
        // A second call would be a mistake of ours, and harmless.
        let _ = self.stated.set(stated.into_iter().collect());
    }

    /// The stream of that name, made if there is none or if the one there has ended.
    ///
    /// # Errors
    /// [`HubFull`] at the limit.
    pub fn open(&self, key: &StreamKey) -> Result<Arc<Stream>, HubFull> {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.get(key).filter(|stream| !stream.ended()) {
            return Ok(Arc::clone(stream));
        }
        if streams.len() >= self.config.max_streams && !streams.contains_key(key) {
            return Err(HubFull {
                limit: self.config.max_streams,
            });
        }
        let stream = Arc::new(Stream::new(key.clone(), self.config.log));
        if let Some(stated) = self.stated.get().and_then(|stated| stated.get(key)) {
            stream.state_tracks(*stated);
        }
        streams.insert(key.clone(), Arc::clone(&stream));
        drop(streams);
        self.announce();
        Ok(stream)
    }

    /// The stream of that name, if it is there.
    pub fn get(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// All streams, by name.
    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Ends a stream for good and lets go of it; true if it was there. Its readers get what is left of it.
    pub fn remove(&self, key: &StreamKey) -> bool {
        let stream = self
            .streams
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        if let Some(stream) = &stream {
            stream.end();
            self.announce();
        }
        stream.is_some()
    }

    /// Told of each stream that comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn announce(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Bytes of all logs.
    pub fn log_bytes(&self) -> usize {
        self.list().iter().map(|stream| stream.log_bytes()).sum()
    }

    /// The budget of all logs in bytes.
    pub fn log_budget(&self) -> usize {
        self.config.log_budget
    }

    /// How often the budget bit.
    pub fn counters(&self) -> &HubCounters {
        &self.counters
    }

    /// Keeps the logs within their budget: the largest are cut first, to their newest start point, and only if that is
    /// not enough beyond it. Called by a node once a second and by whoever appends much.
    pub fn enforce_budget(&self) {
        for even_start in [false, true] {
            let mut streams = self.list();
            let mut total: usize = streams.iter().map(|stream| stream.log_bytes()).sum();
            streams.sort_by_key(|stream| std::cmp::Reverse(stream.log_bytes()));
            for stream in streams {
                if total <= self.config.log_budget {
                    return;
                }
                let freed = stream.shed(even_start);
                let counter = if even_start {
                    &self.counters.starts_shed
                } else {
                    &self.counters.groups_shed
                };
                counter.fetch_add(u64::from(freed > 0), Ordering::Relaxed);
                total = total.saturating_sub(freed);
            }
        }
    }
}
