//! Connections over loopback on which a burst's CPU time is taken.
//!
//! The thread's own CPU clock runs while a batch of bursts is sent, and stands while they are drained. What the kernel does
//! for the receiver at once, in the same thread, is counted: it stands in for the driver and the acknowledgements of a
//! real path.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

use super::Sample;

/// Bursts between two looks at the clock: enough that the look itself, a tenth of a burst, does not count.
const BATCH: usize = 16;

/// Socket buffers to ask for: a batch's largest burst fits. The kernel clips them to wmem_max and rmem_max.
const BUFFER: usize = 512 << 10;

/// How long a burst may take to arrive over loopback before the probe gives up.
const ARRIVAL: Duration = Duration::from_secs(2);

/// How a burst is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `send` from memory.
    Send,
    /// `sendfile` from a memfd.
    Sendfile,
}

/// Pairs of connected sockets, and bytes to send.
pub(super) struct Probe {
    pairs: Vec<Pair>,
    bytes: Vec<u8>,
    file: OwnedFd,
    drain: Vec<u8>,
    next: usize,
}

struct Pair {
    sender: TcpStream,
    receiver: TcpStream,
}

impl Probe {
    /// Connects `pairs` pairs, for bursts of up to `largest` bytes.
    ///
    /// # Errors
    /// What the kernel says, such as that there are no descriptors.
    pub(super) fn open(pairs: usize, largest: usize) -> io::Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Before anybody connects: the window's scale is fixed then.
        listener.set_recv_buffer_size(BUFFER)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(1)?;
        // Not of one value all over: a page of zeros is one that the kernel may know.
        let bytes: Vec<u8> = (0..largest).map(|at| (at % 251) as u8).collect();
        let file = memfd_create("relay-probe", MemfdFlags::CLOEXEC)?;
        rustix::io::write(&file, &bytes)?;
        let pairs = (0..pairs.max(1)).map(|_| Pair::connect(&listener));
        Ok(Self {
            pairs: pairs.collect::<io::Result<_>>()?,
            bytes,
            file,
            drain: vec![0; BUFFER],
            next: 0,
        })
    }

    /// Sends a batch of bursts to the pairs whose turn it is, and takes the CPU time of one. `None` if a socket did not
    /// take a whole burst: its time is no burst's time.
    ///
    /// # Errors
    /// When a socket fails, or what was sent does not arrive.
    pub(super) fn batch(&mut self, way: Way, bytes: usize) -> io::Result<Option<Sample>> {
        let bytes = bytes.min(self.bytes.len());
        let pairs = self.pairs.len();
        let turn = (self.next..self.next + BATCH).map(|at| at % pairs);
        self.next = (self.next + BATCH) % pairs;
        let mut sent = [0; BATCH];
        let before = cpu_seconds();
        for (at, sent) in turn.clone().zip(&mut sent) {
            *sent = self.send(way, at, bytes)?;
        }
        let seconds = (cpu_seconds() - before) / BATCH as f64;
        for (at, sent) in turn.zip(sent) {
            self.pairs[at].receive(sent, &mut self.drain)?;
        }
        let whole = sent.iter().all(|sent| *sent == bytes);
        Ok(whole.then_some(Sample {
            bytes: bytes as f64,
            seconds,
        }))
    }

    fn send(&self, way: Way, at: usize, bytes: usize) -> io::Result<usize> {
        let socket = &self.pairs[at].sender;
        let sent = match way {
            Way::Send => rustix::net::send(
                socket,
                &self.bytes[..bytes],
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ),
            Way::Sendfile => rustix::fs::sendfile(socket, &self.file, Some(&mut 0), bytes),
        };
        match sent {
            Err(Errno::AGAIN) => Ok(0),
            other => Ok(other?),
        }
    }
}

impl Pair {
    fn connect(listener: &Socket) -> io::Result<Self> {
        let sender = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        sender.set_send_buffer_size(BUFFER)?;
        sender.connect(&listener.local_addr()?)?;
        sender.set_tcp_nodelay(true)?;
        sender.set_nonblocking(true)?;
        let (receiver, _) = listener.accept()?;
        receiver.set_read_timeout(Some(ARRIVAL))?;
        Ok(Self {
            sender: sender.into(),
            receiver: receiver.into(),
        })
    }

    /// Takes what was sent. The kernel throws it away without a copy, so that the caches stay as the sender left them.
    fn receive(&self, mut bytes: usize, drain: &mut [u8]) -> io::Result<()> {
        while bytes > 0 {
            let most = bytes.min(drain.len());
            match rustix::net::recv(&self.receiver, &mut drain[..most], RecvFlags::TRUNC) {
                Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((_, taken)) => bytes = bytes.saturating_sub(taken),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_deliver_and_cost_something() {
        let mut probe = Probe::open(3, 8192).unwrap();
        for way in [Way::Send, Way::Sendfile] {
            for bytes in [1, 8192] {
                let sample = probe.batch(way, bytes).unwrap().unwrap();
                assert_eq!(sample.bytes, bytes as f64);
                assert!(sample.seconds > 0.0, "{way:?} {sample:?}");
            }
        }
        assert_eq!(probe.batch(Way::Send, 1 << 20).unwrap().unwrap().bytes, 8192.0);
    }

    #[test]
    fn a_burst_that_does_not_fit_is_no_sample_and_no_jam() {
        let mut probe = Probe::open(1, 8 << 20).unwrap();
        for _ in 0..3 {
            assert_eq!(probe.batch(Way::Send, 8 << 20).unwrap(), None);
        }
        assert!(probe.batch(Way::Send, 1024).unwrap().is_some(), "all was drained");
    }
}
