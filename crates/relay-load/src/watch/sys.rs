//! The system calls of an audience: epoll, sockets that never wait, `recv` and `send`.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// Events taken per wait: few calls for many events, and few enough that the thread's timer is looked at in time where each
/// of them brings tens of kilobytes.
pub(super) const EVENTS_PER_WAIT: usize = 64;

/// What epoll says of one viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) token: u32,
    /// Whether it may be written to, as when it has just been connected.
    pub(super) output: bool,
    /// Whether the other side has closed, or the connection is broken.
    pub(super) closed: bool,
}

/// An epoll instance. A closed socket leaves it by itself.
pub(super) struct Poller(OwnedFd);

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Watches a socket, edge-triggered.
    pub(super) fn add(&self, socket: &OwnedFd, token: u32) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.0, socket, EventData::new_u64(token.into()), flags)
    }

    /// Waits for events, at most `timeout`, and puts them into `ready`.
    pub(super) fn wait(&self, timeout: Duration, ready: &mut Vec<Readiness>) -> io::Result<()> {
        ready.clear();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut space = [MaybeUninit::uninit(); EVENTS_PER_WAIT];
        let (events, _) = match epoll::wait(&self.0, &mut space, Some(&timeout)) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().map(|event| {
            let flags = event.flags;
            Readiness {
                token: event.data.u64() as u32, // what `add` put in
                output: flags.contains(EventFlags::OUT),
                closed: flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP),
            }
        }));
        Ok(())
    }
}

/// Begins to connect: when the socket becomes writable, [`connected`] tells how it went.
///
/// # Errors
/// What the system said at once: no descriptor, no port, refused.
pub(super) fn connect(
    target: SocketAddr,
    source: Option<IpAddr>,
    receive_buffer: Option<usize>,
) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if let Some(bytes) = receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    if let Some(source) = source {
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// How a connect went that the socket's readiness says is done.
pub(super) fn connected(socket: &OwnedFd) -> Result<(), Errno> {
    sockopt::socket_error(socket)?
}

/// Reads what is there. `Ok(None)`: nothing now; `Ok(Some(0))`: the other side says no more.
pub(super) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    loop {
        match rustix::net::recv(&socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, count)) => return Ok(Some(count)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends without waiting and without SIGPIPE. `Ok(0)`: the socket takes nothing now.
pub(super) fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match rustix::net::send(&socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            other => return other,
        }
    }
}
