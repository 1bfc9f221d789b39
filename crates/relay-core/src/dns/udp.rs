//! Queries in datagrams.
//!
//! An answer leaves from the address that the question came to, which on a machine with several addresses the kernel would not
//! choose by itself (RFC 2181, 4): what quinn does for QUIC, by the same library.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::limit::{Limiter, Verdict};
use super::metrics::Dropped;
use super::reply::Transport;
use super::server::{Desk, Random};
use crate::clock::Clock;
use crate::config::Listen;

/// Datagrams, or runs of them, that are taken from the kernel in one call.
const BATCH: usize = 8;

/// The room for each: the kernel may hand over a run of datagrams of one sender in one piece, of up to so many bytes. 512 KB,
/// of which memory is taken as it is used.
const ROOM: usize = 64 << 10;

/// What the kernel may hold for us, asked: some 2,000 queries, a tenth of a second's work.
const RECEIVE_BUFFER: usize = 1 << 20;

/// How long to pause where the socket is in trouble; a busy loop would eat the core.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

impl Socket {
    /// Binds. `[::]` takes IPv4 too, and becomes `0.0.0.0` on a machine without IPv6.
    pub(super) fn bind(listen: Listen) -> io::Result<Self> {
        match (Self::bind_one(listen.addr()), listen.fallback()) {
            (Err(error), Some(fallback)) if lacks_ipv6(&error) => Self::bind_one(fallback),
            (bound, _) => bound,
        }
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            state: UdpSocketState::new((&socket).into())?,
            address: socket.local_addr()?,
            socket,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// With what it needs to answer.
    pub(super) const fn limited(self, limiter: Limiter, clock: Clock) -> Door {
        Door {
            socket: self,
            limiter,
            clock,
        }
    }

    /// Sends, or not: a full socket means that the network is busier than a lost answer matters.
    fn send(&self, contents: &[u8], query: &RecvMeta) -> io::Result<()> {
        let transmit = Transmit {
            destination: query.addr,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: query.dst_ip,
        };
        self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.socket).into(), &transmit)
        })
    }

    async fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.socket
            .async_io(Interest::READABLE, || {
                self.state.recv((&self.socket).into(), buffers, metas)
            })
            .await
    }
}

/// A socket behind which questions are answered.
#[derive(Debug)]
pub(super) struct Door {
    socket: Socket,
    limiter: Limiter,
    clock: Clock,
}

impl Door {
    /// Answers, for ever.
    pub(super) async fn run(mut self, desk: &Desk, mut random: Random) {
        let mut memory = vec![0; BATCH * ROOM];
        let mut metas = [RecvMeta::default(); BATCH];
        loop {
            let mut buffers = memory.chunks_mut(ROOM).map(IoSliceMut::new).collect::<Vec<_>>();
            let received = self.socket.receive(&mut buffers, &mut metas).await;
            let Ok(count) = received else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            drop(buffers);
            for (meta, buffer) in metas.iter().zip(memory.chunks(ROOM)).take(count) {
                for packet in buffer[..meta.len].chunks(meta.stride.max(1)) {
                    self.handle_packet(packet, meta, desk, &mut random);
                }
            }
        }
    }

    fn handle_packet(&mut self, packet: &[u8], meta: &RecvMeta, desk: &Desk, random: &mut Random) {
        desk.metrics.came(Transport::Udp, packet.len());
        let verdict = self.limiter.judge(meta.addr.ip(), self.clock.now().mono_ms);
        desk.metrics.judged(verdict);
        let terse = match verdict {
            Verdict::Answer => false,
            Verdict::Truncate => true,
            Verdict::Drop => return,
        };
        if let Some(reply) = desk.reply(packet, Transport::Udp, terse, random)
            && self.socket.send(&reply, meta).is_err()
        {
            desk.metrics.dropped(Dropped::Unsent);
        }
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}
