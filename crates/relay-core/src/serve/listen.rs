//! TCP listeners with the options that make a viewer cheap, and the accept that survives a lack of descriptors.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::ServeMetrics;
use crate::limits::{LAST_FILES, OpenFiles};

/// Connections that the kernel queues for us: a wave of viewers is no reason to lose one.
const BACKLOG: i32 = 4096;

/// How long to pause when the process or the machine has no descriptor left; a busy loop would eat the core (B15).
const PAUSE: Duration = Duration::from_millis(100);

/// How often a node without descriptors says so: once a minute is enough for an operator, and no flood.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// How a listener is set up.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Where to listen. The unspecified IPv6 address takes IPv4 too.
    pub address: SocketAddr,
    /// What it is for, in messages: `RTMP`.
    pub name: &'static str,
    /// The configuration key that moves it: `[rtmp] listen`.
    pub key: &'static str,
    /// The congestion control of its connections; `None` for the machine's own. It is set on the listener, since a
    /// socket accepted under a pacing algorithm keeps a timer per burst even if switched later.
    pub congestion: Option<String>,
    /// What a connection's socket may hold in bytes, asked of the kernel, which doubles it. Usually 64 KB: a 0.9 GB
    /// machine has some 84 MB for all sockets, and thousands of stalled viewers must fit (R58).
    pub send_buffer: usize,
    /// Unsent bytes above which a socket counts as full: what waits longer waits in the shared log, not in the kernel.
    /// Usually 16 KB.
    pub unsent: u32,
}

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has it.
    #[error("port {} ({name}, {key}) is in use by another program", address.port())]
    InUse {
        /// What it is for.
        name: &'static str,
        /// The key that moves it.
        key: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({name}, {key}): {error}")]
    Other {
        /// What it is for.
        name: &'static str,
        /// The key that moves it.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the kernel says.
        error: io::Error,
    },
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    name: &'static str,
    unsent: u32,
    address: SocketAddr,
    /// When it was last said that connections wait.
    warned: Mutex<Option<Instant>>,
}

impl Listener {
    /// Binds and listens. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`], which names the listener, the port and the key that moves it.
    pub fn bind(config: &ListenConfig) -> Result<Self, BindError> {
        let (name, key) = (config.name, config.key);
        let asked = config.address;
        let bound = bind(config).and_then(|inner| Ok((inner.local_addr()?, inner)));
        let (address, inner) = bound.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                name,
                key,
                address: asked,
            },
            _ => BindError::Other {
                name,
                key,
                address: asked,
                error,
            },
        })?;
        Ok(Self {
            inner,
            name,
            unsent: config.unsent,
            address,
            warned: Mutex::default(),
        })
    }

    /// Where it listens: the port that the kernel chose, if 0 was asked.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What it is for.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The next connection, with its place among those that are not viewers yet.
    pub(super) async fn accept(
        &self,
        places: &Arc<Semaphore>,
        metrics: &ServeMetrics,
    ) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            match self.inner.accept().await {
                Ok((socket, _)) if is_one_of_the_last(&socket) => {
                    drop(socket);
                    self.run_short(&Errno::MFILE.into(), metrics).await;
                }
                Ok((socket, peer)) => {
                    let place = self.place(places, metrics).await;
                    prepare(&socket, self.unsent);
                    metrics.accepted(self.name);
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    return (socket, peer, place);
                }
                Err(error) if is_the_peers(&error) => metrics.accept_failed(self.name),
                Err(error) => self.run_short(&error, metrics).await,
            }
        }
    }

    /// A place for a connection; while there is none, it and all behind it wait.
    async fn place(&self, places: &Arc<Semaphore>, metrics: &ServeMetrics) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return place;
        }
        metrics.waited(self.name);
        match Arc::clone(places).acquire_owned().await {
            Ok(place) => place,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Something of ours has run out, or the listener itself is in trouble: waits a moment, so that whoever can free it
    /// gets the time, and connections wait in the kernel's queue meanwhile.
    async fn run_short(&self, error: &io::Error, metrics: &ServeMetrics) {
        metrics.accept_failed(self.name);
        if self.may_warn(Instant::now()) {
            tracing::warn!(
                listener = self.name,
                %error,
                "connections wait at the door: see `check` for the number of open files (LimitNOFILE, ulimit -n)"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn may_warn(&self, now: Instant) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let may = warned.is_none_or(|before| now - before >= WARN_EVERY);
        if may {
            *warned = Some(now);
        }
        may
    }
}

fn bind(config: &ListenConfig) -> io::Result<TcpListener> {
    open(config.address, |socket| {
        socket.set_send_buffer_size(config.send_buffer)?;
        let congestion = config.congestion.as_deref().unwrap_or_default();
        if !congestion.is_empty()
            && let Err(error) = socket.set_tcp_congestion(congestion.as_bytes())
        {
            tracing::warn!(congestion, %error, "the kernel lacks this congestion control and uses its own default");
        }
        Ok(())
    })
}

/// Listens on `address` with a socket that `prepare` has seen before. `[::]` takes IPv4 too, and becomes `0.0.0.0` on a
/// machine without IPv6, which still listens everywhere it can.
pub(crate) fn open(
    address: SocketAddr,
    prepare: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<TcpListener> {
    match open_one(address, &prepare) {
        Err(error) if is_any_v6(address) && lacks_ipv6(&error) => {
            open_one((Ipv4Addr::UNSPECIFIED, address.port()).into(), &prepare)
        }
        other => other,
    }
}

fn open_one(address: SocketAddr, prepare: &impl Fn(&Socket) -> io::Result<()>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    prepare(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}

/// Options that a socket does not inherit. One that is gone already fails soon enough by itself.
fn prepare(socket: &TcpStream, unsent: u32) {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    let set = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_notsent_lowat(unsent))
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(60))));
    if let Err(error) = set {
        tracing::debug!(%error, "a new connection took no options");
    }
}

