//! The system calls of the fan-out: epoll, an eventfd to wake a shard, `send` and `sendfile`. All of them are safe in rustix.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// The token of the shard's own waker; viewers' tokens are slab indices, far below.
pub(super) const WAKE_TOKEN: u64 = u64::MAX;

/// Events taken per wait: enough that a storm of them needs few calls, small enough for the stack of a thread.
const EVENTS_PER_WAIT: usize = 256;

/// Wakes a shard from another thread.
#[derive(Debug)]
pub(super) struct Waker(OwnedFd);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(super) fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.0, &1u64.to_ne_bytes()) {
            // EAGAIN: the counter is full, so the shard has been woken often enough.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn clear(&self) {
        // Nothing to read is fine: someone cleared it already.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

/// What epoll says of one viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) token: u64,
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) hung_up: bool,
}

/// An epoll instance.
pub(super) struct Poller(OwnedFd);

impl Poller {
    pub(super) fn new(waker: &Waker) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &waker.0, EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        Ok(Self(epoll))
    }

    /// Watches a viewer, edge-triggered: output is reported only after a send fell short, so a viewer that keeps up
    /// costs no event and no further system call.
    pub(super) fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.0, socket, EventData::new_u64(token), flags)?)
    }

    /// Waits for events, at most `timeout`, for ever without one, and adds them to `ready`.
    pub(super) fn wait(&self, timeout: Option<Duration>, ready: &mut VecDeque<Readiness>) -> io::Result<()> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let mut space = [MaybeUninit::uninit(); EVENTS_PER_WAIT];
        let (events, _) = match epoll::wait(&self.0, &mut space, timeout.as_ref()) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().map(|event| {
            let flags = event.flags;
            Readiness {
                token: event.data.u64(),
                input: flags.intersects(EventFlags::IN | EventFlags::RDHUP),
                output: flags.contains(EventFlags::OUT),
                hung_up: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

/// Sends without waiting and without SIGPIPE. `Ok(0)` means that the socket takes nothing now.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(uninterrupted(|| rustix::net::send(socket, bytes, flags))?.unwrap_or(0))
}

/// Lets a non-blocking socket take pages of `file`, whose bytes never change. `Ok(0)` means that it takes nothing now.
///
/// There is no flag against SIGPIPE here: the runtime ignores that signal from the program's start on.
pub(super) fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    mut offset: u64,
    count: usize,
) -> Result<usize, Errno> {
    let call = || rustix::fs::sendfile(socket, file, Some(&mut offset), count);
    Ok(uninterrupted(call)?.unwrap_or(0))
}

/// Reads what is there without waiting. `Ok(None)`: nothing now; `Ok(Some(0))`: the peer says no more.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    let call = || rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT);
    Ok(uninterrupted(call)?.map(|(_, count)| count))
}

/// Calls again when a signal came between; `None` means not now.
fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<Option<T>, Errno> {
    loop {
        match call() {
            Ok(value) => return Ok(Some(value)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Says that nothing more will be sent; what is on its way still arrives.
pub(super) fn finish(socket: BorrowedFd<'_>) {
    // A socket that is gone already needs no goodbye.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Makes the close of a socket drop what it holds, so that a stalled viewer's memory is free at once.
pub(super) fn abort_on_close(socket: BorrowedFd<'_>) {
    // Where it fails the kernel keeps the bytes until it gives the peer up.
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_signal_in_between_is_no_answer() {
        let mut answers = [Err(Errno::INTR), Err(Errno::INTR), Ok(7), Err(Errno::AGAIN)].into_iter();
        let mut call = || uninterrupted(|| answers.next().unwrap_or(Err(Errno::IO)));
        assert_eq!((call(), call(), call()), (Ok(Some(7)), Ok(None), Err(Errno::IO)));
    }

    /// Both ways to send meet a peer that is gone with an error, not with a signal that ends the program.
    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&file, b"bytes").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        drop(theirs);
        let ours = OwnedFd::from(ours);
        assert_eq!(send(ours.as_fd(), b"bytes"), Err(Errno::PIPE));
        assert_eq!(send_file(ours.as_fd(), file.as_fd(), 0, 5), Err(Errno::PIPE));
    }

    #[test]
    fn a_full_socket_takes_nothing_and_says_so() {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&file, &[7; 4096]).unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = OwnedFd::from(ours);
        while send(ours.as_fd(), &[0; 4096]).unwrap() > 0 {}
        assert_eq!(send_file(ours.as_fd(), file.as_fd(), 0, 4096), Ok(0));
    }
}
