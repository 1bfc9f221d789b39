//! The name server: its sockets, and what they share.

use std::hash::RandomState;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::limit::Limiter;
use super::metrics::{DnsMetrics, Dropped};
use super::reply::{Transport, respond};
use super::source::Source;
use super::zone::Zone;
use super::{tcp, udp};
use crate::clock::Clock;
use crate::config::{self, Listen};
use crate::serve::{self, BindError};

/// What it is called in messages, and the key that moves it.
const NAME: &str = "DNS";
const KEY: &str = "[dns] listen";

/// Where port 0 is asked, UDP gets a port of the system's choice, which TCP may find taken: so often another is tried.
const ATTEMPTS: u32 = 16;

/// Why the name server did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gives no chance.
    #[error("cannot draw random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// A metric's name is taken: a mistake of ours.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A name server with its ports open; nobody gets an answer until it [runs](Self::run).
#[derive(Debug)]
pub struct Server {
    udp: udp::Door,
    tcp: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
    random: Random,
}

impl Server {
    /// Opens the UDP and the TCP port. Call it within a tokio runtime.
    ///
    /// # Errors
    /// Which port could not be had and why, or that metrics are registered already.
    pub fn bind(
        config: &config::Dns,
        zone: Zone,
        source: Arc<Source>,
        clock: Clock,
        registry: &Registry,
    ) -> Result<Self, ServerError> {
        let random = Random::new()?;
        let (udp, tcp) = open(config.listen)?;
        let limiter = Limiter::new(config.rate_limit, RandomState::new());
        Ok(Self {
            address: udp.address(),
            udp: udp.limited(limiter, clock),
            tcp,
            desk: Arc::new(Desk {
                zone,
                source,
                metrics: DnsMetrics::register(registry)?,
            }),
            random,
        })
    }

    /// Where it listens, over UDP and TCP alike: the port that the kernel chose, if 0 was asked.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let tcp = tcp::run(self.tcp, Arc::clone(&self.desk), self.random, stop.clone());
        let udp = self.udp.run(&self.desk, self.random.another());
        tokio::join!(tcp, stop.run_until_cancelled(udp));
    }
}

/// Opens both ports, with one number.
fn open(listen: Listen) -> Result<(udp::Socket, TcpListener), BindError> {
    let asked = listen.addr();
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse {
            name: NAME,
            key: KEY,
            address: asked,
        },
        _ => BindError::Other {
            name: NAME,
            key: KEY,
            address: asked,
            error,
        },
    };
    for _ in 1..ATTEMPTS {
        let udp = udp::Socket::bind(listen).map_err(fail)?;
        match serve::listen::open(udp.address(), |_| Ok(())) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if asked.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Err(fail(io::ErrorKind::AddrInUse.into()))
}

/// What both transports share: who is asked, and what is counted.
#[derive(Debug)]
pub(super) struct Desk {
    zone: Zone,
    source: Arc<Source>,
    pub(super) metrics: DnsMetrics,
}

impl Desk {
    /// The reply to a packet that came by `transport`, if it gets one.
    pub(super) fn reply(
        &self,
        packet: &[u8],
        transport: Transport,
        terse: bool,
        random: &mut Random,
    ) -> Option<Vec<u8>> {
        let pool = self.source.offers();
        let reply = respond(&self.zone, &pool, packet, transport, terse, &mut || random.next());
        match reply {
            Some(reply) => {
                self.metrics.replied(transport, &reply, pool.is_empty());
                Some(reply.bytes)
            }
            None => {
                self.metrics.dropped(Dropped::NoQuestion);
                None
            }
        }
    }
}

/// Numbers to draw by (SplitMix64, Steele and others, "Fast splittable pseudorandom number generators", 2014). Nothing is
/// gained by who could tell the next one: all offered addresses are public.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    fn new() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        Ok(Self(u64::from_ne_bytes(seed)))
    }

    #[cfg(test)]
    pub(super) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Another sequence.
    pub(super) const fn another(&self) -> Self {
        Self(self.0 ^ 0x5851_f42d_4c95_7f2d)
    }
}