/// How soon a publisher's connection that says nothing is asked for a sign of life, and how often from then on (R11): often enough
/// to keep the NATs on its way open, which forget within half a minute at worst.
const PUBLISHER_PROBE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(2));

/// How long a publisher's side may leave everything unanswered before its connection is given up (R11): beyond the time after
/// which it is let go for its silence, so that this closes what nobody closed, and cuts nobody off who only pauses.
const PUBLISHER_TIMEOUT: Duration = Duration::from_secs(15);

/// Options of a publisher's socket: there are few of them, and each that is there in vain stands in another's way.
pub(super) fn watch_publisher(socket: &TcpStream) {
    let (time, interval) = PUBLISHER_PROBE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    let socket = SockRef::from(socket);
    let set = socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_user_timeout(Some(PUBLISHER_TIMEOUT)));
    if let Err(error) = set {
        tracing::debug!(%error, "a publisher's connection took no options");
    }
}

/// Whether an accept failed because of the one connection that it was about; the next one may be fine.
fn is_the_peers(error: &io::Error) -> bool {
    // accept(2): the network's errors of a connection that is gone already come out here.
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
                | Errno::TIMEDOUT
        )
    )
}

/// Whether a connection got one of the last descriptors: the kernel gives the lowest one that is free, so all below are
/// taken. Those that are left are for metrics and admin (R66).
fn is_one_of_the_last(socket: &TcpStream) -> bool {
    let files = OpenFiles::read().soft.unwrap_or(u64::MAX);
    let last = LAST_FILES.min(files / 4);
    u64::try_from(socket.as_raw_fd()).is_ok_and(|number| number >= files - last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_gone_is_passed_over_and_a_shortage_makes_a_pause() {
        for peers in [Errno::CONNABORTED, Errno::PROTO, Errno::INTR, Errno::HOSTUNREACH] {
            assert!(is_the_peers(&peers.into()), "{peers}");
        }
        for ours in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
            Errno::BADF,
        ] {
            assert!(
                !is_the_peers(&ours.into()),
                "{ours}: without a pause it would be a busy loop"
            );
        }
    }

    #[tokio::test]
    async fn a_shortage_is_said_once_a_minute() {
        let listener = Listener::bind(&ListenConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            name: "HTTP",
            key: "[http] listen",
            congestion: None,
            send_buffer: 64 << 10,
            unsent: 16 << 10,
        });
        let (listener, now) = (listener.unwrap(), Instant::now());
        let said = [0, 1, 59, 61, 62, 122].map(|s| listener.may_warn(now + Duration::from_secs(s)));
        assert_eq!(said, [true, false, false, true, false, true]);
    }

    #[tokio::test]
    async fn r11_a_publishers_connection_is_probed_and_given_up() {
        let listener = open("127.0.0.1:0".parse().unwrap(), |_| Ok(())).unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        prepare(&socket, 16 << 10);
        watch_publisher(&socket);
        let options = SockRef::from(&socket);
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(5));
        assert_eq!(options.tcp_keepalive_interval().unwrap(), Duration::from_secs(2));
        assert_eq!(options.tcp_user_timeout().unwrap(), Some(Duration::from_secs(15)));
        drop(dialled);
    }

    #[tokio::test]
    async fn everywhere_means_both_families() {
        let listener = open("[::]:0".parse().unwrap(), |_| Ok(())).unwrap();
        let bound = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port()))
            .await
            .unwrap();
        if bound.is_ipv6() {
            TcpStream::connect(("::1", bound.port())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn without_ipv6_everywhere_is_ipv4() {
        // Refusing a socket of the family is what such a kernel does.
        let refuse_v6 = |socket: &Socket| match socket.domain()? {
            Domain::IPV6 => Err(io::Error::from(Errno::AFNOSUPPORT)),
            _ => Ok(()),
        };
        let listener = open("[::]:0".parse().unwrap(), refuse_v6).unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
        let one = open("[::1]:0".parse().unwrap(), refuse_v6).unwrap_err();
        assert!(lacks_ipv6(&one), "one address is not another: {one}");
    }
}
