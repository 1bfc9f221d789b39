//! The link port: one UDP socket, and QUIC's settings with their reasons.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{self, ByteSize, LinkCongestion};

/// What a stranger may have in flight to us before it is admitted: a join request four times over.
const STRANGER_WINDOW: u32 = 64 << 10;

/// Bidirectional streams of an admitted peer: control, and room for one or two that a later version may add.
const MEMBER_BIDI_STREAMS: u32 = 4;

/// Datagrams kept for one handshake that nobody has looked at yet; we look at once, so this is the whole burst of
/// a first flight.
const INCOMING_BUFFER: u64 = 32 << 10;

/// The same for all of them: a bound on what a flood of first packets can make us hold.
const INCOMING_BUFFER_TOTAL: u64 = 4 << 20;

/// QUIC's settings for links. Both programs use the same ones; only what is said below differs with the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuicConfig {
    /// How often an idle connection is kept alive. Default 1 s: a child dials a second link after 2 s without a
    /// byte, so that a lost keep-alive must leave room for the next. Cost: some 80 bytes a second each way.
    pub keep_alive: Duration,
    /// A connection silent for so long is over. Default 15 s, the grace window: by then its child lives on another.
    pub idle_timeout: Duration,
    /// What one group may have in flight, in bytes. Default 16 MiB, the size at which a group is continued.
    pub stream_receive_window: u32,
    /// What all groups of a link may have in flight, in bytes. Default 32 MiB: 2.5 Gbit/s at 100 ms. It bounds what
    /// a child holds for one parent.
    pub receive_window: u32,
    /// What a parent hands to QUIC for one child before it is acknowledged, in bytes. Default 2 MiB: 160 Mbit/s at 100 ms. What
    /// is handed over can no longer be taken back as too late, so it is little.
    pub send_window: u64,
    /// Groups open at once on a link. Default 1024: one per stream, and many behind on a bad path.
    pub max_groups: u32,
    /// The round trip assumed before it is known. Default 50 ms: a lost first packet is resent after 150 ms, not
    /// the second that the standard's default of 333 ms makes of it.
    pub initial_rtt: Duration,
    /// Hand the kernel many packets in one call. Default on. Off for paths whose policer drops bursts.
    pub segmentation_offload: bool,
    /// Find out how large packets may be. Default on: 1452 bytes instead of 1200, a fifth less work.
    pub mtu_discovery: bool,
    /// How the sending rate adapts. Default cubic.
    pub congestion: Congestion,
    /// What is asked of the kernel for each direction of the socket, in bytes. Default 8 MiB: a 30 ms pause at
    /// 2 Gbit/s. The kernel clips it to `net.core.rmem_max` and `wmem_max`; see [`SocketBuffers`].
    pub socket_buffer: usize,
}

/// A congestion control algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// What TCP does nearly everywhere: shares a path fairly, backs off on loss.
    #[default]
    Cubic,
    /// Goes by measured bandwidth rather than by loss. quinn's is version 1, and experimental by its own word.
    Bbr,
    /// The plain one of RFC 9002, for comparison.
    NewReno,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(15),
            stream_receive_window: 16 << 20,
            receive_window: 32 << 20,
            send_window: 2 << 20,
            max_groups: 1024,
            initial_rtt: Duration::from_millis(50),
            segmentation_offload: true,
            mtu_discovery: true,
            congestion: Congestion::default(),
            socket_buffer: 8 << 20,
        }
    }
}

impl From<&config::Link> for QuicConfig {
    fn from(link: &config::Link) -> Self {
        Self {
            keep_alive: link.keep_alive.get(),
            idle_timeout: link.idle_timeout.get(),
            stream_receive_window: window(link.stream_window),
            receive_window: window(link.window),
            initial_rtt: link.initial_rtt.get(),
            segmentation_offload: link.gso,
            mtu_discovery: link.mtu_discovery,
            congestion: match link.congestion {
                LinkCongestion::Cubic => Congestion::Cubic,
                LinkCongestion::Bbr => Congestion::Bbr,
                LinkCongestion::NewReno => Congestion::NewReno,
            },
            socket_buffer: link.udp_buffer.len(),
            ..Self::default()
        }
    }
}

