//! TCP listeners with the options that make a viewer cheap, and the accept that survives a lack of descriptors.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::ServeMetrics;

/// Connections that the kernel queues for us: a wave of viewers is no reason to lose one.
const BACKLOG: i32 = 4096;

/// How long to pause when the process has no descriptor left; a busy loop would eat the core (B15).
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

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
        })
    }

    /// Where it listens: the port that the kernel chose, if 0 was asked.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with its place among those that are not viewers yet.
    pub(super) async fn accept(
        &self,
        places: &Arc<Semaphore>,
        metrics: &ServeMetrics,
    ) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let Ok(place) = Arc::clone(places).acquire_owned().await else {
                // The semaphore is never closed.
                std::future::pending().await
            };
            match self.inner.accept().await {
                Ok((socket, peer)) => {
                    prepare(&socket, self.unsent);
                    metrics.accepted(self.name);
                    return (
                        socket,
                        SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                        place,
                    );
                }
                Err(error) => {
                    metrics.accept_failed(self.name);
                    if is_exhaustion(&error) {
                        tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                    }
                }
            }
        }
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
    use rustix::io::Errno;
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

fn is_exhaustion(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(
            rustix::io::Errno::MFILE
                | rustix::io::Errno::NFILE
                | rustix::io::Errno::NOBUFS
                | rustix::io::Errno::NOMEM
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Domain::IPV6 => Err(io::Error::from(rustix::io::Errno::AFNOSUPPORT)),
            _ => Ok(()),
        };
        let listener = open("[::]:0".parse().unwrap(), refuse_v6).unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
        let one = open("[::1]:0".parse().unwrap(), refuse_v6).unwrap_err();
        assert!(lacks_ipv6(&one), "one address is not another: {one}");
    }
}
