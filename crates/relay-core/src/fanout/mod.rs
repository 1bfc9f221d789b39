//! The fan-out: one thread per core that moves many viewers' cursors through shared logs.
//!
//! A viewer is a socket and a cursor. Tokio accepts, parses and admits; then the bare socket is handed to a shard
//! ([`Fanout::hand_over`]), which sends it wire bytes straight from the log's memory: per viewer and tag there is no
//! task, no allocation, no lock and no copy in our code. The kernel's work per burst decides what a core can
//! carry, so each viewer gets one burst per period, and viewers are spread over the period's slots.

mod allowance;
mod feed;
mod load;
mod metrics;
mod pace;
mod shard;
mod side;
mod step;
mod sys;
#[cfg(test)]
mod tests;
mod viewer;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

pub use allowance::Allowance;
pub use load::Load;
pub use metrics::FanoutMetrics;
pub use viewer::{Dialogue, Goodbye, Reply, ViewerInfo};

use crate::clock::{Clock, Now};
use crate::flavour::Flavour;
use crate::stream::{Lease, Stream};

/// How the fan-out works; each field's doc says what it costs.
#[derive(Clone, Debug)]
pub struct FanoutConfig {
    /// Threads, each with its own viewers; 0 for one per core.
    pub shards: usize,
    /// How often each viewer gets a burst while there are few, in milliseconds. Shorter is less latency and more work
    /// per byte.
    pub period_min_ms: u64,
    /// The same when the thread is as busy as it should be; equal to `period_min_ms` for a fixed period.
    pub period_max_ms: u64,
    /// Bursts of so many bytes or more go out by `sendfile`, smaller ones by `send`.
    pub sendfile_from: usize,
    /// A viewer later than this skips to the newest start point, in milliseconds.
    pub max_late_ms: u64,
    /// A viewer with bytes waiting that takes none for this long is closed, in milliseconds.
    pub no_progress_ms: u64,
    /// Viewers of all shards together.
    pub max_viewers: usize,
}

impl Default for FanoutConfig {
    fn default() -> Self {
        Self {
            shards: 0,
            period_min_ms: 20,
            period_max_ms: 100,
            sendfile_from: 48 << 10,
            max_late_ms: 5000,
            no_progress_ms: 15_000,
            max_viewers: 20_000,
        }
    }
}

/// A viewer to be taken over from the accepting side, admitted and ready for its first byte of media.
pub struct NewViewer {
    /// Its socket: connected, non-blocking, with its buffers bounded.
    pub socket: OwnedFd,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it watches. A start point is there.
    pub stream: Arc<Stream>,
    /// In which wire form.
    pub flavour: Flavour,
    /// What is sent before the prelude: a response head, or what an RTMP session has to say.
    pub head: Bytes,
    /// Who understands its input, if anyone does.
    pub dialogue: Option<Box<dyn Dialogue>>,
}

impl NewViewer {
    /// What it will take, in bytes per second.
    fn weight(&self) -> u64 {
        self.stream.weight()
    }
}

/// Why a viewer was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The limit of viewers is reached.
    #[error("this node serves its limit of {0} viewers ([limits] max_viewers, or what open files allow)")]
    Full(usize),
    /// The fan-out is being shut down.
    #[error("this node is shutting down")]
    Stopping,
    /// The flavour could not be made, or the shard not woken.
    #[error("no memory for one more flavour of the stream: {0}")]
    Memory(#[from] io::Error),
}

/// The running fan-out: a handle to its shards.
pub struct Fanout {
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next_id: AtomicU64,
    everywhere: Population,
    max_viewers: usize,
}

/// What a shard is told from outside.
enum Command {
    Add {
        id: u64,
        viewer: Box<NewViewer>,
        lease: Lease,
    },
    Kick {
        id: u64,
    },
    List {
        reply: oneshot::Sender<Vec<ViewerInfo>>,
    },
    Drain {
        window: Option<Duration>,
    },
    Stop,
}

/// Viewers of all shards together, and what they may be sent.
#[derive(Clone, Debug, Default)]
struct Population {
    /// Handed over, and not gone.
    viewers: Arc<AtomicUsize>,
    /// No viewers any more, whose sockets are still open for their last bytes.
    leaving: Arc<AtomicUsize>,
    allowance: Allowance,
}

/// A shard's letter box. Its length is bounded by the limit of viewers and by those who may ask for lists.
struct Mailbox {
    commands: Mutex<Vec<Command>>,
    waker: sys::Waker,
    /// Bytes per second that the shard's viewers take, as it last reckoned, and those handed over since.
    load: AtomicU64,
}

impl Mailbox {
    fn post(&self, command: Command) -> io::Result<()> {
        let mut commands = self.lock();
        // Under the lock, so that the shard's own reckoning misses none and counts none twice.
        self.load.fetch_add(command.weight(), Ordering::Relaxed);
        commands.push(command);
        drop(commands);
        self.waker.wake()
    }

    fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.lock())
    }

    /// Takes over what the shard reckons that it carries, and adds those who are still in the letter box.
    fn set_load(&self, carried: u64) {
        let commands = self.lock();
        let coming: u64 = commands.iter().map(Command::weight).sum();
        self.load.store(carried + coming, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Command {
    fn weight(&self) -> u64 {
        match self {
            Self::Add { viewer, .. } => viewer.weight(),
            _ => 0,
        }
    }
}

impl Fanout {
    /// Starts the shards.
    ///
    /// # Errors
    /// What the kernel says when it has no descriptors or threads for them.
    pub fn start(config: FanoutConfig, clock: Clock, metrics: &FanoutMetrics) -> io::Result<Self> {
        let shards = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let everywhere = Population::default();
        let (mut mailboxes, mut threads) = (Vec::new(), Vec::new());
        for number in 0..shards {
            let waker = sys::Waker::new()?;
            let mailbox = Arc::new(Mailbox {
                commands: Mutex::default(),
                waker,
                load: AtomicU64::new(0),
            });
            let shard = shard::Shard::new(
                &config,
                number,
                clock,
                Arc::clone(&mailbox),
                everywhere.clone(),
                metrics.clone(),
            )?;
            threads.push(
                std::thread::Builder::new()
                    .name(format!("fanout-{number}"))
                    .spawn(|| shard.run())?,
            );
            mailboxes.push(mailbox);
        }
        Ok(Self {
            mailboxes,
            threads: Mutex::new(threads),
            next_id: AtomicU64::new(1),
            everywhere,
            max_viewers: config.max_viewers,
        })
    }

    /// Gives a viewer to the shard that carries least; its first burst goes out at once. Returns the viewer's id.
    ///
    /// # Errors
    /// When it is one too many, or memory is out; the viewer is dropped, that is, its socket closed.
    pub fn hand_over(&self, viewer: NewViewer) -> Result<u64, HandOverError> {
        // Those who leave have a descriptor as long as they take their last bytes.
        let leaving = self.everywhere.leaving.load(Ordering::Relaxed);
        if self.everywhere.viewers.fetch_add(1, Ordering::Relaxed) + leaving >= self.max_viewers {
            self.everywhere.viewers.fetch_sub(1, Ordering::Relaxed);
            return Err(HandOverError::Full(self.max_viewers));
        }
        let taken = self.post_viewer(viewer);
        if taken.is_err() {
            self.everywhere.viewers.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    fn post_viewer(&self, viewer: NewViewer) -> Result<u64, HandOverError> {
        let lease = viewer.stream.lease(viewer.flavour)?;
        let lightest = self
            .mailboxes
            .iter()
            .min_by_key(|mailbox| mailbox.load.load(Ordering::Relaxed));
        let mailbox = lightest.ok_or(HandOverError::Stopping)?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        mailbox.post(Command::Add {
            id,
            viewer: Box::new(viewer),
            lease,
        })?;
        Ok(id)
    }

    /// Viewers of all shards.
    pub fn viewers(&self) -> usize {
        self.everywhere.viewers.load(Ordering::Relaxed)
    }

    /// What all viewers together may be sent: without a bound, until somebody fills it.
    pub fn allowance(&self) -> &Allowance {
        &self.everywhere.allowance
    }

    /// Closes a viewer. An unknown id is no error here: whoever lists viewers sees whether it is there.
    pub fn kick(&self, id: u64) {
        for mailbox in &self.mailboxes {
            // A wake fails only when the shard is gone, and its viewers with it.
            let _ = mailbox.post(Command::Kick { id });
        }
    }

    /// All viewers, as they stand.
    pub async fn list(&self) -> Vec<ViewerInfo> {
        let mut all = Vec::new();
        for mailbox in &self.mailboxes {
            let (reply, answer) = oneshot::channel();
            if mailbox.post(Command::List { reply }).is_ok() {
                all.extend(answer.await.unwrap_or_default());
            }
        }
        all.sort_by_key(|viewer| viewer.id);
        all
    }

    /// Lets all viewers go, each before a start point, spread over the window, and whoever comes meanwhile; without a window
    /// those who are still there stay. It returns at once; [`viewers`](Self::viewers) tells who is left.
    pub fn drain(&self, window: Option<Duration>) {
        for mailbox in &self.mailboxes {
            // A wake fails only when the shard is gone, and its viewers with it.
            let _ = mailbox.post(Command::Drain { window });
        }
    }

    /// Ends all viewers and waits for the threads; those that can be told are told so.
    pub fn stop(&self) {
        for mailbox in &self.mailboxes {
            let _ = mailbox.post(Command::Stop);
        }
        for thread in self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            if thread.join().is_err() {
                tracing::error!("a fan-out thread had panicked");
            }
        }
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A shard's clock: milliseconds that fit a viewer's hot state; differences are right for 49 days.
fn short_ms(now: Now) -> u32 {
    // Truncation is meant.
    now.mono_ms as u32
}