/// A window as QUIC's settings take it here; more than 4 GiB is as good as 4 GiB.
fn window(size: ByteSize) -> u32 {
    u32::try_from(size.bytes()).unwrap_or(u32::MAX)
}

impl QuicConfig {
    /// The transport of a connection that we dial: the other end has proved itself before it can send us anything.
    fn dialled(&self) -> TransportConfig {
        let mut transport = self.common();
        transport
            .receive_window(VarInt::from_u32(self.receive_window))
            .max_concurrent_uni_streams(VarInt::from_u32(self.max_groups))
            .max_concurrent_bidi_streams(VarInt::from_u32(MEMBER_BIDI_STREAMS));
        transport
    }

    /// The transport of a connection that is made to us: one stream and [`STRANGER_WINDOW`], until [`admit`].
    fn accepted(&self) -> TransportConfig {
        let mut transport = self.common();
        transport
            .receive_window(VarInt::from_u32(STRANGER_WINDOW))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .max_concurrent_bidi_streams(VarInt::from_u32(1));
        transport
    }

    fn common(&self) -> TransportConfig {
        let mut transport = TransportConfig::default();
        transport
            .keep_alive_interval(Some(self.keep_alive))
            .max_idle_timeout(IdleTimeout::try_from(self.idle_timeout).ok())
            .stream_receive_window(VarInt::from_u32(self.stream_receive_window))
            .send_window(self.send_window)
            // The oldest group goes first, whole: that is what priorities say, and fairness would undo it.
            .send_fairness(false)
            .initial_rtt(self.initial_rtt)
            .enable_segmentation_offload(self.segmentation_offload)
            .mtu_discovery_config(self.mtu_discovery.then(MtuDiscoveryConfig::default))
            .congestion_controller_factory(self.congestion.factory())
            // No datagrams: nothing here uses them, and nobody shall make us keep any.
            .datagram_receive_buffer_size(None);
        transport
    }
}

impl Congestion {
    fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic => Arc::new(CubicConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
            Self::NewReno => Arc::new(NewRenoConfig::default()),
        }
    }
}

/// Opens a connection wide for a peer that has proved itself: the windows and streams of a link.
pub fn admit(connection: &Connection, config: &QuicConfig) {
    connection.set_receive_window(VarInt::from_u32(config.receive_window));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(config.max_groups));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(MEMBER_BIDI_STREAMS));
}

/// The TLS settings cannot carry QUIC; a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TLS settings lack the cipher that QUIC begins with")]
pub struct NoInitialCipher;

/// The server side of the link port.
///
/// # Errors
/// When the TLS settings cannot carry QUIC.
pub fn server_config(
    tls: rustls::ServerConfig,
    config: &QuicConfig,
) -> Result<ServerConfig, NoInitialCipher> {
    let crypto = QuicServerConfig::try_from(tls).map_err(|_| NoInitialCipher)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(config.accepted()))
        .max_incoming(super::door::MAX_HALF_OPEN)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(server)
}

/// The settings of a dialler.
///
/// # Errors
/// When the TLS settings cannot carry QUIC.
pub fn client_config(
    tls: rustls::ClientConfig,
    config: &QuicConfig,
) -> Result<ClientConfig, NoInitialCipher> {
    let crypto = QuicClientConfig::try_from(tls).map_err(|_| NoInitialCipher)?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    client.transport_config(Arc::new(config.dialled()));
    Ok(client)
}

/// A bound link port.
#[derive(Debug)]
pub struct Port {
    /// Dials, and accepts where it was bound with a server side.
    pub endpoint: Endpoint,
    /// What the kernel granted.
    pub buffers: SocketBuffers,
}

/// What was asked of the kernel for the socket's buffers, and what it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketBuffers {
    /// Asked, for each direction.
    pub asked: usize,
    /// Granted for receiving.
    pub receive: usize,
    /// Granted for sending.
    pub send: usize,
}

impl SocketBuffers {
    /// A warning in a sentence, when the kernel gave less than was asked.
    pub fn warning(&self) -> Option<String> {
        let clipped = |granted: usize, name: &str| {
            (granted < self.asked).then(|| format!("{} of {} bytes ({name})", granted, self.asked))
        };
        let parts: Vec<_> = [
            clipped(self.receive, "net.core.rmem_max"),
            clipped(self.send, "net.core.wmem_max"),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "the kernel clips the link's UDP buffers to {}: a burst may be lost; raise these settings",
                parts.join(" and ")
            )
        })
    }
}

/// What the port is for, and the key that moves it.
const NAME_AND_KEY: &str = "links, [link] listen";

/// Why the link port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has it.
    #[error("UDP port {} ({NAME_AND_KEY}) is in use by another program", .0.port())]
    InUse(SocketAddr),
    /// A port below 1024, without the right to it.
    #[error("no permission to open UDP port {} ({NAME_AND_KEY})", .0.port())]
    Forbidden(SocketAddr),
    /// Anything else, such as an address that is not this machine's.
    #[error("cannot open UDP {address} ({NAME_AND_KEY}): {error}")]
    Other {
        /// Which address.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

/// Opens the link port, with a server side or for dialling only. `[::]` serves IPv4 too, and becomes `0.0.0.0` on a
/// machine without IPv6.
///
/// # Errors
/// When the address cannot be had. Must be called inside a tokio runtime.
pub fn bind(
    listen: SocketAddr,
    server: Option<ServerConfig>,
    config: &QuicConfig,
) -> Result<Port, BindError> {
    let named = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(listen),
        io::ErrorKind::PermissionDenied => BindError::Forbidden(listen),
        _ => BindError::Other {
            address: listen,
            error,
        },
    };
    let socket = match open(listen) {
        Err(error) if listen.ip().is_unspecified() && lacks_ipv6(&error) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port())))
        }
        other => other,
    };
    let socket = socket.map_err(named)?;
    let buffers = size_buffers(&socket, config.socket_buffer).map_err(named)?;
    let endpoint = Endpoint::new(
        EndpointConfig::default(),
        server,
        socket.into(),
        Arc::new(TokioRuntime),
    );
    Ok(Port {
        endpoint: endpoint.map_err(named)?,
        buffers,
    })
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL]
        .iter()
        .any(|e| code == Some(e.raw_os_error()))
}

/// Asks for `asked` bytes each way. Linux clips silently, and reports twice of what it granted.
fn size_buffers(socket: &Socket, asked: usize) -> io::Result<SocketBuffers> {
    socket.set_recv_buffer_size(asked)?;
    socket.set_send_buffer_size(asked)?;
    Ok(SocketBuffers {
        asked,
        receive: socket.recv_buffer_size()? / 2,
        send: socket.send_buffer_size()? / 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let link = config::Link::default();
        let expected = QuicConfig {
            keep_alive: link.keep_alive.get(),
            ..QuicConfig::default()
        };
        assert_eq!(QuicConfig::from(&link), expected);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let config = QuicConfig::default();
        let first = bind("127.0.0.1:0".parse().unwrap(), None, &config).unwrap();
        let taken = first.endpoint.local_addr().unwrap();
        let error = bind(taken, None, &config).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "UDP port {} (links, [link] listen) is in use by another program",
                taken.port()
            )
        );
    }

    #[tokio::test]
    async fn a_clipped_buffer_is_a_warning_and_a_granted_one_is_none() {
        let tiny = QuicConfig {
            socket_buffer: 64 << 10,
            ..QuicConfig::default()
        };
        let port = bind("[::]:0".parse().unwrap(), None, &tiny).unwrap();
        assert_eq!(port.buffers.warning(), None, "{:?}", port.buffers);
        let huge = QuicConfig {
            socket_buffer: 1 << 30,
            ..QuicConfig::default()
        };
        let port = bind("127.0.0.1:0".parse().unwrap(), None, &huge).unwrap();
        let warning = port.buffers.warning().unwrap();
        assert!(warning.contains("net.core.rmem_max"), "{warning}");
    }
}
